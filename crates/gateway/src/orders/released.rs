//! A person releases a held event: it is delivered, and counts for its order where it can.

use std::sync::Arc;

use model::{Covers, EventId, EventStatus, Steps};
use policy::HoldReason;
use sabotage::Defect;
use serde::Serialize;
use store::{
    Anew, Awaits, Changed, EventRow, NewDelivery, Note, OrderChanges, OrderRow, OrdersChanged,
    StoreError,
};
use utoipa::ToSchema;

use super::told::OWN;
use super::{Orders, Planned, Said, TRIES};
use crate::Facts;
use crate::facts::KnownAs;
use crate::keys::{Held, KeyError};

/// What came of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Whether it counted at all.
    pub changed: Changed,
    /// What it is to the event's order.
    pub counted: Counted,
}

/// What a released event is to its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counted {
    /// The order that it counts for.
    #[schema(pattern = "^ord_[0-9a-hjkmnp-tv-z]{26}$")]
    pub order: Option<String>,
    /// Why it counts for no order; nothing where it names none that is registered.
    pub because: Option<String>,
}

impl Counted {
    const NOTHING: Self = Self { order: None, because: None };

    fn not(reason: HoldReason) -> Self {
        Self { order: None, because: Some(reason.code().to_owned()) }
    }
}

/// What releasing an event does to its order.
enum Effect {
    /// Nothing, and why.
    None(Counted),
    Pays(Box<Planned>),
    /// No order has this reference yet.
    Waits([u8; 16]),
}

/// Whether whoever releases an event may vouch for what it pays of an order.
pub type Vouches<'a> = &'a (dyn Fn(&OrderRow) -> bool + Send + Sync);

impl Orders {
    /// Those that get an event when it is released: of the endpoints that its source delivers to, or that
    /// are told of its order. Of a redacted one the original bytes are gone, so whoever takes those gets
    /// nothing of it; none if nobody is left for that reason.
    ///
    /// # Errors
    /// The store fails, or what it has does not open.
    pub async fn receivers(
        &self,
        event: &EventRow,
        endpoints: &[String],
        takes_originals: impl Fn(&str) -> bool,
    ) -> Result<Option<Vec<Arc<str>>>, KeyError> {
        if &*event.source == OWN {
            let (_, facts) = self.opened(event).await?;
            return Ok(Some(self.told_to(facts.told_to.as_deref())));
        }
        let gets = |name: &&String| event.original.is_none() || !takes_originals(name);
        let receivers: Vec<_> =
            endpoints.iter().filter(gets).map(|name| Arc::from(&**name)).collect();
        Ok((!receivers.is_empty() || endpoints.is_empty()).then_some(receivers))
    }

    /// Releases a held event. What it says counts for its order in the same transaction.
    pub(crate) async fn release(
        &self,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        note: Note,
        vouches: Vouches<'_>,
    ) -> Result<Released, KeyError> {
        for _ in 0..TRIES {
            let held = self.store.event(event).await?;
            let Some(held) = held.filter(|event| event.status == EventStatus::Held) else {
                return self.deliver_alone(event, Counted::NOTHING, deliveries, note).await;
            };
            // Without its body nothing is delivered, and nothing counts; what we say ourselves has counted.
            if &*held.source == OWN || self.store.body(event).await?.is_none() {
                return self.deliver_alone(event, Counted::NOTHING, deliveries, note).await;
            }
            let (key, facts) = self.opened(&held).await?;
            let (planned, unordered) = match self.effect(&held, &facts, &note, vouches).await? {
                Effect::Pays(planned) => (Some(planned), None),
                Effect::Waits(reference) => (None, Some(reference)),
                Effect::None(counted) => {
                    return self.deliver_alone(event, counted, deliveries, note).await;
                }
            };
            let order = planned.as_ref().map(|planned| planned.kept.row.id.to_string());
            let released = (held, facts, key, deliveries.clone());
            if self.count_released(released, (planned.as_deref(), unordered), &note).await? {
                let counted = Counted { order, because: None };
                return Ok(Released { changed: Changed::Done, counted });
            }
        }
        Err(KeyError::Store(StoreError::busy()))
    }

