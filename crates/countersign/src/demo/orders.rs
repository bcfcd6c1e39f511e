//! The orders of the five guides: what is to become of each, and what did, by what the gateway says
//! of it and by what the application was told.

use std::fmt;

use model::OrderState;
use policy::HoldReason;
use sandbox::application::Diary;
use sandbox::{Difference, Guide, Placed, Till};
use serde::Serialize;

use super::cannot;
use crate::failure::Failure;

/// An order, and what was paid for it.
pub(super) struct Ordered {
    pub(super) guide: &'static Guide,
    pub(super) difference: Difference,
    pub(super) order: Placed,
    /// Why the event that pays it waits, or what else became of it if it was not taken as it is.
    pub(super) reason: Option<String>,
}

/// What becomes of an order and of the event that pays it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fate {
    /// Why the event waits; none if it passes.
    pub(super) reason: Option<String>,
    /// Where the order stands.
    pub(super) state: String,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.iter().try_for_each(|reason| write!(f, "{reason}, "))?;
        f.write_str(&self.state)
    }
}

/// Why the event of a payment that differs so waits, and where its order stands then.
pub(super) fn expected(guide: &Guide, difference: Difference) -> (Option<HoldReason>, OrderState) {
    let nothing_counts = |reason| (Some(reason), OrderState::Awaiting);
    match difference {
        Difference::Nothing => (None, OrderState::Paid),
        Difference::Late => (None, OrderState::Late),
        Difference::Half => (Some(HoldReason::AmountUnder), OrderState::Partial),
        Difference::Double => (Some(HoldReason::AmountOver), OrderState::Overpaid),
        Difference::Unit => nothing_counts(HoldReason::CurrencyMismatch),
        Difference::Chain => nothing_counts(HoldReason::ChainMismatch),
        Difference::Receiver if guide.is_on_chain() => nothing_counts(HoldReason::AddressMismatch),
        Difference::Receiver => nothing_counts(HoldReason::PayeeMismatch),
        Difference::Provider => nothing_counts(HoldReason::ProviderMismatch),
        Difference::Source => nothing_counts(HoldReason::SourceMismatch),
        Difference::Reused => nothing_counts(HoldReason::PaymentReused),
        Difference::Unpriced => nothing_counts(HoldReason::AmountMissing),
    }
}

/// Everything that was ordered, and where it can be asked about.
pub(super) struct Book {
    pub(super) till: Till,
    pub(super) orders: Vec<Ordered>,
}

impl Book {
    /// How many orders the application is to be told of.
    pub(super) fn owed(&self) -> usize {
        self.orders.iter().filter(|ordered| ordered.last_told().is_some()).count()
    }

    /// How many of them it was told all of.
    pub(super) fn heard(&self, diary: &Diary) -> usize {
        let is_heard = |ordered: &&Ordered| {
            let last = ordered.last_told();
            last.is_some() && ordered.told(diary).last() == last.as_ref()
        };
        self.orders.iter().filter(is_heard).count()
    }

    /// Asks where each order stands in the end.
    pub(super) async fn close(self, diary: &Diary) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for ordered in &self.orders {
            let state = self.till.state(&ordered.order).await;
            let state = state.map_err(|error| cannot("ask about an order", error))?;
            entries.push(ordered.entry(state, diary));
        }
        Ok(entries)
    }
}

impl Ordered {
    /// The last that the application is to be told of it, if anything.
    fn last_told(&self) -> Option<String> {
        let (_, state) = expected(self.guide, self.difference);
        (state != OrderState::Awaiting).then(|| format!("order.{state}"))
    }

    /// What the gateway told the application of it.
    fn told(&self, diary: &Diary) -> Vec<String> {
        let own = diary.accepted.iter().filter(|accepted| accepted.source == "countersign");
        let of_it = own.filter(|accepted| accepted.order.as_ref() == Some(&self.order.reference));
        of_it.map(|accepted| accepted.kind.clone()).collect()
    }

    fn entry(&self, state: String, diary: &Diary) -> Entry {
        let (reason, wanted) = expected(self.guide, self.difference);
        let reason = reason.map(|reason| reason.code().to_owned());
        let told = self.told(diary);
        let paid = told.iter().filter(|kind| *kind == "order.paid").count();
        let is_told_as_expected = told.last() == self.last_told().as_ref()
            && paid == usize::from(wanted == OrderState::Paid);
        Entry {
            guide: self.guide,
            difference: self.difference,
            expected: Fate { reason, state: wanted.code().to_owned() },
            seen: Fate { reason: self.reason.clone(), state },
            told,
            is_told_as_expected,
        }
    }
}

/// What became of an order, beside what was expected.
pub(super) struct Entry {
    pub(super) guide: &'static Guide,
    pub(super) difference: Difference,
    pub(super) expected: Fate,
    pub(super) seen: Fate,
    /// What the application was told of it, in order.
    pub(super) told: Vec<String>,
    /// It was told so once, and of nothing that is not so.
    is_told_as_expected: bool,
}

impl Entry {
    /// It ended as it should, and the application knows.
    pub(super) fn is_good(&self) -> bool {
        self.seen == self.expected && self.is_told_as_expected
    }

    /// What is wrong with it, in words.
    pub(super) fn wrong(&self) -> Option<String> {
        let Self { guide, difference, expected, seen, told, .. } = self;
        let (guide, paid) = (guide.name, difference.code());
        if seen != expected {
            Some(format!("{guide}, {paid}: {expected} was expected, not {seen}"))
        } else if !self.is_told_as_expected {
            let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
            Some(format!("{guide}, {paid}: the application was told {told}"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
