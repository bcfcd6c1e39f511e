//! Recording arrivals: a batch of them in a handful of statements, whatever its size.
//!
//! First the keys: data keys are kept, dedup keys are taken. Then what each event is follows in
//! memory, in the order of the batch, as if the arrivals had come one by one. At last everything
//! is inserted. What several transactions could wait for is taken in the order of the keys, so that
//! none of them waits in a circle.

mod fate;
mod rows;

use std::collections::BTreeSet;

use model::EventStatus;

use super::audit::Entries;
use super::bind::{byteas, int4, int4s, int8, int8s, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::keys::{Kept, NewKeys};
use super::session::Session;
use crate::audit::Entry;
use crate::error::Kind;
use crate::record::{DELIVERIES_PER_EVENT, changes};
use crate::{Action, NewDelivery, NewEvent, Outcome, Record, Recorded};
use fate::{Fate, Seen};
use rows::{Event, Rows};

/// Slots of the count of accepted events, as many as the schema made.
const COUNTER_SLOTS: u64 = 64;

/// What the first statements gave.
struct Begun {
    kept: Kept,
    sequences: Vec<i64>,
    entries: Entries,
}

/// The deliveries of one event.
pub(super) struct Planned<'a> {
    pub(super) sequence: i64,
    /// How many the event has already.
    pub(super) already: i64,
    pub(super) event: Sixteen,
    pub(super) arrival: Sixteen,
    pub(super) order_key: Option<[u8; 16]>,
    pub(super) at: model::Timestamp,
    pub(super) deliveries: &'a [NewDelivery],
}

