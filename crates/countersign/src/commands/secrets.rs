//! `secrets`: those of sources and endpoints, with their age; added, rolled and retired.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::api_key::Overlap;
use model::secret::{AGE_DAYS_MAX, SecretKind, SecretState};
use schemes::standard_webhooks::SigningKey;
use schemes::{Secret, SecretError};
use serde_json::json;
use store::{SecretAdded, SecretRetired, SecretRow};

use super::beside::{Office, block_on, order};
use super::{Ended, now, profiles, random, say};
use crate::args::Arguments;
use crate::args::secrets::{Owned, Secrets};
use crate::config;
use crate::failure::{Failure, Outcome};
use crate::table::Table;

/// Lists, adds, rolls or retires.
pub(super) fn run(command: &Secrets, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let ended = match command {
            Secrets::List => list(&office, arguments.json).await,
            Secrets::Add(owned) => add(&office, owned, None, arguments).await,
            Secrets::Roll { owned, overlap } => {
                add(&office, owned, Some(*overlap), arguments).await
            }
            Secrets::Retire { id, force, reason } => {
                let retired = office.desk.retire_secret(*id, *force, order(reason)).await?;
                told(retired, &id.to_string(), arguments.json)
            }
        };
        office.close().await;
        ended
    })
}

async fn list(office: &Office, json: bool) -> Ended {
    let (rows, now) = (office.desk.secrets(now()).await?, now());
    if json {
        for (row, state) in &rows {
            let life = row.life;
            let time = |at: Option<model::Timestamp>| at.map(|at| at.to_string());
            say(json!({
                "id": row.id.to_string(),
                "kind": life.kind.code(),
                "owner": row.owner,
                "kept": kept(row),
                "state": state.code(),
                "since": life.since.to_string(),
                "age_days": life.age_days(now),
                "ends_at": time(life.ends_at),
                "proven_at": time(life.proven_at),
                "retired_at": time(life.retired_at),
            }))?;
        }
        return Ok(Outcome::Done);
    }
    let header = ["KIND", "OWNER", "STATE", "DAYS", "KEPT", "USED", "ENDS", "ID"];
    let mut table = Table::new(&header);
    let mut old = 0;
    for (row, state) in rows.iter().filter(|(_, state)| state.counts()) {
        let life = row.life;
        old += usize::from(life.is_old(now));
        table.row([
            life.kind.code().to_owned(),
            row.owner.clone(),
            state.code().to_owned(),
            life.age_days(now).to_string(),
            kept(row).to_owned(),
            life.proven_at.map_or_else(|| "-".to_owned(), |_| "yes".to_owned()),
            life.ends_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            row.id.to_string(),
        ]);
    }
    if table.is_empty() {
        say("nothing: the gateway notes the configured ones when it starts")?;
    } else {
        say(table)?;
    }
    if old > 0 {
        say(format!(
            "{old} due to be rolled: a secret should be no older than {AGE_DAYS_MAX} days"
        ))?;
    }
    Ok(Outcome::Done)
}

fn kept(row: &SecretRow) -> &'static str {
    if row.sealed.is_some() { "store" } else { "configuration" }
}

