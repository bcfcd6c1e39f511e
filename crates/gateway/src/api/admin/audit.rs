//! The audit log: its entries, in the order in which they were written.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use store::{Action, EntryRow};
use utoipa::ToSchema;

use super::reads::Query;
use super::{Asked, Given};
use crate::api::Reply;
use crate::api::read::{Limit, from_text};
use crate::api::refusal::Problem;
use crate::operators::Operator;

/// An entry. What it says of persons is not shown here.
#[derive(Serialize, ToSchema)]
pub(super) struct Entry {
    /// Grows from entry to entry; `after` goes on behind it.
    sequence: i64,
    /// When.
    #[schema(format = DateTime)]
    time: String,
    /// What.
    action: &'static str,
    /// done or refused.
    outcome: &'static str,
    /// Who.
    actor: String,
    /// On what.
    resource: String,
    /// What is different now: a name, what was before, and what is now.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    changes: serde_json::Value,
    /// The request that asked for it.
    request: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            sequence: row.sequence,
            time: row.at.to_string(),
            action: row.action.code(),
            outcome: row.outcome,
            actor: row.actor,
            resource: row.resource,
            changes: serde_json::from_str(&row.changes).unwrap_or_default(),
            request: row.request.map(|request| request.to_string()),
        }
    }
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
pub(super) struct Entries {
    data: Vec<Entry>,
    /// What to give as `after` for the next page; none if this is the last one so far.
    next: Option<i64>,
}

/// Which entries are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default, deserialize_with = "from_text")]
    after: Option<After>,
    #[serde(default, deserialize_with = "from_text")]
    limit: Option<Limit>,
}

/// A sequence behind which entries are wanted.
struct After(i64);

impl FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_plain { text.parse().ok() } else { None };
        number.map(Self).ok_or(())
    }
}

/// Lists entries of the audit log, oldest first. That it was read is an entry, too.
#[utoipa::path(
    get, path = "/admin/v1/audit/entries", operation_id = "list_audit_entries", tag = "audit",
    params(
        ("after" = Option<i64>, Query, minimum = 0, description = "Entries behind this sequence."),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "How many: 50 unless it is said."),
    ),
    responses((status = 200, description = "A page of them.", body = Entries))
)]
pub(super) async fn list(
    asked: Asked,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Given, Problem> {
    let Which { after, limit } = which;
    let desk = &asked.office.desk;
    let order = asked.order(&operator, String::new());
    desk.audit(Action::LogRead, "entries", order).await?;
    let limit = usize::from(limit.unwrap_or_default().0);
    let after = after.map_or(0, |after| after.0);
    let mut rows = desk.store().entries(after, limit + 1).await?;
    let next = (rows.len() > limit).then(|| rows.get(limit - 1).map(|row| row.sequence)).flatten();
    rows.truncate(limit);
    let data = rows.into_iter().map(Entry::from).collect();
    Ok(Reply::of(&Entries { data, next })?.into())
}
