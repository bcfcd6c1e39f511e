//! How API keys are used: counted in memory, one row a key, and written together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::{ApiKeyId, Timestamp};
use store::{ApiKeyUse, Store};

use super::LAST_ADDRESS;
use crate::keys::{KeyError, KeyRing};

/// The id of no key: no UUID of version 7 is all zeros.
const NOBODY: [u8; 16] = [0; 16];

/// What waits to be written of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    uses: u32,
    refusals: u32,
    last: Option<(Timestamp, IpAddr)>,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<ApiKeyId, Used>>);

impl Uses {
    /// Counts that a key let somebody in, when and from where; or that it did not. Of those that are
    /// not there it is counted as for one: it takes as long, and leaves an audit entry alone.
    pub(super) fn count(&self, key: Option<ApiKeyId>, let_in: Option<(Timestamp, IpAddr)>) {
        let (uses, refusals) = if let_in.is_some() { (1, 0) } else { (0, 1) };
        let key = key.unwrap_or(ApiKeyId::from_bytes(NOBODY));
        self.add(key, Used { uses, refusals, last: let_in });
    }

    fn add(&self, key: ApiKeyId, more: Used) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = waiting.entry(key).or_default();
        used.uses = used.uses.saturating_add(more.uses);
        used.refusals = used.refusals.saturating_add(more.refusals);
        used.last = used.last.max(more.last);
    }

    /// Writes what waits; it goes on waiting if it cannot be.
    pub(super) async fn write(
        &self,
        store: &Store,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        let taken = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        let written = write(&taken, store, ring, now).await;
        if written.is_err() {
            taken.into_iter().for_each(|(key, used)| self.add(key, used));
        }
        written
    }
}

async fn write(
    taken: &HashMap<ApiKeyId, Used>,
    store: &Store,
    ring: &KeyRing,
    now: Timestamp,
) -> Result<(), KeyError> {
    if taken.is_empty() {
        return Ok(());
    }
    let bucket = ring.bucket("*", now).await?;
    let rows = taken.iter().map(|(key, used)| {
        let last = used.last.map(|(at, address)| {
            let (table, column) = LAST_ADDRESS;
            let address = address.to_string();
            let row = bucket.seal(table, column, key.as_bytes(), address.as_bytes());
            (at, row)
        });
        ApiKeyUse { id: *key, uses: used.uses, refusals: used.refusals, last, at: now }
    });
    Ok(store.note_api_key_uses(rows.collect()).await?)
}

#[cfg(test)]
impl Uses {
    /// Uses and refusals of a key that wait to be written.
    pub(super) fn waiting(&self, key: ApiKeyId) -> (u32, u32) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(&key).map_or((0, 0), |used| (used.uses, used.refusals))
    }
}
