//! Where an order stands, from all that is known.

use super::{Expected, Fact, FactKind, Facts, OrderState};
use crate::Timestamp;

/// Where an order stands, and the sums that say so, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Where it stands.
    pub state: OrderState,
    /// What was paid and counts, before refunds.
    pub paid: u128,
    /// What is on its way.
    pub pending: u128,
    /// What was paid back.
    pub refunded: u128,
}

/// What one payment amounts to.
#[derive(Default)]
struct Sum {
    paid: u128,
    paid_in_time: u128,
    pending: u128,
    refunded: u128,
    confirming: bool,
    disputed: bool,
    undone: bool,
    failed: bool,
}

/// Judges an order by everything that is known of it.
pub fn judge(expected: &Expected, facts: &Facts, now: Timestamp) -> Judgement {
    let sums: Vec<Sum> = facts.payments().map(|payment| sum(expected, facts.of(payment))).collect();
    let total = |of: fn(&Sum) -> u128| {
        sums.iter().map(of).fold(0_u128, |sum, amount| sum.saturating_add(amount))
    };
    let (paid, pending) = (total(|sum| sum.paid), total(|sum| sum.pending));
    let refunded = total(|sum| sum.refunded);
    let any = |of: fn(&Sum) -> bool| sums.iter().any(of);
    let minimum = expected.minimum();
    let state = if expected.cancelled_at.is_some() {
        OrderState::Cancelled
    } else if any(|sum| sum.disputed) {
        OrderState::Disputed
    } else if refunded > 0 && refunded >= paid {
        OrderState::Refunded
    } else if paid >= minimum {
        match total(|sum| sum.paid_in_time) {
            in_time if in_time < minimum => OrderState::Late,
            _ if paid > expected.maximum() => OrderState::Overpaid,
            _ => OrderState::Paid,
        }
    } else if any(|sum| sum.undone) {
        OrderState::Reversed
    } else if paid.saturating_add(pending) >= minimum {
        let confirming = any(|sum| sum.confirming) || paid > 0;
        if confirming { OrderState::Confirming } else { OrderState::Detected }
    } else if expected.is_over(now) {
        OrderState::Expired
    } else if paid > 0 || pending > 0 {
        OrderState::Partial
    } else if any(|sum| sum.failed) {
        OrderState::Failed
    } else {
        OrderState::Awaiting
    };
    Judgement { state, paid, pending, refunded }
}

/// What the facts of one payment come to.
fn sum<'a>(expected: &Expected, facts: impl Iterator<Item = &'a Fact>) -> Sum {
    let (mut sum, mut pending, mut paid) = (Sum::default(), None::<Fact>, None::<Fact>);
    let (mut opened, mut closed, mut lost, mut failed) = (0_u32, 0_u32, 0_u128, false);
    for fact in facts {
        let amount = fact.amount;
        match fact.kind {
            FactKind::Pending | FactKind::Seen => pending = Some(*fact),
            FactKind::Confirming => {
                pending = Some(*fact);
                sum.confirming = true;
            }
            FactKind::Paid | FactKind::Counted => paid = Some(*fact),
            FactKind::Failed | FactKind::Gone => failed = true,
            FactKind::Undone => sum.undone = true,
            FactKind::Refunded => sum.refunded = sum.refunded.saturating_add(amount),
            FactKind::Disputed => opened += 1,
            FactKind::DisputeWon => closed += 1,
            FactKind::DisputeLost => {
                closed += 1;
                lost = lost.saturating_add(amount);
            }
        }
    }
    // An outcome may come before the news that there is a dispute.
    sum.disputed = opened > closed;
    if let Some(paid) = paid {
        sum.paid = paid.amount.saturating_sub(lost);
        sum.undone |= lost > 0;
        // What was begun in time is in time, however long it took.
        let since = pending.map_or(paid.at, |pending| pending.at.min(paid.at));
        sum.paid_in_time = if expected.is_over(since) { 0 } else { sum.paid };
    } else if failed {
        sum.failed = true;
    } else if !sum.undone {
        sum.pending = pending.map_or(0, |pending| pending.amount);
    }
    sum
}

#[cfg(test)]
mod tests;