    /// What a kept event says, and the key that it is sealed under.
    pub(crate) async fn opened(&self, event: &EventRow) -> Result<(Held, Facts), KeyError> {
        let key = self.keys.of_row(&event.facts).await?;
        let bytes = key.open("event", "facts", event.id.as_bytes(), &event.facts.sealed)?;
        let facts = Facts::from_bytes(&bytes).ok_or(KeyError::NotAuthentic)?;
        Ok((key, facts))
    }

    async fn deliver_alone(
        &self,
        event: EventId,
        counted: Counted,
        deliveries: Vec<NewDelivery>,
        note: Note,
    ) -> Result<Released, KeyError> {
        let changed = self.store.release(event, note, deliveries).await?;
        Ok(Released { changed, counted })
    }

    async fn effect(
        &self,
        event: &EventRow,
        facts: &Facts,
        note: &Note,
        vouches: Vouches<'_>,
    ) -> Result<Effect, KeyError> {
        let Some(known_as) = KnownAs::of_kept(&self.keys, &event.provider, facts) else {
            return Ok(Effect::None(Counted::NOTHING));
        };
        let Some(kept) = self.about(known_as).await? else {
            // What no signature covers counts only where a person has seen the order that it pays.
            let reference = known_as.reference.filter(|_| event.covers == Covers::Full);
            return Ok(reference.map_or(Effect::None(Counted::NOTHING), Effect::Waits));
        };
        if !vouches(&kept.row) {
            return Ok(Effect::None(Counted::NOTHING));
        }
        let (provider, source) = (&*event.provider, &*event.source);
        let said = Said { provider, source, facts, known_as, at: event.received_at };
        let serves = self.of_payment(known_as.payment).await?;
        let mut planned = Planned::of(kept);
        match policy::match_released(&said.claim(serves), &planned.wanted(None)) {
            Err(reason) => return Ok(Effect::None(Counted::not(reason))),
            Ok(added) if added.is_empty() || sabotage::on(Defect::ReleaseUncounted) => {
                return Ok(Effect::None(Counted::NOTHING));
            }
            Ok(added) => planned.add(&added),
        }
        // More than fits, or than any sum can hold, is no payment of this order.
        let judged = planned.judged(note.at);
        if judged.refunded > judged.paid {
            return Ok(Effect::None(Counted::not(HoldReason::RefundExceedsPaid)));
        }
        Ok(Effect::Pays(Box::new(planned)))
    }

    /// Releases and counts, now or once there is an order of its reference. False if somebody else was
    /// first.
    async fn count_released(
        &self,
        (event, mut facts, key, deliveries): (EventRow, Facts, Held, Vec<NewDelivery>),
        (planned, unordered): (Option<&Planned>, Option<[u8; 16]>),
        note: &Note,
    ) -> Result<bool, KeyError> {
        facts.order_version = planned.map(|planned| planned.version(planned.judged(note.at)));
        let anew = Anew {
            event: event.id,
            from: (event.status, event.reason.clone()),
            to: EventStatus::Accepted,
            reason: None,
            steps: Steps::PASSED,
            facts: Some(key.seal("event", "facts", event.id.as_bytes(), &facts.to_bytes())),
            deliveries,
            awaits: unordered.map(Awaits::Order),
            unordered,
            request: note.request,
        };
        let done = self.decide(anew, planned, &event.source, Some(note.clone()), note.at);
        Ok(matches!(done.await?, OrdersChanged::Done(_)))
    }

    /// Decides on a kept event anew, and changes its order with it where there is anything to change.
    pub(crate) async fn decide(
        &self,
        anew: Anew,
        planned: Option<&Planned>,
        source: &str,
        note: Option<Note>,
        at: model::Timestamp,
    ) -> Result<OrdersChanged, KeyError> {
        let (mut changes, mut told) = (Vec::new(), None);
        if let Some(planned) = planned.filter(|planned| planned.changes(planned.judged(at))) {
            let (change, key) = self.change(planned, Some(source), anew.request, at).await?;
            changes.push(change);
            told = key;
        }
        let is_delivered = !anew.deliveries.is_empty();
        let changes =
            OrderChanges { record: None, anew: Some(anew), changes, chain: None, note, at };
        let changed = self.store.change_orders(changes).await?;
        if matches!(changed, OrdersChanged::Done(_)) {
            self.told_is_kept(told.iter());
            if is_delivered {
                self.fresh_work.notify_one();
            }
        }
        Ok(changed)
    }
}
