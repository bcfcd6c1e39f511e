//! What facts come to, and that neither order nor repetition changes it.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::money::{Money, Unit};
use crate::order::Part;

const END: i64 = 1_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn expected(minor: u128) -> Expected {
    let unit = Unit::Currency("EUR".parse().unwrap());
    Expected {
        money: Money { minor, unit },
        tolerance: 0,
        expires_at: Some(at(END)),
        cancelled_at: None,
    }
}

fn fact(payment: u8, kind: FactKind, amount: u128) -> Fact {
    Fact { payment: [payment; 16], kind, part: [0; 16], amount, at: at(10), version: 0 }
}

/// The word of a chain.
fn word(payment: u8, version: u64, kind: FactKind, amount: u128) -> Fact {
    Fact { version, ..fact(payment, kind, amount) }
}

fn part(payment: u8, part: u8, kind: FactKind, amount: u128) -> Fact {
    let part: Part = [part; 16];
    Fact { part, ..fact(payment, kind, amount) }
}

fn state_at(now: i64, expected: &Expected, facts: &[Fact]) -> OrderState {
    judge(expected, &facts.iter().copied().collect(), at(now)).state
}

fn state(facts: &[Fact]) -> OrderState {
    state_at(20, &expected(1000), facts)
}

#[test]
fn one_dollar_does_not_pay_two_thousand() {
    use FactKind::{Failed, Paid, Pending};
    assert_eq!(state(&[]), OrderState::Awaiting);
    assert_eq!(state(&[fact(1, Paid, 999)]), OrderState::Partial);
    assert_eq!(state(&[fact(1, Paid, 1000)]), OrderState::Paid);
    assert_eq!(state(&[fact(1, Paid, 1001)]), OrderState::Overpaid);
    assert_eq!(state(&[fact(1, Paid, 400), fact(2, Paid, 600)]), OrderState::Paid);
    // The same payment twice is paid once.
    assert_eq!(state(&[fact(1, Paid, 500), fact(1, Paid, 500)]), OrderState::Partial);
    assert_eq!(state(&[fact(1, Pending, 1000)]), OrderState::Detected);
    assert_eq!(state(&[fact(1, Pending, 10)]), OrderState::Partial);
    assert_eq!(state(&[fact(1, Failed, 1000)]), OrderState::Failed);
    assert_eq!(state(&[fact(1, Pending, 1000), fact(1, Failed, 1000)]), OrderState::Failed);
    // Who fails once may try again.
    assert_eq!(state(&[fact(1, Failed, 1000), fact(2, Paid, 1000)]), OrderState::Paid);
}

#[test]
fn what_a_provider_says_is_on_its_way_is_not_counted_beside_what_the_chain_says() {
    use FactKind::{Counted, Pending, Seen};
    let hint = fact(1, Pending, 1000);
    let judged = |facts: &[Fact]| {
        let judged = judge(&expected(1000), &facts.iter().copied().collect(), at(20));
        (judged.state, judged.paid, judged.pending)
    };
    assert_eq!(judged(&[hint]), (OrderState::Detected, 0, 1000));
    assert_eq!(judged(&[hint, word(2, 1, Seen, 600)]), (OrderState::Partial, 0, 600));
    assert_eq!(judged(&[word(2, 2, Counted, 1000), hint]), (OrderState::Paid, 1000, 0));
}

#[test]
fn tolerance_is_to_both_sides_and_none_unless_said() {
    let tolerant = Expected { tolerance: 5, ..expected(1000) };
    let state = |paid| state_at(20, &tolerant, &[fact(1, FactKind::Paid, paid)]);
    assert_eq!(state(994), OrderState::Partial);
    assert_eq!(state(995), OrderState::Paid);
    assert_eq!(state(1005), OrderState::Paid);
    assert_eq!(state(1006), OrderState::Overpaid);
}

#[test]
fn what_is_not_paid_in_time_expires_and_what_comes_after_is_late() {
    use FactKind::{Paid, Pending};
    let order = expected(1000);
    let late = |kind, amount| Fact { at: at(END), ..fact(1, kind, amount) };
    assert_eq!(state_at(END - 1, &order, &[]), OrderState::Awaiting);
    assert_eq!(state_at(END, &order, &[]), OrderState::Expired);
    assert_eq!(state_at(END, &order, &[fact(1, Paid, 999)]), OrderState::Expired);
    assert_eq!(state_at(END, &order, &[late(Paid, 1000)]), OrderState::Late);
    assert_eq!(state_at(END, &order, &[fact(2, Paid, 400), late(Paid, 600)]), OrderState::Late);
    // It was begun in time: then it may take its time.
    assert_eq!(state_at(END, &order, &[fact(1, Pending, 1000)]), OrderState::Detected);
    let in_time = [fact(1, Pending, 1000), late(Paid, 1000)];
    assert_eq!(state_at(END + 5, &order, &in_time), OrderState::Paid);
}

#[test]
fn a_chain_may_take_back_what_it_said() {
    use FactKind::{Confirming, Counted, Gone, Seen, Undone};
    let seen = word(1, 1, Seen, 1000);
    let confirming = word(1, 2, Confirming, 1000);
    let counted = word(1, 3, Counted, 1000);
    assert_eq!(state(&[seen]), OrderState::Detected);
    assert_eq!(state(&[seen, confirming]), OrderState::Confirming);
    assert_eq!(state(&[counted, confirming]), OrderState::Paid);
    let undone = word(1, 4, Undone, 1000);
    assert_eq!(state(&[counted, undone]), OrderState::Reversed);
    assert_eq!(state(&[counted, undone, word(1, 5, Counted, 1000)]), OrderState::Paid);
    assert_eq!(state(&[seen, word(1, 2, Gone, 1000)]), OrderState::Failed);
    // Another payment covers it: nothing is reversed.
    assert_eq!(state(&[undone, word(2, 1, Counted, 1000)]), OrderState::Paid);
}

