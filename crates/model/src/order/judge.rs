//! Where an order stands, from all that is known.

use std::collections::BTreeSet;

use super::{Expected, Fact, FactKind, Facts, OrderState};
use crate::Timestamp;

/// Where an order stands, and the sums that say so, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Where it stands.
    pub state: OrderState,
    /// What was paid, before refunds and disputes.
    pub paid: u128,
    /// What is on its way.
    pub pending: u128,
    /// What was paid back of it: never more than was paid.
    pub refunded: u128,
}

/// What one payment amounts to.
#[derive(Default)]
struct Sum {
    paid: u128,
    /// What of it still counts for the order: nothing of what is wholly paid back.
    standing: u128,
    standing_in_time: u128,
    pending: u128,
    refunded: u128,
    confirming: bool,
    disputed: bool,
    undone: bool,
    failed: bool,
}

/// Judges an order by everything that is known of it.
pub fn judge(expected: &Expected, facts: &Facts, now: Timestamp) -> Judgement {
    // Once the chain itself tells of money, what a provider says is on its way is that money once more.
    let is_seen = facts.iter().any(|fact| fact.kind.is_of_chain());
    let counts = |fact: &&Fact| !(is_seen && fact.kind == FactKind::Pending);
    let sums: Vec<Sum> =
        facts.payments().map(|payment| sum(expected, facts.of(payment).filter(counts))).collect();
    let total = |of: fn(&Sum) -> u128| {
        sums.iter().map(of).fold(0_u128, |sum, amount| sum.saturating_add(amount))
    };
    let (paid, pending) = (total(|sum| sum.paid), total(|sum| sum.pending));
    let (standing, refunded) = (total(|sum| sum.standing), total(|sum| sum.refunded));
    let any = |of: fn(&Sum) -> bool| sums.iter().any(of);
    let minimum = expected.minimum();
    let state = if expected.cancelled_at.is_some() {
        OrderState::Cancelled
    } else if any(|sum| sum.disputed) {
        OrderState::Disputed
    } else if standing >= minimum {
        match total(|sum| sum.standing_in_time) {
            in_time if in_time < minimum => OrderState::Late,
            _ if standing > expected.maximum() => OrderState::Overpaid,
            _ => OrderState::Paid,
        }
    } else if any(|sum| sum.undone) {
        OrderState::Reversed
    } else if pending > 0 && standing.saturating_add(pending) >= minimum {
        let confirming = any(|sum| sum.confirming) || standing > 0;
        if confirming { OrderState::Confirming } else { OrderState::Detected }
    } else if refunded > 0 && standing == 0 {
        OrderState::Refunded
    } else if expected.is_over(now) {
        OrderState::Expired
    } else if standing > 0 || pending > 0 {
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
    let (mut opened, mut closed) = (BTreeSet::new(), BTreeSet::new());
    let (mut lost, mut refunded, mut failed) = (0_u128, 0_u128, false);
    for fact in facts {
        match fact.kind {
            FactKind::Pending | FactKind::Seen => pending = Some(*fact),
            FactKind::Confirming => {
                pending = Some(*fact);
                sum.confirming = true;
            }
            FactKind::Paid | FactKind::Counted => paid = Some(*fact),
            FactKind::Failed | FactKind::Gone => failed = true,
            FactKind::Undone => sum.undone = true,
            FactKind::Refunded => refunded = refunded.saturating_add(fact.amount),
            FactKind::Disputed => drop(opened.insert(fact.part)),
            FactKind::DisputeWon => drop(closed.insert(fact.part)),
            FactKind::DisputeLost => {
                closed.insert(fact.part);
                lost = lost.saturating_add(fact.amount);
            }
        }
    }
    // An outcome may come before the news that there is a dispute.
    sum.disputed = opened.difference(&closed).next().is_some();
    if let Some(paid) = paid {
        sum.paid = paid.amount;
        // What is said to be paid back beyond that is not believed.
        sum.refunded = refunded.min(paid.amount);
        let is_back = refunded >= paid.amount && refunded > 0;
        sum.standing = if is_back { 0 } else { paid.amount.saturating_sub(lost) };
        sum.undone |= lost > 0;
        // What was begun in time is in time, however long it took.
        let since = pending.map_or(paid.at, |pending| pending.at.min(paid.at));
        sum.standing_in_time = if expected.is_over(since) { 0 } else { sum.standing };
    } else if failed {
        sum.failed = true;
    } else if !sum.undone {
        sum.pending = pending.map_or(0, |pending| pending.amount);
    }
    sum
}

#[cfg(test)]
mod tests;
