//! Reads, on connections of their own beside the writer.

mod counts;
mod deliveries;
mod events;
mod tallies;

use model::{Reach, Timestamp};
use rusqlite::types::Value;

use crate::KeyKind;
use crate::codes::Coded as _;

/// Ids are made when the thing happens, which is a moment away from the time written beside it. So
/// far the time in an id may be off and the thing still be found, milliseconds.
const ID_SLACK_MS: i64 = 600_000;

/// Conditions and their parameters, joined with AND.
struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    fn new() -> Self {
        Self { conditions: Vec::new(), values: Vec::new() }
    }

    /// Adds a condition in which `?` stands for the value.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.conditions.push(condition.replace('?', &format!("?{}", self.values.len())));
    }

    /// Narrows to ids made about this time, so that the index of ids is an index of times.
    fn and_id_made(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) {
        if let Some(since) = since {
            self.and("id >= ?", id_bound(since.plus_millis(-ID_SLACK_MS)));
        }
        if let Some(until) = until {
            self.and("id < ?", id_bound(until.plus_millis(ID_SLACK_MS)));
        }
    }

    /// Narrows to events within reach. Whose an event is says the key that its facts are sealed
    /// under: a person's own, where it names one.
    fn and_within(&mut self, reach: &Reach) {
        for (column, names) in [("source", &reach.sources), ("provider", &reach.providers)] {
            let Some(names) = names else { continue };
            let first = self.values.len();
            self.values.extend(names.iter().cloned().map(Value::from));
            let places: Vec<_> = (first + 1..=self.values.len()).map(|n| format!("?{n}")).collect();
            self.conditions.push(format!(
                "event.{column} IN (SELECT id FROM name WHERE text IN ({}))",
                places.join(", ")
            ));
        }
        if let Some(customer) = reach.customer {
            let keys = format!(
                "event.sealed_key IN (SELECT id FROM data_key WHERE kind = {} AND owner = ?)",
                KeyKind::Subject.number()
            );
            self.and(&keys, customer.to_vec());
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
fn id_bound(at: Timestamp) -> Vec<u8> {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    (u128::from(millis) << 80).to_be_bytes().to_vec()
}

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
