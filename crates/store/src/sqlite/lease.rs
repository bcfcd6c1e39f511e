//! Leasing: which deliveries may be tried now, and by whom.
//!
//! Fresh work and retries each have a quarter of an endpoint's slots reserved; the rest goes to what
//! has waited longest. A fresh delivery that is found behind its order key's head is marked blocked
//! and not looked at again until the head is out of the way, so that a long backlog of one key costs
//! nothing.

use std::collections::HashSet;

use model::{DeliveryId, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use sabotage::Defect;

use super::codes::{Code, State};
use super::failure::Result;
use super::record::DELIVERIES_PER_EVENT;
use super::session::Session;
use crate::command::Claim;
use crate::slots::{Candidate, Slots};
use crate::{EndpointState, LeaseRequest};

/// Fresh deliveries looked at for one endpoint in one transaction: keeps the writer below 50 ms.
const FRESH_EXAMINED_MAX: usize = 1024;

/// Fresh deliveries read at a time.
const FRESH_SLICE: usize = 64;

impl Session<'_> {
    /// Leases what is due to the endpoints that are asked for, at most `max` in all.
    pub(super) fn lease(&mut self, request: &LeaseRequest) -> Result<Vec<Claim>> {
        let mut claims = Vec::new();
        // First everybody's fair share, then what is left over.
        for shared in [true, false] {
            for (place, (name, slots)) in request.endpoints.iter().enumerate() {
                let taken = claims.iter().filter(|claim: &&Claim| claim.endpoint == **name).count();
                let free = slots.saturating_sub(taken);
                let left = request.max.saturating_sub(claims.len());
                let share = left.div_ceil((request.endpoints.len() - place).max(1));
                let wanted = free.min(if shared { share } else { left });
                if wanted > 0 {
                    self.lease_for(name, wanted, request, &mut claims)?;
                }
            }
        }
        Ok(claims)
    }

    fn lease_for(
        &mut self,
        name: &str,
        wanted: usize,
        request: &LeaseRequest,
        claims: &mut Vec<Claim>,
    ) -> Result<()> {
        let endpoint: Option<i64> = self
            .connection
            .prepare_cached("SELECT id FROM endpoint WHERE name = ?1 AND state = ?2")?
            .query_row(params![name, Code(EndpointState::Active)], |row| row.get(0))
            .optional()?;
        let Some(endpoint) = endpoint else { return Ok(()) };

        let retries = self.due_retries(endpoint, request.now, wanted)?;
        let fresh = self.unblocked_fresh(endpoint, wanted)?;
        let (in_flight, retries_in_flight) = self.in_flight(endpoint)?;
        let slots = Slots { free: wanted, in_flight, retries_in_flight };
        for candidate in slots.share(&fresh, &retries) {
            claims.push(self.claim(name, candidate, request)?);
        }
        Ok(())
    }

    /// Heads and parked deliveries whose time has come, and those whose lease ran out.
    fn due_retries(&self, endpoint: i64, now: Timestamp, max: usize) -> Result<Vec<Candidate>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT row, next_at FROM delivery INDEXED BY delivery_waiting
                 WHERE state IN (2, 3) AND endpoint = ?1 AND next_at <= ?2
                 ORDER BY next_at LIMIT ?3",
            )?
            .query_map(params![endpoint, now.as_millis(), limit(max)], |row| {
                Ok(Candidate { row: row.get(0)?, since: row.get(1)? })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The oldest fresh deliveries that are not behind their key's head; marks those that are.
    fn unblocked_fresh(&self, endpoint: i64, max: usize) -> Result<Vec<Candidate>> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut keys: HashSet<[u8; 16]> = HashSet::new();
        let mut examined = 0;
        let mut after = -1;
        while found.len() < max && examined < FRESH_EXAMINED_MAX {
            let slice = self.fresh_after(endpoint, after)?;
            for (candidate, key) in &slice {
                after = candidate.row;
                if found.len() == max {
                    break;
                }
                if let Some(key) = key
                    && !sabotage::on(Defect::OrderIgnored)
                    && (!keys.insert(*key) || self.has_head(endpoint, key)?)
                {
                    self.connection
                        .prepare_cached("UPDATE delivery SET state = ?2 WHERE row = ?1")?
                        .execute(params![candidate.row, Code(State::Blocked)])?;
                } else {
                    found.push(*candidate);
                }
            }
            examined += slice.len();
            if slice.len() < FRESH_SLICE {
                break;
            }
        }
        Ok(found)
    }

    fn fresh_after(&self, endpoint: i64, after: i64) -> Result<Vec<(Candidate, Option<[u8; 16]>)>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT row, next_at, order_key FROM delivery INDEXED BY delivery_fresh
                 WHERE state = 0 AND endpoint = ?1 AND row > ?2 ORDER BY row LIMIT ?3",
            )?
            .query_map(params![endpoint, after, limit(FRESH_SLICE)], |row| {
                Ok((Candidate { row: row.get(0)?, since: row.get(1)? }, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?)
    }

    fn has_head(&self, endpoint: i64, key: &[u8; 16]) -> Result<bool> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM delivery INDEXED BY delivery_head
                 WHERE state = 2 AND order_key IS NOT NULL AND endpoint = ?1 AND order_key = ?2",
            )?
            .exists(params![endpoint, key])?)
    }

    /// How many of an endpoint's deliveries are leased, and how many of these are retries.
    fn in_flight(&self, endpoint: i64) -> Result<(usize, usize)> {
        let (leased, retries): (u32, u32) = self
            .connection
            .prepare_cached(
                "SELECT count(*), count(nullif(tries, 0)) FROM delivery INDEXED BY delivery_leased
                 WHERE leased = 1 AND endpoint = ?1",
            )?
            .query_row([endpoint], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((leased as usize, retries as usize))
    }

    fn claim(&self, endpoint: &str, candidate: Candidate, request: &LeaseRequest) -> Result<Claim> {
        Ok(self
            .connection
            .prepare_cached(
                "UPDATE delivery SET
                    state = iif(state = 3, 3, 2), leased = 1, fence = fence + 1,
                    next_at = ?2, updated_at = ?3
                 WHERE row = ?1 RETURNING id, fence, tries",
            )?
            .query_row(
                params![candidate.row, request.until.as_millis(), request.now.as_millis()],
                |row| {
                    Ok(Claim {
                        delivery: DeliveryId::from_bytes(row.get(0)?),
                        fence: row.get(1)?,
                        attempt: row.get::<_, u32>(2)?.saturating_add(1),
                        endpoint: endpoint.to_owned(),
                        sequence: candidate.row / DELIVERIES_PER_EVENT,
                    })
                },
            )?)
    }
}

fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
