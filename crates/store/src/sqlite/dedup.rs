//! Dedup keys: a table a day, all days probed at once, whole days forgotten.
//!
//! A day's table stays small enough to be at hand in memory while it grows, and forgetting a day
//! searches nothing.

use model::limits::DEDUP_DAYS;
use model::{EventId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};

use super::failure::Result;
use super::session::Session;
use crate::command::Answer;

/// Statements of so many days are kept prepared: around midnight two are in use.
const DAYS_PREPARED_MAX: usize = 2;

/// Keys deleted in one transaction before a day's table is dropped: keeps the writer below 50 ms.
const KEYS_FORGOTTEN_AT_ONCE_MAX: usize = 10_000;

/// An event that holds a dedup key, and its significant projection.
pub(super) type Holder = (EventId, [u8; 16]);

/// The days, and the prepared statements of those in use.
pub(super) struct Days<'c> {
    connection: &'c Connection,
    version: Option<i64>,
    prepared: Vec<Day<'c>>,
}

/// Statements for keys that arrive on one day.
struct Day<'c> {
    day: i64,
    /// Looks in every other day that still counts.
    others: Option<Statement<'c>>,
    insert: Statement<'c>,
    own: Statement<'c>,
}

impl<'c> Days<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, version: None, prepared: Vec::new() }
    }

    /// Forgets what was prepared if a day was added or dropped since, by whomever.
    pub(super) fn at_version(&mut self, version: i64) {
        if self.version != Some(version) {
            self.forget();
            self.version = Some(version);
        }
    }

    /// Forgets what was prepared.
    pub(super) fn forget(&mut self) {
        self.prepared.clear();
        self.version = None;
    }

    /// Takes a key for an event, or says which event holds it.
    pub(super) fn claim(
        &mut self,
        at: Timestamp,
        key: &[u8; 16],
        event: EventId,
        projection: &[u8; 16],
    ) -> Result<Option<Holder>> {
        let day = self.prepared(at.day().max(0))?;
        if let Some(others) = &mut day.others
            && let Some(held) = others.query_row([key], holder).optional()?
        {
            return Ok(Some(held));
        }
        if day.insert.execute(params![key, event.as_bytes(), projection])? == 1 {
            return Ok(None);
        }
        Ok(Some(day.own.query_row([key], holder)?))
    }

    fn prepared(&mut self, day: i64) -> Result<&mut Day<'c>> {
        let at = match self.prepared.iter().position(|prepared| prepared.day == day) {
            Some(at) => at,
            None => {
                let prepared = self.prepare(day)?;
                self.prepared.truncate(DAYS_PREPARED_MAX - 1);
                self.prepared.insert(0, prepared);
                0
            }
        };
        Ok(self.prepared.get_mut(at).expect("found or inserted at this place"))
    }

    fn prepare(&mut self, day: i64) -> Result<Day<'c>> {
        let days = days(self.connection)?;
        if !days.contains(&day) {
            self.connection.execute_batch(&format!(
                "CREATE TABLE dedup_{day} (
                    key BLOB PRIMARY KEY CHECK (length(key) = 16),
                    event BLOB NOT NULL,
                    projection BLOB NOT NULL
                 ) STRICT, WITHOUT ROWID;
                 UPDATE counter SET dedup_version = dedup_version + 1;"
            ))?;
            self.prepared.clear();
            self.version = self.version.map(|version| version + 1);
        }
        let others: Vec<_> = days
            .iter()
            .filter(|other| **other != day && **other >= day - DEDUP_DAYS)
            .map(|other| format!("SELECT event, projection FROM dedup_{other} WHERE key = ?1"))
            .collect();
        let others = if others.is_empty() {
            None
        } else {
            Some(self.connection.prepare(&format!("{} LIMIT 1", others.join(" UNION ALL ")))?)
        };
        Ok(Day {
            day,
            others,
            insert: self.connection.prepare(&format!(
                "INSERT INTO dedup_{day} (key, event, projection) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING"
            ))?,
            own: self
                .connection
                .prepare(&format!("SELECT event, projection FROM dedup_{day} WHERE key = ?1"))?,
        })
    }
}

fn holder(row: &Row<'_>) -> rusqlite::Result<Holder> {
    Ok((EventId::from_bytes(row.get(0)?), row.get(1)?))
}

/// The days that there are tables for, oldest first.
pub(super) fn days(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut days = connection
        .prepare_cached(
            "SELECT substr(name, 7) FROM sqlite_schema
             WHERE type = 'table' AND name GLOB 'dedup_[0-9]*'",
        )?
        .query_map([], |row| row.get::<_, String>(0))?
        .filter_map(|day| day.map(|day| day.parse().ok()).transpose())
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    days.sort_unstable();
    Ok(days)
}

impl Session<'_> {
    /// Forgets the oldest day that no longer counts, or a part of it.
    pub(super) fn forget_days(&mut self, now: Timestamp) -> Result<Answer> {
        let mut expired =
            days(self.connection)?.into_iter().filter(|day| *day < now.day() - DEDUP_DAYS);
        let Some(day) = expired.next() else {
            return Ok(Answer::Forgotten { days: 0, more: false });
        };
        let deleted = self.connection.execute(
            &format!(
                "DELETE FROM dedup_{day} WHERE key IN
                    (SELECT key FROM dedup_{day} ORDER BY key LIMIT {KEYS_FORGOTTEN_AT_ONCE_MAX})"
            ),
            [],
        )?;
        if deleted == KEYS_FORGOTTEN_AT_ONCE_MAX {
            return Ok(Answer::Forgotten { days: 0, more: true });
        }
        self.days.forget();
        self.connection.execute_batch(&format!(
            "DROP TABLE dedup_{day}; UPDATE counter SET dedup_version = dedup_version + 1;"
        ))?;
        Ok(Answer::Forgotten { days: 1, more: expired.next().is_some() })
    }
}
