//! `keys`: what applications show to be let in.

use std::collections::BTreeSet;

use gateway::api_keys::{Issued, Wanted};
use model::api_key::{Grant, State};
use model::{ApiKeyId, Reach, Timestamp};
use serde_json::{Value, json};
use store::{ApiKeyChanged, ApiKeyRow};

use super::beside::{Office, block_on, order};
use super::{Ended, now, say};
use crate::args::Arguments;
use crate::args::keys::{CreateKey, Keys, RevokeKey, RollKey};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash, tame};

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What stands beside a key that is printed.
const ONCE: &str = "This key is shown this once: keep it where the application reads its secrets.";

/// Makes, lists, shows, rolls or revokes.
pub(super) fn run(command: &Keys, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let json = arguments.json;
        let ended = match command {
            Keys::Create(create) => make(&office, create, json).await,
            Keys::List { all, unused } => list(&office, *all, *unused, json).await,
            Keys::Show { id } => show(&office, *id, json).await,
            Keys::Roll(roll) => make_successor(&office, roll, json).await,
            Keys::Revoke(revoke) => end(&office, revoke, json).await,
        };
        office.close().await;
        ended
    })
}

async fn make(office: &Office, create: &CreateKey, json: bool) -> Ended {
    let environment = office.environment.ok_or_else(|| {
        let fix = "write environment = \"test\" or environment = \"live\" at the top of it";
        Failure::new("missing_key", "the configuration does not say the environment", fix)
    })?;
    let wanted = Wanted {
        name: create.name.clone(),
        grant: Grant {
            permissions: create.allow.iter().copied().collect(),
            reach: reach(office, create)?,
            networks: create.from.clone(),
        },
        days: create.days,
    };
    let made = office.desk.create_api_key(environment, wanted, order(&create.reason)).await?;
    let issued = made.map_err(|unfit| Failure::told(unfit.code(), &unfit.to_string()))?;
    say_once(office, &issued, json).await
}

/// Whose things the key is to see: of sources and providers that there are.
fn reach(office: &Office, create: &CreateKey) -> Result<Reach, Failure> {
    let known: BTreeSet<&str> = office.sources.keys().map(String::as_str).collect();
    let sources = named("source", &create.source, &known)?;
    let known: BTreeSet<&str> =
        office.sources.values().filter_map(|source| source.provider.as_deref()).collect();
    let providers = named("provider", &create.provider, &known)?;
    let customer = match (&create.customer, create.provider.as_slice()) {
        (None, _) => None,
        (Some(customer), [provider]) if !customer.is_empty() => {
            Some(office.desk.customer(provider, customer))
        }
        (Some(_), _) => {
            let message = "it is not said whose customer this is";
            return Err(Failure::new("usage", message, "name one provider and its customer"));
        }
    };
    Ok(Reach { sources, providers, customer })
}

fn named(
    what: &str,
    names: &[String],
    known: &BTreeSet<&str>,
) -> Result<Option<BTreeSet<String>>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        let known = known.iter().copied().collect::<Vec<_>>().join(", ");
        let message = format!("no {what} is configured as {}", tame(unknown));
        return Err(Failure::new(format!("unknown_{what}"), message, format!("known: {known}")));
    }
    Ok((!names.is_empty()).then(|| names.iter().cloned().collect()))
}

async fn list(office: &Office, all: bool, unused: Option<u16>, as_json: bool) -> Ended {
    let now = now();
    let idle = |row: &ApiKeyRow| {
        let since = row.last_used_at.unwrap_or(row.created_at);
        unused.is_none_or(|days| since <= now.plus_millis(-DAY_MS * i64::from(days)))
    };
    let rows = office.store().api_keys().await?.into_iter();
    let rows: Vec<ApiKeyRow> =
        rows.filter(|row| (all || row.life.verdict(now).works()) && idle(row)).collect();
    if as_json {
        for row in &rows {
            say(line(row, now))?;
        }
    } else if rows.is_empty() {
        say("nothing")?;
    } else {
        say(table(&rows, now))?;
    }
    Ok(Outcome::Done)
}

async fn show(office: &Office, id: ApiKeyId, as_json: bool) -> Ended {
    let (row, now) = (kept(office, id).await?, now());
    let last_address = office.desk.last_address(&row).await?;
    if as_json {
        say(with(line(&row, now), "last_address", json!(last_address)))?;
        return Ok(Outcome::Done);
    }
    say(table(std::slice::from_ref(&row), now))?;
    let words =
        |names: &Option<BTreeSet<String>>| names.as_ref().map_or_else(|| "any".to_owned(), joined);
    let networks = match row.grant.networks.as_slice() {
        [] => "anywhere".to_owned(),
        networks => joined(networks),
    };
    say(format_args!("\nallows {}", joined(&row.grant.permissions)))?;
    say(format_args!("sources: {}", words(&row.grant.reach.sources)))?;
    say(format_args!("providers: {}", words(&row.grant.reach.providers)))?;
    if row.grant.reach.customer.is_some() {
        say("customer: one")?;
    }
    say(format_args!("used from {networks}, last {}", or_dash(last_address)))?;
    say(format_args!("created {} by {}", row.created_at, tame(&row.created_by)))?;
    if let Some(before) = row.rolled_from {
        say(format_args!("took the place of {before}"))?;
    }
    Ok(Outcome::Done)
}

