//! The gateway's own events about orders.

use std::sync::Arc;

use model::block::Blocked;
use model::order::Judgement;
use model::{ArrivalId, Covers, EventId, EventStatus, RequestId, Timestamp};
use policy::{Evidence, Rules};
use store::{NewEvent, Record};

use super::{Orders, Planned};
use crate::keys::{Held, KeyError};
use crate::{Facts, entropy, inbound, shown};

/// The source of what nobody else says, and its provider.
pub(crate) const OWN: &str = "countersign";

impl Orders {
    /// The event that tells where an order stands now.
    pub(super) async fn told(
        &self,
        planned: &Planned,
        judged: Judgement,
        version: i64,
        (source, request, now): (Option<&str>, RequestId, Timestamp),
    ) -> Result<(Record, Held), KeyError> {
        let (row, about) = (&planned.kept.row, &planned.kept.about);
        let key = self.key(row.provider.as_deref(), about, now).await?;
        let blocked = self.blocked(planned, judged, now);
        let (event, arrival) =
            (EventId::new(now, entropy::bytes()), ArrivalId::new(now, entropy::bytes()));
        let order = shown::Order::of(row, about).with(judged, version, planned.cancelled_at, now);
        let body = serde_json::json!({ "order": order });
        let body = serde_json::to_vec(&body).expect("texts and numbers always serialise");
        let facts = Facts {
            order: Some(about.reference.clone()),
            order_version: Some(version),
            status: Some(judged.state.code().to_owned()),
            block: blocked.map(|blocked| blocked.block.to_string()),
            told_to: blocked.and(source).map(str::to_owned),
            alternative: OWN.to_owned(),
            ..Facts::default()
        };
        let index = |purpose, parts: &[&[u8]]| self.keys.index(purpose, parts);
        let named = [OWN.as_bytes(), row.id.as_bytes(), &version.to_be_bytes()];
        // In one lane, whoever brought it: what was told first arrives first.
        let order_key = index("order", &[OWN.as_bytes(), about.reference.as_bytes()]);
        let decided = policy::decide_blocked(EventStatus::Accepted, blocked.as_ref());
        let own = Evidence { covers: Covers::Full, weak: false, original_only: false };
        let decided = decided.unwrap_or_else(|| policy::decide(Rules::default(), own));
        let (status, reason, steps, permit) = inbound::fate(decided);
        let deliveries = permit.map(|permit| inbound::plan(permit, now, &self.told_to(source)));
        let new = NewEvent {
            id: event,
            dedup_key: Some(index("dedup", &named)),
            projection: index("projection", &named),
            body_key: index("body", &named),
            kind: Some(format!("order.{}", judged.state)),
            status,
            reason,
            covers: Covers::Full,
            steps,
            order_key: Some(order_key),
            range: 0..u32::try_from(body.len()).unwrap_or(u32::MAX),
            facts: key.seal("event", "facts", event.as_bytes(), &facts.to_bytes()),
            original: None,
            deliveries: deliveries.unwrap_or_default(),
            awaits: None,
        };
        let record = Record {
            request,
            arrival,
            received_at: now,
            source: Arc::from(OWN),
            provider: Arc::from(OWN),
            keys: key.to_store().into_iter().collect(),
            body: key.seal("body", "bytes", arrival.as_bytes(), &body),
            unordered: Vec::new(),
            events: vec![new],
        };
        Ok((record, key))
    }

    /// The block for which nobody is told that an order is paid: of a party of the order, or of one that
    /// what changed it names.
    fn blocked(&self, planned: &Planned, judged: Judgement, now: Timestamp) -> Option<Blocked> {
        let of_order = || self.blocks.as_ref()?.of_order(&planned.kept, now);
        judged.state.is_money().then(|| planned.blocked.or_else(of_order)).flatten()
    }

    /// To whom: whoever gets what the source brings; without one, everybody.
    pub(super) fn told_to(&self, source: Option<&str>) -> Vec<Arc<str>> {
        let of_source = source.and_then(|source| self.listeners.get(source));
        let mut names: Vec<Arc<str>> = match of_source {
            Some(names) => names.clone(),
            None => self.listeners.values().flatten().cloned().collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}
