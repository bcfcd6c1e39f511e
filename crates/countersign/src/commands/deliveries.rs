//! `deliveries`: what goes to the endpoints, and what is delivered again.

use gateway::shown;
use model::{DeliveryId, DeliveryStatus};
use serde_json::{Value, json};
use store::{DeliveryQuery, DeliveryRow, Store};

use super::beside::{Office, block_on, order, times};
use super::{Ended, say};
use crate::args::{Arguments, Deliveries};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash};

/// How many are delivered again by one command at most.
const REDELIVERED_MAX: usize = 1_000_000;

/// Lists, shows or delivers again.
pub(super) fn run(command: &Deliveries, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let ended = act(&office, command, arguments.json).await;
        office.close().await;
        ended
    })
}

async fn act(office: &Office, command: &Deliveries, json: bool) -> Ended {
    match command {
        Deliveries::List { event, endpoint, status, range, limit } => {
            let (since, until) = times(range);
            let query = DeliveryQuery {
                event: *event,
                id: None,
                endpoint: endpoint.clone(),
                status: status.map(Into::into),
                since,
                until,
                limit: *limit,
                ..DeliveryQuery::default()
            };
            list(&office.store().deliveries(query).await?, json)
        }
        Deliveries::Show { id } => show(office.store(), *id, json).await,
        Deliveries::Redeliver { ids, range, endpoint, status, reason, dry_run } => {
            let chosen = if ids.is_empty() {
                let (since, until) = times(range);
                if since.is_none() && until.is_none() {
                    let fix = "name deliveries, or give --since or --until";
                    let message = "it is not said what to deliver again";
                    return Err(Failure::new("usage", message, fix));
                }
                let query = DeliveryQuery {
                    endpoint: endpoint.clone(),
                    status: status.map(Into::into),
                    since,
                    until,
                    limit: REDELIVERED_MAX,
                    ..DeliveryQuery::default()
                };
                office.store().deliveries(query).await?
            } else {
                named(office.store(), ids).await?
            };
            redeliver(office, chosen, reason, *dry_run, json).await
        }
    }
}

fn list(deliveries: &[DeliveryRow], as_json: bool) -> Ended {
    if as_json {
        for delivery in deliveries {
            say(json(delivery))?;
        }
    } else if deliveries.is_empty() {
        say("nothing")?;
    } else {
        say(table(deliveries))?;
    }
    Ok(Outcome::Done)
}

async fn one(store: &Store, id: DeliveryId) -> Result<DeliveryRow, Failure> {
    let query = DeliveryQuery { id: Some(id), limit: 1, ..DeliveryQuery::default() };
    store.deliveries(query).await?.pop().ok_or_else(|| {
        Failure::new("not_found", format!("there is no delivery {id}"), "see deliveries list")
    })
}

async fn named(store: &Store, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>, Failure> {
    let mut deliveries = Vec::new();
    for id in ids {
        deliveries.push(one(store, *id).await?);
    }
    Ok(deliveries)
}

async fn show(store: &Store, id: DeliveryId, as_json: bool) -> Ended {
    let delivery = one(store, id).await?;
    let attempts = store.attempts(id).await?;
    if as_json {
        let mut shown = json(&delivery);
        if let Some(members) = shown.as_object_mut() {
            let attempts = attempts.iter().map(|row| value(shown::Attempt::from(row))).collect();
            members.insert("tries".to_owned(), Value::Array(attempts));
        }
        say(shown)?;
        return Ok(Outcome::Done);
    }
    say(table(std::slice::from_ref(&delivery)))?;
    let mut tries = Table::new(&["STARTED", "MS", "OUTCOME", "HTTP", "ATTEMPT"]);
    for row in &attempts {
        let took = row.ended_at.as_millis() - row.started_at.as_millis();
        tries.row([
            row.started_at.to_string(),
            took.to_string(),
            row.outcome.to_string(),
            or_dash(row.http_status),
            row.id.to_string(),
        ]);
    }
    if !tries.is_empty() {
        say(format_args!("\n{tries}"))?;
    }
    Ok(Outcome::Done)
}

async fn redeliver(
    office: &Office,
    chosen: Vec<DeliveryRow>,
    reason: &str,
    dry_run: bool,
    as_json: bool,
) -> Ended {
    // What is pending is on its way already.
    let chosen: Vec<DeliveryRow> =
        chosen.into_iter().filter(|row| row.status != DeliveryStatus::Pending).collect();
    let ids: Vec<DeliveryId> = chosen.iter().map(|row| row.id).collect();
    let count = if dry_run {
        ids.len()
    } else {
        office.store().redeliver(ids.clone(), office.desk.note(order(reason)).await?).await?
    };
    let gone = if count < ids.len() { without_body(office.store(), &chosen).await? } else { 0 };
    if count == 0 && gone > 0 && !dry_run {
        let message = "the body was deleted by retention: there is nothing to deliver again";
        let fix = "ask the provider to send it again";
        return Err(Failure::new("body_gone", message, fix));
    }
    if as_json {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        say(
            json!({ "redelivered": count, "dry_run": dry_run, "body_gone": gone, "deliveries": ids }),
        )?;
        return Ok(Outcome::Done);
    }
    if dry_run {
        if !chosen.is_empty() {
            say(table(&chosen))?;
        }
        say(format_args!("{count} would be delivered again"))?;
    } else {
        say(format_args!("{count} will be delivered again"))?;
        if gone > 0 {
            say(format_args!("{gone} will not: their bodies were deleted by retention"))?;
        }
    }
    Ok(Outcome::Done)
}

/// How many of these have no body any more.
async fn without_body(store: &Store, chosen: &[DeliveryRow]) -> Result<usize, Failure> {
    let mut gone = 0;
    for row in chosen {
        gone += usize::from(store.body(row.event).await?.is_none());
    }
    Ok(gone)
}

/// A delivery for `--json`.
pub(super) fn json(row: &DeliveryRow) -> Value {
    value(shown::Delivery::from(row))
}

fn value(shown: impl serde::Serialize) -> Value {
    serde_json::to_value(shown).unwrap_or_default()
}

/// Deliveries for people.
pub(super) fn table(rows: &[DeliveryRow]) -> Table {
    let header = ["CREATED", "STATUS", "ENDPOINT", "ATTEMPTS", "NEXT", "EVENT", "ID"];
    let mut table = Table::new(&header);
    for row in rows {
        let status = if row.parked { "pending (parked)" } else { row.status.code() };
        table.row([
            row.created_at.to_string(),
            status.to_owned(),
            row.endpoint.clone(),
            row.attempts.to_string(),
            or_dash(row.next_at),
            row.event.to_string(),
            row.id.to_string(),
        ]);
    }
    table
}
