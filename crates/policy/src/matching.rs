//! Does an event pay what its order expects?
//!
//! A genuine signature says who speaks, not that the right thing was paid: a one-dollar payment must not
//! settle an order of two thousand, nor one provider's event another provider's order. Whatever differs
//! holds the event under its own reason. What is really paid is counted all the same where it is of the
//! order's money and goes where it should: only its event does not pass as *the* payment.

use model::OrderState;
use model::money::{self, Notation, Unit};
use model::order::{Expected, Fact, FactKind, Facts, Part, PaymentKey, judge};
use model::{OrderId, Timestamp, limits};
use sabotage::Defect;

use crate::{Decided, DenyReason, HoldReason, Permit};

/// What profiles call a payment that was made.
const PAID: &str = "paid";

/// The part that is all of a payment.
const WHOLE: Part = [0; 16];

/// What a verified event says of a payment. Only what its signature covers may stand here.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The source it came through.
    pub source: &'a str,
    /// The payment's state, in the words of profiles (`paid`, `pending`, …).
    pub status: Option<&'a str>,
    /// How much, as the text has it.
    pub amount: Option<&'a str>,
    /// How much was paid back so far, as the text has it.
    pub refunded: Option<&'a str>,
    /// How the provider writes amounts; none if that is not known.
    pub notation: Option<Notation>,
    /// How many decimals the provider gives the currency, where that is not the standard's number.
    pub decimals: Option<u8>,
    /// Currency or asset, as the provider writes it.
    pub currency: Option<&'a str>,
    /// The chain.
    pub chain: Option<&'a str>,
    /// The address that is paid.
    pub address: Option<&'a str>,
    /// The account that is paid.
    pub payee: Option<&'a str>,
    /// Which payment.
    pub payment: PaymentKey,
    /// Which part of it, such as one of several refunds.
    pub part: Part,
    /// The order that this payment has served so far.
    pub serves: Option<OrderId>,
    /// When.
    pub at: Timestamp,
}

impl Claim<'_> {
    /// Whether it says something of a payment.
    fn is_about_money(&self) -> bool {
        self.status.and_then(kind_of).is_some() || self.refunded.is_some()
    }
}

/// What an order expects.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Which order.
    pub order: OrderId,
    /// How much until when.
    pub expected: &'a Expected,
    /// Through which provider, if that was said.
    pub provider: Option<&'a str>,
    /// Through which source, if that was said.
    pub source: Option<&'a str>,
    /// To which address, if that was said.
    pub address: Option<&'a str>,
    /// To which account, if that was said: an event that does not name it does not match.
    pub payee: Option<&'a str>,
    /// To which account usually: an event need not name it.
    pub payee_usual: Option<&'a str>,
    /// A node of its chain is asked: what a provider says of it is only a hint.
    pub watched: bool,
    /// What is known of its payments.
    pub facts: &'a Facts,
}

/// Whether an event matches its order, and what it adds to what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// What becomes of the event.
    pub decided: Decided,
    /// What it says of the payment: adding it again changes nothing.
    pub facts: Vec<Fact>,
}

/// Matches an event with the order that it names.
pub fn match_order(claim: &Claim<'_>, wanted: &Wanted<'_>) -> Matched {
    let (added, facts) = match brought(claim, wanted, false) {
        Ok(brought) => brought,
        Err(reason) => return Matched { decided: Decided::Hold(reason), facts: Vec::new() },
    };
    if let Some(paid) = exceeded(&added, &facts, claim.payment) {
        // One that overtakes its payment is remembered until that comes.
        let facts = if paid > 0 { Vec::new() } else { added };
        return Matched { decided: Decided::Hold(HoldReason::RefundExceedsPaid), facts };
    }
    // An event of a refund repeats what was paid: who has not heard of that hears of no refund of it.
    let is_known = wanted.facts.of(claim.payment).any(|fact| is_money(fact.kind));
    let decided = match permit(claim, wanted, has_refund(&added) && is_known) {
        Decided::Permit(_) if claim.status == Some(PAID) => {
            let amount = added.first().map_or(0, |fact| fact.amount);
            compared(amount, paid_state(wanted.expected, &facts, claim.at), wanted)
        }
        decided => decided,
    };
    Matched { decided, facts: added }
}

/// What an event that a person releases says of the payments of its order, or why it counts for nothing.
///
/// Whoever releases it vouches for how it was paid: through whom, to which account and address, and how
/// much. Nobody's word makes other money the order's, one payment two orders', or a refund more than was
/// paid.
pub fn match_released(claim: &Claim<'_>, wanted: &Wanted<'_>) -> Result<Vec<Fact>, HoldReason> {
    let (added, facts) = brought(claim, wanted, true)?;
    match exceeded(&added, &facts, claim.payment) {
        Some(_) => Err(HoldReason::RefundExceedsPaid),
        None => Ok(added),
    }
}

