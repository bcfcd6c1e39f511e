//! Step five, *record*: event, deliveries, verdicts and audit entry in one transaction, sealed.
//!
//! Only when the store says that the commit is durable is the webhook acknowledged.

use std::sync::Arc;

use model::{DeliveryId, EventId, EventStatus, Timestamp};
use policy::Permit;
use sabotage::Defect;
use store::{
    NewDelivery, NewEvent, OrderChange, OrderChanges, OrdersChanged, Outcome, Record, Recorded,
    StoreError,
};

use super::admit::{Arrival, Received};
use super::judge::{Judged, JudgedEvent};
use super::orders::OrderPlan;
use super::{Inbound, Refused, redaction};
use crate::facts::KnownAs;
use crate::keys::{Held, KeyError};
use crate::tallies::Arrived;
use crate::{Refusal, entropy};

/// A record that is ready, and the key that it was sealed under.
pub(super) struct SealedRecord {
    record: Record,
    key: Held,
    statuses: Vec<EventStatus>,
    /// The orders that change with it, and the keys that what is told of them is sealed under.
    changes: Vec<OrderChange>,
    told: Vec<Held>,
}

impl Inbound {
    /// Seals a judged arrival into a record.
    pub(super) async fn seal(
        &self,
        arrival: &Arrival,
        received: &Received,
        judged: Judged,
        plan: OrderPlan,
    ) -> Result<SealedRecord, Refused> {
        let no_key = |error| {
            tracing::error!(request = %arrival.request, %error, "no key to seal under");
            Refused::of(Refusal::NotDurable, &received.source)
        };
        let key = self.key_for(arrival, received, &judged).await.map_err(no_key)?;
        let (changes, told) = self.changes(arrival, received, &plan).await.map_err(no_key)?;
        let Judged { covers, redacted, events, .. } = judged;
        let statuses = events.iter().map(|event| event.status).collect();
        let original = redacted.as_ref().map(|_| {
            self.parts.keys.index("original", &[received.source.name.as_bytes(), &received.body])
        });
        let body = redacted.as_ref().map_or(&*received.body, |redacted| &redacted.bytes);
        let events = events
            .into_iter()
            .map(|event| self.new_event(arrival, received, &key, covers, original, event))
            .collect();
        let record = Record {
            request: arrival.request,
            arrival: arrival.id,
            received_at: arrival.at,
            source: received.source.name.clone(),
            provider: received.source.provider.clone(),
            keys: key.to_store().into_iter().collect(),
            body: key.seal("body", "bytes", arrival.id.as_bytes(), body),
            unordered: plan.unordered,
            events,
        };
        Ok(SealedRecord { record, key, statuses, changes, told })
    }

    /// How the planned orders change.
    async fn changes(
        &self,
        arrival: &Arrival,
        received: &Received,
        plan: &OrderPlan,
    ) -> Result<(Vec<OrderChange>, Vec<Held>), KeyError> {
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        for planned in plan.planned.iter().filter(|planned| !planned.events.is_empty()) {
            let source = Some(&*received.source.name);
            let change = self.orders.change(planned, source, arrival.request, arrival.at);
            let (change, key) = change.await?;
            changes.push(change);
            told.extend(key);
        }
        Ok((changes, told))
    }

    /// A person's own key where the arrival is about one person, else the source's key of the day.
    async fn key_for(
        &self,
        arrival: &Arrival,
        received: &Received,
        judged: &Judged,
    ) -> Result<Held, KeyError> {
        let mut customers =
            judged.events.iter().filter_map(|event| event.facts.customer.as_deref());
        match (customers.next(), judged.events.len()) {
            (Some(customer), 1) => {
                self.parts.keys.subject(&received.source.provider, customer, arrival.at).await
            }
            _ => self.parts.keys.bucket(&received.source.name, arrival.at).await,
        }
    }

    fn new_event(
        &self,
        arrival: &Arrival,
        received: &Received,
        key: &Held,
        covers: model::Covers,
        original: Option<[u8; 16]>,
        mut event: JudgedEvent,
    ) -> NewEvent {
        let source = received.source.name.as_bytes();
        let projection = self.parts.keys.index("projection", &[source, &event.projection]);
        let id = EventId::new(arrival.at, entropy::bytes());
        let order_key = event.facts.order.as_deref();
        let order_key =
            order_key.map(|order| self.parts.keys.index("order", &[source, order.as_bytes()]));
        self.remember(received, original.is_some(), &mut event);
        // From here on nothing of what must not be kept is left.
        redaction::mask(&mut event, original.is_some());
        let endpoints = match original {
            Some(_) => &received.source.document_endpoints,
            None => &received.source.endpoints,
        };
        let bound = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        NewEvent {
            id,
            // What cannot be read is known by its bytes, a conflict by what it says.
            body_key: match event.dedup_key {
                None => self.parts.keys.index("body", &[source, &received.body]),
                Some(_) => projection,
            },
            projection,
            dedup_key: event.dedup_key.map(|key| {
                let source = if sabotage::on(Defect::DedupAcrossSources) { &[] } else { source };
                self.parts.keys.index("dedup", &[source, &key])
            }),
            kind: event.kind,
            status: event.status,
            reason: event.reason,
            covers,
            steps: event.steps,
            order_key,
            range: bound(event.range.start)..bound(event.range.end),
            facts: key.seal("event", "facts", id.as_bytes(), &event.facts.to_bytes()),
            original,
            awaits: event.awaits,
            deliveries: event
                .permit
                .map(|permit| plan(permit, arrival.at, endpoints))
                .unwrap_or_default(),
        }
    }

