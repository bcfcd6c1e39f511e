//! x402Tele (x402tele.app/docs): a signed receipt inside a signed webhook, two independent MACs.
//!
//! The page shows `payment.succeeded` only; `payment.failed` is composed of the same members.

use aws_lc_rs::hmac;
use model::Money;

use super::{Event, Making, Provider, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;
use crate::payment::{Payment, asset};

/// Not published: assumed.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 10_000,
    waits_ms: &[60_000, 300_000, 1_800_000],
    waits_published: false,
};

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let minor = draw.pick(&[50_000, 100_000, 250_000, 10_000, 2_000_000]);
    let payment = payment(draw, Money { minor, unit: asset("USDC", "solana", 6) });
    let fails_first = draw.below(3) == 0;
    let kinds: &[_] =
        if fails_first { &["payment.failed", "payment.succeeded"] } else { &["payment.succeeded"] };
    told(draw, making, &payment, kinds)
}

/// A payment by a transaction, for a command with an idempotency key.
pub(super) fn payment(draw: &mut Draw, money: Money) -> Payment {
    Payment { reference: draw.uuid(), name: draw.base58(88), money, to: None }
}

/// All that x402Tele tells of a payment that is made.
pub(super) fn paid(draw: &mut Draw, making: Making<'_>, payment: &Payment) -> Vec<Event> {
    told(draw, making, payment, &["payment.succeeded"])
}

fn told(
    draw: &mut Draw,
    making: Making<'_>,
    payment: &Payment,
    kinds: &[&'static str],
) -> Vec<Event> {
    let created = making.now_ms / 1000;
    let receipt = receipt(draw, making, payment);
    let event = |kind: &&'static str| {
        let id = format!("evt_{}", draw.base58(12));
        let body = format!(
            r#"{{"id":"{id}","type":"{kind}","created":{created},"data":{{"receipt":{receipt}}}}}"#
        );
        Event::new(Provider::X402Tele, id, &payment.reference, kind, body)
    };
    kinds.iter().map(event).collect()
}

/// A receipt as the page shows it, before it is signed.
struct Receipt {
    transaction: String,
    amount: String,
    currency: String,
    chain: String,
    command: &'static str,
    user: String,
    idempotency_key: String,
    at: String,
    settled_ms: usize,
}

impl Receipt {
    /// What guide 001 signs: the members sorted by name, as JavaScript prints them. A flat receipt
    /// of plain texts and short decimals prints the same everywhere.
    fn signed_text(&self) -> String {
        let Self { transaction, amount, currency, chain, command, user, .. } = self;
        let Self { idempotency_key, at, settled_ms, .. } = self;
        format!(
            r#"{{"amount":{amount},"chain":"{chain}","command":"{command}","currency":"{currency}","idempotency_key":"{idempotency_key}","settlement_ms":{settled_ms},"ts":"{at}","tx_ref":"{transaction}","user_id":"{user}"}}"#
        )
    }

    fn signed_with(&self, secret: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex::encode(hmac::sign(&key, self.signed_text().as_bytes()));
        let Self { transaction, amount, currency, chain, command, user, .. } = self;
        let Self { idempotency_key, at, settled_ms, .. } = self;
        format!(
            r#"{{"tx_ref":"{transaction}","amount":{amount},"currency":"{currency}","chain":"{chain}","command":"{command}","user_id":"{user}","idempotency_key":"{idempotency_key}","ts":"{at}","settlement_ms":{settled_ms},"signature":"{signature}"}}"#
        )
    }
}

fn receipt(draw: &mut Draw, making: Making<'_>, payment: &Payment) -> String {
    let unit = &payment.money.unit;
    let receipt = Receipt {
        transaction: payment.name.clone(),
        amount: payment.plain_amount(),
        currency: unit.name().to_owned(),
        chain: unit.chain().unwrap_or_default().to_owned(),
        command: draw.pick(&["analyze", "search", "translate"]),
        user: format!("tg:{}", 100_000 + draw.below(900_000)),
        idempotency_key: payment.reference.clone(),
        at: rfc3339(making.now_ms),
        settled_ms: 800 + draw.below(3000),
    };
    receipt.signed_with(making.receipt_secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_signed_as_the_guide_says() {
        let receipt = Receipt {
            transaction: "5KJp8...".into(),
            amount: "0.05".into(),
            currency: "USDC".into(),
            chain: "solana".into(),
            command: "analyze",
            user: "tg:123".into(),
            idempotency_key: "abc-123".into(),
            at: "2025-11-05T10:00:00Z".into(),
            settled_ms: 1850,
        };
        let signed = receipt.signed_with("whsec_x402tele_test");
        let signature = "c0fcc07e52881af0d994786afcdd151f3b007f1056fe42dfef1dc6fd5f378b50";
        assert!(signed.ends_with(&format!(r#""signature":"{signature}"}}"#)), "{signed}");
    }
}