/// What an event adds to what is known of its order, and what is known then.
fn brought(
    claim: &Claim<'_>,
    wanted: &Wanted<'_>,
    vouched: bool,
) -> Result<(Vec<Fact>, Facts), HoldReason> {
    if let Some(reason) = elsewhere(claim, wanted, vouched) {
        return Err(reason);
    }
    let added = facts_of(claim, wanted)?;
    let facts: Facts = wanted.facts.iter().chain(&added).copied().collect();
    if facts.iter().count() > limits::ORDER_FACTS_MAX {
        return Err(HoldReason::TooManyPayments);
    }
    Ok((added, facts))
}

/// Whether the event is about somebody else's order, money or account. A person can vouch for the way
/// that a payment went, and for nothing else.
fn elsewhere(claim: &Claim<'_>, wanted: &Wanted<'_>, vouched: bool) -> Option<HoldReason> {
    // What the order says must be said, and the same.
    let differs = |wanted: Option<&str>, said: Option<&str>| wanted.is_some() && wanted != said;
    let other_than_usual = wanted.payee.is_none()
        && wanted.payee_usual.zip(claim.payee).is_some_and(|(usual, said)| usual != said);
    let unit = &wanted.expected.money.unit;
    let (way, money) = (!vouched, claim.is_about_money());
    let faults = [
        (way && differs(wanted.provider, Some(claim.provider)), HoldReason::ProviderMismatch),
        (way && differs(wanted.source, Some(claim.source)), HoldReason::SourceMismatch),
        (claim.serves.is_some_and(|order| order != wanted.order), HoldReason::PaymentReused),
        (
            way && money && (differs(wanted.payee, claim.payee) || other_than_usual),
            HoldReason::PayeeMismatch,
        ),
        (money && is_other_currency(claim, unit), HoldReason::CurrencyMismatch),
        (money && !is_chain(claim.chain, unit), HoldReason::ChainMismatch),
        (
            way && money && is_other_address(wanted.address, claim.address),
            HoldReason::AddressMismatch,
        ),
    ];
    faults.into_iter().find_map(|(is_so, reason)| is_so.then_some(reason))
}

fn is_other_currency(claim: &Claim<'_>, unit: &Unit) -> bool {
    let differs = claim.currency.is_some_and(|said| !said.eq_ignore_ascii_case(unit.name()));
    differs && !sabotage::on(Defect::CurrencyIgnored)
}

/// What an event says of the payment. Nothing, if it is not about money.
fn facts_of(claim: &Claim<'_>, wanted: &Wanted<'_>) -> Result<Vec<Fact>, HoldReason> {
    let unit = &wanted.expected.money.unit;
    let fact = |kind, amount, part| {
        let (payment, at) = (claim.payment, claim.at);
        Fact { payment, kind, part, amount, at, version: 0 }
    };
    let mut facts = Vec::new();
    if let Some(kind) = claim.status.and_then(kind_of) {
        let amount = match amount(claim, claim.amount, unit) {
            // What has failed needs no amount.
            Err(HoldReason::AmountMissing) if kind == FactKind::Failed => 0,
            amount => amount?,
        };
        // Where a node is asked, nobody else's word makes anything paid.
        let is_hint =
            wanted.watched && kind == FactKind::Paid && !sabotage::on(Defect::HintBelieved);
        let kind = if is_hint { FactKind::Pending } else { kind };
        facts.push(fact(kind, amount, if has_parts(kind) { claim.part } else { WHOLE }));
    }
    if let Some(text) = claim.refunded {
        let refunded = amount(claim, Some(text), unit)?;
        if refunded > 0 {
            // All of it so far, whatever this event is about.
            facts.retain(|fact| fact.kind != FactKind::Refunded);
            facts.push(fact(FactKind::Refunded, refunded, WHOLE));
        }
    }
    Ok(facts)
}

/// Where the order stands, or stood before anything was paid back: what is paid back of an order that was
/// paid makes no payment of it too small.
fn paid_state(expected: &Expected, facts: &Facts, at: Timestamp) -> OrderState {
    let now = judge(expected, facts, at).state;
    if now == OrderState::Paid || !facts.iter().any(|one| one.kind == FactKind::Refunded) {
        return now;
    }
    let paid: Facts = facts.iter().filter(|one| one.kind != FactKind::Refunded).copied().collect();
    let before = judge(expected, &paid, at).state;
    if before == OrderState::Paid { before } else { now }
}

