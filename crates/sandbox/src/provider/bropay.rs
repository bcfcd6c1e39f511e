//! BroPay, One2Pays' sibling: the layout of Standard Webhooks, the whole secret text as the key.
//!
//! `Webhook-Id` stays the same on retries, the signed time does not.

use super::{Event, Making, Provider, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;

/// Three retries by default and 30 seconds to answer; the waits between are assumed.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 30_000,
    waits_ms: &[60_000, 300_000, 1_800_000],
    waits_published: false,
};

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let order = format!("order-{}", draw.hex(10));
    let intent = format!("pi_{}", draw.hex(16));
    // Satang; the least is 50 baht.
    let amount = 5_000 + draw.below(500_000);
    let at = rfc3339(making.now_ms);
    let event = |(kind, status): (&'static str, &str)| {
        let id = draw.uuid();
        let body = format!(
            r#"{{"event":"{kind}","eventId":"{id}","timestamp":"{at}","data":{{"id":"{intent}","order_id":"{order}","amount":{amount},"currency":"THB","payment_method":"promptpay","status":"{status}"}}}}"#
        );
        Event::new(Provider::BroPay, id, &order, kind, body)
    };
    [("payment.created", "processing"), ("payment.completed", "succeeded")].map(event).into()
}
