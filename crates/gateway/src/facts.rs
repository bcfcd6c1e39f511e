//! What an event says, as it is sealed beside its body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::order::{Part, PaymentKey};
use serde::{Deserialize, Serialize};

/// Room for the facts of most events as they are sealed.
const BYTES_MOSTLY: usize = 1024;

/// The facts of one event. They are personal or guessable, so they rest sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The provider's own id of the event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub provider_event_id: Option<String>,
    /// The reference of the order it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<String>,
    /// The amount as the source text has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub amount: Option<String>,
    /// What one of `amount` is: `major`, `minor`, or the profile's own word.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub amount_unit: Option<String>,
    /// Currency or asset, as the provider writes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
    /// Who pays, as the provider knows them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub customer: Option<String>,
    /// Which payment, as the provider knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment: Option<String>,
    /// Which part of it the event is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<String>,
    /// How much of it was paid back so far, as the source text has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refunded: Option<String>,
    /// The chain that it is paid on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chain: Option<String>,
    /// The address on it that is paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receiver: Option<String>,
    /// The address on it that pays.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sender: Option<String>,
    /// The provider's fingerprint of the card that pays.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub card: Option<String>,
    /// The block that holds it: `blk_…`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block: Option<String>,
    /// Of an event about an order that waits: the source whose endpoints it is for. Without one it is for all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub told_to: Option<String>,
    /// The version that its order has with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order_version: Option<i64>,
    /// Who is paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payee: Option<String>,
    /// The payment's status, in the profile's normalised words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
    /// Live or test, where the event says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub live: Option<bool>,
    /// How many decimals its provider gives the currency, where that is not the standard's number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decimals: Option<u8>,
    /// When its provider was asked and said so, RFC 3339: then what is said of the payment is what was answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmed_at: Option<String>,
    /// By what orders know it, where what else is kept does not say so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known_as: Option<KnownAs>,
    /// The address it came from, as the gateway saw it.
    pub address: String,
    /// The alternative of the scheme that verified it.
    pub alternative: String,
    /// Which of the source's secrets verified it, from 0.
    pub key: usize,
    /// The signed time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signed_at: Option<String>,
    /// The headers that the scheme read, to verify again later: name, value in base64.
    pub evidence: Vec<(String, String)>,
    /// The content type as sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
}

/// By what orders know an event: keyed hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAs {
    /// Of the reference that it names.
    pub reference: Option<[u8; 16]>,
    /// Of its payment.
    pub payment: PaymentKey,
    /// Of the part of it; nothing of it is all of the payment.
    pub part: Option<Part>,
}

impl Facts {
    /// The headers that the scheme read, as bytes in base64, with what must not be kept masked.
    pub(crate) fn evidence_of(headers: &[(&str, &[u8])]) -> Vec<(String, String)> {
        let kept = |value: &[u8]| match redact::payload(value) {
            Some(masked) => STANDARD.encode(masked.bytes),
            None => STANDARD.encode(value),
        };
        headers.iter().map(|(name, value)| ((*name).to_owned(), kept(value))).collect()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES_MOSTLY);
        serde_json::to_writer(&mut bytes, self).expect("texts and numbers always serialise");
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_back_as_written() {
        let facts = Facts {
            order: Some("order-1".to_owned()),
            live: Some(false),
            address: "192.0.2.1".to_owned(),
            evidence: Facts::evidence_of(&[("x-signature", b"\xff")]),
            ..Facts::default()
        };
        assert_eq!(Facts::from_bytes(&facts.to_bytes()), Some(facts));
        assert_eq!(Facts::from_bytes(b"{}"), None);
    }

    #[test]
    fn a_card_in_a_header_is_no_evidence() {
        let kept = STANDARD.encode("4242 42** **** 4242");
        let evidence = Facts::evidence_of(&[("x-note", b"4242 4242 4242 4242")]);
        assert_eq!(evidence, [("x-note".to_owned(), kept)]);
    }
}
