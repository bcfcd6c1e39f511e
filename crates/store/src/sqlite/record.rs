//! Recording an arrival: its events, dedup keys, body, deliveries and audit entry.

use model::{EventId, EventStatus, Quarantine, Step, Steps};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use sabotage::Defect;

use super::codes::{Code, State, failed};
use super::failure::Result;
use super::session::Session;
use crate::audit::Entry;
use crate::error::Kind;
use crate::{Action, NewDelivery, NewEvent, Outcome, Record, Recorded};

pub(super) use crate::record::DELIVERIES_PER_EVENT;

/// The statements that every record uses.
pub(super) struct Inserts<'c> {
    pub(super) audit_entry: Statement<'c>,
    body: Statement<'c>,
    event: Statement<'c>,
    delivery: Statement<'c>,
}

impl<'c> Inserts<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            audit_entry: connection.prepare(
                "INSERT INTO audit_entry (at, action, actor, resource, outcome, request, changes,
                    address, agent, note, sealed_key, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            body: connection
                .prepare("INSERT INTO body (row, sealed_key, sealed) VALUES (?1, ?2, ?3)")?,
            event: connection.prepare(
                "INSERT INTO event (sequence, id, arrival, body, source, provider, kind, status,
                    reason, covers, failed, received_at, count, range_start, range_end, order_key,
                    dedup_key, projection, sealed_key, sealed, original)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 1, ?13, ?14, ?15, ?16,
                    ?17, ?18, ?19, ?20)",
            )?,
            delivery: connection.prepare(
                "INSERT INTO delivery (row, id, endpoint, order_key, state, tries, attempts, fence,
                    leased, next_at, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, ?6, ?6, ?6)",
            )?,
        })
    }
}

/// How an event is kept: as it came, or as what dedup made of it.
struct Kept<'a> {
    status: EventStatus,
    reason: Option<&'a str>,
    steps: Steps,
    deliveries: &'a [NewDelivery],
    /// Whether it is the first with its dedup key.
    holds_key: bool,
}

