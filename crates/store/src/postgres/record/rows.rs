//! What a batch inserts, column by column.

use std::collections::HashMap;

use model::EventStatus;

use super::fate::Fate;
use super::{Planned, place};
use crate::codes::{Coded as _, failed};
use crate::error::Kind;
use crate::postgres::bind::{byteas, count, int2s, int4s, int8s, texts, uuids};
use crate::postgres::codes::Sixteen;
use crate::postgres::failure::{Failure, Result};
use crate::postgres::session::Session;
use crate::postgres::undecided::Waiting;
use crate::{NewEvent, Record};

/// Everything that a batch inserts besides audit entries.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub(super) bodies: Bodies<'a>,
    pub(super) events: Events<'a>,
    pub(super) pending: Pending,
    pub(super) waiting: Waiting,
}

/// Bodies of arrivals.
#[derive(Default)]
pub(super) struct Bodies<'a> {
    pub(super) arrival: Vec<Sixteen>,
    pub(super) sealed_key: Vec<Sixteen>,
    pub(super) sealed: Vec<&'a [u8]>,
}

impl<'a> Bodies<'a> {
    pub(super) fn push(&mut self, record: &'a Record) {
        self.arrival.push(record.arrival.into());
        self.sealed_key.push(record.body.key.into());
        self.sealed.push(record.body.sealed.as_bytes());
    }
}

/// Deliveries to be made.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) row: Vec<i64>,
    pub(super) delivery: Vec<Sixteen>,
    pub(super) event: Vec<Sixteen>,
    pub(super) arrival: Vec<Sixteen>,
    pub(super) endpoint: Vec<i32>,
    pub(super) order_key: Vec<Option<Sixteen>>,
    pub(super) at: Vec<i64>,
}

impl Pending {
    pub(super) fn push(
        &mut self,
        planned: &Planned<'_>,
        endpoints: &HashMap<String, i32>,
    ) -> Result<()> {
        for (number, delivery) in planned.deliveries.iter().enumerate() {
            let endpoint = endpoints.get(&*delivery.endpoint).copied();
            self.row.push(place(planned, number)?);
            self.delivery.push(delivery.id.into());
            self.event.push(planned.event);
            self.arrival.push(planned.arrival);
            self.endpoint.push(endpoint.ok_or(Failure::from(Kind::Internal))?);
            self.order_key.push(planned.order_key.map(Sixteen));
            self.at.push(planned.at.as_millis());
        }
        Ok(())
    }
}

/// An event that is kept, and as what.
pub(super) struct Event<'a> {
    pub(super) sequence: i64,
    pub(super) source: i32,
    pub(super) provider: i32,
    pub(super) record: &'a Record,
    pub(super) event: &'a NewEvent,
    pub(super) fate: &'a Fate,
}

/// Events.
#[derive(Default)]
pub(super) struct Events<'a> {
    id: Vec<Sixteen>,
    sequence: Vec<i64>,
    arrival: Vec<Sixteen>,
    source: Vec<i32>,
    provider: Vec<i32>,
    kind: Vec<Option<&'a str>>,
    status: Vec<i16>,
    reason: Vec<Option<&'static str>>,
    covers: Vec<i16>,
    failed: Vec<Option<i16>>,
    received_at: Vec<i64>,
    count: Vec<i64>,
    range_start: Vec<i64>,
    range_end: Vec<i64>,
    order_key: Vec<Option<Sixteen>>,
    dedup_key: Vec<Option<Sixteen>>,
    projection: Vec<Option<Sixteen>>,
    sealed_key: Vec<Sixteen>,
    sealed: Vec<&'a [u8]>,
    original: Vec<Option<Sixteen>>,
}

impl<'a> Events<'a> {
    pub(super) fn push(&mut self, kept: &Event<'a>) {
        let Event { record, event, fate, .. } = kept;
        let dedup_key = event.dedup_key.filter(|_| fate.holds_key);
        self.id.push(event.id.into());
        self.sequence.push(kept.sequence);
        self.arrival.push(record.arrival.into());
        self.source.push(kept.source);
        self.provider.push(kept.provider);
        self.kind.push(event.kind.as_deref());
        self.status.push(fate.status(event).number());
        self.reason.push(fate.reason(event));
        self.covers.push(event.covers.number());
        self.failed.push(failed(fate.steps(event)).map(|step| step.0.number()));
        self.received_at.push(record.received_at.as_millis());
        self.count.push(fate.count);
        self.range_start.push(i64::from(event.range.start));
        self.range_end.push(i64::from(event.range.end));
        self.order_key.push(event.order_key.map(Sixteen));
        self.dedup_key.push(dedup_key.map(Sixteen));
        self.projection.push(dedup_key.map(|_| Sixteen(event.projection)));
        self.sealed_key.push(event.facts.key.into());
        self.sealed.push(event.facts.sealed.as_bytes());
        self.original.push(event.original.map(Sixteen));
    }

    /// How many of them are accepted.
    pub(super) fn accepted(&self) -> i64 {
        let accepted = EventStatus::Accepted.number();
        count(self.status.iter().filter(|status| **status == accepted).count())
    }
}

impl Session<'_> {
    pub(super) async fn insert_events(&self, events: &Events<'_>) -> Result<()> {
        if events.id.is_empty() {
            return Ok(());
        }
        self.run(
            "INSERT INTO event (id, sequence, arrival, source, provider, kind, status, reason,
                covers, failed, received_at, count, range_start, range_end, order_key, dedup_key,
                projection, sealed_key, sealed, original)
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
                $16, $17, $18, $19, $20)",
            &[
                uuids(&events.id),
                int8s(&events.sequence),
                uuids(&events.arrival),
                int4s(&events.source),
                int4s(&events.provider),
                texts(&events.kind),
                int2s(&events.status),
                texts(&events.reason),
                int2s(&events.covers),
                int2s(&events.failed),
                int8s(&events.received_at),
                int8s(&events.count),
                int8s(&events.range_start),
                int8s(&events.range_end),
                byteas(&events.order_key),
                byteas(&events.dedup_key),
                byteas(&events.projection),
                uuids(&events.sealed_key),
                byteas(&events.sealed),
                byteas(&events.original),
            ],
        )
        .await?;
        Ok(())
    }
}