async fn add(
    office: &Office,
    owned: &Owned,
    overlap: Option<Overlap>,
    arguments: &Arguments,
) -> Ended {
    let (kind, owner) = match (&owned.source, &owned.endpoint) {
        (Some(source), _) => (SecretKind::Source, source.as_str()),
        (None, Some(endpoint)) => (SecretKind::Endpoint, endpoint.as_str()),
        (None, None) => return Err(usage("name a source or an endpoint")),
    };
    let is_known = match kind {
        SecretKind::Source => office.sources.contains_key(owner),
        SecretKind::Endpoint => office.endpoints.iter().any(|endpoint| endpoint.name == owner),
    };
    if !is_known {
        let message = format!("the configuration has no {} of this name", kind.code());
        return Err(Failure::new("not_found", message, "see the configuration for its names"));
    }
    let files = owned.secret_file.iter().cloned().collect::<Vec<_>>();
    let variables = owned.secret_env.iter().cloned().collect::<Vec<_>>();
    let env_file = arguments.env_file.as_deref();
    let (secret, made) = match (files.is_empty() && variables.is_empty(), kind) {
        (false, _) => {
            let given = config::secrets_of(&variables, &files, env_file)?.pop();
            (given.ok_or_else(|| usage("give one secret"))?, None)
        }
        (true, SecretKind::Endpoint) => {
            let made = format!("whsec_{}", STANDARD.encode(random::<32>()?));
            (Secret::new(made.clone()), Some(made))
        }
        (true, SecretKind::Source) => {
            return Err(usage("give the provider's secret: --secret-file or --secret-env"));
        }
    };
    fits(office, (kind, owner), &secret, arguments)?;
    let (id, added) =
        office.desk.add_secret((kind, owner), &secret, overlap, order(&owned.reason)).await?;
    if added == SecretAdded::Known {
        let message = "this secret is or was one of its own";
        return Err(Failure::new("secret_known", message, "make a new one; none is used again"));
    }
    let ends = overlap.map(Overlap::code);
    if arguments.json {
        say(json!({ "id": id.to_string(), "overlap": ends, "secret": made }))?;
        return Ok(Outcome::Done);
    }
    if let Some(made) = made {
        say(made)?;
        say("this is shown once: give it to the application")?;
    }
    say(format!("{id} counts within a second, on every gateway"))?;
    if let (Some(overlap), SecretKind::Source) = (ends, kind) {
        say(format!(
            "those that were added before end after {overlap}, and not before this one has verified a message"
        ))?;
    } else if let Some(overlap) = ends {
        say(format!("those that were added before end after {overlap}"))?;
    }
    Ok(Outcome::Done)
}

/// Whether it is a secret as its owner takes them.
fn fits(
    office: &Office,
    (kind, owner): (SecretKind, &str),
    secret: &Secret,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let wrong = |error: SecretError| {
        let said = error.to_string();
        let said = said.strip_prefix("secret 1: ").unwrap_or(&said).to_owned();
        Failure::new(error.code(), said, "copy it again, whole and nothing else")
    };
    if kind == SecretKind::Endpoint {
        return SigningKey::parse(secret).map(drop).map_err(wrong);
    }
    let provider = office.sources.get(owner).and_then(|source| source.provider.as_deref());
    let profiles = profiles(arguments)?;
    let profile = match provider {
        Some(provider) => profiles.find(provider)?,
        None => None,
    };
    let profile = profile.ok_or_else(|| super::unknown_provider(&profiles))?;
    profile.keys(std::slice::from_ref(secret)).map(drop).map_err(wrong)
}

fn told(retired: SecretRetired, id: &str, json: bool) -> Ended {
    let (code, message, fix) = match retired {
        SecretRetired::Done if json => {
            say(json!({ "id": id, "state": SecretState::Retired.code() }))?;
            return Ok(Outcome::Done);
        }
        SecretRetired::Done => {
            say(format!("{id} counts no more, within a second on every gateway"))?;
            return Ok(Outcome::Done);
        }
        SecretRetired::NotFound => {
            ("not_found", "no secret that counts has this id", "see secrets list")
        }
        SecretRetired::Configured => (
            "secret_configured",
            "this secret stands in the configuration",
            "take it out there and start the gateway again",
        ),
        SecretRetired::Last => {
            ("secret_last", "nothing else counts for its owner", "add another first: secrets roll")
        }
        SecretRetired::Unproven => (
            "secret_unproven",
            "no newer secret has verified a message yet: the provider may still sign with this one",
            "set the new one at the provider and wait for a message, or --force",
        ),
    };
    Err(Failure::new(code, message, fix))
}

fn usage(message: &str) -> Failure {
    Failure::new("usage", message, "see countersign secrets --help")
}
