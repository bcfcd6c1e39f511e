//! Step four, *decide*, where somebody is blocked: an event of a blocked party waits for a person.
//!
//! Only what is covered in full names anybody for certain, so only such events come here. What a held
//! event pays is counted all the same.

use model::block::Blocked;

use super::Inbound;
use super::admit::{Arrival, Received};
use super::judge::{JudgedEvent, fate};
use crate::orders::Planned;

impl Inbound {
    /// Holds an event of which a party is blocked, or a party of its order; and what is told of the order
    /// because of it.
    pub(super) fn hold_blocked(
        &self,
        arrival: &Arrival,
        received: &Received,
        event: &mut JudgedEvent,
        planned: Option<&mut Planned>,
    ) {
        let provider = &received.source.provider;
        let order = planned.as_ref().map(|planned| &planned.kept);
        let blocked = self.parts.blocks.of_event(provider, &event.facts, order, arrival.at);
        if let Some(planned) = planned {
            planned.blocked = planned.blocked.or(blocked);
        }
        let Some(decided) = policy::decide_blocked(event.status, blocked.as_ref()) else { return };
        (event.status, event.reason, event.steps, event.permit) = fate(decided);
        event.facts.block = blocked.map(|Blocked { block, .. }| block.to_string());
    }
}
