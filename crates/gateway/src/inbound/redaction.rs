//! What must not be kept: it is found once an arrival is authentic and masked before it is written.
//!
//! Dedup, conflicts, keys and order work on what came; only what rests and what is delivered is
//! truncated. The finding itself is said nowhere: its kind and its count are.

use std::sync::Arc;

use redact::{Kind, Redacted};
use sabotage::Defect;

use super::admit::{Arrival, Received};
use super::judge::JudgedEvent;
use super::{ActiveSource, Inbound};
use crate::log_budget::Line;
use crate::{Format, Source};

/// Of a source's endpoints, those that take a document and so may get what is truncated.
pub(crate) fn document_endpoints(source: &Source, formats: &[(String, Format)]) -> Vec<Arc<str>> {
    let takes_originals = |name: &String| {
        formats.iter().any(|(known, format)| known == name && *format == Format::Original)
    };
    source
        .endpoints
        .iter()
        .filter(|name| !takes_originals(name))
        .map(|name| Arc::from(name.as_str()))
        .collect()
}

impl ActiveSource {
    /// Every endpoint takes the original bytes, which are not kept of a redacted event.
    pub(super) fn takes_only_originals(&self) -> bool {
        self.document_endpoints.is_empty() && !self.endpoints.is_empty()
    }
}

impl Inbound {
    /// The body with what must not be kept masked, if there is anything; counted and logged.
    pub(super) fn redact(&self, arrival: &Arrival, received: &Received) -> Option<Redacted> {
        let redacted =
            redact::payload(&received.body).filter(|_| !sabotage::on(Defect::CardKept))?;
        let source = &received.source.name;
        for (kind, count) in redacted.counts() {
            self.parts.metrics.redacted(source, kind.code(), count);
        }
        if let Line::Write { skipped } = self.log_budget.line(arrival.at.as_seconds()) {
            let found: Vec<String> = redacted.counts().map(said).collect();
            let found = found.join(", ");
            tracing::warn!(
                request = %arrival.request, source = %source, found, skipped,
                "redacted: an event held what must not be kept; it is kept and delivered truncated"
            );
        }
        Some(redacted)
    }
}

fn said((kind, count): (Kind, usize)) -> String {
    format!("{} {count}", kind.code())
}

/// Masks what an event says beside its body. What is known of its arrival was masked before, once
/// for all its events.
pub(super) fn mask(event: &mut JudgedEvent, is_redacted: bool) {
    // It stands in a column that is not sealed.
    if let Some(kind) = &mut event.kind {
        *kind = redact::line(kind).into_owned();
    }
    if is_redacted {
        let facts = &mut event.facts;
        [
            &mut facts.provider_event_id,
            &mut facts.order,
            &mut facts.amount,
            &mut facts.currency,
            &mut facts.customer,
            &mut facts.payee,
            &mut facts.payment,
            &mut facts.part,
            &mut facts.refunded,
            &mut facts.chain,
            &mut facts.receiver,
            &mut facts.sender,
            &mut facts.card,
            &mut facts.status,
        ]
        .into_iter()
        .flatten()
        .for_each(redact::value);
    }
}