impl Session<'_> {
    /// Records an arrival.
    pub(super) fn record(&mut self, record: &Record) -> Result<Recorded> {
        if self.any_order(&record.unordered)? {
            return Err(Kind::Ordered.into());
        }
        for key in &record.keys {
            self.keep_key(key, Some(record.request))?;
        }
        let mut arrival = Arrival {
            source: self.names.number(self.connection, &record.source)?,
            provider: self.names.number(self.connection, &record.provider)?,
            body: None,
            record,
        };
        let mut events = Vec::with_capacity(record.events.len());
        for event in &record.events {
            events.push(self.record_event(&mut arrival, event)?);
        }
        if !sabotage::UNAUDITED
            && events.iter().any(|outcome| !matches!(outcome, Outcome::Duplicate { .. }))
        {
            let audited = self.audit(&Entry {
                at: record.received_at,
                action: Action::Recorded,
                actor: None,
                resource: record.arrival.as_bytes(),
                refused: false,
                request: Some(record.request),
                changes: Some(crate::record::changes(record, &events)),
                personal: None,
            });
            if !sabotage::on(Defect::AuditOptional) {
                audited?;
            }
        }
        Ok(Recorded { events })
    }

    fn record_event(&mut self, arrival: &mut Arrival<'_>, event: &NewEvent) -> Result<Outcome> {
        let as_it_came = Kept {
            status: event.status,
            reason: event.reason,
            steps: event.steps,
            deliveries: &event.deliveries,
            holds_key: true,
        };
        let Some(key) = &event.dedup_key else {
            if let Some(of) = self.count_again(&event.body_key, &[])? {
                return Ok(Outcome::Repeated { of });
            }
            self.insert_event(arrival, event, &as_it_came)?;
            self.remember_bytes(&event.body_key, &[])?;
            return Ok(Outcome::New);
        };
        let at = arrival.record.received_at;
        let holder = match self.dedup.take(at, key, event.id, &event.projection)? {
            Some(_) if sabotage::on(Defect::NoDedup) => None,
            Some((_, held)) if held != event.projection && sabotage::on(Defect::ConflictPasses) => {
                None
            }
            holder => holder,
        };
        match holder {
            None => {
                self.insert_event(arrival, event, &as_it_came)?;
                if let Some(awaits) = event.awaits {
                    self.await_it(event.id, awaits, at)?;
                }
                Ok(Outcome::New)
            }
            Some((of, projection)) if projection == event.projection => {
                Ok(Outcome::Duplicate { of })
            }
            Some((of, _)) => {
                if let Some(of) = self.count_again(&event.body_key, key)? {
                    return Ok(Outcome::Repeated { of });
                }
                let conflict = Kept {
                    status: EventStatus::Quarantined,
                    reason: Some(Quarantine::Conflict.code()),
                    steps: Steps::failed_at(Step::Record),
                    deliveries: &[],
                    holds_key: false,
                };
                self.insert_event(arrival, event, &conflict)?;
                self.remember_bytes(&event.body_key, key)?;
                Ok(Outcome::Conflict { of })
            }
        }
    }

    /// Counts a quarantined event that came before with the same bytes.
    fn count_again(&mut self, body_key: &[u8; 16], dedup_key: &[u8]) -> Result<Option<EventId>> {
        Ok(self
            .connection
            .prepare_cached(
                "UPDATE event SET count = count + 1 WHERE sequence =
                    (SELECT event FROM quarantine WHERE body_key = ?1 AND dedup_key = ?2)
                 RETURNING id",
            )?
            .query_row(params![body_key, dedup_key], |row| row.get(0))
            .optional()?
            .map(EventId::from_bytes))
    }

    fn remember_bytes(&mut self, body_key: &[u8; 16], dedup_key: &[u8]) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO quarantine (body_key, dedup_key, event)
                 VALUES (?1, ?2, ?3)",
            )?
            .execute(params![body_key, dedup_key, self.sequence])?;
        Ok(())
    }

    fn insert_event(
        &mut self,
        arrival: &mut Arrival<'_>,
        event: &NewEvent,
        kept: &Kept<'_>,
    ) -> Result<()> {
        if kept.status != EventStatus::Accepted && !kept.deliveries.is_empty() {
            return Err(Kind::NotDeliverable.into());
        }
        let sequence = self.sequence + 1;
        let body = match arrival.body {
            Some(body) => body,
            None => self.insert_body(arrival, sequence)?,
        };
        self.see_key(&event.facts)?;
        let record = arrival.record;
        let dedup_key = event.dedup_key.filter(|_| kept.holds_key);
        self.inserts.event.execute(params![
            sequence,
            event.id.as_bytes(),
            record.arrival.as_bytes(),
            body,
            arrival.source,
            arrival.provider,
            event.kind,
            Code(kept.status),
            kept.reason,
            Code(event.covers),
            failed(kept.steps),
            record.received_at.as_millis(),
            event.range.start,
            event.range.end,
            event.order_key,
            dedup_key,
            dedup_key.map(|_| event.projection),
            event.facts.key.0,
            event.facts.sealed.as_bytes(),
            event.original,
        ])?;
        self.sequence = sequence;
        self.insert_deliveries(&Planned {
            sequence,
            already: 0,
            order_key: event.order_key,
            at: record.received_at,
            deliveries: kept.deliveries,
        })
    }

    /// One body an arrival, numbered as its first event.
    fn insert_body(&mut self, arrival: &mut Arrival<'_>, row: i64) -> Result<i64> {
        let record = arrival.record;
        self.see_key(&record.body)?;
        self.inserts.body.execute(params![
            row,
            record.body.key.0,
            record.body.sealed.as_bytes(),
        ])?;
        arrival.body = Some(row);
        Ok(row)
    }

    pub(super) fn insert_deliveries(&mut self, planned: &Planned<'_>) -> Result<()> {
        let first = planned.sequence * DELIVERIES_PER_EVENT + planned.already;
        for (row, delivery) in (first..).zip(planned.deliveries) {
            if row / DELIVERIES_PER_EVENT != planned.sequence {
                return Err(Kind::TooManyDeliveries.into());
            }
            let endpoint = self.endpoint(&delivery.endpoint, planned.at)?;
            self.inserts.delivery.execute(params![
                row,
                delivery.id.as_bytes(),
                endpoint,
                planned.order_key,
                Code(State::Fresh),
                planned.at.as_millis(),
            ])?;
        }
        Ok(())
    }
}

/// The deliveries of one event.
pub(super) struct Planned<'a> {
    pub(super) sequence: i64,
    /// How many the event has already.
    pub(super) already: i64,
    pub(super) order_key: Option<[u8; 16]>,
    pub(super) at: model::Timestamp,
    pub(super) deliveries: &'a [NewDelivery],
}

/// An arrival on its way in.
struct Arrival<'a> {
    record: &'a Record,
    source: i64,
    provider: i64,
    /// The row of its body, once an event needs it.
    body: Option<i64>,
}
