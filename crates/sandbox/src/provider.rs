//! The providers of the five guides, as senders of webhooks.
//!
//! Each file beside this one holds one provider: its payload shapes, and how it treats answers.
//! Sample payloads follow the providers' pages; values are made up. A shape that joins several
//! pages, or a retry schedule that no page publishes, says so where it stands.

use crate::behaviour::Behaviour;
use crate::draw::Draw;

mod bropay;
mod cryptopay;
mod guide;
mod koywe;
mod koywe_ramp;
mod one2pays;
mod square;
mod stripe;
mod x402tele;

pub use guide::{Difference, Guide};

/// A provider that can be simulated. Its name is that of its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// Thai payments; signs `{ms}.{body}`; two payload shapes.
    One2Pays,
    /// One2Pays' sibling; the layout of Standard Webhooks.
    BroPay,
    /// Paid bot commands; a signed receipt inside a signed body.
    X402Tele,
    /// Through UIGen's payment configuration.
    Stripe,
    /// Through UIGen's payment configuration; signs the registered URL too.
    Square,
    /// Crypto orders.
    CryptoPay,
    /// Latin American payments; the documented and the captured envelope.
    Koywe,
    /// Koywe's older ramp API; the signature stands in the body.
    KoyweRamp,
}

/// One event as a provider would send it, before signing.
#[derive(Debug, Clone)]
pub struct Event {
    /// Who sends it.
    pub provider: Provider,
    /// A name of its own in logs: the provider's id where it gives one.
    pub name: String,
    /// The order it belongs to, in the provider's words.
    pub order: String,
    /// The raw type.
    pub kind: &'static str,
    /// The message id where the scheme signs one; the same on every retry.
    pub message_id: String,
    body: String,
    /// What an honest retry changes in the body, if anything: a text and what stands there then.
    retry_changes: Option<(&'static str, &'static str)>,
}

impl Event {
    /// An event that is the same on every retry, and whose name is the id of its message.
    fn new(
        provider: Provider,
        name: String,
        order: &str,
        kind: &'static str,
        body: String,
    ) -> Self {
        let (order, message_id) = (order.to_owned(), name.clone());
        Self { provider, name, order, kind, message_id, body, retry_changes: None }
    }

    /// The body of this attempt, 1 being the first.
    pub fn body(&self, attempt: u32) -> Vec<u8> {
        match self.retry_changes {
            Some((first, later)) if attempt > 1 => self.body.replacen(first, later, 1),
            _ => self.body.clone(),
        }
        .into_bytes()
    }

    /// The same event with another body: what an attacker, or a test, makes of it.
    pub fn with_body(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.body = change(&self.body);
        self.retry_changes = None;
        self
    }
}

/// What happens to one purchase at a provider.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its events, in order. A provider sends one after the other.
    pub events: Vec<Event>,
}

/// What a payload is made from, beside the made-up values.
#[derive(Clone, Copy)]
pub struct Making<'a> {
    /// The provider's clock, unix milliseconds.
    pub now_ms: i64,
    /// Real money?
    pub is_live: bool,
    /// What x402Tele signs its receipts with: another secret than that of its webhooks.
    pub receipt_secret: &'a str,
}

impl Provider {
    /// Every provider.
    pub const ALL: &'static [Self] = &[
        Self::One2Pays,
        Self::BroPay,
        Self::X402Tele,
        Self::Stripe,
        Self::Square,
        Self::CryptoPay,
        Self::Koywe,
        Self::KoyweRamp,
    ];

    /// The name of its profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::One2Pays => "one2pays",
            Self::BroPay => "bropay",
            Self::X402Tele => "x402tele",
            Self::Stripe => "stripe",
            Self::Square => "square",
            Self::CryptoPay => "cryptopay",
            Self::Koywe => "koywe",
            Self::KoyweRamp => "koywe-ramp",
        }
    }

    /// How it treats answers.
    pub fn behaviour(self) -> Behaviour {
        match self {
            Self::One2Pays => one2pays::BEHAVIOUR,
            Self::BroPay => bropay::BEHAVIOUR,
            Self::X402Tele => x402tele::BEHAVIOUR,
            Self::Stripe => stripe::BEHAVIOUR,
            Self::Square => square::BEHAVIOUR,
            Self::CryptoPay => cryptopay::BEHAVIOUR,
            Self::Koywe => koywe::BEHAVIOUR,
            Self::KoyweRamp => koywe_ramp::BEHAVIOUR,
        }
    }

    /// The headers it sends beside the signature.
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Stripe => stripe::HEADERS,
            Self::Square => square::HEADERS,
            _ => &[("Content-Type", "application/json")],
        }
    }

    /// The header that carries its signature; none where it stands in the body.
    pub fn signature_header(self) -> Option<&'static str> {
        match self {
            Self::One2Pays | Self::CryptoPay => Some("X-Webhook-Signature"),
            Self::X402Tele => Some("x-webhook-signature"),
            Self::BroPay => Some("Webhook-Signature"),
            Self::Stripe => Some("Stripe-Signature"),
            Self::Square => Some("x-square-hmacsha256-signature"),
            Self::Koywe => Some("Koywe-Signature"),
            Self::KoyweRamp => None,
        }
    }

    /// Whether its signature covers the time of sending. The others are kept from replays by
    /// their events being taken once.
    pub fn signs_time(self) -> bool {
        matches!(self, Self::One2Pays | Self::BroPay | Self::Stripe)
    }

    /// A secret in the form that this provider hands out for its test environment, of these
    /// random bytes.
    pub fn secret(self, random: [u8; 20]) -> String {
        let random = hex::encode(random);
        match self {
            Self::BroPay => format!("wh_test_{random}"),
            Self::Koywe | Self::KoyweRamp => format!("koywe_test_{random}"),
            Self::Square => format!("square_test_{random}"),
            _ => format!("whsec_test_{random}"),
        }
    }

    /// Draws an order and all that happens to it.
    pub fn order(self, draw: &mut Draw, making: Making<'_>) -> Order {
        let events = match self {
            Self::One2Pays => one2pays::order(draw, making),
            Self::BroPay => bropay::order(draw, making),
            Self::X402Tele => x402tele::order(draw, making),
            Self::Stripe => stripe::order(draw, making),
            Self::Square => square::order(draw, making),
            Self::CryptoPay => cryptopay::order(draw, making),
            Self::Koywe => koywe::order(draw, making),
            Self::KoyweRamp => koywe_ramp::order(draw, making),
        };
        Order { events }
    }
}

/// RFC 3339 in UTC with milliseconds, as most of them print times.
fn rfc3339(at_ms: i64) -> String {
    model::Timestamp::from_millis(at_ms).to_string()
}

#[cfg(test)]
mod tests;
