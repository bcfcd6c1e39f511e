//! `audit list`: entries by their place, the newest last, and those that have none yet.

use gateway::AuditLog;
use gateway::LogError;
use model::Timestamp;
use serde_json::{Value, json as value};
use store::{Action, EntryRow};

use super::super::beside::{Office, times};
use super::super::{Ended, say};
use super::{note, raw};
use crate::args::audit::List;
use crate::failure::{Failure, Outcome};
use crate::table::Table;

/// Entries that have no place yet, at most.
const WAITING: usize = 10_000;

/// An entry and its place.
type Line = (Option<u64>, EntryRow);

pub(super) async fn list(office: &Office, log: &AuditLog, wanted: &List, json: bool) -> Ended {
    note(office, Action::LogRead, "entries").await?;
    let lines = find(office, log, wanted).await?;
    if json {
        for (index, entry) in &lines {
            say(self::json(*index, entry))?;
        }
        return Ok(Outcome::Done);
    }
    let header = ["INDEX", "TIME", "ACTION", "OUTCOME", "ACTOR", "RESOURCE", "CHANGES"];
    let mut table = Table::new(&header);
    for (index, entry) in &lines {
        table.row([
            index.map_or_else(|| "-".to_owned(), |index| index.to_string()),
            entry.at.to_string(),
            entry.action.code().to_owned(),
            entry.outcome.to_owned(),
            entry.actor.clone(),
            entry.resource.clone(),
            changes(&entry.changes),
        ]);
    }
    if table.is_empty() {
        say("nothing")?
    } else {
        say(table)?
    }
    Ok(Outcome::Done)
}

/// The newest entries that match, from the end backwards.
async fn find(office: &Office, log: &AuditLog, wanted: &List) -> Result<Vec<Line>, Failure> {
    let times = times(&wanted.range);
    let waiting = office.store().waiting_entries(WAITING).await?;
    let mut found: Vec<Line> = waiting
        .into_iter()
        .filter(|entry| matches(wanted, times, entry))
        .map(|entry| (None, entry))
        .rev()
        .collect();
    let size = match log.head().await {
        Ok(head) => head.size,
        Err(LogError::Empty) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut end = size;
    while end > 0 && found.len() < wanted.limit {
        // What one tile holds.
        let start = (end - 1) / 256 * 256;
        let placed = log.entries(start..end).await?;
        let entries = placed.into_iter().rev();
        let entries = entries.filter_map(|placed| Some((Some(placed.index), placed.entry?)));
        found.extend(entries.filter(|(_, entry)| matches(wanted, times, entry)));
        end = start;
    }
    found.truncate(wanted.limit);
    found.reverse();
    Ok(found)
}

fn matches(
    wanted: &List,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    entry: &EntryRow,
) -> bool {
    let code = entry.action.code();
    let is_action =
        |action: &str| code == action || action.ends_with('.') && code.starts_with(action);
    wanted.actor.as_ref().is_none_or(|actor| *actor == entry.actor)
        && wanted.action.as_deref().is_none_or(is_action)
        && wanted.resource.as_ref().is_none_or(|resource| *resource == entry.resource)
        && since.is_none_or(|since| entry.at >= since)
        && until.is_none_or(|until| entry.at < until)
}

/// An entry as one JSON object.
pub(super) fn json(index: Option<u64>, entry: &EntryRow) -> Value {
    value!({
        "index": index,
        "time": entry.at.to_string(),
        "action": entry.action.code(),
        "outcome": entry.outcome,
        "actor": entry.actor,
        "resource": entry.resource,
        "changes": raw(&entry.changes),
        "request": entry.request.map(|request| request.to_string()),
    })
}

/// Changes for people: `name: before → now`.
fn changes(text: &str) -> String {
    let all = raw(text);
    let word = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let one = |change: &Value| {
        let name = word(change.get(0));
        match (change.get(1), change.get(2)) {
            (Some(Value::Null), now) => format!("{name}: {}", word(now)),
            (before, now) => format!("{name}: {} → {}", word(before), word(now)),
        }
    };
    all.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
}
