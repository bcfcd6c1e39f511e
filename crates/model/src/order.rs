//! Orders: what the application expects to be paid, and where that stands.
//!
//! Where an order stands is a pure function ([`judge`]) of what was expected, of every fact known of its
//! payments, and of the time. Facts only accumulate ([`Facts`]): whether they come once or often, in this
//! order or another, the outcome is the same, so that replays and reorderings cannot count twice.

mod facts;
mod judge;
mod limit;

use std::fmt;

use crate::event::codes;
use crate::{Money, Timestamp};

pub use facts::{Fact, FactKind, Facts, Part, PaymentKey};
pub use judge::{Judgement, judge};
pub use limit::{Counted, LimitPer, LimitReached, OrderLimit, counts};

codes! {
    /// Where an order stands.
    OrderState {
        /// Nothing was paid yet.
        Awaiting = "awaiting",
        /// Something was paid, but not enough.
        Partial = "partial",
        /// Enough is on its way, and not confirmed at all.
        Detected = "detected",
        /// Enough is on its way, and confirmations are counted.
        Confirming = "confirming",
        /// What was expected is paid.
        Paid = "paid",
        /// More than was expected is paid.
        Overpaid = "overpaid",
        /// Its time is over and it is not paid.
        Expired = "expired",
        /// It is paid, but after its time.
        Late = "late",
        /// It was paid, and the money is gone again: a reorganised chain, a lost dispute.
        Reversed = "reversed",
        /// The payer disputes what they paid.
        Disputed = "disputed",
        /// All that was paid is paid back.
        Refunded = "refunded",
        /// What was tried has failed.
        Failed = "failed",
        /// The application does not want it any more.
        Cancelled = "cancelled",
    }
}

impl OrderState {
    /// Whether goods may be handed over.
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Paid | Self::Overpaid)
    }

    /// Whether somebody may act on it as on money that is there.
    pub const fn is_money(self) -> bool {
        self.is_paid() || matches!(self, Self::Late)
    }
}

/// What is expected of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// How much, and of what.
    pub money: Money,
    /// How much less or more is fine, in minor units.
    pub tolerance: u128,
    /// From when on it is too late.
    pub expires_at: Option<Timestamp>,
    /// When the application cancelled it.
    pub cancelled_at: Option<Timestamp>,
}

impl Expected {
    /// The least that pays it.
    pub fn minimum(&self) -> u128 {
        self.money.minor.saturating_sub(self.tolerance)
    }

    /// The most that does not overpay it.
    pub fn maximum(&self) -> u128 {
        self.money.minor.saturating_add(self.tolerance)
    }

    /// Whether something at that time is too late.
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| at >= end)
    }
}
