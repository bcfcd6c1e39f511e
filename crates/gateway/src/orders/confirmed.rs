//! What becomes of an event that its provider was asked about.
//!
//! What the answer says takes the place of what the event said, all of it; then the event is matched with
//! its order as any other. Where the event said something else it does not pass: somebody has written what
//! the signature does not cover. What was really paid counts all the same.

use std::ops::Range;
use std::sync::Arc;

use model::{EventStatus, Timestamp};
use policy::{Decided, HoldReason};
use sabotage::Defect;
use schemes::Confirmation;
use store::{Anew, Awaits, EventRow, Later, OrdersChanged, StoreError, Undecided};

use super::anew::{Deciding, Looked, NEVER, Opened};
use super::confirm::{Asked, Asking, next};
use super::{Planned, TRIES};
use crate::facts::KnownAs;
use crate::keys::KeyError;
use crate::{Facts, entropy};

impl Deciding {
    /// Asks about an event, and decides on it by the answer.
    pub(super) async fn confirm(self: Arc<Self>, undecided: Undecided) {
        let later = match self.confirmed(undecided).await {
            Ok(Looked::Done) => return,
            Ok(Looked::Later(later)) => later,
            Err(error) => {
                tracing::error!(event = %undecided.event, %error, "cannot confirm an event");
                self.pause(undecided, None).map_or(Later::Never, Later::At)
            }
        };
        if let Err(error) = self.parts.store.put_off(undecided, later).await {
            tracing::error!(event = %undecided.event, %error, "cannot put an event off");
        }
    }

    async fn confirmed(&self, undecided: Undecided) -> Result<Looked, KeyError> {
        let Some(event) = self.parts.store.event(undecided.event).await? else { return Ok(NEVER) };
        let route = self.routes.get(&event.source).and_then(|route| route.asking.as_ref());
        let (Some(asking), true) = (route, needs_confirmation(&event)) else { return Ok(NEVER) };
        let Some(body) = self.parts.store.body(event.id).await? else { return Ok(NEVER) };
        let arrival = event.arrival.as_bytes();
        let body = self.parts.keys.open_row("body", "bytes", arrival, &body).await?;
        let own = body.get(bounds(&event.range)).unwrap_or_default();
        let Some(question) = asking.question(own) else { return Ok(NEVER) };
        let asked = asking.ask(&question, self.parts.clock.now()).await;
        let (code, retry_after_ms) = match asked {
            Asked::Answered(confirmation) => {
                match self.decide_confirmed(&event, asking, &confirmation).await? {
                    Some(looked) => return Ok(looked),
                    None => ("answer_behind", None),
                }
            }
            Asked::NotThere => {
                self.parts.metrics.confirmed(&event.source, "not_there");
                tracing::warn!(
                    event = %event.id, source = %event.source,
                    "confirmation: the provider knows no such payment; the event stays held"
                );
                return self.hold(&event, HoldReason::ConfirmationMissing).await;
            }
            Asked::Again { code, retry_after_ms } => (code, retry_after_ms),
        };
        self.parts.metrics.confirmed(&event.source, code);
        tracing::warn!(
            event = %event.id, source = %event.source, code, tries = undecided.tries,
            "confirmation: the provider gave no answer that counts; the event stays held"
        );
        match self.pause(undecided, retry_after_ms) {
            Some(at) => Ok(Looked::Later(Later::At(at))),
            None => self.hold(&event, HoldReason::ConfirmationUnanswered).await,
        }
    }

    /// When it is asked again; nothing if that has gone on for a day.
    fn pause(&self, undecided: Undecided, retry_after_ms: Option<i64>) -> Option<Timestamp> {
        let [jitter] = entropy::bytes::<1>();
        let times = (undecided.since, self.parts.clock.now());
        next(undecided.tries, times, retry_after_ms, jitter)
    }

    /// It goes on being held, for a reason of its own.
    async fn hold(&self, event: &EventRow, reason: HoldReason) -> Result<Looked, KeyError> {
        let (key, facts) = self.orders.opened(event).await?;
        let known_as = KnownAs::of(&self.parts.keys, &event.provider, &facts, None);
        let opened = Opened { event: event.clone(), facts, key, known_as };
        let now = self.parts.clock.now();
        let Some(anew) = self.anew_of(&opened, Decided::Hold(reason), None, None, now) else {
            return Ok(NEVER);
        };
        self.orders.decide(anew, None, &event.source, None, now).await?;
        Ok(Looked::Done)
    }

