//! `events`: what arrived, what became of it, and what a person decides about it.

mod line;

use std::io::Write;
use std::sync::Arc;

use gateway::{Counted, Orders, Vouches};
use model::{EventId, EventStatus};
use store::{Action, Changed, DeliveryQuery, EventQuery, EventRow};

use super::beside::{Office, block_on, order, times};
use super::{Ended, say};
use crate::args::{Arguments, Events, Judgement, Range, Status};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, tame};
use line::Line;

/// Lists, shows or decides.
pub(super) fn run(command: &Events, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let ended = match command {
            Events::List { all, source, status, range, limit } => {
                let filter = Filter { all: *all, source: source.clone(), status: *status };
                list(&office, &filter, range, *limit, arguments.json).await
            }
            Events::Show { id, body } => show(&office, *id, *body, arguments.json).await,
            Events::Release(judgement) => judge(&office, judgement, true, arguments.json).await,
            Events::Refuse(judgement) => judge(&office, judgement, false, arguments.json).await,
        };
        office.close().await;
        ended
    })
}

/// What is listed.
struct Filter {
    all: bool,
    source: Option<String>,
    status: Option<Status>,
}

impl Filter {
    /// The statuses of recorded events; nothing if none of them is wanted.
    fn statuses(&self) -> Option<Vec<EventStatus>> {
        match self.status {
            Some(status) => status.of_event().map(|status| vec![status]),
            None if self.all => Some(Vec::new()),
            None => Some(vec![EventStatus::Accepted, EventStatus::Held]),
        }
    }

    /// Whether repeated or refused arrivals are wanted.
    fn wants_tallies(&self) -> bool {
        match self.status {
            Some(status) => status.of_event().is_none(),
            None => self.all,
        }
    }
}

async fn list(office: &Office, filter: &Filter, range: &Range, limit: usize, json: bool) -> Ended {
    let (since, until) = times(range);
    let query = |statuses| EventQuery {
        statuses,
        source: filter.source.clone(),
        since,
        until,
        limit,
        ..EventQuery::default()
    };
    let mut lines = Vec::new();
    if let Some(statuses) = filter.statuses() {
        for event in office.store().events(query(statuses)).await? {
            lines.push(Line::of_event(&office.desk, &event).await);
        }
    }
    if filter.wants_tallies() {
        for tally in office.store().tallies(query(Vec::new())).await? {
            let line = Line::of_tally(office, &tally).await?;
            if filter.status.is_none_or(|status| line.is(status)) {
                lines.push(line);
            }
        }
    }
    lines.sort_by_key(Line::received_at);
    let first = lines.len().saturating_sub(limit);
    let newest = lines.get(first..).unwrap_or_default();
    if json {
        for line in newest {
            say(line.json())?;
        }
        return Ok(Outcome::Done);
    }
    let header =
        ["RECEIVED", "STATUS", "REASON", "SOURCE", "TYPE", "COVERS", "COUNT", "STEPS", "ID"];
    let mut table = Table::new(&header);
    for line in newest {
        table.row(line.cells());
    }
    if table.is_empty() {
        say("nothing (events list --all also shows what was denied, quarantined or refused)")?;
    } else {
        say(table)?;
    }
    Ok(Outcome::Done)
}

async fn event(office: &Office, id: EventId) -> Result<EventRow, Failure> {
    let event = office.store().event(id).await?;
    event.ok_or_else(not_found)
}

fn not_found() -> Failure {
    Failure::new("not_found", "there is no such event", "see events list --all")
}

async fn show(office: &Office, id: EventId, raw: bool, json: bool) -> Ended {
    let event = event(office, id).await?;
    office.desk.audit(Action::EventRevealed, &id.to_string(), order("")).await?;
    let body = office.desk.body(&event).await?;
    if raw {
        let Some(body) = body else {
            let message = "the body was deleted by retention";
            return Err(Failure::new("body_gone", message, "ask the provider to send it again"));
        };
        std::io::stdout().write_all(&body)?;
        std::io::stdout().flush()?;
        return Ok(Outcome::Done);
    }
    let facts = office.desk.facts(&event).await?;
    let deliveries = office
        .store()
        .deliveries(DeliveryQuery { event: Some(id), limit: 1000, ..DeliveryQuery::default() })
        .await?;
    let line = Line::of_event(&office.desk, &event).await;
    let facts = serde_json::to_value(&facts).unwrap_or_default();
    if json {
        let mut shown = serde_json::to_value(&line).unwrap_or_default();
        if let Some(members) = shown.as_object_mut() {
            let deliveries = deliveries.iter().map(super::deliveries::json).collect();
            members.insert("facts".to_owned(), facts);
            members.insert("deliveries".to_owned(), serde_json::Value::Array(deliveries));
            let text = body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
            members.insert("body".to_owned(), text.into());
            let range = [event.range.start, event.range.end];
            members.insert("body_range".to_owned(), range.to_vec().into());
        }
        say(shown)?;
        return Ok(Outcome::Done);
    }
    for (name, value) in line.described() {
        say(format_args!("{name:<20}{value}"))?;
    }
    for (name, value) in facts.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        say(format_args!("{:<20}{}", name.replace('_', " "), tame(&text)))?;
    }
    if !deliveries.is_empty() {
        say("")?;
        say(super::deliveries::table(&deliveries))?;
    }
    if let Some(body) = body {
        let text = String::from_utf8_lossy(&body);
        let text: Vec<String> = text.lines().map(tame).collect();
        say(format_args!("\n{}", text.join("\n")))?;
    } else {
        say("\nthe body was deleted by retention")?;
    }
    Ok(Outcome::Done)
}

