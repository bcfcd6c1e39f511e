//! Stripe, as UIGen's payment configuration uses it (docs.stripe.com/webhooks).
//!
//! The shapes are composed from the guide's list of events and Stripe's published objects. A retry
//! is signed anew, and its `pending_webhooks` may have changed: an honest retry changes bytes.

use super::{Event, Making, Provider};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;

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
    let order = format!("order-{}", draw.hex(10));
    let customer = format!("cus_{}", draw.base58(14));
    let intent = format!("pi_{}", draw.base58(24));
    let currency = draw.pick(&["usd", "eur", "gbp"]);
    let amount = 500 + draw.below(50_000);
    let session = format!(
        r#"{{"id":"cs_test_{}","object":"checkout.session","amount_total":{amount},"currency":"{currency}","customer":"{customer}","livemode":{live},"metadata":{{"order_id":"{order}","productId":"pro-monthly"}},"mode":"payment","payment_intent":"{intent}","payment_status":"paid","status":"complete"}}"#,
        draw.base58(32),
        live = making.is_live,
    );
    let paid = |status: &str| {
        format!(
            r#"{{"id":"{intent}","object":"payment_intent","amount":{amount},"amount_received":{amount},"currency":"{currency}","customer":"{customer}","livemode":{live},"metadata":{{"order_id":"{order}"}},"status":"{status}"}}"#,
            live = making.is_live,
        )
    };
    let happened = [
        ("payment_intent.created", paid("requires_payment_method")),
        ("payment_intent.succeeded", paid("succeeded")),
        ("checkout.session.completed", session),
    ];
    happened.into_iter().map(|(kind, object)| event(draw, making, &order, kind, &object)).collect()
}

fn event(
    draw: &mut Draw,
    making: Making<'_>,
    order: &str,
    kind: &'static str,
    object: &str,
) -> Event {
    let id = format!("evt_{}", draw.base58(24));
    let body = format!(
        r#"{{"id":"{id}","object":"event","api_version":"2025-08-27.basil","created":{created},"data":{{"object":{object}}},"livemode":{live},"pending_webhooks":2,"request":{{"id":"req_{request}","idempotency_key":"{key}"}},"type":"{kind}"}}"#,
        created = making.now_ms / 1000,
        live = making.is_live,
        request = draw.base58(14),
        key = draw.uuid(),
    );
    Event {
        provider: Provider::Stripe,
        message_id: id.clone(),
        name: id,
        order: order.into(),
        kind,
        body,
        retry_changes: Some((r#""pending_webhooks":2"#, r#""pending_webhooks":1"#)),
    }
}
