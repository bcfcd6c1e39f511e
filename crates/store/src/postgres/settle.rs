//! Settling: attempts are kept and what comes next is set, a batch at a time.
//!
//! The rows of the deliveries are locked first, in their order; only then are lanes given up. A
//! lease never waits for a row, and waits for lanes only while it holds none that is wanted, so
//! nobody waits in a circle. What is blocked behind a lane that was given up is looked for in a
//! statement of its own, after the lane is gone: a lease marks as blocked only while it holds the
//! lane, so it has either been waited for and is seen, or finds no lane.

use std::collections::HashMap;

use model::DeliveryId;
use sabotage::Defect;
use tokio_postgres::Row;

use super::bind::{byteas, int2s, int4s, int8s, uuids};
use super::codes::{Sixteen, Unsigned};
use super::failure::Result;
use super::session::{Session, column};
use crate::codes::{Code, Coded as _, State};
use crate::{Settle, Settled};

/// A delivery as its settlement finds it.
struct Found {
    delivery: Sixteen,
    fence: i64,
    leased: bool,
    state: State,
    tries: u32,
    attempts: i32,
    endpoint: i32,
    order_key: Option<Sixteen>,
}

impl Found {
    fn is_held_by(&self, settle: &Settle) -> bool {
        self.leased && self.fence == settle.fence
    }
}

/// What a batch of settlements changes, column by column.
#[derive(Default)]
struct Changes {
    again: Again,
    over: Over,
    attempts: Attempts,
    lanes: Lanes,
}

/// Deliveries that are tried again.
#[derive(Default)]
struct Again {
    delivery: Vec<Sixteen>,
    state: Vec<i16>,
    next_at: Vec<i64>,
    updated_at: Vec<i64>,
}

/// Deliveries that are over.
#[derive(Default)]
struct Over {
    delivery: Vec<Sixteen>,
    state: Vec<i16>,
    updated_at: Vec<i64>,
}

#[derive(Default)]
struct Attempts {
    delivery: Vec<Sixteen>,
    number: Vec<i32>,
    id: Vec<Sixteen>,
    started_at: Vec<i64>,
    ended_at: Vec<i64>,
    outcome: Vec<i16>,
    http_status: Vec<Option<i32>>,
}

/// Lanes that are given up.
#[derive(Default)]
struct Lanes {
    endpoint: Vec<i32>,
    order_key: Vec<Sixteen>,
}

