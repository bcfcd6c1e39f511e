//! Koywe (docs.koywe.com): the documented envelope, and the one captured from a live account.
//!
//! The captured one has no event id, snake case, and the order in `relationships`.

use super::{Event, Making, Provider};
use crate::behaviour::{Behaviour, Success};
use crate::draw::Draw;

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
    let order = format!("ord_{}", draw.hex(12));
    let external = format!("CC-2026-{}-{}", draw.text("0123456789", 4), making.now_ms / 1000);
    let is_documented = draw.below(2) == 0;
    let event = |(kind, status): (&'static str, &str)| {
        let (name, body) = if is_documented {
            let id = format!("evt_{}", draw.hex(14));
            let body = format!(
                r#"{{"id":"{id}","type":"{kind}","data":{{"orderId":"{order}","status":"{status}"}}}}"#
            );
            (id, body)
        } else {
            let body = format!(
                r#"{{"type":"{kind}","data":{{"status":"{status}","external_id":"{external}"}},"relationships":{{"self":{{"type":"order","id":"{order}"}}}}}}"#
            );
            (format!("{order}/{kind}"), body)
        };
        Event {
            provider: Provider::Koywe,
            message_id: name.clone(),
            name,
            order: order.clone(),
            kind,
            body,
            retry_changes: None,
        }
    };
    LIFE.map(event).into()
}
