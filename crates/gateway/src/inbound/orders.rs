//! Step four, *decide*, where there are orders: does an event pay what its order expects?
//!
//! Only what is covered in full counts. An event that differs from its order waits under its own reason;
//! what is really paid is counted all the same, in the transaction that records the event.

use model::order::PaymentKey;
use model::{Covers, EventStatus, OrderId};
use policy::{Decided, Matched};
use store::Awaits;

use super::admit::{Arrival, Received};
use super::judge::{Judged, JudgedEvent, fate};
use super::{Inbound, Refused};
use crate::Refusal;
use crate::facts::KnownAs;
use crate::keys::KeyError;
use crate::orders::{self, Planned, Said};

/// What an arrival changes beside itself.
#[derive(Default)]
pub(super) struct OrderPlan {
    /// The orders that it pays.
    pub(super) planned: Vec<Planned>,
    /// References that it names, and that no order was found for.
    pub(super) unordered: Vec<[u8; 16]>,
}

impl OrderPlan {
    /// The order that a payment serves by what came before in the same arrival.
    fn serves(&self, payment: PaymentKey) -> Option<OrderId> {
        let pays = |planned: &&Planned| planned.facts.payments().any(|known| known == payment);
        self.planned.iter().find(pays).map(|planned| planned.kept.row.id)
    }
}

impl Inbound {
    /// Matches the events of an arrival with their orders, and decides about them once more.
    pub(super) async fn match_orders(
        &self,
        arrival: &Arrival,
        received: &Received,
        judged: &mut Judged,
    ) -> Result<OrderPlan, Refused> {
        let mut plan = OrderPlan::default();
        if judged.covers != Covers::Full || judged.weak {
            judged.events.iter_mut().for_each(|event| await_answer(received, event));
            return Ok(plan);
        }
        for (number, event) in judged.events.iter_mut().enumerate() {
            let matched = self.match_event(arrival, received, event, number, &mut plan).await;
            matched.map_err(|error| {
                tracing::error!(request = %arrival.request, %error, "cannot look at the orders");
                Refused::of(Refusal::NotDurable, &received.source)
            })?;
        }
        Ok(plan)
    }

    async fn match_event(
        &self,
        arrival: &Arrival,
        received: &Received,
        event: &mut JudgedEvent,
        number: usize,
        plan: &mut OrderPlan,
    ) -> Result<(), KeyError> {
        // One that only waits because no endpoint may get it has paid all the same.
        if event.status == EventStatus::Quarantined {
            return Ok(());
        }
        let Some(place) = self.ordered(arrival, received, event, plan).await? else {
            let hold = received.source.settings.hold_unknown_orders && event.facts.order.is_some();
            if hold {
                decided(event, Decided::Hold(policy::HoldReason::UnknownOrder));
            }
            // Where nobody registers orders, none of them will come.
            let reference = event.facts.order.as_deref().filter(|_| hold || self.orders.any());
            event.awaits =
                reference.map(|name| Awaits::Order(orders::reference_key(&self.parts.keys, name)));
            self.hold_blocked(arrival, received, event, None);
            return Ok(());
        };
        let said = self.said(arrival, received, event);
        let payment = said.known_as.payment;
        let serves = match plan.serves(payment) {
            Some(order) => Some(order),
            None => self.orders.of_payment(payment).await?,
        };
        let Some(planned) = plan.planned.get_mut(place) else { return Ok(()) };
        let payee_usual = received.source.settings.payee.as_deref();
        let Matched { decided: outcome, facts } =
            policy::match_order(&said.claim(serves), &planned.wanted(payee_usual));
        // What another event may let pass is told of each change of the order from now on.
        let turns = matches!(outcome, Decided::Hold(reason) if reason.turns_with_its_order());
        decided(event, outcome);
        event.awaits = turns.then_some(Awaits::Order(planned.kept.row.reference_key));
        planned.add(&facts);
        if turns || !facts.is_empty() {
            planned.events.push(number);
        }
        event.facts.order_version = Some(planned.version(planned.judged(arrival.at)));
        self.hold_blocked(arrival, received, event, Some(planned));
        Ok(())
    }

    /// The order that an event is about, as its place in the plan.
    async fn ordered(
        &self,
        arrival: &Arrival,
        received: &Received,
        event: &JudgedEvent,
        plan: &mut OrderPlan,
    ) -> Result<Option<usize>, KeyError> {
        let keys = &self.parts.keys;
        let reference = event.facts.order.as_deref();
        let kept = if !self.orders.any() {
            None
        } else if let Some(reference) = reference {
            self.orders.find(reference).await?
        } else {
            // A dispute may name the payment alone.
            match &event.facts.payment {
                Some(_) => {
                    self.orders.paid_by(self.said(arrival, received, event).known_as).await?
                }
                None => None,
            }
        };
        let Some(kept) = kept else {
            plan.unordered.extend(reference.map(|name| orders::reference_key(keys, name)));
            return Ok(None);
        };
        let known = plan.planned.iter().position(|planned| planned.kept.row.id == kept.row.id);
        if known.is_none() {
            plan.planned.push(Planned::of(kept));
        }
        Ok(Some(known.unwrap_or(plan.planned.len() - 1)))
    }

    /// What an event says of its order.
    fn said<'a>(
        &self,
        arrival: &Arrival,
        received: &'a Received,
        event: &'a JudgedEvent,
    ) -> Said<'a> {
        let (source, facts) = (&received.source, &event.facts);
        let (provider, dedup_key) = (&*source.provider, event.dedup_key.as_deref());
        let known_as = KnownAs::of(&self.parts.keys, provider, facts, dedup_key);
        Said { provider, source: &source.name, facts, known_as, at: arrival.at }
    }
}

/// Has the provider asked whether an event is so that waits for that, where there is somebody to ask.
fn await_answer(received: &Received, event: &mut JudgedEvent) {
    let source = &received.source.settings;
    let connector = source.profile.connector().filter(|_| source.confirm.is_some());
    let kind = event.kind.as_deref().unwrap_or_default();
    let waits = event.reason == Some(policy::HoldReason::NeedsConfirmation.code());
    if waits && connector.is_some_and(|connector| connector.asks_about(kind)) {
        event.awaits = Some(Awaits::Answer);
    }
}

/// What became of an event beside its order.
fn decided(event: &mut JudgedEvent, outcome: Decided) {
    // One that waits for another reason does not pass for this.
    if !matches!(outcome, Decided::Permit(_)) {
        (event.status, event.reason, event.steps, event.permit) = fate(outcome);
    }
}