impl Session<'_> {
    /// Settles in the order of the batch; one that is stale changes nothing.
    pub(super) async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>> {
        let mut found = self.found(settles).await?;
        let mut changes = Changes::default();
        let settled = settles
            .iter()
            .map(|settle| match found.remove(&settle.delivery) {
                Some(found) if found.is_held_by(settle) || sabotage::on(Defect::FenceIgnored) => {
                    changes.push(settle, &found);
                    Settled::Done
                }
                other => {
                    // Another of the batch may hold the lease.
                    found.extend(other.map(|found| (settle.delivery, found)));
                    Settled::Stale
                }
            })
            .collect();
        let (again, over, attempts, lanes) = tokio::join!(
            biased;
            self.try_again(&changes.again),
            self.move_over(&changes.over),
            self.keep_attempts(&changes.attempts),
            self.give_up_lanes(&changes.lanes),
        );
        again?;
        over?;
        attempts?;
        lanes?;
        Ok(settled)
    }

    async fn found(&self, settles: &[Settle]) -> Result<HashMap<DeliveryId, Found>> {
        let ids: Vec<Sixteen> = settles.iter().map(|settle| settle.delivery.into()).collect();
        let rows = self
            .rows(
                "SELECT delivery, fence, leased, state, tries, attempts, endpoint, order_key
                 FROM pending WHERE delivery = ANY ($1) ORDER BY row FOR UPDATE",
                &[uuids(&ids)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let found = found(row)?;
                Ok((found.delivery.into(), found))
            })
            .collect()
    }

    async fn try_again(&self, again: &Again) -> Result<()> {
        if again.delivery.is_empty() {
            return Ok(());
        }
        self.run(
            "UPDATE pending SET state = new.state, leased = false, tries = tries + 1,
                attempts = attempts + 1, next_at = new.next_at, updated_at = new.updated_at
             FROM unnest($1, $2, $3, $4) AS new (delivery, state, next_at, updated_at)
             WHERE pending.delivery = new.delivery",
            &[
                uuids(&again.delivery),
                int2s(&again.state),
                int8s(&again.next_at),
                int8s(&again.updated_at),
            ],
        )
        .await?;
        Ok(())
    }

    async fn move_over(&self, over: &Over) -> Result<()> {
        if over.delivery.is_empty() {
            return Ok(());
        }
        self.run(
            "WITH new AS (
                SELECT * FROM unnest($1, $2, $3) AS new (delivery, state, updated_at)
             ), gone AS (
                DELETE FROM pending USING new WHERE pending.delivery = new.delivery
                RETURNING pending.delivery, pending.row, event, arrival, endpoint, order_key,
                    new.state, attempts + 1, fence, created_at, new.updated_at
             )
             INSERT INTO delivery (id, row, event, arrival, endpoint, order_key, state, attempts,
                fence, created_at, updated_at)
             SELECT * FROM gone",
            &[uuids(&over.delivery), int2s(&over.state), int8s(&over.updated_at)],
        )
        .await?;
        Ok(())
    }

    async fn keep_attempts(&self, attempts: &Attempts) -> Result<()> {
        if attempts.id.is_empty() {
            return Ok(());
        }
        self.run(
            "INSERT INTO attempt (delivery, number, id, started_at, ended_at, outcome, http_status)
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)",
            &[
                uuids(&attempts.delivery),
                int4s(&attempts.number),
                uuids(&attempts.id),
                int8s(&attempts.started_at),
                int8s(&attempts.ended_at),
                int2s(&attempts.outcome),
                int4s(&attempts.http_status),
            ],
        )
        .await?;
        Ok(())
    }

    /// The keys' heads are out of the way: of each the oldest that is blocked behind it may go.
    async fn give_up_lanes(&self, lanes: &Lanes) -> Result<()> {
        if lanes.endpoint.is_empty() {
            return Ok(());
        }
        let parameters = [int4s(&lanes.endpoint), byteas(&lanes.order_key)];
        let (gone, freed) = tokio::join!(
            biased;
            self.run(
                "DELETE FROM lane USING unnest($1, $2) AS gone (endpoint, order_key)
                 WHERE lane.endpoint = gone.endpoint AND lane.order_key = gone.order_key",
                &parameters,
            ),
            self.run(
                "UPDATE pending SET state = 0 WHERE delivery IN (
                    SELECT (SELECT delivery FROM pending behind
                        WHERE behind.endpoint = gone.endpoint AND behind.order_key = gone.order_key
                            AND behind.state = 1
                        ORDER BY row LIMIT 1)
                    FROM unnest($1, $2) AS gone (endpoint, order_key))",
                &parameters,
            ),
        );
        gone?;
        if freed? > 0 {
            self.learn(|learned| learned.work = true);
        }
        Ok(())
    }
}

impl Changes {
    fn push(&mut self, settle: &Settle, found: &Found) {
        let (state, next_at) = settle.then.next(found.state, found.tries, settle.ended_at);
        let ended_at = settle.ended_at.as_millis();
        if matches!(state, State::Delivered | State::Dead) {
            self.over.delivery.push(found.delivery);
            self.over.state.push(state.number());
            self.over.updated_at.push(ended_at);
        } else {
            self.again.delivery.push(found.delivery);
            self.again.state.push(state.number());
            self.again.next_at.push(next_at.as_millis());
            self.again.updated_at.push(ended_at);
        }
        self.attempts.delivery.push(found.delivery);
        self.attempts.number.push(found.attempts.saturating_add(1));
        self.attempts.id.push(settle.attempt.into());
        self.attempts.started_at.push(settle.started_at.as_millis());
        self.attempts.ended_at.push(ended_at);
        self.attempts.outcome.push(settle.outcome.number());
        self.attempts.http_status.push(settle.http_status.map(i32::from));
        if found.state == State::Head
            && state != State::Head
            && let Some(order_key) = found.order_key
        {
            self.lanes.endpoint.push(found.endpoint);
            self.lanes.order_key.push(order_key);
        }
    }
}

fn found(row: &Row) -> Result<Found> {
    Ok(Found {
        delivery: column(row, 0)?,
        fence: column(row, 1)?,
        leased: column(row, 2)?,
        state: column::<Code<State>>(row, 3)?.0,
        tries: column::<Unsigned>(row, 4)?.0,
        attempts: column(row, 5)?,
        endpoint: column(row, 6)?,
        order_key: column(row, 7)?,
    })
}
