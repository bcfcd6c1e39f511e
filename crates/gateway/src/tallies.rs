//! Arrivals that record no event of their own (refusals, duplicates), counted before they are kept.
//!
//! One row a source, address, reason and minute: a flood makes rows, not writes. The counts are
//! kept in memory for a moment and written together; what was never acknowledged may be lost with
//! the process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use model::{ArrivalId, EventId, Step, Timestamp};
use store::Tally;

use crate::keys::{KeyError, KeyRing};

/// How many different rows may wait; more are counted in the row of unknown addresses.
const ROWS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    source: Option<Arc<str>>,
    address: Option<IpAddr>,
    step: Step,
    reason: &'static str,
    event: Option<EventId>,
    minute: i64,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    arrival: ArrivalId,
    count: u32,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// One arrival to count.
pub(crate) struct Arrived {
    pub(crate) source: Option<Arc<str>>,
    pub(crate) address: IpAddr,
    pub(crate) step: Step,
    pub(crate) reason: &'static str,
    /// The event it repeats, if it is a duplicate.
    pub(crate) event: Option<EventId>,
    pub(crate) arrival: ArrivalId,
    pub(crate) at: Timestamp,
}

/// The counts that wait to be written.
#[derive(Default)]
pub(crate) struct Tallies {
    rows: Mutex<HashMap<Key, Row>>,
}

impl Tallies {
    /// Counts one arrival.
    pub(crate) fn count(&self, arrived: Arrived) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Key {
            source: arrived.source,
            address: Some(arrived.address),
            step: arrived.step,
            reason: arrived.reason,
            event: arrived.event,
            minute: arrived.at.minute(),
        };
        if rows.len() >= ROWS_MAX && !rows.contains_key(&key) {
            key.address = None;
            key.event = None;
        }
        let row = rows.entry(key).or_insert(Row {
            arrival: arrived.arrival,
            count: 0,
            first_at: arrived.at,
            last_at: arrived.at,
        });
        row.count = row.count.saturating_add(1);
        row.last_at = arrived.at;
    }

    /// Takes what waits, sealed and ready to be stored.
    pub(crate) async fn take(&self, keys: &KeyRing) -> Result<Vec<Tally>, KeyError> {
        let rows = {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *rows)
        };
        let mut tallies = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            tallies.push(sealed(keys, key, row).await?);
        }
        Ok(tallies)
    }
}

async fn sealed(keys: &KeyRing, key: Key, row: Row) -> Result<Tally, KeyError> {
    let address = key.address.map_or_else(|| "*".to_owned(), |address| address.to_string());
    let bucket = keys.bucket(key.source.as_deref().unwrap_or("*"), row.first_at).await?;
    let address_key = keys.index("address", &[address.as_bytes()]);
    Ok(Tally {
        source: key.source,
        event: key.event,
        step: key.step,
        reason: key.reason,
        address_key,
        address: bucket.seal("tally", "address", &address_key, address.as_bytes()),
        arrival: row.arrival,
        minute: key.minute,
        count: row.count,
        first_at: row.first_at,
        last_at: row.last_at,
    })
}
