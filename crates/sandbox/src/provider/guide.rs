//! The five guides: what the application of each orders, how its provider tells that it is paid, and
//! in what ways a genuine payment can still be another one than was ordered.
//!
//! All that is particular to a guide stands in one row of [`Guide::ALL`]; what can differ stands in
//! [`Difference`]. Who runs them needs to know neither.

use model::Money;
use model::money::Unit;
use serde_json::{Map, Value};

use super::{Event, Making, Provider, cryptopay, koywe, one2pays, stripe, x402tele};
use crate::draw::Draw;
use crate::payment::{Payment, asset, currency};

/// What a provider tells of a payment, in order; the last event says that it is paid.
type Tell = fn(&mut Draw, Making<'_>, &Payment) -> Vec<Event>;

/// One of the five guides.
pub struct Guide {
    /// What it is called: its provider, or what its readers build with.
    pub name: &'static str,
    /// Its main provider.
    pub provider: Provider,
    /// What is ordered, in minor units of the first; the same number of the second is something else.
    minor: u128,
    unit: fn() -> Unit,
    other_unit: fn() -> Unit,
    /// The same asset on another chain, where it is one.
    other_chain: Option<fn() -> Unit>,
    /// Draws another account or address, where its provider says who is paid.
    receiver: Option<fn(&mut Draw) -> String>,
    /// Its provider names payments, beside the orders that they are for.
    names_payments: bool,
    /// A provider of another guide that could tell the same payment.
    other: Provider,
    draw: fn(&mut Draw, Money) -> Payment,
    tell: Tell,
    /// How its provider tells a payment without saying how much, if it does.
    tell_unpriced: Option<Tell>,
}

/// How a genuine payment differs from what was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Not at all.
    Nothing,
    /// It is half of it.
    Half,
    /// It is twice as much.
    Double,
    /// It is an equal number of another currency or asset.
    Unit,
    /// It is made on another chain.
    Chain,
    /// It goes to another account or address.
    Receiver,
    /// It is made through another provider than the order says.
    Provider,
    /// It comes through another source than the order says.
    Source,
    /// It has paid another order already.
    Reused,
    /// It does not say how much was paid.
    Unpriced,
    /// It is made after the order's time.
    Late,
}

impl Difference {
    /// Each.
    pub const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Half,
        Self::Double,
        Self::Unit,
        Self::Chain,
        Self::Receiver,
        Self::Provider,
        Self::Source,
        Self::Reused,
        Self::Unpriced,
        Self::Late,
    ];

    /// A stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "as-ordered",
            Self::Half => "underpaid",
            Self::Double => "overpaid",
            Self::Unit => "other-currency",
            Self::Chain => "other-chain",
            Self::Receiver => "other-receiver",
            Self::Provider => "other-provider",
            Self::Source => "other-source",
            Self::Reused => "reused",
            Self::Unpriced => "unpriced",
            Self::Late => "late",
        }
    }
}

