//! Orders, as the gateway works with them: what the application said of one, how an event or a person
//! changes it, and the gateway's own events about it (`order.paid`, …).
//!
//! Where an order stands is computed anew from everything that is known of its payments (`model::order`).
//! Each change is made from the revision that it was decided at; whoever is too late decides again.

mod anew;
mod change;
mod confirm;
mod confirmed;
mod released;
mod rules;
mod said;
mod told;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::block::{Party, PartyKind};
use model::order::PaymentKey;
use model::{OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{NewOrder, Note, OrderCreated, OrderQuery, OrderRow, Store};
use tokio::sync::Notify;

use crate::blocks::{Blocks, party_key};
use crate::facts::KnownAs;
use crate::inbound::Parts;
use crate::keys::{Held, KeyError, KeyRing};
use crate::{Endpoint, Format, Source, chains};

pub(crate) use anew::Deciding;
pub(crate) use change::Planned;
pub use confirm::Confirm;
pub use released::{Counted, Released, Vouches};
pub use rules::OrderRules;
pub(crate) use said::Said;
pub(crate) use wanted::Beside;
pub use wanted::WantedOrder;

/// What the facts of an order are sealed as.
const TABLE: &str = "orders";
const COLUMN: &str = "facts";

/// The bucket of what is not a person's.
const BUCKET: &str = "orders";

/// How often it is decided anew when somebody else was first.
pub(crate) const TRIES: usize = 8;

/// What the application said of an order beyond what is expected of it. It rests sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFacts {
    /// What the application calls it, and what providers are to repeat.
    pub reference: String,
    /// Who pays, as the provider knows them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub customer: Option<String>,
    /// The address on its chain that is to be paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// The only address on the chain that may pay.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sender: Option<String>,
    /// The provider's account that is to be paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payee: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Which product.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub product: Option<String>,
    /// Where the payer is sent afterwards.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub return_url: Option<String>,
    /// What the application wants to find again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub metadata: BTreeMap<String, String>,
    /// Random, and of this order alone.
    pub nonce: String,
}

/// An order that is there: as it is kept, and what was said of it.
pub struct Kept {
    /// As it is kept.
    pub row: OrderRow,
    /// What the application said of it.
    pub about: OrderFacts,
}

/// The orders of a store.
pub struct Orders {
    store: Store,
    keys: Arc<KeyRing>,
    /// Rung when something was told.
    fresh_work: Arc<Notify>,
    /// Rung when an order changed: what waits for that may be decided on anew.
    woken: Arc<Notify>,
    /// Endpoints that take the gateway's own events, by the source they belong to.
    listeners: BTreeMap<String, Vec<Arc<str>>>,
    /// Whoever is blocked, as a gateway knows it.
    blocks: Option<Arc<Blocks>>,
    /// There is one, as far as is known. (If not, the store says so when it matters.)
    any: AtomicBool,
}

impl Orders {
    pub(crate) async fn open(
        parts: &Parts,
        sources: &[Source],
        endpoints: &[Endpoint],
    ) -> Result<Self, KeyError> {
        let takes = |name: &&String| {
            endpoints.iter().any(|one| one.name == **name && one.format == Format::Event)
        };
        let of = |source: &Source| -> (String, Vec<Arc<str>>) {
            let names = source.endpoints.iter().filter(takes).map(|name| Arc::from(name.as_str()));
            (source.name.clone(), names.collect())
        };
        let first = parts.store.orders(OrderQuery { limit: 1, ..OrderQuery::default() }).await?;
        Ok(Self {
            store: parts.store.clone(),
            keys: parts.keys.clone(),
            fresh_work: parts.fresh_work.clone(),
            woken: Arc::default(),
            listeners: sources.iter().map(of).collect(),
            blocks: Some(parts.blocks.clone()),
            any: AtomicBool::new(!first.is_empty()),
        })
    }

    /// Those that a desk works on, beside a gateway or without one.
    pub(crate) fn beside(
        store: Store,
        keys: Arc<KeyRing>,
        listeners: BTreeMap<String, Vec<Arc<str>>>,
    ) -> Self {
        let (fresh_work, any) = (Arc::new(Notify::new()), AtomicBool::new(true));
        Self { store, keys, fresh_work, woken: Arc::default(), listeners, blocks: None, any }
    }

    /// Whether it is worth while to look for one.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// There is one.
    pub(crate) fn seen(&self) {
        self.any.store(true, Ordering::Relaxed);
    }

    /// Creates an order.
    pub(crate) async fn create(
        &self,
        mut new: NewOrder,
        about: &OrderFacts,
        note: Note,
    ) -> Result<OrderCreated, KeyError> {
        let key = self.key(new.provider.as_deref(), about, note.at).await?;
        let parties = parties(new.provider.as_deref(), new.expected.money.unit.chain(), about);
        new.parties = parties.iter().map(|party| party_key(&self.keys, party)).collect();
        let address = parties.iter().position(|party| party.kind() == PartyKind::Address);
        new.address_key = address.and_then(|place| new.parties.get(place).copied());
        new.sealed = seal(&key, new.id, about);
        new.keys = key.to_store().into_iter().collect();
        let created = self.store.create_order(new, note).await?;
        if created == OrderCreated::Done {
            self.keys.stored(&key);
            self.seen();
            self.woken.notify_one();
        }
        Ok(created)
    }

