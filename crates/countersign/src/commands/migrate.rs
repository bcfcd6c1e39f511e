//! `migrate`: brings the schema of a PostgreSQL store up to this version. An embedded store is
//! migrated by the gateway that opens it.

use store::{MigrationName, PostgresOptions, Store};

use super::beside::block_on;
use super::{Ended, origin, say};
use crate::args::{Arguments, Migrate};
use crate::config::{self, StorePlace};
use crate::failure::{Failure, Outcome};
use crate::table::Table;

/// Says what is missing, or applies it.
pub(super) fn run(migrate: &Migrate, arguments: &Arguments) -> Ended {
    let options = options(migrate, arguments)?;
    block_on(async {
        let migrations = if migrate.apply {
            let role = migrate.serving_role.as_deref();
            Store::migrate_apply(&options, role).await
        } else {
            Store::migrate_plan(&options).await
        };
        told(&migrations?, migrate, arguments.json)
    })
}

/// The configured server, as the owner of the schema reaches it.
fn options(migrate: &Migrate, arguments: &Arguments) -> Result<PostgresOptions, Failure> {
    let StorePlace::Server { options, .. } = origin(arguments).store()? else {
        let message = "the store is a file, which the gateway migrates when it starts";
        let fix = "migrate is for a PostgreSQL store; start the gateway";
        return Err(Failure::new("usage", message, fix));
    };
    let mut options = *options;
    if let Some(name) = &migrate.url_env {
        options.url = config::url_of("--url-env", name, arguments.env_file.as_deref())?;
        options.check()?;
    }
    Ok(options)
}

fn told(migrations: &[MigrationName], migrate: &Migrate, json: bool) -> Ended {
    let is_pending = !migrate.apply && !migrations.is_empty();
    let ended = if is_pending { Outcome::No } else { Outcome::Done };
    if json {
        let list: Vec<_> = migrations
            .iter()
            .map(|one| serde_json::json!({ "version": one.version, "name": one.name }))
            .collect();
        let (applied, pending) =
            if migrate.apply { (list, Vec::new()) } else { (Vec::new(), list) };
        say(serde_json::json!({
            "applied": applied, "pending": pending, "serving_role": migrate.serving_role,
        }))?;
        return Ok(ended);
    }
    if migrations.is_empty() {
        say("the schema is this version's: nothing to migrate")?;
    } else {
        let mut table = Table::new(&["VERSION", "NAME", ""]);
        let state = if migrate.apply { "applied" } else { "pending" };
        for one in migrations {
            table.row([one.version.to_string(), one.name.clone(), state.to_owned()]);
        }
        say(table)?;
    }
    if is_pending {
        say("\nNothing was changed. Apply them with: countersign migrate --apply")?;
    }
    if let (true, Some(role)) = (migrate.apply, &migrate.serving_role) {
        say(format!("{role} has the rights that `serve` needs, and no others"))?;
    }
    Ok(ended)
}
