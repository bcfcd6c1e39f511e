//! Dedup keys: one table, in which each key carries the day from which it counts.
//!
//! A key is taken, renewed when its day is past, or found held, with one statement that touches one
//! page. (A table a day would be forgotten more easily, but every arrival has to be looked for in
//! all of them: measured, 35 tables of a busy gateway cost 145 µs a record, this costs 5.) Once a
//! day the table is swept in slices, and what no longer counts is deleted.

use model::limits::DEDUP_DAYS;
use model::{EventId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::failure::Result;
use super::session::Session;
use crate::command::Answer;

/// Keys looked at in one transaction of a sweep: keeps the writer below 50 ms.
const KEYS_SWEPT_AT_ONCE: usize = 10_000;

/// An event that holds a dedup key, and its significant projection.
pub(super) type Holder = (EventId, [u8; 16]);

/// The statements that every record uses.
pub(super) struct Dedup<'c> {
    take: Statement<'c>,
    holder: Statement<'c>,
}

impl<'c> Dedup<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            take: connection.prepare(
                "INSERT INTO dedup (key, event, projection, day) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET
                    event = excluded.event, projection = excluded.projection, day = excluded.day
                 WHERE day < ?5",
            )?,
            holder: connection.prepare("SELECT event, projection FROM dedup WHERE key = ?1")?,
        })
    }

    /// Takes a key for an event, or says which event holds it.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        key: &[u8; 16],
        event: EventId,
        projection: &[u8; 16],
    ) -> Result<Option<Holder>> {
        let day = at.day();
        let taken = self.take.execute(params![
            key,
            event.as_bytes(),
            projection,
            day,
            first_day_that_counts(at)
        ])?;
        if taken == 1 {
            return Ok(None);
        }
        Ok(Some(
            self.holder
                .query_row([key], |row| Ok((EventId::from_bytes(row.get(0)?), row.get(1)?)))?,
        ))
    }
}

fn first_day_that_counts(now: Timestamp) -> i64 {
    now.day().saturating_sub(DEDUP_DAYS)
}

impl Session<'_> {
    /// Deletes what no longer counts from the next slice of the keys. The last slice notes the day,
    /// so that one sweep a day is made, however often somebody asks.
    pub(super) fn sweep(&mut self, now: Timestamp, after: Option<[u8; 16]>) -> Result<Answer> {
        let swept: i64 = self
            .connection
            .prepare_cached("SELECT dedup_swept_day FROM counter")?
            .query_row([], |row| row.get(0))?;
        if swept == now.day() {
            return Ok(Answer::Swept { forgotten: 0, next: None });
        }
        let after: &[u8] = after.as_ref().map_or(&[], |key| key);
        let last: Option<[u8; 16]> = self
            .connection
            .prepare_cached("SELECT key FROM dedup WHERE key > ?1 ORDER BY key LIMIT 1 OFFSET ?2")?
            .query_row(params![after, i64::try_from(KEYS_SWEPT_AT_ONCE).unwrap_or(0)], |row| {
                row.get(0)
            })
            .optional()?;
        let forgotten = match last {
            Some(last) => self
                .connection
                .prepare_cached("DELETE FROM dedup WHERE key > ?1 AND key <= ?2 AND day < ?3")?
                .execute(params![after, last, first_day_that_counts(now)])?,
            None => self
                .connection
                .prepare_cached("DELETE FROM dedup WHERE key > ?1 AND day < ?2")?
                .execute(params![after, first_day_that_counts(now)])?,
        };
        if last.is_none() {
            self.connection
                .prepare_cached("UPDATE counter SET dedup_swept_day = ?1")?
                .execute([now.day()])?;
        }
        Ok(Answer::Swept { forgotten, next: last })
    }
}
