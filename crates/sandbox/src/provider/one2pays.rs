//! One2Pays (docs.one2pays.com): shape A of its webhook guide, shape B of its reference pages.
//!
//! Shape B has no event id, so its retries can be told only by payment and status.

use model::Money;

use super::{Event, Making, Provider, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;
use crate::payment::{Payment, currency, some};

/// Not published: those of its sibling, three retries and 30 seconds to answer.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 30_000,
    waits_ms: &[60_000, 300_000, 1_800_000],
    waits_published: false,
};

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let money = some(draw, currency("THB"));
    let payment = payment(draw, money);
    match (draw.below(2), draw.below(3)) {
        (0, 0) => shape_a(draw, making, &payment, "payment.failed"),
        (0, _) => paid(draw, making, &payment),
        _ => shape_b(draw, making, &payment),
    }
}

/// A payment with a reference that One2Pays takes.
pub(super) fn payment(draw: &mut Draw, money: Money) -> Payment {
    let reference = format!("order-{}", draw.hex(10));
    Payment { reference, name: format!("pay_{}", draw.hex(16)), money, to: None }
}

/// All that One2Pays tells of a payment that is made, in shape A.
pub(super) fn paid(draw: &mut Draw, making: Making<'_>, payment: &Payment) -> Vec<Event> {
    shape_a(draw, making, payment, "payment.succeeded")
}

fn shape_a(
    draw: &mut Draw,
    making: Making<'_>,
    payment: &Payment,
    last: &'static str,
) -> Vec<Event> {
    let Payment { reference, name, money, .. } = payment;
    let (amount, currency) = (money.major(), money.unit.name());
    let at = rfc3339(making.now_ms);
    let event = |kind: &'static str| {
        let id = format!("evt_{}", draw.hex(16));
        let status = kind.trim_start_matches("payment.");
        let body = format!(
            r#"{{"id":"{id}","type":"{kind}","data":{{"id":"{name}","amount":"{amount}","currency":"{currency}","status":"{status}","referenceId":"{reference}"}},"createdAt":"{at}"}}"#
        );
        Event::new(Provider::One2Pays, id, reference, kind, body)
    };
    ["payment.created", "payment.processing", last].map(event).into()
}

fn shape_b(draw: &mut Draw, making: Making<'_>, payment: &Payment) -> Vec<Event> {
    let Payment { reference, money, .. } = payment;
    let (amount, currency) = (money.major(), money.unit.name());
    let payment = draw.uuid();
    let expires = rfc3339(making.now_ms + 3_600_000);
    let promptpay = draw.text("0123456789", 10);
    let token = draw.hex(12);
    let event = |(kind, status): (&'static str, &str)| {
        let body = format!(
            r#"{{"event":"{kind}","paymentId":"{payment}","referenceId":"{reference}","status":"{status}","amount":"{amount}","currency":"{currency}","paymentMethod":"promptpay","clientSecret":null,"nextAction":{{"type":"display_qr_code","paymentAppUrl":"https://pay.example.com/en/pay/token_{token}","qrCode":{{"payload":"00020101021229370016A000000677010111","promptpayId":"{promptpay}","expiresAt":"{expires}"}}}},"expiresAt":"{expires}"}}"#
        );
        Event::new(Provider::One2Pays, format!("{payment}/{kind}"), reference, kind, body)
    };
    [("payment.created", "processing"), ("payment.received", "succeeded")].map(event).into()
}
