//! Square, as UIGen's payment configuration can use it (developer.squareup.com, webhooks).
//!
//! Signs the notification URL as registered and the body, no time. Payload composed from Square's
//! published payment object.

use super::{Event, Making, Provider, rfc3339};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;

/// Retries for up to a day; these first waits are assumed.
pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    success: Success::AnySuccess,
    answer_ms_max: 10_000,
    waits_ms: &[60_000, 120_000, 240_000, 480_000, 900_000],
    waits_published: false,
};

pub(super) const HEADERS: &[(&str, &str)] = &[
    ("Content-Type", "application/json"),
    ("User-Agent", "Square Connect v2"),
    ("square-environment", "Sandbox"),
];

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let order = draw.base58(27);
    let payment = draw.base58(28);
    let merchant = draw.text("ABCDEFGHJKLMNPQRSTVWXYZ0123456789", 13);
    let amount = 100 + draw.below(20_000);
    let at = rfc3339(making.now_ms);
    let mut happened = Vec::new();
    for (version, (kind, status)) in
        [("payment.created", "APPROVED"), ("payment.updated", "COMPLETED")].into_iter().enumerate()
    {
        let id = draw.uuid();
        let body = format!(
            r#"{{"merchant_id":"{merchant}","type":"{kind}","event_id":"{id}","created_at":"{at}","data":{{"type":"payment","id":"{payment}","object":{{"payment":{{"id":"{payment}","order_id":"{order}","amount_money":{{"amount":{amount},"currency":"USD"}},"status":"{status}","created_at":"{at}","version":{version}}}}}}}}}"#
        );
        happened.push(Event::new(Provider::Square, id, &order, kind, body));
    }
    happened
}