async fn make_successor(office: &Office, roll: &RollKey, json: bool) -> Ended {
    let old = kept(office, roll.id).await?;
    let made = office.desk.roll_api_key(&old, roll.overlap, order(&roll.reason)).await?;
    say_once(office, &made.map_err(|changed| refused(changed, roll.id))?, json).await
}

async fn end(office: &Office, revoke: &RevokeKey, as_json: bool) -> Ended {
    let note = office.desk.note(order(&revoke.reason)).await?;
    let count = match revoke.id {
        None => office.store().revoke_api_keys(revoke.cause, note).await?,
        Some(id) => match office.store().revoke_api_key(id, revoke.cause, note).await? {
            ApiKeyChanged::Done => 1,
            changed => return Err(refused(changed, id)),
        },
    };
    if as_json {
        say(json!({ "revoked": count, "cause": revoke.cause.code() }))?;
    } else {
        say(format_args!("{count} revoked: within a second no gateway lets anybody in with it"))?;
    }
    Ok(Outcome::Done)
}

async fn kept(office: &Office, id: ApiKeyId) -> Result<ApiKeyRow, Failure> {
    let found = office.store().api_key(id).await?;
    found.ok_or_else(|| refused(ApiKeyChanged::NotFound, id))
}

/// Why a change did not count.
fn refused(changed: ApiKeyChanged, id: ApiKeyId) -> Failure {
    match changed {
        ApiKeyChanged::AlreadyRolled => {
            let fix = "roll its successor instead: `keys list` says which took its place";
            Failure::new("already_rolled", format!("{id} has a successor already"), fix)
        }
        ApiKeyChanged::AlreadyRevoked => {
            let fix = "make a new one with `keys create`";
            Failure::new("already_revoked", format!("{id} is revoked"), fix)
        }
        ApiKeyChanged::NotFound | ApiKeyChanged::Done => {
            let fix = "see `keys list --all`";
            Failure::new("not_found", format!("there is no key {id}"), fix)
        }
    }
}

/// Prints a new key, which is nowhere else.
async fn say_once(office: &Office, issued: &Issued, as_json: bool) -> Ended {
    let text = issued.key.to_text();
    if as_json {
        let shown = line(&kept(office, issued.key.id).await?, now());
        say(with(shown, "key", json!(text.as_str())))?;
    } else {
        say(text.as_str())?;
        say(format_args!("\n{ONCE}"))?;
        say(format_args!("{} ends at {}", issued.key.id, issued.expires_at))?;
    }
    Ok(Outcome::Done)
}

/// A key for `--json`.
fn line(row: &ApiKeyRow, now: Timestamp) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!({
        "id": row.id.to_string(), "environment": row.environment.code(), "name": row.name,
        "state": row.life.verdict(now).code(),
        "permissions": row.grant.permissions.iter().map(|p| p.code()).collect::<Vec<_>>(),
        "sources": row.grant.reach.sources, "providers": row.grant.reach.providers,
        "customer": row.grant.reach.customer.is_some(),
        "networks": row.grant.networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "created_at": row.created_at.to_string(), "created_by": row.created_by,
        "expires_at": row.life.expires_at.to_string(),
        "rolled_from": row.rolled_from.map(|before| before.to_string()),
        "grace_until": time(row.life.grace_until), "revoked_at": time(row.life.revoked_at),
        "cause": row.cause.map(|cause| cause.code()), "last_used_at": time(row.last_used_at),
        "uses": row.uses, "refusals": row.refusals,
    })
}

/// An object with one member more.
fn with(mut object: Value, member: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
    object
}

/// Keys for people.
fn table(rows: &[ApiKeyRow], now: Timestamp) -> Table {
    let mut table = Table::new(&["NAME", "STATE", "ENDS", "LAST USED", "USES", "REFUSED", "ID"]);
    for row in rows {
        let life = &row.life;
        let state = life.verdict(now);
        let state = match (state, life.warning(now)) {
            (State::Active, Some(1)) => "active, ends within a day".to_owned(),
            (State::Active, Some(days)) => format!("active, ends within {days} days"),
            _ => state.code().to_owned(),
        };
        let ends = life.revoked_at.or(life.grace_until).unwrap_or(life.expires_at);
        table.row([
            row.name.clone(),
            state,
            ends.min(life.expires_at).to_string(),
            or_dash(row.last_used_at),
            row.uses.to_string(),
            row.refusals.to_string(),
            row.id.to_string(),
        ]);
    }
    table
}

fn joined<'a, T: ToString + 'a>(items: impl IntoIterator<Item = &'a T>) -> String {
    items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
