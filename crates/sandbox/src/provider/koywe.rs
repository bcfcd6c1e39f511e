//! Koywe (docs.koywe.com): the documented envelope, and the one captured from a live account.
//!
//! The captured one has no event id, snake case, and the order in `relationships`. No page shows an
//! event that says how much was paid: one that does has the members of the order itself
//! (`GET …/orders/{id}`), which is assumed here.

use model::Money;

use super::{Event, Making, Provider};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;
use crate::payment::{Payment, currency, some};

/// Published: at most six retries, exactly 200 within five seconds.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::Exactly200,
    answer_ms_max: 5_000,
    waits_ms: &[60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000],
    waits_published: true,
};

const LIFE: [(&str, &str); 4] = [
    ("order.created", "DRAFT"),
    ("order.processing", "PROCESSING"),
    ("order.paid", "PAID"),
    ("order.completed", "COMPLETED"),
];

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let money = some(draw, currency("COP"));
    let payment = payment(draw, money);
    unpriced(draw, making, &payment)
}

/// A payment of an order, which Koywe names itself; the application's name for the attempt is new
/// each time.
pub(super) fn payment(draw: &mut Draw, money: Money) -> Payment {
    let reference = format!("ord_{}", draw.hex(12));
    let name = format!("CC-2026-{}-{}", draw.text("0123456789", 4), draw.hex(10));
    Payment { reference, name, money, to: None }
}

/// All that Koywe tells of a payment that is made, where it says how much.
pub(super) fn paid(draw: &mut Draw, _: Making<'_>, payment: &Payment) -> Vec<Event> {
    let (amount, currency) = (payment.plain_amount(), payment.money.unit.name());
    documented(
        draw,
        payment,
        &format!(r#","amountIn":{amount},"originCurrencySymbol":"{currency}""#),
    )
}

/// The same as the pages have it: nothing says how much.
pub(super) fn unpriced(draw: &mut Draw, _: Making<'_>, payment: &Payment) -> Vec<Event> {
    if draw.below(2) == 0 { documented(draw, payment, "") } else { captured(payment) }
}

fn documented(draw: &mut Draw, payment: &Payment, price: &str) -> Vec<Event> {
    let order = &payment.reference;
    let told = |(kind, status)| {
        let id = format!("evt_{}", draw.hex(14));
        let body = format!(
            r#"{{"id":"{id}","type":"{kind}","data":{{"orderId":"{order}","status":"{status}"{price}}}}}"#
        );
        event(payment, kind, id, body)
    };
    LIFE.map(told).into()
}

fn captured(payment: &Payment) -> Vec<Event> {
    let Payment { reference: order, name: external, .. } = payment;
    let told = |(kind, status)| {
        let body = format!(
            r#"{{"type":"{kind}","data":{{"status":"{status}","external_id":"{external}"}},"relationships":{{"self":{{"type":"order","id":"{order}"}}}}}}"#
        );
        event(payment, kind, format!("{order}/{kind}"), body)
    };
    LIFE.map(told).into()
}

fn event(payment: &Payment, kind: &'static str, name: String, body: String) -> Event {
    Event::new(Provider::Koywe, name, &payment.reference, kind, body)
}