const fn is_money(kind: FactKind) -> bool {
    matches!(kind, FactKind::Paid | FactKind::Counted)
}

fn has_refund(facts: &[Fact]) -> bool {
    facts.iter().any(|fact| fact.kind == FactKind::Refunded)
}

/// What was paid of a payment, if the event tells of a refund and more than that is paid back now.
fn exceeded(added: &[Fact], facts: &Facts, payment: PaymentKey) -> Option<u128> {
    let total = |counts: fn(FactKind) -> bool| {
        let of = facts.of(payment).filter(|fact| counts(fact.kind));
        of.fold(0_u128, |sum, fact| sum.saturating_add(fact.amount))
    };
    let paid = total(is_money);
    let exceeds = has_refund(added) && total(|kind| kind == FactKind::Refunded) > paid;
    (exceeds && !sabotage::on(Defect::RefundUnbounded)).then_some(paid)
}

/// The same symbol on another chain is another asset, so the chain must be said.
fn is_chain(said: Option<&str>, unit: &Unit) -> bool {
    match (said, unit.chain()) {
        (None, None) => true,
        (Some(said), Some(chain)) => said.eq_ignore_ascii_case(chain),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The case of hexadecimal digits is a checksum (EIP-55) and names nobody else; of other addresses it does.
fn is_other_address(wanted: Option<&str>, said: Option<&str>) -> bool {
    let is_same = |wanted: &str, said: &str| {
        wanted == said || (wanted.starts_with("0x") && wanted.eq_ignore_ascii_case(said))
    };
    wanted.is_some_and(|wanted| !said.is_some_and(|said| is_same(wanted, said)))
}

/// An amount, in the minor units of the order's money.
fn amount(claim: &Claim<'_>, text: Option<&str>, unit: &Unit) -> Result<u128, HoldReason> {
    let (Some(text), Some(_)) = (text, claim.currency) else {
        return Err(HoldReason::AmountMissing);
    };
    let unreadable = HoldReason::AmountUnreadable;
    let notation = claim.notation.ok_or(unreadable)?;
    let (theirs, ours) = (claim.decimals.unwrap_or(unit.decimals()), unit.decimals());
    let minor = money::parse(text, notation, theirs).map_err(|_| unreadable)?;
    // Their smallest unit may be finer or coarser than the standard's.
    let ten = |places: u8| 10_u128.checked_pow(u32::from(places)).ok_or(unreadable);
    let (finer, coarser) = (ten(theirs.saturating_sub(ours))?, ten(ours.saturating_sub(theirs))?);
    if minor % finer != 0 {
        return Err(unreadable);
    }
    (minor / finer).checked_mul(coarser).ok_or(unreadable)
}

/// What a profile's word for the payment's state says.
fn kind_of(status: &str) -> Option<FactKind> {
    Some(match status {
        "pending" | "processing" => FactKind::Pending,
        PAID => FactKind::Paid,
        "failed" | "cancelled" | "expired" => FactKind::Failed,
        "refunded" => FactKind::Refunded,
        "disputed" => FactKind::Disputed,
        "dispute_won" => FactKind::DisputeWon,
        "dispute_lost" => FactKind::DisputeLost,
        _ => return None,
    })
}

const fn has_parts(kind: FactKind) -> bool {
    matches!(
        kind,
        FactKind::Refunded | FactKind::Disputed | FactKind::DisputeWon | FactKind::DisputeLost
    )
}

/// Nothing is paid for a cancelled order. What becomes of money that came for it is told all the same.
fn permit(claim: &Claim<'_>, wanted: &Wanted<'_>, is_refund: bool) -> Decided {
    let kind = claim.status.and_then(kind_of);
    let goes_back = is_refund || kind.is_some_and(has_parts);
    if wanted.expected.cancelled_at.is_some() && !goes_back {
        Decided::Deny(DenyReason::OrderCancelled)
    } else {
        Decided::Permit(Permit(()))
    }
}

/// An event that says *paid* passes where that is what the order expects, or where it is paid now.
fn compared(amount: u128, state: OrderState, wanted: &Wanted<'_>) -> Decided {
    let expected = wanted.expected;
    if amount > expected.maximum() {
        Decided::Hold(HoldReason::AmountOver)
    } else if wanted.watched && !state.is_paid() {
        Decided::Hold(HoldReason::ConfirmationsMissing)
    } else if amount >= expected.minimum()
        || state == OrderState::Paid
        || sabotage::on(Defect::UnderpaidPasses)
    {
        Decided::Permit(Permit(()))
    } else {
        Decided::Hold(HoldReason::AmountUnder)
    }
}

#[cfg(test)]
mod tests;
