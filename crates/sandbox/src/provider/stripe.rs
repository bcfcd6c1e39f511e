//! Stripe, as UIGen's payment configuration uses it (docs.stripe.com/webhooks).
//!
//! The shapes are composed from the guide's list of events and Stripe's published objects. A retry
//! is signed anew, and its `pending_webhooks` may have changed: an honest retry changes bytes. Who
//! is paid stands in `account`, as in the events of connected accounts.

use model::Money;

use super::{Event, Making, Provider};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;
use crate::payment::{Payment, currency};

/// In test mode three retries over a few hours; the exact waits are assumed.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 20_000,
    waits_ms: &[60_000, 600_000, 3_600_000],
    waits_published: false,
};

pub(super) const HEADERS: &[(&str, &str)] = &[
    ("Content-Type", "application/json; charset=utf-8"),
    ("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
    ("Cache-Control", "no-cache"),
];

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let unit = currency(draw.pick(&["USD", "EUR", "GBP"]));
    let minor = u128::try_from(500 + draw.below(50_000)).unwrap_or(500);
    let payment = Payment { to: None, ..payment(draw, Money { minor, unit }) };
    paid(draw, making, &payment)
}

/// A payment into a connected account, with a reference that the application chose.
pub(super) fn payment(draw: &mut Draw, money: Money) -> Payment {
    Payment {
        reference: format!("order-{}", draw.hex(10)),
        name: format!("pi_{}", draw.base58(24)),
        money,
        to: Some(account(draw)),
    }
}

/// An account.
pub(super) fn account(draw: &mut Draw) -> String {
    format!("acct_{}", draw.base58(16))
}

/// All that Stripe tells of a payment that is made.
pub(super) fn paid(draw: &mut Draw, making: Making<'_>, payment: &Payment) -> Vec<Event> {
    let Payment { reference, name, money, .. } = payment;
    let (amount, currency) = (money.minor, money.unit.name().to_ascii_lowercase());
    let customer = format!("cus_{}", draw.base58(14));
    let session = format!(
        r#"{{"id":"cs_test_{}","object":"checkout.session","amount_total":{amount},"currency":"{currency}","customer":"{customer}","livemode":{live},"metadata":{{"order_id":"{reference}","productId":"pro-monthly"}},"mode":"payment","payment_intent":"{name}","payment_status":"paid","status":"complete"}}"#,
        draw.base58(32),
        live = making.is_live,
    );
    let intent = |status: &str| {
        format!(
            r#"{{"id":"{name}","object":"payment_intent","amount":{amount},"amount_received":{amount},"currency":"{currency}","customer":"{customer}","livemode":{live},"metadata":{{"order_id":"{reference}"}},"status":"{status}"}}"#,
            live = making.is_live,
        )
    };
    let happened = [
        ("payment_intent.created", intent("requires_payment_method")),
        ("payment_intent.succeeded", intent("succeeded")),
        ("checkout.session.completed", session),
    ];
    happened.into_iter().map(|(kind, object)| event(draw, making, payment, kind, &object)).collect()
}

fn event(
    draw: &mut Draw,
    making: Making<'_>,
    payment: &Payment,
    kind: &'static str,
    object: &str,
) -> Event {
    let id = format!("evt_{}", draw.base58(24));
    let account = payment.to.as_ref().map(|account| format!(r#""account":"{account}","#));
    let body = format!(
        r#"{{"id":"{id}","object":"event",{account}"api_version":"2025-08-27.basil","created":{created},"data":{{"object":{object}}},"livemode":{live},"pending_webhooks":2,"request":{{"id":"req_{request}","idempotency_key":"{key}"}},"type":"{kind}"}}"#,
        account = account.unwrap_or_default(),
        created = making.now_ms / 1000,
        live = making.is_live,
        request = draw.base58(14),
        key = draw.uuid(),
    );
    Event {
        retry_changes: Some((r#""pending_webhooks":2"#, r#""pending_webhooks":1"#)),
        ..Event::new(Provider::Stripe, id, &payment.reference, kind, body)
    }
}
