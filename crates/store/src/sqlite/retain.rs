//! Retention: what is old enough is deleted in slices, each short enough that nobody waits for it.
//!
//! Events go from the oldest on and leave no gap, since they are counted by their numbers: what comes
//! after one that must stay, stays, too. Events of one arrival go together, with their body.

use rusqlite::params;

use super::failure::Result;
use super::record::DELIVERIES_PER_EVENT;
use super::session::Session;
use crate::PartitionClass;
use crate::memory::{DAYS_AT_ONCE_MAX, credible_day};
use crate::retention::{DAY_MS, Slice, Sliced};

/// Rows looked at in one slice, but for the rest of an arrival.
const ROWS_MAX: i64 = 128;

/// Bytes of bodies deleted in one slice, but for the last of them.
const BYTES_MAX: i64 = 4 * 1024 * 1024;

/// The events of one arrival.
struct Arrival {
    body: i64,
    first: i64,
    last: i64,
    /// All are old enough, and the dedup key of none stands in its row alone.
    may_go: bool,
}

impl Session<'_> {
    /// Deletes one slice.
    pub(super) fn retain(&mut self, slice: &Slice) -> Result<Sliced> {
        let swept = self
            .connection
            .prepare_cached("SELECT dedup_swept_day FROM counter")?
            .query_row([], |row| row.get(0))?;
        // A clock that jumps ahead makes nothing old.
        let today = credible_day(slice.now, swept, DAYS_AT_ONCE_MAX);
        let before = today.saturating_sub(slice.days.into()).saturating_mul(DAY_MS);
        match slice.class {
            PartitionClass::Body => self.retain_bodies(before, slice.after),
            PartitionClass::Delivery | PartitionClass::Attempt => {
                self.retain_deliveries(before, slice.after)
            }
            PartitionClass::Event => self.retain_events(before),
        }
    }

    /// Bodies of arrivals none of whose events waits to be delivered.
    fn retain_bodies(&self, before: i64, after: i64) -> Result<Sliced> {
        let found: Vec<(i64, Option<i64>, i64)> = self
            .connection
            .prepare_cached(
                "SELECT row, (SELECT received_at FROM event WHERE sequence = row), length(sealed)
                 FROM body WHERE row > ?1 ORDER BY row LIMIT ?2",
            )?
            .query_map(params![after, ROWS_MAX], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let (mut removed, mut bytes, mut next) = (0, 0, None);
        for (row, received_at, length) in found {
            if received_at.is_some_and(|at| at >= before) {
                return Ok(Sliced { removed, after: None });
            }
            next = Some(row);
            if self.is_body_owed(row)? {
                continue;
            }
            self.delete_body(row)?;
            removed += 1;
            bytes += length;
            if bytes >= BYTES_MAX {
                break;
            }
        }
        Ok(Sliced { removed, after: next })
    }

    /// Deliveries that are over, with their attempts.
    fn retain_deliveries(&self, before: i64, after: i64) -> Result<Sliced> {
        let found: Vec<(i64, bool, Option<i64>)> = self
            .connection
            .prepare_cached(
                "SELECT row, state >= 4,
                    (SELECT received_at FROM event WHERE sequence = row / 1024)
                 FROM delivery WHERE row > ?1 ORDER BY row LIMIT ?2",
            )?
            .query_map(params![after, ROWS_MAX], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let (mut removed, mut next) = (0, None);
        for (row, is_over, received_at) in found {
            if received_at.is_some_and(|at| at >= before) {
                return Ok(Sliced { removed, after: None });
            }
            next = Some(row);
            if is_over {
                removed += self.delete_deliveries(row, row + 1)?;
            }
        }
        Ok(Sliced { removed, after: next })
    }

    /// The oldest events, arrival by arrival, up to the first that must stay.
    fn retain_events(&self, before: i64) -> Result<Sliced> {
        let mut removed = 0;
        for arrival in self.oldest_arrivals(before)? {
            if !arrival.may_go || self.is_owed(arrival.first, arrival.last)? {
                return Ok(Sliced { removed, after: None });
            }
            let (first, end) = (arrival.first, arrival.last + 1);
            self.delete_deliveries(first * DELIVERIES_PER_EVENT, end * DELIVERIES_PER_EVENT)?;
            self.delete_body(arrival.body)?;
            removed += self
                .connection
                .prepare_cached("DELETE FROM event WHERE sequence >= ?1 AND sequence < ?2")?
                .execute([first, end])?;
        }
        Ok(Sliced { removed, after: (removed > 0).then_some(0) })
    }

    fn oldest_arrivals(&self, before: i64) -> Result<Vec<Arrival>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, body, received_at < ?1 AND (dedup_key IS NULL
                OR sequence <= (SELECT dedup_merged FROM counter)
                OR received_at < (SELECT dedup_first_day FROM counter) * ?2)
             FROM event ORDER BY sequence",
        )?;
        let mut rows = statement.query([before, DAY_MS])?;
        let mut arrivals: Vec<Arrival> = Vec::new();
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let (sequence, body, may_go): (i64, i64, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            count += 1;
            match arrivals.last_mut() {
                Some(arrival) if arrival.body == body => {
                    arrival.last = sequence;
                    arrival.may_go &= may_go;
                }
                last => {
                    if count > ROWS_MAX || last.is_some_and(|arrival| !arrival.may_go) {
                        break;
                    }
                    arrivals.push(Arrival { body, first: sequence, last: sequence, may_go });
                }
            }
        }
        Ok(arrivals)
    }

    /// Whether an event of the arrival with this body waits to be delivered.
    fn is_body_owed(&self, body: i64) -> Result<bool> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT sequence, body FROM event WHERE sequence >= ?1 ORDER BY 1")?;
        let mut rows = statement.query([body])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? != body {
                break;
            }
            last = Some(row.get(0)?);
        }
        last.map_or(Ok(false), |last| self.is_owed(body, last))
    }

    /// Whether one of these events waits to be delivered.
    fn is_owed(&self, first: i64, last: i64) -> Result<bool> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM delivery WHERE row >= ?1 AND row < ?2 AND +state < 4")?
            .exists([first * DELIVERIES_PER_EVENT, (last + 1) * DELIVERIES_PER_EVENT])?)
    }

    fn delete_body(&self, row: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM body WHERE row = ?1")?.execute([row])?;
        Ok(())
    }

    /// Deletes the deliveries in these rows, with their attempts.
    fn delete_deliveries(&self, first: i64, end: i64) -> Result<usize> {
        self.connection
            .prepare_cached("DELETE FROM attempt WHERE delivery >= ?1 AND delivery < ?2")?
            .execute([first, end])?;
        Ok(self
            .connection
            .prepare_cached("DELETE FROM delivery WHERE row >= ?1 AND row < ?2")?
            .execute([first, end])?)
    }
}
