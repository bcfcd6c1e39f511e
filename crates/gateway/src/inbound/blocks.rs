//! Step four, *decide*, where somebody is blocked: an event of a blocked party waits for a person.
//!
//! Only what is covered in full names anybody for certain, so only such events come here. What a held
//! event pays is counted all the same.

use model::block::{Blocked, Party, PartyKind};

use super::Inbound;
use super::admit::{Arrival, Received};
use super::judge::{JudgedEvent, fate};
use crate::Facts;
use crate::orders::{self, Kept};

impl Inbound {
    /// Holds an event of which a party is blocked, or a party of its order.
    pub(super) fn hold_blocked(
        &self,
        arrival: &Arrival,
        received: &Received,
        event: &mut JudgedEvent,
        order: Option<&Kept>,
    ) {
        if !self.parts.blocks.any() {
            return;
        }
        let named = parties(&received.source.provider, &event.facts);
        let of_order = order.map(|Kept { row, about }| {
            orders::parties(row.provider.as_deref(), row.expected.money.unit.chain(), about)
        });
        let mut all = named.into_iter().chain(of_order.into_iter().flatten());
        let blocked = all.find_map(|party| self.parts.blocks.against(&party, arrival.at));
        let Some(decided) = policy::decide_blocked(event.status, blocked.as_ref()) else { return };
        (event.status, event.reason, event.steps, event.permit) = fate(decided);
        event.facts.block = blocked.map(|Blocked { block, .. }| block.to_string());
    }
}

/// The parties that an event names. An address is one on a chain, so the chain must be said.
fn parties(provider: &str, facts: &Facts) -> Vec<Party> {
    let (at, on) = (Some(provider), facts.chain.as_deref());
    [
        (PartyKind::Customer, at, &facts.customer),
        (PartyKind::Card, at, &facts.card),
        (PartyKind::Payee, at, &facts.payee),
        (PartyKind::Address, on, &facts.receiver),
        (PartyKind::Address, on, &facts.sender),
    ]
    .into_iter()
    .filter_map(|(kind, of, name)| Some(Party::named(kind, of?, name.as_deref()?)))
    .collect()
}