    /// Notes what deciding on it anew takes, and what is kept of it would not say.
    fn remember(&self, received: &Received, is_redacted: bool, event: &mut JudgedEvent) {
        let (facts, profile) = (&mut event.facts, &received.source.settings.profile);
        facts.decimals = facts.currency.as_deref().and_then(|currency| profile.decimals(currency));
        if is_redacted || KnownAs::is_by_dedup_key(facts) {
            let (keys, provider) = (&self.parts.keys, &received.source.provider);
            let known_as = KnownAs::of(keys, provider, facts, event.dedup_key.as_deref());
            facts.known_as = Some(known_as);
        }
    }

    /// Makes a record durable and tells everybody whom it concerns. False if an order that it is about
    /// has changed meanwhile, or come: then it must be decided again.
    pub(super) async fn record(
        &self,
        arrival: &Arrival,
        received: &Received,
        sealed: SealedRecord,
    ) -> Result<bool, Refused> {
        let SealedRecord { record, key, statuses, changes, told } = sealed;
        if sabotage::on(Defect::AckBeforeCommit) {
            let store = self.parts.store.clone();
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                drop(store.record(record).await);
            });
            return Ok(true);
        }
        let recorded = match self.keep(arrival, record, changes).await {
            Ok(Some(recorded)) => recorded,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::error!(request = %arrival.request, %error, "not durable, so not acknowledged");
                return Err(Refused::of(not_kept(&error), &received.source));
            }
        };
        self.parts.keys.stored(&key);
        self.orders.told_is_kept(told.iter());
        self.recorded(arrival, received, &recorded, &statuses);
        Ok(true)
    }

    /// What became of the events; nothing if what they were decided on is no longer so.
    async fn keep(
        &self,
        arrival: &Arrival,
        record: Record,
        changes: Vec<OrderChange>,
    ) -> Result<Option<Recorded>, StoreError> {
        if changes.is_empty() {
            return match self.parts.store.record(record).await {
                Ok(recorded) => Ok(Some(recorded)),
                Err(error) if error.is_ordered() => {
                    self.orders.seen();
                    Ok(None)
                }
                Err(error) => Err(error),
            };
        }
        let changes = OrderChanges {
            record: Some(record),
            anew: None,
            changes,
            chain: None,
            note: None,
            at: arrival.at,
        };
        match self.parts.store.change_orders(changes).await {
            Ok(OrdersChanged::Done(recorded)) => Ok(Some(recorded)),
            Ok(OrdersChanged::Stale | OrdersChanged::PaymentTaken { .. }) => Ok(None),
            Err(error) if error.is_ordered() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn recorded(
        &self,
        arrival: &Arrival,
        received: &Received,
        recorded: &Recorded,
        statuses: &[EventStatus],
    ) {
        let source = &received.source.name;
        for (outcome, status) in recorded.events.iter().zip(statuses) {
            let outcome = match outcome {
                Outcome::New => {
                    if *status == EventStatus::Accepted {
                        self.parts.fresh_work.notify_one();
                    }
                    status.code()
                }
                Outcome::Duplicate { of } => {
                    self.parts.tallies.count(Arrived {
                        source: Some(source.clone()),
                        address: arrival.address,
                        step: model::Step::Record,
                        reason: "duplicate",
                        event: Some(*of),
                        arrival: arrival.id,
                        at: arrival.at,
                    });
                    "duplicate"
                }
                Outcome::Conflict { of } => {
                    tracing::error!(
                        request = %arrival.request, source = %source, event = %of,
                        "conflict: an event came again and says something else; it is quarantined"
                    );
                    "conflict"
                }
                Outcome::Repeated { .. } => "repeated",
            };
            self.parts.metrics.arrived(Some(source), outcome);
        }
    }
}

/// The deliveries of a permitted event.
pub(crate) fn plan(_permit: Permit, now: Timestamp, endpoints: &[Arc<str>]) -> Vec<NewDelivery> {
    endpoints
        .iter()
        .map(|endpoint| NewDelivery {
            id: DeliveryId::new(now, entropy::bytes()),
            endpoint: endpoint.clone(),
        })
        .collect()
}

fn not_kept(error: &StoreError) -> Refusal {
    if error.is_overloaded() {
        Refusal::Overloaded
    } else if error.is_audit_unavailable() {
        Refusal::AuditUnavailable
    } else {
        Refusal::NotDurable
    }
}
