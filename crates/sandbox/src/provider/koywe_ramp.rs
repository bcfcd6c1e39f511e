//! Koywe's older ramp API: four members, the last of them the signature over the other three.

use super::{Event, Making, Provider, koywe, rfc3339};
use crate::behaviour::Behaviour;
use crate::draw::Draw;

/// Not published for the older API: taken from the newer one.
pub(super) const BEHAVIOUR: Behaviour = Behaviour { waits_published: false, ..koywe::BEHAVIOUR };

const LIFE: [&str; 4] =
    ["payment_created", "payment_received", "crypto_tx_sent", "crypto_delivered"];

pub(super) fn order(draw: &mut Draw, making: Making<'_>) -> Vec<Event> {
    let order = draw.uuid();
    let at = rfc3339(making.now_ms);
    let event = |kind: &'static str| {
        Event::new(
            Provider::KoyweRamp,
            format!("{order}/{kind}"),
            &order,
            kind,
            format!(r#"{{"eventName":"{kind}","orderId":"{order}","timeStamp":"{at}"}}"#),
        )
    };
    LIFE.map(event).into()
}
