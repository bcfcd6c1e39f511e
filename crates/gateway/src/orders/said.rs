//! What an event says of an order, in the words of the policy: of one that arrives as of one that is kept.

use model::Timestamp;
use model::money::Notation;
use model::order::{Part, PaymentKey};
use policy::{Claim, Wanted};

use super::{Kept, Planned, payment_key, reference_key};
use crate::Facts;
use crate::facts::KnownAs;
use crate::keys::KeyRing;

/// An event, as far as its order is concerned.
pub(crate) struct Said<'a> {
    pub(crate) provider: &'a str,
    pub(crate) source: &'a str,
    pub(crate) facts: &'a Facts,
    pub(crate) known_as: KnownAs,
    pub(crate) at: Timestamp,
}

impl KnownAs {
    /// By what orders know an event. The dedup key tells refunds apart that have no name.
    pub(crate) fn of(
        keys: &KeyRing,
        provider: &str,
        facts: &Facts,
        dedup_key: Option<&[u8]>,
    ) -> Self {
        let reference = facts.order.as_deref();
        // Of a dispute without a name there is one a payment; of refunds, one an event.
        let named = facts.part.as_deref().map(str::as_bytes);
        let named = named.or_else(|| dedup_key.filter(|_| Self::is_by_dedup_key(facts)));
        Self {
            reference: reference.map(|reference| reference_key(keys, reference)),
            payment: payment_key(
                keys,
                provider,
                facts.payment.as_deref(),
                reference.unwrap_or_default(),
            ),
            part: named.map(|named| keys.index("part", &[provider.as_bytes(), named])),
        }
    }

    /// Whether only its dedup key tells which part of its payment an event is about.
    pub(crate) fn is_by_dedup_key(facts: &Facts) -> bool {
        facts.part.is_none() && is_refund(facts)
    }

    /// By what orders know a kept event; none if that cannot be told any more.
    pub(crate) fn of_kept(keys: &KeyRing, provider: &str, facts: &Facts) -> Option<Self> {
        let known = facts.known_as.unwrap_or_else(|| Self::of(keys, provider, facts, None));
        (!is_refund(facts) || known.part.is_some()).then_some(known)
    }
}

/// A refund of its own, where the event does not say how much was paid back in all.
fn is_refund(facts: &Facts) -> bool {
    facts.status.as_deref() == Some("refunded")
}

impl Said<'_> {
    /// What it claims, if its payment serves this order so far.
    pub(crate) fn claim(&self, serves: Option<model::OrderId>) -> Claim<'_> {
        let facts = self.facts;
        let whole: Part = [0; 16];
        let payment: PaymentKey = self.known_as.payment;
        Claim {
            provider: self.provider,
            source: self.source,
            status: facts.status.as_deref(),
            amount: facts.amount.as_deref(),
            refunded: facts.refunded.as_deref(),
            notation: notation(facts.amount_unit.as_deref()),
            decimals: facts.decimals,
            currency: facts.currency.as_deref(),
            chain: facts.chain.as_deref(),
            address: facts.receiver.as_deref(),
            payee: facts.payee.as_deref(),
            payment,
            part: self.known_as.part.unwrap_or(whole),
            serves,
            at: self.at,
        }
    }
}

impl Planned {
    /// What it expects, where the source usually pays into this account.
    pub(crate) fn wanted<'a>(&'a self, payee_usual: Option<&'a str>) -> Wanted<'a> {
        let Kept { row, about } = &self.kept;
        Wanted {
            order: row.id,
            expected: &row.expected,
            provider: row.provider.as_deref(),
            source: row.source.as_deref(),
            address: about.address.as_deref(),
            payee: about.payee.as_deref(),
            payee_usual,
            watched: row.watched,
            facts: &self.facts,
        }
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
