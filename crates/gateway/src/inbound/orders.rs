//! Step four, *decide*, where there are orders: does an event pay what its order expects?
//!
//! Only what is covered in full counts. An event that differs from its order waits under its own reason;
//! what is really paid is counted all the same, in the transaction that records the event.

use model::money::Notation;
use model::order::PaymentKey;
use model::{Covers, EventStatus, OrderId};
use policy::{Claim, Decided, Matched, Wanted};

use super::admit::{Arrival, Received};
use super::judge::{Judged, JudgedEvent, fate};
use super::{Inbound, Refused};
use crate::Refusal;
use crate::keys::KeyError;
use crate::orders::{self, Kept, Planned};

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
        let Some(place) = self.ordered(received, event, plan).await? else {
            let hold = received.source.settings.hold_unknown_orders && event.facts.order.is_some();
            if hold {
                decided(event, Decided::Hold(policy::HoldReason::UnknownOrder));
            }
            self.hold_blocked(arrival, received, event, None);
            return Ok(());
        };
        let payment = self.payment(received, event);
        let serves = match plan.serves(payment) {
            Some(order) => Some(order),
            None => self.orders.of_payment(payment).await?,
        };
        let Some(planned) = plan.planned.get_mut(place) else { return Ok(()) };
        let Matched { decided: outcome, facts } =
            self.matched(arrival, received, event, planned, (payment, serves));
        decided(event, outcome);
        if !facts.is_empty() {
            planned.add(&facts);
            planned.events.push(number);
        }
        event.facts.order_version = Some(planned.version(planned.judged(arrival.at)));
        self.hold_blocked(arrival, received, event, Some(&planned.kept));
        Ok(())
    }

    /// The order that an event is about, as its place in the plan.
    async fn ordered(
        &self,
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
            let payment = event.facts.payment.as_ref().map(|_| self.payment(received, event));
            let order = match payment {
                Some(payment) => self.orders.of_payment(payment).await?,
                None => None,
            };
            match order {
                Some(order) => self.orders.get(order).await?,
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

    /// The payment that an event is about.
    fn payment(&self, received: &Received, event: &JudgedEvent) -> PaymentKey {
        let (provider, facts) = (&received.source.provider, &event.facts);
        let reference = facts.order.as_deref().unwrap_or_default();
        orders::payment_key(&self.parts.keys, provider, facts.payment.as_deref(), reference)
    }

    fn matched(
        &self,
        arrival: &Arrival,
        received: &Received,
        event: &JudgedEvent,
        planned: &Planned,
        (payment, serves): (PaymentKey, Option<OrderId>),
    ) -> Matched {
        let (facts, source) = (&event.facts, &received.source);
        let Kept { row, about } = &planned.kept;
        // Of a dispute without a name there is one a payment; of refunds, one an event.
        let is_refund = facts.status.as_deref() == Some("refunded");
        let named = facts.part.as_deref().map(str::as_bytes);
        let named = named.or_else(|| event.dedup_key.as_deref().filter(|_| is_refund));
        let part = named.map_or([0; 16], |named| {
            self.parts.keys.index("part", &[source.provider.as_bytes(), named])
        });
        let claim = Claim {
            provider: &source.provider,
            source: &source.name,
            status: facts.status.as_deref(),
            amount: facts.amount.as_deref(),
            refunded: facts.refunded.as_deref(),
            notation: notation(facts.amount_unit.as_deref()),
            decimals: facts.currency.as_deref().and_then(|c| source.settings.profile.decimals(c)),
            currency: facts.currency.as_deref(),
            chain: facts.chain.as_deref(),
            address: facts.receiver.as_deref(),
            payee: facts.payee.as_deref(),
            payment,
            part,
            serves,
            at: arrival.at,
        };
        let wanted = Wanted {
            order: row.id,
            expected: &row.expected,
            provider: row.provider.as_deref(),
            source: row.source.as_deref(),
            address: about.address.as_deref(),
            payee: about.payee.as_deref(),
            payee_usual: source.settings.payee.as_deref(),
            watched: row.watched,
            facts: &planned.facts,
        };
        policy::match_order(&claim, &wanted)
    }
}

/// What became of an event beside its order.
fn decided(event: &mut JudgedEvent, outcome: Decided) {
    // One that waits for another reason does not pass for this.
    if !matches!(outcome, Decided::Permit(_)) {
        (event.status, event.reason, event.steps, event.permit) = fate(outcome);
    }
}

/// How the provider writes amounts, by the profile's word for their unit.
fn notation(unit: Option<&str>) -> Option<Notation> {
    match unit? {
        "major" | "decimal-major" => Some(Notation::Major),
        "minor" | "satang" => Some(Notation::Minor),
        _ => None,
    }
}