#[test]
fn refunds_and_disputes() {
    use FactKind::{DisputeLost, DisputeWon, Disputed, Paid, Refunded};
    let paid = fact(1, Paid, 1000);
    assert_eq!(state(&[paid, part(1, 1, Refunded, 300)]), OrderState::Paid);
    let both = [paid, part(1, 1, Refunded, 300), part(1, 2, Refunded, 700)];
    assert_eq!(state(&both), OrderState::Refunded);
    assert_eq!(judge(&expected(1000), &both.into_iter().collect(), at(20)).refunded, 1000);
    let dispute = part(1, 9, Disputed, 1000);
    assert_eq!(state(&[paid, dispute]), OrderState::Disputed);
    assert_eq!(state(&[paid, dispute, part(1, 9, DisputeWon, 1000)]), OrderState::Paid);
    assert_eq!(state(&[paid, dispute, part(1, 9, DisputeLost, 1000)]), OrderState::Reversed);
    // Another dispute is another one, however the first ended.
    let another = part(1, 8, Disputed, 1000);
    assert_eq!(
        state(&[paid, dispute, part(1, 9, DisputeWon, 1000), another]),
        OrderState::Disputed
    );
}

#[test]
fn what_is_paid_back_pays_nothing() {
    use FactKind::{DisputeLost, Paid, Refunded};
    let paid = fact(1, Paid, 1000);
    let back = part(1, 1, Refunded, 1000);
    // A cent after the refund does not make it paid again.
    assert_eq!(state(&[paid, back, fact(2, Paid, 1)]), OrderState::Partial);
    assert_eq!(state(&[paid, back, fact(2, Paid, 1000)]), OrderState::Paid);
    // The refund overtakes the payment.
    assert_eq!(state(&[back]), OrderState::Awaiting);
    assert_eq!(state(&[back, paid]), OrderState::Refunded);
    let judged = |facts: &[Fact]| judge(&expected(1000), &facts.iter().copied().collect(), at(20));
    let all = judged(&[paid, part(1, 1, Refunded, 500), part(1, 9, DisputeLost, 1000)]);
    assert_eq!((all.state, all.paid, all.refunded), (OrderState::Reversed, 1000, 500));
    let too_much = judged(&[paid, part(1, 1, Refunded, 5000)]);
    assert_eq!((too_much.state, too_much.refunded), (OrderState::Refunded, 1000));
}

#[test]
fn a_cancelled_order_is_never_paid() {
    let order = Expected { cancelled_at: Some(at(5)), ..expected(1000) };
    let facts = [fact(1, FactKind::Paid, 1000)];
    assert_eq!(state_at(20, &order, &facts), OrderState::Cancelled);
}

#[test]
fn no_sum_wraps_around() {
    let facts = [fact(1, FactKind::Paid, u128::MAX), fact(2, FactKind::Paid, u128::MAX)];
    let judged = judge(&expected(1000), &facts.into_iter().collect(), at(20));
    assert_eq!((judged.state, judged.paid), (OrderState::Overpaid, u128::MAX));
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let kind = proptest::sample::select(FactKind::ALL);
    let one = (0_u8..3, kind, 0_u8..3, 0_u128..1200, 0_i64..2000, 0_u64..4).prop_map(
        |(payment, kind, part, amount, millis, version)| Fact {
            payment: [payment; 16],
            kind,
            part: [part; 16],
            amount,
            at: at(millis),
            version,
        },
    );
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn order_and_repetition_change_nothing(
        facts in facts(),
        again in proptest::collection::vec(any::<Index>(), 0..12),
        swaps in proptest::collection::vec((any::<Index>(), any::<Index>()), 0..24),
        now in 0_i64..2000,
    ) {
        let once: Facts = facts.iter().copied().collect();
        let mut shuffled = facts.clone();
        if !facts.is_empty() {
            shuffled.extend(again.iter().map(|index| facts[index.index(facts.len())]));
            for (one, other) in swaps {
                let (one, other) = (one.index(shuffled.len()), other.index(shuffled.len()));
                shuffled.swap(one, other);
            }
        }
        let other: Facts = shuffled.into_iter().collect();
        prop_assert_eq!(&once, &other);
        prop_assert_eq!(judge(&expected(1000), &once, at(now)), judge(&expected(1000), &other, at(now)));
    }

    #[test]
    fn only_what_counts_makes_it_paid(facts in facts(), now in 0_i64..2000) {
        let all: Facts = facts.iter().copied().collect();
        let judged = judge(&expected(1000), &all, at(now));
        if judged.state.is_paid() {
            let counts = |fact: &&Fact| matches!(fact.kind, FactKind::Paid | FactKind::Counted);
            let back = |payment: [u8; 16]| -> u128 {
                let of = all.of(payment).filter(|fact| fact.kind == FactKind::Refunded);
                of.map(|fact| fact.amount).sum()
            };
            let standing = all.iter().filter(counts).filter(|fact| back(fact.payment) < fact.amount);
            prop_assert!(standing.map(|fact| fact.amount).sum::<u128>() >= 1000);
        }
        prop_assert!(judged.refunded <= judged.paid);
    }

    #[test]
    fn what_adds_nothing_says_so(facts in facts()) {
        let mut all: Facts = facts.iter().copied().collect();
        let before = all.clone();
        for fact in facts {
            prop_assert!(!all.add(fact));
        }
        prop_assert_eq!(all, before);
    }
}
