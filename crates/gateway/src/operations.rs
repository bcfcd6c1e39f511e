//! What operators do with events and deliveries, beside a running gateway or without one.

use std::sync::Arc;

use model::{EventId, RequestId, Timestamp};
use store::{Changed, EventRow, Note, Store, StoreError, TallyRow};
use zeroize::Zeroizing;

use crate::keys::{KeyError, KeyRing};
use crate::{Facts, entropy, inbound};

/// A desk over a store: it can open what is sealed, and decide what waits.
pub struct Desk {
    store: Store,
    keys: KeyRing,
}

/// Who does something, and why. It goes to the audit log.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Order {
    /// The note that goes into the audit log, which is not sealed: what people write about a
    /// customer is masked.
    pub fn note(self) -> Note {
        let request = RequestId::new(self.at, entropy::bytes());
        let reason = redact::line(&self.reason).into_owned();
        Note { at: self.at, actor: self.actor, reason, request }
    }
}

impl Desk {
    /// Opens the desk.
    ///
    /// # Errors
    /// The store fails, or the root key is not the one it was made with.
    pub async fn open(
        store: Store,
        root: vault::RootKey,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let keys = KeyRing::open(root, store.clone(), now).await?;
        Ok(Self { store, keys })
    }

    /// The store under the desk.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What an event says.
    ///
    /// # Errors
    /// Its key is gone, or the record was changed.
    pub async fn facts(&self, event: &EventRow) -> Result<Facts, KeyError> {
        let id = event.id.as_bytes();
        let bytes = self.keys.open_row("event", "facts", id, &event.facts).await?;
        Facts::from_bytes(&bytes).ok_or(KeyError::NotAuthentic)
    }

    /// The exact bytes of the arrival that an event came in; empty once they are past retention.
    ///
    /// # Errors
    /// Their key is gone, or the record was changed.
    pub async fn body(&self, event: &EventRow) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let Some(sealed) = self.store.body(event.id).await? else { return Ok(None) };
        let arrival = event.arrival.as_bytes();
        Ok(Some(self.keys.open_row("body", "bytes", arrival, &sealed).await?))
    }

    /// The address that counted arrivals came from.
    ///
    /// # Errors
    /// Its key is gone, or the record was changed.
    pub async fn address(&self, tally: &TallyRow) -> Result<String, KeyError> {
        let bytes =
            self.keys.open_row("tally", "address", &tally.address_key, &tally.address).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Lets a held event be delivered to these endpoints.
    ///
    /// # Errors
    /// The store fails.
    pub async fn release(
        &self,
        event: EventId,
        order: Order,
        endpoints: &[Arc<str>],
    ) -> Result<Changed, StoreError> {
        let permit = policy::release_by_person();
        let deliveries = inbound::plan(permit, order.at, endpoints);
        self.store.release(event, order.note(), deliveries).await
    }

    /// Refuses a held event: it will not be delivered.
    ///
    /// # Errors
    /// The store fails.
    pub async fn refuse(&self, event: EventId, order: Order) -> Result<Changed, StoreError> {
        self.store.deny(event, order.note()).await
    }
}