impl Guide {
    /// The five, in their order.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "One2Pays",
            provider: Provider::One2Pays,
            minor: 100_000,
            unit: || currency("THB"),
            other_unit: || currency("USD"),
            other_chain: None,
            receiver: None,
            names_payments: true,
            other: Provider::Stripe,
            draw: one2pays::payment,
            tell: one2pays::paid,
            tell_unpriced: None,
        },
        Self {
            name: "x402Tele",
            provider: Provider::X402Tele,
            minor: 50_000,
            unit: || asset("USDC", "solana", 6),
            other_unit: || asset("USDT", "solana", 6),
            other_chain: Some(|| asset("USDC", "base", 6)),
            receiver: None,
            names_payments: true,
            other: Provider::CryptoPay,
            draw: x402tele::payment,
            tell: x402tele::paid,
            tell_unpriced: None,
        },
        Self {
            name: "UIGen",
            provider: Provider::Stripe,
            // 100 yen are not 1.00 dollars, though both are 100 of Stripe's minor units.
            minor: 100,
            unit: || currency("USD"),
            other_unit: || currency("JPY"),
            other_chain: None,
            receiver: Some(stripe::account),
            names_payments: true,
            other: Provider::One2Pays,
            draw: stripe::payment,
            tell: stripe::paid,
            tell_unpriced: None,
        },
        Self {
            name: "CryptoPay",
            provider: Provider::CryptoPay,
            minor: 99_990_000,
            unit: || asset("USDC", "base", 6),
            other_unit: || asset("USDT", "base", 6),
            other_chain: Some(|| asset("USDC", "polygon", 6)),
            receiver: Some(cryptopay::address),
            names_payments: true,
            other: Provider::X402Tele,
            draw: cryptopay::payment,
            tell: cryptopay::paid,
            tell_unpriced: None,
        },
        Self {
            name: "Koywe",
            provider: Provider::Koywe,
            minor: 5_000_000,
            unit: || currency("COP"),
            other_unit: || currency("USD"),
            other_chain: None,
            receiver: None,
            names_payments: false,
            other: Provider::Stripe,
            draw: koywe::payment,
            tell: koywe::paid,
            tell_unpriced: Some(koywe::unpriced),
        },
    ];

    /// Whether a payment at its provider can differ so.
    pub fn can_differ(&self, difference: Difference) -> bool {
        match difference {
            Difference::Chain => self.other_chain.is_some(),
            Difference::Receiver => self.receiver.is_some(),
            Difference::Reused => self.names_payments,
            Difference::Unpriced => self.tell_unpriced.is_some(),
            _ => true,
        }
    }

    /// Whether it is paid on a chain, so that who is paid is an address.
    pub fn is_on_chain(&self) -> bool {
        (self.unit)().chain().is_some()
    }

    /// The payment that a new order is to get.
    pub fn payment(&self, draw: &mut Draw) -> Payment {
        (self.draw)(draw, Money { minor: self.minor, unit: (self.unit)() })
    }

    /// The body of `POST /v1/orders` for an order that expects this payment, and is to get one with
    /// this difference. After `expires_at`, RFC 3339, it is too late for it.
    pub fn order(
        &self,
        payment: &Payment,
        difference: Difference,
        expires_at: Option<String>,
    ) -> Value {
        let Payment { reference, money, to, .. } = payment;
        let mut order = Map::new();
        let mut say = |member: &str, value: Value| drop(order.insert(member.to_owned(), value));
        say("reference", reference.as_str().into());
        say("amount", money.major().into());
        match money.unit.chain() {
            Some(chain) => {
                say("asset", money.unit.name().into());
                say("chain", chain.into());
                say("decimals", money.unit.decimals().into());
            }
            None => say("currency", money.unit.name().into()),
        }
        if let Some(to) = to {
            say(if self.is_on_chain() { "address" } else { "payee" }, to.as_str().into());
        }
        if difference != Difference::Source {
            say("provider", self.provider.name().into());
        }
        // Sources are called like their providers here. What is told of an order comes in order where
        // it names its source, also of one whose time ends before it is paid.
        if matches!(difference, Difference::Source | Difference::Late) {
            say("source", self.provider.name().into());
        }
        if let Some(at) = expires_at {
            say("expires_at", at.into());
        }
        Value::Object(order)
    }

    /// What is told, in order, of a payment that differs so from the one that is ordered.
    ///
    /// # Panics
    /// When it cannot differ so ([`Guide::can_differ`]).
    pub fn tell(
        &self,
        draw: &mut Draw,
        making: Making<'_>,
        ordered: &Payment,
        difference: Difference,
    ) -> Vec<Event> {
        let mut paid = ordered.clone();
        let mut tell = self.tell;
        match difference {
            Difference::Nothing | Difference::Reused | Difference::Late => {}
            Difference::Half => paid.money.minor /= 2,
            Difference::Double => paid.money.minor *= 2,
            Difference::Unit => paid.money.unit = (self.other_unit)(),
            Difference::Chain => {
                let other = self.other_chain.expect("asked only where it can differ so");
                paid.money.unit = other();
            }
            Difference::Receiver => paid.to = self.receiver.map(|another| another(draw)),
            Difference::Provider | Difference::Source => {
                let other = self.other();
                paid = Payment { reference: paid.reference, ..(other.draw)(draw, paid.money) };
                tell = other.tell;
            }
            Difference::Unpriced => {
                tell = self.tell_unpriced.expect("asked only where it can differ so");
            }
        }
        tell(draw, making, &paid)
    }

    /// Through whom it is paid that differs so.
    pub fn payer(&self, difference: Difference) -> Provider {
        match difference {
            Difference::Provider | Difference::Source => self.other,
            _ => self.provider,
        }
    }

    fn other(&self) -> &'static Self {
        let found = Self::ALL.iter().find(|guide| guide.provider == self.other);
        found.expect("the other provider is that of another guide")
    }
}
