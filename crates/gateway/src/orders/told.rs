//! The gateway's own events about orders.

use std::sync::Arc;

use model::order::Judgement;
use model::{ArrivalId, Covers, DeliveryId, EventId, EventStatus, RequestId, Steps, Timestamp};
use store::{NewDelivery, NewEvent, Record};

use super::{Orders, Planned};
use crate::keys::{Held, KeyError};
use crate::{Facts, entropy, shown};

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
        let (event, arrival) =
            (EventId::new(now, entropy::bytes()), ArrivalId::new(now, entropy::bytes()));
        let order = shown::Order::of(row, about).with(judged, version, planned.cancelled_at, now);
        let body = serde_json::json!({ "order": order });
        let body = serde_json::to_vec(&body).expect("texts and numbers always serialise");
        let facts = Facts {
            order: Some(about.reference.clone()),
            order_version: Some(version),
            status: Some(judged.state.code().to_owned()),
            alternative: OWN.to_owned(),
            ..Facts::default()
        };
        let index = |purpose, parts: &[&[u8]]| self.keys.index(purpose, parts);
        let named = [OWN.as_bytes(), row.id.as_bytes(), &version.to_be_bytes()];
        let order_key =
            index("order", &[source.unwrap_or(OWN).as_bytes(), about.reference.as_bytes()]);
        let new = NewEvent {
            id: event,
            dedup_key: Some(index("dedup", &named)),
            projection: index("projection", &named),
            body_key: index("body", &named),
            kind: Some(format!("order.{}", judged.state)),
            status: EventStatus::Accepted,
            reason: None,
            covers: Covers::Full,
            steps: Steps::PASSED,
            order_key: Some(order_key),
            range: 0..u32::try_from(body.len()).unwrap_or(u32::MAX),
            facts: key.seal("event", "facts", event.as_bytes(), &facts.to_bytes()),
            original: None,
            deliveries: self.deliveries(source, now),
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

    /// To whom: whoever gets what the source brings; without one, everybody.
    fn deliveries(&self, source: Option<&str>, now: Timestamp) -> Vec<NewDelivery> {
        let of_source = source.and_then(|source| self.listeners.get(source));
        let mut names: Vec<&Arc<str>> = match of_source {
            Some(names) => names.iter().collect(),
            None => self.listeners.values().flatten().collect(),
        };
        names.sort_unstable();
        names.dedup();
        let delivery = |endpoint: &Arc<str>| NewDelivery {
            id: DeliveryId::new(now, entropy::bytes()),
            endpoint: endpoint.clone(),
        };
        names.into_iter().map(delivery).collect()
    }
}