impl Session<'_> {
    /// Records arrivals, all of them or none.
    pub(super) async fn record(&self, records: &[Record]) -> Result<Vec<Recorded>> {
        let events: Vec<(&Record, &NewEvent)> = records
            .iter()
            .flat_map(|record| record.events.iter().map(move |event| (record, event)))
            .collect();
        let (mut begun, seen) = self.begin_records(records, &events).await?;
        let fates = self.fates(&events, seen).await?;
        let rows = self.planned(&events, &fates, &begun).await?;
        let recorded = outcomes(records, &fates);
        for (record, recorded) in records.iter().zip(&recorded) {
            begun.entries.push_recorded(record, &recorded.events);
        }
        self.insert(&rows, &begun.entries).await?;
        Ok(recorded)
    }

    /// The keys, in one round trip.
    async fn begin_records<'a>(
        &self,
        records: &'a [Record],
        events: &[(&'a Record, &'a NewEvent)],
    ) -> Result<(Begun, Seen)> {
        let mut new_keys = NewKeys::new();
        let mut needed = BTreeSet::new();
        for record in records {
            for key in &record.keys {
                new_keys.entry(key.id.0).or_insert((key, Some(record.request)));
            }
            needed.insert(Sixteen::from(record.body.key));
            needed.extend(record.events.iter().map(|event| Sixteen::from(event.facts.key)));
        }
        let needed: Vec<Sixteen> = needed.into_iter().collect();
        let mut entries = Entries::default();
        let unordered: Vec<&[u8]> = records
            .iter()
            .flat_map(|record| record.unordered.iter().map(<[u8; 16]>::as_slice))
            .collect();
        let (unordered, keys, kept, sequences, seen) = tokio::join!(
            biased;
            self.no_order(&unordered),
            self.keep_keys(&new_keys, &mut entries),
            self.kept_keys(&needed),
            self.numbers("event_sequence", events.len()),
            self.take_keys(events),
        );
        unordered?;
        keys?;
        Ok((Begun { kept: kept?, sequences: sequences?, entries }, seen?))
    }

    /// What is to be inserted.
    async fn planned<'a>(
        &self,
        events: &[(&'a Record, &'a NewEvent)],
        fates: &'a [Fate],
        begun: &Begun,
    ) -> Result<Rows<'a>> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut endpoints: BTreeSet<&str> = BTreeSet::new();
        for ((record, event), fate) in events.iter().zip(fates) {
            if fate.is_kept() {
                names.extend([&*record.source, &*record.provider]);
                endpoints.extend(fate.deliveries(event).iter().map(|new| &*new.endpoint));
            }
        }
        let now = events
            .first()
            .map_or(model::Timestamp::from_millis(0), |(record, _)| record.received_at);
        let names = self.name_numbers(names).await?;
        let endpoints = self.endpoint_numbers(endpoints, now).await?;
        let name = |name: &str| names.get(name).copied().ok_or(Failure::from(Kind::Internal));
        let mut rows = Rows::default();
        let mut body_of = None;
        for (((record, event), fate), sequence) in
            events.iter().zip(fates).zip(begun.sequences.iter().copied())
        {
            if !fate.is_kept() {
                continue;
            }
            if fate.status(event) != EventStatus::Accepted && !fate.deliveries(event).is_empty() {
                return Err(Kind::NotDeliverable.into());
            }
            // One body an arrival.
            if body_of != Some(record.arrival) {
                begun.kept.see(&record.body)?;
                rows.bodies.push(record);
                body_of = Some(record.arrival);
            }
            begun.kept.see(&event.facts)?;
            let (source, provider) = (name(&record.source)?, name(&record.provider)?);
            rows.events.push(&Event { sequence, source, provider, record, event, fate });
            let planned = Planned {
                sequence,
                already: 0,
                event: event.id.into(),
                arrival: record.arrival.into(),
                order_key: event.order_key,
                at: record.received_at,
                deliveries: fate.deliveries(event),
            };
            rows.pending.push(&planned, &endpoints)?;
            if let Some(awaits) = event.awaits.filter(|_| fate.holds_key) {
                rows.waiting.push(event.id, awaits, record.received_at);
            }
        }
        Ok(rows)
    }

    async fn insert(&self, rows: &Rows<'_>, entries: &Entries) -> Result<()> {
        let (bodies, events, pending, waiting, audited) = tokio::join!(
            biased;
            self.insert_bodies(&rows.bodies),
            self.insert_events(&rows.events),
            self.insert_pending(&rows.pending),
            self.await_them(&rows.waiting),
            self.audit(entries),
        );
        bodies?;
        events?;
        pending?;
        waiting?;
        audited?;
        // Last, since it is what two transactions may both have to change.
        self.count_accepted(rows.events.accepted()).await
    }

    /// Adds to the count of accepted events, in one of its slots.
    pub(super) async fn count_accepted(&self, count: i64) -> Result<()> {
        if count > 0 {
            let slot = i32::try_from(self.number % COUNTER_SLOTS).unwrap_or(0);
            self.run(
                "UPDATE counter SET accepted = accepted + $1 WHERE slot = $2",
                &[int8(&count), int4(&slot)],
            )
            .await?;
        }
        Ok(())
    }

    /// Plans deliveries of an event that is there.
    pub(super) async fn insert_deliveries(&self, planned: &Planned<'_>) -> Result<()> {
        let names = planned.deliveries.iter().map(|new| &*new.endpoint).collect();
        let endpoints = self.endpoint_numbers(names, planned.at).await?;
        let mut pending = rows::Pending::default();
        pending.push(planned, &endpoints)?;
        self.insert_pending(&pending).await
    }

    async fn insert_bodies(&self, bodies: &rows::Bodies<'_>) -> Result<()> {
        if bodies.arrival.is_empty() {
            return Ok(());
        }
        self.run(
            "INSERT INTO body (arrival, sealed_key, sealed) SELECT * FROM unnest($1, $2, $3)",
            &[uuids(&bodies.arrival), uuids(&bodies.sealed_key), byteas(&bodies.sealed)],
        )
        .await?;
        Ok(())
    }

    async fn insert_pending(&self, pending: &rows::Pending) -> Result<()> {
        if pending.row.is_empty() {
            return Ok(());
        }
        let parameters = [
            int8s(&pending.row),
            uuids(&pending.delivery),
            uuids(&pending.event),
            uuids(&pending.arrival),
            int4s(&pending.endpoint),
            byteas(&pending.order_key),
            int8s(&pending.at),
        ];
        let inserting = self.run(
            "INSERT INTO pending (row, delivery, event, arrival, endpoint, order_key, state, tries,
                attempts, fence, leased, next_at, created_at, updated_at)
             SELECT row, delivery, event, arrival, endpoint, order_key, 0, 0, 0, 0, false, at, at, at
             FROM unnest($1, $2, $3, $4, $5, $6, $7)
                AS new (row, delivery, event, arrival, endpoint, order_key, at)",
            &parameters,
        );
        let (inserted, told) = tokio::join!(biased; inserting, self.tell_work());
        inserted?;
        told
    }
}

impl Entries {
    /// An entry about an arrival that left something behind.
    fn push_recorded(&mut self, record: &Record, outcomes: &[Outcome]) {
        if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Duplicate { .. })) {
            return;
        }
        self.push(&Entry {
            at: record.received_at,
            action: Action::Recorded,
            actor: None,
            resource: record.arrival.as_bytes(),
            refused: false,
            request: Some(record.request),
            changes: Some(changes(record, outcomes)),
            personal: None,
        });
    }
}

fn outcomes(records: &[Record], fates: &[Fate]) -> Vec<Recorded> {
    let mut fates = fates.iter();
    let of_record = |record: &Record| Recorded {
        events: fates.by_ref().take(record.events.len()).map(|fate| fate.outcome()).collect(),
    };
    records.iter().map(of_record).collect()
}

/// The row of a delivery: in the order of the events, and among those of one event in theirs.
fn place(planned: &Planned<'_>, number: usize) -> Result<i64> {
    let number = i64::try_from(number).unwrap_or(i64::MAX).saturating_add(planned.already);
    if number < DELIVERIES_PER_EVENT {
        Ok(planned.sequence * DELIVERIES_PER_EVENT + number)
    } else {
        Err(Kind::TooManyDeliveries.into())
    }
}