    /// Nothing, if the provider's API has not come as far as its event.
    async fn decide_confirmed(
        &self,
        event: &EventRow,
        asking: &Asking,
        confirmation: &Confirmation,
    ) -> Result<Option<Looked>, KeyError> {
        let (key, said) = self.orders.opened(event).await?;
        if is_behind(&said, confirmation) {
            return Ok(None);
        }
        let differs = differs(&said, confirmation);
        let facts = restated(said, asking, confirmation, self.parts.clock.now());
        let known_as = KnownAs::of(&self.parts.keys, &event.provider, &facts, None);
        let opened = Opened { event: event.clone(), facts, key, known_as };
        for _ in 0..TRIES {
            if let Some(reason) = self.decide_once(&opened, differs).await? {
                let outcome = reason.map_or("confirmed", HoldReason::code);
                self.parts.metrics.confirmed(&event.source, outcome);
                if differs {
                    tracing::error!(
                        event = %event.id, source = %event.source,
                        "confirmation: the event says something else than its provider; it stays held"
                    );
                }
                return Ok(Some(Looked::Done));
            }
            // A person may have decided meanwhile.
            let now = self.parts.store.event(event.id).await?;
            if !now.is_some_and(|event| needs_confirmation(&event)) {
                return Ok(Some(NEVER));
            }
        }
        Err(KeyError::Store(StoreError::busy()))
    }

    /// What it is held for, if it is; nothing if it must be decided once more.
    async fn decide_once(
        &self,
        opened: &Opened,
        differs: bool,
    ) -> Result<Option<Option<HoldReason>>, KeyError> {
        let Opened { event, facts, known_as, .. } = opened;
        let now = self.parts.clock.now();
        let route = self.routes.get(&event.source);
        let mut planned = self.orders.about(*known_as).await?.map(Planned::of);
        let decided = match &mut planned {
            Some(planned) => self.match_with(opened, planned, now).await?,
            None if route
                .is_some_and(|route| route.hold_unknown_orders && facts.order.is_some()) =>
            {
                Decided::Hold(HoldReason::UnknownOrder)
            }
            None => policy::confirmed(),
        };
        let decided = match decided {
            Decided::Permit(_) if differs && !sabotage::on(Defect::DifferenceIgnored) => {
                Decided::Hold(HoldReason::ConfirmationDiffers)
            }
            decided => decided,
        };
        let waits = match decided {
            Decided::Hold(reason) => reason.turns_with_its_order(),
            // It is delivered, and counts once its order comes.
            Decided::Permit(_) => planned.is_none(),
            Decided::Deny(_) => false,
        };
        let awaits = known_as.reference.filter(|_| waits).map(Awaits::Order);
        let unordered = known_as.reference.filter(|_| planned.is_none());
        let anew = self.anew_of(opened, decided, planned.as_ref(), awaits, now);
        let anew = anew.map(|anew| Anew { unordered, ..anew });
        let Some(anew) = anew else { return Ok(Some(None)) };
        let reason = anew.reason.and_then(HoldReason::from_code);
        let changed = self.orders.decide(anew, planned.as_ref(), &event.source, None, now).await?;
        Ok(matches!(changed, OrdersChanged::Done(_)).then_some(reason))
    }
}

fn needs_confirmation(event: &EventRow) -> bool {
    event.status == EventStatus::Held
        && event.reason.as_deref() == Some(HoldReason::NeedsConfirmation.code())
}

fn bounds(range: &Range<u32>) -> Range<usize> {
    let bound = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    bound(range.start)..bound(range.end)
}

/// Whether the event says that it is over, and the answer that it is on its way: it is asked for again.
fn is_behind(said: &Facts, answer: &Confirmation) -> bool {
    let is_on_its_way = |status: &str| matches!(status, "pending" | "processing");
    is_on_its_way(&answer.status) && !said.status.as_deref().is_some_and(is_on_its_way)
}

/// Whether an event says something else than its provider. What has only come further since is no
/// difference: what was pending may be over.
fn differs(said: &Facts, answer: &Confirmation) -> bool {
    let other = |said: &Option<String>, answer: Option<&str>| {
        said.as_deref().is_some_and(|said| Some(said) != answer)
    };
    let currency = said.currency.as_deref();
    let other_currency = currency.is_some_and(|c| !c.eq_ignore_ascii_case(&answer.currency));
    let was_on_its_way = matches!(said.status.as_deref(), Some("pending" | "processing"));
    // What is paid back was paid.
    let status = if answer.status == "refunded" { "paid" } else { &*answer.status };
    other(&said.amount, Some(&answer.amount))
        || other_currency
        || other(&said.order, answer.order.as_deref())
        || answer.payee.is_some() && other(&said.payee, answer.payee.as_deref())
        || !was_on_its_way && other(&said.status, Some(status))
}

/// What an event says once its provider has answered: nothing of a payment that the answer does not say.
fn restated(said: Facts, asking: &Asking, answer: &Confirmation, now: Timestamp) -> Facts {
    // All of it is paid back: then it was paid, and that is how much.
    let is_back = answer.status == "refunded";
    Facts {
        order: answer.order.clone(),
        amount: Some(answer.amount.clone()),
        amount_unit: Some(answer.amount_unit.clone()),
        decimals: asking.decimals(&answer.currency),
        currency: Some(answer.currency.clone()),
        payment: Some(answer.payment.clone()),
        part: None,
        refunded: is_back.then(|| answer.amount.clone()),
        chain: None,
        receiver: None,
        order_version: None,
        payee: answer.payee.clone(),
        status: Some(if is_back { "paid".to_owned() } else { answer.status.clone() }),
        known_as: None,
        confirmed_at: Some(now.to_string()),
        ..said
    }
}
