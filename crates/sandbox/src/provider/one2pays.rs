//! One2Pays (docs.one2pays.com): shape A of its webhook guide, shape B of its reference pages.
//!
//! Shape B has no event id, so its retries can be told only by payment and status.

use super::{Event, Making, Provider, decimal, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;

/// Not published: those of its sibling, three retries and 30 seconds to answer.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 30_000,
    waits_ms: &[60_000, 300_000, 1_800_000],
    waits_published: false,
};

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    if draw.below(2) == 0 { shape_a(draw, making) } else { shape_b(draw, making) }
}

fn shape_a(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let order = format!("order-{}", draw.hex(10));
    let payment = format!("pay_{}", draw.hex(16));
    let amount = decimal(draw);
    let at = rfc3339(making.now_ms);
    let fails = draw.below(3) == 0;
    let last = if fails { "payment.failed" } else { "payment.succeeded" };
    let happened = ["payment.created", "payment.processing", last];
    let event = |kind: &'static str| {
        let id = format!("evt_{}", draw.hex(16));
        let status = kind.trim_start_matches("payment.");
        let body = format!(
            r#"{{"id":"{id}","type":"{kind}","data":{{"id":"{payment}","amount":"{amount}","currency":"THB","status":"{status}","referenceId":"{order}"}},"createdAt":"{at}"}}"#
        );
        Event {
            provider: Provider::One2Pays,
            message_id: id.clone(),
            name: id,
            order: order.clone(),
            kind,
            body,
            retry_changes: None,
        }
    };
    happened.map(event).into()
}

fn shape_b(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let order = format!("order-{}", draw.hex(10));
    let payment = draw.uuid();
    let amount = decimal(draw);
    let expires = rfc3339(making.now_ms + 3_600_000);
    let promptpay = draw.text("0123456789", 10);
    let token = draw.hex(12);
    let event = |(kind, status): (&'static str, &str)| {
        let body = format!(
            r#"{{"event":"{kind}","paymentId":"{payment}","referenceId":"{order}","status":"{status}","amount":"{amount}","currency":"THB","paymentMethod":"promptpay","clientSecret":null,"nextAction":{{"type":"display_qr_code","paymentAppUrl":"https://pay.example.com/en/pay/token_{token}","qrCode":{{"payload":"00020101021229370016A000000677010111","promptpayId":"{promptpay}","expiresAt":"{expires}"}}}},"expiresAt":"{expires}"}}"#
        );
        Event {
            provider: Provider::One2Pays,
            name: format!("{payment}/{kind}"),
            message_id: format!("{payment}/{kind}"),
            order: order.clone(),
            kind,
            body,
            retry_changes: None,
        }
    };
    [("payment.created", "processing"), ("payment.received", "succeeded")].map(event).into()
}
