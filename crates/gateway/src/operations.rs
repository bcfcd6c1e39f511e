//! What operators do with events and deliveries, beside a running gateway or without one.

mod api_keys;
mod approvals;
mod blocks;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::api_key::Overlap;
use model::secret::{SecretKind, SecretState};
use model::{EventId, RequestId, SecretId, Timestamp};
use store::{
    Action, Changed, Deed, EndpointState, EntryRow, EventRow, KeyKind, NewSecret, Note,
    SecretAdded, SecretRetired, SecretRow, Store, StoreError, TallyRow,
};
use zeroize::Zeroizing;

use crate::keys::{KeyError, KeyRing};
use crate::{Facts, Orders, Released, Shown, Vouches, inbound, personal, secrets, shown};

pub(crate) use approvals::Wanted;
pub use blocks::{BlockedParty, Unblockable};

/// A desk over a store: it can open what is sealed, and decide what waits.
pub struct Desk {
    pub(crate) store: Store,
    pub(crate) keys: Arc<KeyRing>,
}

/// Who does something, why and from where. It goes to the audit log.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who: an id, or a name that operators know.
    pub actor: String,
    /// Why; empty where nobody has to say.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The request that asks for it; a new one for a command.
    pub request: Option<RequestId>,
    /// From which network address.
    pub address: Option<IpAddr>,
    /// With which user agent.
    pub agent: Option<String>,
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
        let keys = Arc::new(KeyRing::open(root, store.clone(), now).await?);
        Ok(Self { store, keys })
    }

    /// The note that goes with an order into the audit log. What is personal is sealed, and stands
    /// there as a commitment.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub async fn note(&self, order: Order) -> Result<Note, KeyError> {
        personal::note(&self.keys, order).await
    }

    /// Writes down that something was done that leaves no other trace, such as reading. Call it
    /// before.
    ///
    /// # Errors
    /// It cannot be written: then it must not be done.
    pub async fn audit(
        &self,
        action: Action,
        resource: &str,
        order: Order,
    ) -> Result<(), KeyError> {
        let deed = self.deed(action, resource, None, order).await?;
        Ok(self.store.audit(deed).await?)
    }

    /// What leaves no other trace, as its entry says it; what was refused has the reason.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub(crate) async fn deed(
        &self,
        action: Action,
        resource: &str,
        reason: Option<&str>,
        order: Order,
    ) -> Result<Deed, KeyError> {
        let changes = reason.map(|reason| ("reason", None, Some(reason.to_owned())));
        Ok(Deed {
            action,
            resource: resource.to_owned(),
            refused: reason.is_some(),
            note: self.note(order).await?,
            changes: changes.into_iter().collect(),
        })
    }

    /// Adds a secret of a source or endpoint; with an overlap, those that were added before end.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub async fn add_secret(
        &self,
        (kind, owner): (SecretKind, &str),
        secret: &schemes::Secret,
        overlap: Option<Overlap>,
        order: Order,
    ) -> Result<(SecretId, SecretAdded), KeyError> {
        let id = SecretId::new(order.at, crate::entropy::bytes());
        let new = NewSecret {
            id,
            kind,
            owner: owner.to_owned(),
            print: secrets::print(&self.keys, kind, owner, secret),
            sealed: secrets::seal(&self.keys, id, secret).await?,
            overlap,
        };
        let note = self.note(order).await?;
        Ok((id, self.store.add_secret(new, note).await?))
    }

    /// Every secret there is or was, and where each stands.
    ///
    /// # Errors
    /// The store fails.
    pub async fn secrets(&self, now: Timestamp) -> Result<Vec<(SecretRow, SecretState)>, KeyError> {
        let rows = self.store.secrets().await?;
        let state = |row: &SecretRow| row.life.state(&secrets::others(row, &rows), now);
        Ok(rows.iter().map(|row| (row.clone(), state(row))).collect())
    }

    /// Retires a secret.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub async fn retire_secret(
        &self,
        id: SecretId,
        force: bool,
        order: Order,
    ) -> Result<SecretRetired, KeyError> {
        let note = self.note(order).await?;
        Ok(self.store.retire_secret(id, force, note).await?)
    }

    /// What verifies the audit log.
    ///
    /// # Errors
    /// The store fails, or the origin names no log.
    pub async fn audit_key(
        &self,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<audit::VerifierKey, KeyError> {
        Ok(self.keys.audit_key(origin, now).await?.verifier().clone())
    }

    /// A desk over a store and the keys that are open already.
    pub(crate) fn over(store: Store, keys: Arc<KeyRing>) -> Self {
        Self { store, keys }
    }

    /// The orders. What is told of them goes to the endpoints that each source has.
    pub fn orders(&self, listeners: BTreeMap<String, Vec<Arc<str>>>) -> Orders {
        Orders::beside(self.store.clone(), self.keys.clone(), listeners)
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

    /// The person that an event is about, as the store knows persons; none if it names none.
    pub(crate) async fn subject(&self, event: &EventRow) -> Result<Option<[u8; 16]>, KeyError> {
        let key = self.store.data_key(event.facts.key).await?.ok_or(KeyError::Missing)?;
        Ok((key.kind == KeyKind::Subject).then_some(key.owner))
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

    /// What an audit entry says of persons.
    ///
    /// # Errors
    /// Its key is gone, or the record was changed.
    pub async fn shown(&self, entry: &EntryRow) -> Result<Option<Shown>, KeyError> {
        let Some((request, personal)) = entry.request.zip(entry.personal.as_ref()) else {
            return Ok(None);
        };
        personal::show(&self.keys, request, personal).await.map(Some)
    }

    /// Lets a held event be delivered to these endpoints. What it says counts for its order in the same
    /// transaction, where it can and whoever releases it may vouch for that.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub async fn release(
        &self,
        event: EventId,
        order: Order,
        endpoints: &[Arc<str>],
        (orders, vouches): (&Orders, Vouches<'_>),
    ) -> Result<Released, KeyError> {
        let permit = policy::release_by_person();
        let deliveries = inbound::plan(permit, order.at, endpoints);
        let note = self.note(order).await?;
        orders.release(event, deliveries, note, vouches).await
    }

    /// Refuses a held event: it will not be delivered.
    ///
    /// # Errors
    /// The store fails, or its keys cannot be opened.
    pub async fn refuse(&self, event: EventId, order: Order) -> Result<Changed, KeyError> {
        let note = self.note(order).await?;
        Ok(self.store.deny(event, note).await?)
    }
}

/// What is known of endpoints beside their configuration.
pub struct EndpointsKnown {
    states: Vec<(String, EndpointState, Timestamp)>,
    rests: Vec<(String, Timestamp)>,
}

/// Looks how the endpoints stand.
///
/// # Errors
/// The store fails.
pub async fn endpoints(store: &Store) -> Result<EndpointsKnown, StoreError> {
    let (states, rests) = (store.endpoint_states().await?, store.endpoint_rests().await?);
    Ok(EndpointsKnown { states, rests })
}

impl EndpointsKnown {
    /// An endpoint as it is shown.
    pub fn shown(&self, name: &str, paused_by_configuration: bool) -> shown::Endpoint {
        let kept = self.states.iter().find(|(known, ..)| known == name);
        let rests = self.rests.iter().find(|(known, _)| known == name);
        shown::Endpoint {
            name: name.to_owned(),
            state: kept.map_or(EndpointState::Active, |(_, state, _)| *state).into(),
            since: kept.map(|(.., since)| since.to_string()),
            paused_by_configuration,
            left_alone_until: rests.map(|(_, until)| until.to_string()),
        }
    }
}