    /// The key of whoever pays, or of the day's orders.
    async fn key(
        &self,
        provider: Option<&str>,
        about: &OrderFacts,
        now: Timestamp,
    ) -> Result<Held, KeyError> {
        match (provider, &about.customer) {
            (Some(provider), Some(customer)) => self.keys.subject(provider, customer, now).await,
            _ => self.keys.bucket(BUCKET, now).await,
        }
    }

    /// The order with a reference.
    ///
    /// # Errors
    /// The store fails, or what it has does not open.
    pub async fn find(&self, reference: &str) -> Result<Option<Kept>, KeyError> {
        let key = reference_key(&self.keys, reference);
        self.open_kept(self.store.order_by_reference(key).await?).await
    }

    /// The order that an event is about: of the reference that it names; of one that names the payment
    /// alone, as a dispute may, the order that was paid by it.
    pub(crate) async fn about(&self, known_as: KnownAs) -> Result<Option<Kept>, KeyError> {
        match known_as.reference {
            Some(key) => self.open_kept(self.store.order_by_reference(key).await?).await,
            None => self.paid_by(known_as).await,
        }
    }

    /// The order that was paid by the payment of an event.
    pub(crate) async fn paid_by(&self, known_as: KnownAs) -> Result<Option<Kept>, KeyError> {
        match self.of_payment(known_as.payment).await? {
            Some(order) => self.get(order).await,
            None => Ok(None),
        }
    }

    /// One order.
    ///
    /// # Errors
    /// The store fails, or what it has does not open.
    pub async fn get(&self, id: OrderId) -> Result<Option<Kept>, KeyError> {
        self.open_kept(self.store.order(id).await?).await
    }

    /// The newest orders of those that match.
    ///
    /// # Errors
    /// The store fails, or what it has does not open.
    pub async fn list(&self, query: OrderQuery) -> Result<Vec<Kept>, KeyError> {
        let mut kept = Vec::new();
        for row in self.store.orders(query).await? {
            kept.push(self.kept(row).await?);
        }
        Ok(kept)
    }

    /// Orders that wait to be watched on a chain.
    pub(crate) async fn to_watch(&self, chain: &str, limit: usize) -> Result<Vec<Kept>, KeyError> {
        let mut kept = Vec::new();
        for row in self.store.orders_to_watch(chain, limit).await? {
            kept.push(self.kept(row).await?);
        }
        Ok(kept)
    }

    /// The payments of an order that its chain tells of, as they stood at the last look.
    ///
    /// # Errors
    /// The store fails, or what it has does not open.
    pub async fn on_chain(&self, kept: &Kept) -> Result<Vec<::chains::Reported>, KeyError> {
        let unit = &kept.row.expected.money.unit;
        let Some(name) = unit.chain().filter(|_| kept.row.watched) else { return Ok(Vec::new()) };
        let chain = chains::Kept::read(&self.store, &self.keys, name).await?;
        let order = ::chains::OrderKey(*kept.row.id.as_bytes());
        Ok(chain.map(|chain| chain.state.payments(order)).unwrap_or_default())
    }

    /// The order that a payment serves.
    pub(crate) async fn of_payment(&self, key: PaymentKey) -> Result<Option<OrderId>, KeyError> {
        Ok(self.store.order_of_payment(key).await?)
    }

    async fn open_kept(&self, row: Option<OrderRow>) -> Result<Option<Kept>, KeyError> {
        match row {
            Some(row) => self.kept(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// An order with what the application said of it.
    async fn kept(&self, row: OrderRow) -> Result<Kept, KeyError> {
        let bytes = self.keys.open_row(TABLE, COLUMN, row.id.as_bytes(), &row.sealed).await?;
        let about = serde_json::from_slice(&bytes).map_err(|_| KeyError::NotAuthentic)?;
        Ok(Kept { row, about })
    }
}

/// The parties that an order names: who pays, which account and which address are to be paid.
pub(crate) fn parties(
    provider: Option<&str>,
    chain: Option<&str>,
    about: &OrderFacts,
) -> Vec<Party> {
    [
        (PartyKind::Customer, provider, &about.customer),
        (PartyKind::Payee, provider, &about.payee),
        (PartyKind::Address, chain, &about.address),
    ]
    .into_iter()
    .filter_map(|(kind, of, name)| Some(Party::named(kind, of?, name.as_deref()?)))
    .collect()
}

/// The keyed hash of a reference.
pub(crate) fn reference_key(keys: &KeyRing, reference: &str) -> [u8; 16] {
    keys.index("reference", &[reference.as_bytes()])
}

/// The keyed hash of a payment of a provider; of one without an id, of the order that it is of.
pub(crate) fn payment_key(
    keys: &KeyRing,
    provider: &str,
    payment: Option<&str>,
    reference: &str,
) -> PaymentKey {
    let (what, id) = payment.map_or(("order", reference), |payment| ("payment", payment));
    keys.index("payment", &[provider.as_bytes(), what.as_bytes(), id.as_bytes()])
}

fn seal(key: &Held, id: OrderId, about: &OrderFacts) -> store::SealedRow {
    let bytes = serde_json::to_vec(about).expect("texts always serialise");
    key.seal(TABLE, COLUMN, id.as_bytes(), &bytes)
}
