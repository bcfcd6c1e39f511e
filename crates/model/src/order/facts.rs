//! What is known of an order's payments: a set that only grows.

use std::collections::BTreeMap;

use super::{codes, fmt};
use crate::Timestamp;

/// Which payment: a keyed hash of who named it and how. It serves one order.
pub type PaymentKey = [u8; 16];

/// Which part of a payment, such as one of several refunds: a keyed hash, or zeros for the whole.
pub type Part = [u8; 16];

codes! {
    /// What is known of a payment.
    FactKind {
        /// Somebody has begun to pay.
        Pending = "pending",
        /// The provider has the money.
        Paid = "paid",
        /// It came to nothing.
        Failed = "failed",
        /// A part of it was paid back.
        Refunded = "refunded",
        /// The payer disputes it.
        Disputed = "disputed",
        /// A dispute is over, and the money stays.
        DisputeWon = "dispute_won",
        /// A dispute is over, and the money is gone.
        DisputeLost = "dispute_lost",
        /// On its chain, without confirmations.
        Seen = "seen",
        /// In a block, and confirmations are counted.
        Confirming = "confirming",
        /// In a block that is deep enough.
        Counted = "counted",
        /// It was in a block, or was to be, and is no longer.
        Gone = "gone",
        /// It had counted, and is no longer in the chain.
        Undone = "undone",
    }
}

impl FactKind {
    /// What a chain says now, which may be other than before: the latest version counts.
    pub(super) const fn is_of_chain(self) -> bool {
        matches!(self, Self::Seen | Self::Confirming | Self::Counted | Self::Gone | Self::Undone)
    }
}

/// One thing that is known of one payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Of which payment.
    pub payment: PaymentKey,
    /// What.
    pub kind: FactKind,
    /// Of which part of it.
    pub part: Part,
    /// How much, in minor units of the order's money.
    pub amount: u128,
    /// When it came to be so.
    pub at: Timestamp,
    /// For what a chain says: which word of it. The highest counts. 0 for all else.
    pub version: u64,
}

/// What a fact takes the place of.
type Slot = (PaymentKey, Option<FactKind>, Part);

impl Fact {
    fn slot(&self) -> Slot {
        let kind = (!self.kind.is_of_chain()).then_some(self.kind);
        (self.payment, kind, self.part)
    }

    /// What is known by both together, whichever came first.
    fn join(self, other: Self) -> Self {
        let (older, newer) =
            if self.order() <= other.order() { (self, other) } else { (other, self) };
        // Of a payment that was seen in time the later words do not make it late.
        Self { at: older.at.min(newer.at), ..newer }
    }

    /// The later of two words on a chain; of anything else, the greater amount.
    fn order(&self) -> (u64, FactKind, u128) {
        (self.version, self.kind, self.amount)
    }
}

/// Every fact of an order's payments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<Slot, Fact>);

impl Facts {
    /// Adds a fact. Says whether that changed what is known.
    pub fn add(&mut self, fact: Fact) -> bool {
        let slot = fact.slot();
        let before = self.0.get(&slot).copied();
        let after = before.map_or(fact, |before| before.join(fact));
        self.0.insert(slot, after);
        before != Some(after)
    }

    /// Each fact.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.values()
    }

    /// Every payment there is a fact of.
    pub fn payments(&self) -> impl Iterator<Item = PaymentKey> {
        let mut last = None;
        self.0.keys().filter_map(move |(payment, ..)| {
            (last.replace(*payment) != Some(*payment)).then_some(*payment)
        })
    }

    /// What is known of one payment.
    pub fn of(&self, payment: PaymentKey) -> impl Iterator<Item = &Fact> {
        let from = (payment, None, [0; 16]);
        self.0.range(from..).map(|(_, fact)| fact).take_while(move |fact| fact.payment == payment)
    }
}

impl Extend<Fact> for Facts {
    fn extend<T: IntoIterator<Item = Fact>>(&mut self, facts: T) {
        for fact in facts {
            self.add(fact);
        }
    }
}

impl FromIterator<Fact> for Facts {
    fn from_iter<T: IntoIterator<Item = Fact>>(facts: T) -> Self {
        let mut all = Self::default();
        all.extend(facts);
        all
    }
}
