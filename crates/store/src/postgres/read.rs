//! Reads: each is one statement, on a connection beside those that write.

mod counts;
mod deliveries;
mod events;
mod tallies;

use model::{Reach, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use vault::{KeyId, Sealed};

use super::bind::Owned;
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::column;
use crate::codes::Coded as _;
use crate::{KeyKind, SealedRow, StoreError};

pub(super) use events::event_row;

/// Ids are made when the thing happens, which is a moment away from the time written beside it. So
/// far the time in an id may be off and the thing still be found, milliseconds.
const ID_SLACK_MS: i64 = 600_000;

/// Conditions and their parameters, joined with AND.
struct Filter {
    conditions: Vec<String>,
    parameters: Vec<Owned>,
}

impl Filter {
    fn new() -> Self {
        Self { conditions: Vec::new(), parameters: Vec::new() }
    }

    /// Adds a condition in which `?` stands for the value.
    fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static, of: Type) {
        self.parameters.push(Owned::new(value, of));
        self.conditions.push(condition.replace('?', &format!("${}", self.parameters.len())));
    }

    /// Narrows to ids made about this time, so that only some partitions are looked at.
    fn and_id_made(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) {
        if let Some(since) = since {
            self.and("id >= ?", id_bound(since.plus_millis(-ID_SLACK_MS)), Type::UUID);
        }
        if let Some(until) = until {
            self.and("id < ?", id_bound(until.plus_millis(ID_SLACK_MS)), Type::UUID);
        }
    }

    /// Narrows to events within reach. Whose an event is says the key that its facts are sealed
    /// under: a person's own, where it names one.
    fn and_within(&mut self, reach: &Reach) {
        for (column, names) in [("source", &reach.sources), ("provider", &reach.providers)] {
            let Some(names) = names else { continue };
            let names: Vec<String> = names.iter().cloned().collect();
            let condition = format!("event.{column} IN (SELECT id FROM name WHERE text = ANY (?))");
            self.and(&condition, names, Type::TEXT_ARRAY);
        }
        if let Some(customer) = reach.customer {
            let condition = format!(
                "event.sealed_key IN (SELECT id FROM data_key WHERE kind = {} AND owner = ?)",
                KeyKind::Subject.number()
            );
            self.and(&condition, Sixteen(customer), Type::BYTEA);
        }
    }

    /// ` WHERE …`, or nothing.
    fn sql(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.conditions.join(" AND "))
        }
    }
}

/// The least id that can be made at a time: a UUIDv7 starts with it (RFC 9562).
fn id_bound(at: Timestamp) -> Sixteen {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    Sixteen((u128::from(millis) << 80).to_be_bytes())
}

/// Sealed bytes and their key, from two columns.
pub(super) fn sealed_row(row: &Row, place: usize) -> Result<SealedRow> {
    Ok(SealedRow {
        key: KeyId(column::<Sixteen>(row, place)?.0),
        sealed: Sealed::from_bytes(column(row, place + 1)?),
    })
}

/// Every row as what it means.
fn all<T>(rows: &[Row], read: fn(&Row) -> Result<T>) -> std::result::Result<Vec<T>, StoreError> {
    let read: Result<Vec<T>> = rows.iter().map(read).collect();
    read.map_err(|failure: Failure| failure.error)
}
