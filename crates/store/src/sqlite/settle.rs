//! Settling: an attempt is kept and what comes next is set, in one transaction.

use rusqlite::{OptionalExtension as _, params};
use sabotage::{Defect, Point};

use super::codes::{Code, State};
use super::failure::{Result, pass};
use super::session::Session;
use crate::{Settle, Settled};

/// A delivery as its settlement finds it.
struct Found {
    row: i64,
    fence: i64,
    leased: bool,
    state: State,
    tries: u32,
    attempts: u32,
    endpoint: i64,
    order_key: Option<[u8; 16]>,
}

impl Session<'_> {
    pub(super) fn settle(&mut self, settle: &Settle) -> Result<Settled> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT row, fence, leased, state, tries, attempts, endpoint, order_key
                 FROM delivery WHERE id = ?1",
            )?
            .query_row([settle.delivery.as_bytes()], |row| {
                Ok(Found {
                    row: row.get(0)?,
                    fence: row.get(1)?,
                    leased: row.get(2)?,
                    state: row.get::<_, Code<State>>(3)?.0,
                    tries: row.get(4)?,
                    attempts: row.get(5)?,
                    endpoint: row.get(6)?,
                    order_key: row.get(7)?,
                })
            })
            .optional()?;
        let may_settle = |found: &Found| {
            found.leased && found.fence == settle.fence || sabotage::on(Defect::FenceIgnored)
        };
        let Some(found) = found.filter(may_settle) else {
            return Ok(Settled::Stale);
        };

        let (state, next_at) = settle.then.next(found.state, found.tries, settle.ended_at);
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = ?2, leased = 0, tries = tries + 1,
                    attempts = attempts + 1, next_at = ?3, updated_at = ?4
                 WHERE row = ?1",
            )?
            .execute(params![
                found.row,
                Code(state),
                next_at.as_millis(),
                settle.ended_at.as_millis()
            ])?;
        pass(Point::Settle)?;
        self.connection
            .prepare_cached(
                "INSERT INTO attempt
                    (delivery, number, id, started_at, ended_at, outcome, http_status)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                found.row,
                found.attempts.saturating_add(1),
                settle.attempt.as_bytes(),
                settle.started_at.as_millis(),
                settle.ended_at.as_millis(),
                Code(settle.outcome),
                settle.http_status,
            ])?;
        if found.state == State::Head && state != State::Head {
            self.unblock_next(&found)?;
        }
        Ok(Settled::Done)
    }

    /// The key's head is out of the way: the oldest that is blocked behind it may go.
    fn unblock_next(&mut self, head: &Found) -> Result<()> {
        let Some(order_key) = head.order_key else { return Ok(()) };
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = ?3 WHERE row =
                    (SELECT row FROM delivery INDEXED BY delivery_blocked
                     WHERE state = 1 AND endpoint = ?1 AND order_key = ?2 ORDER BY row LIMIT 1)",
            )?
            .execute(params![head.endpoint, order_key, Code(State::Fresh)])?;
        Ok(())
    }
}