/// The endpoints that get an event when it is released.
async fn receivers(
    office: &Office,
    orders: &Orders,
    event: &EventRow,
) -> Result<Vec<Arc<str>>, Failure> {
    let named = office.sources.get(&event.source).map(|source| source.endpoints.as_slice());
    let takes_originals = |name: &str| {
        office.endpoints.iter().any(|endpoint| endpoint.name == name && endpoint.takes_originals)
    };
    let receivers = orders.receivers(event, named.unwrap_or_default(), takes_originals).await?;
    receivers.ok_or_else(|| {
        let message = "every endpoint of the source takes the original bytes, which are not kept";
        let fix = "give the source an endpoint with format = \"event\", then release again";
        Failure::new("redacted_original_only", message, fix)
    })
}

async fn judge(office: &Office, judgement: &Judgement, release: bool, json: bool) -> Ended {
    if judgement.reason.trim().is_empty() {
        let fix = "say why with --reason: it is kept with the decision";
        return Err(Failure::new("usage", "the reason is empty", fix));
    }
    let event = event(office, judgement.id).await?;
    let order = order(&judgement.reason);
    let mut endpoints: Vec<Arc<str>> = Vec::new();
    let (changed, counted) = if release {
        let orders = super::orders::orders(office);
        endpoints = receivers(office, &orders, &event).await?;
        // Nothing is out of an operator's reach.
        let counting: (_, Vouches<'_>) = (&orders, &|_| true);
        let released = office.desk.release(event.id, order, &endpoints, counting).await?;
        (released.changed, Some(released.counted))
    } else {
        (office.desk.refuse(event.id, order).await?, None)
    };
    match changed {
        Changed::Done => {}
        Changed::NotFound => return Err(not_found()),
        Changed::BodyGone => {
            let message = "its body was deleted by retention: there is nothing to deliver";
            let fix = "deny it, or ask the provider to send it again";
            return Err(Failure::new("body_gone", message, fix));
        }
        Changed::NotHeld(status) => {
            let message = format!("the event is {status}: only held ones are decided on");
            return Err(Failure::new("not_held", message, "see events list --status held"));
        }
    }
    let status = if release { EventStatus::Accepted } else { EventStatus::Denied };
    if json {
        let id = event.id.to_string();
        let names: Vec<&str> = endpoints.iter().map(|name| &**name).collect();
        say(serde_json::json!({
            "id": id, "status": status.code(), "endpoints": names, "counted": counted
        }))?;
    } else if release {
        let names = endpoints.join(", ");
        let names = if names.is_empty() { "no endpoint".to_owned() } else { names };
        say(format_args!("{} is accepted and goes to {names}", event.id))?;
        match counted {
            Some(Counted { order: Some(order), .. }) => say(format_args!("it counts for {order}"))?,
            Some(Counted { because: Some(because), .. }) => {
                say(format_args!("it counts for no order: {because}"))?;
            }
            _ => {}
        }
    } else {
        say(format_args!("{} is denied", event.id))?;
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_all_only_what_may_be_or_is_delivered_is_listed() {
        let filter = |all, status| Filter { all, source: None, status };
        let plain = filter(false, None);
        assert_eq!(plain.statuses(), Some(vec![EventStatus::Accepted, EventStatus::Held]));
        assert!(!plain.wants_tallies());
        let all = filter(true, None);
        assert_eq!(all.statuses(), Some(Vec::new()));
        assert!(all.wants_tallies());
        let denied = filter(false, Some(Status::Denied));
        assert_eq!(denied.statuses(), Some(vec![EventStatus::Denied]));
        assert!(!denied.wants_tallies());
        let refused = filter(false, Some(Status::Refused));
        assert_eq!(refused.statuses(), None);
        assert!(refused.wants_tallies());
    }
}
