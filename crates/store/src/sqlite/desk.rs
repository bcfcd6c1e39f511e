//! What a person does: release and deny events, redeliver, pause and resume endpoints.

use model::{DeliveryId, DeliveryStatus, EventId, EventStatus, Timestamp};
use rusqlite::{OptionalExtension as _, params};

use super::codes::{Code, State};
use super::failure::Result;
use super::record::Planned;
use super::session::Session;
use crate::audit::decided;
use crate::{Action, Changed, EndpointState, NewDelivery, Note};

/// An event that somebody decides about.
struct Held {
    sequence: i64,
    reason: Option<String>,
    order_key: Option<[u8; 16]>,
    has_body: bool,
}

impl Session<'_> {
    /// Accepts a held event and plans its deliveries. A person's permit stands in for the step that
    /// held it; what it was held for stays in the audit log.
    pub(super) fn release(
        &mut self,
        event: EventId,
        note: &Note,
        deliveries: &[NewDelivery],
    ) -> Result<Changed> {
        let held = match self.held(event, Action::Released, note)? {
            Ok(held) => held,
            Err(changed) => return Ok(changed),
        };
        if !held.has_body && !deliveries.is_empty() {
            let because = ("because", None, Some("body_gone"));
            self.audit_note(Action::Released, event.as_bytes(), true, note, &[because])?;
            return Ok(Changed::BodyGone);
        }
        self.connection
            .prepare_cached(
                "UPDATE event SET status = ?2, reason = NULL, failed = NULL WHERE sequence = ?1",
            )?
            .execute(params![held.sequence, Code(EventStatus::Accepted)])?;
        let already = self.deliveries_of(held.sequence)?;
        self.await_nothing(event)?;
        self.insert_deliveries(&Planned {
            sequence: held.sequence,
            already,
            order_key: held.order_key,
            at: note.at,
            deliveries,
        })?;
        let reason = held.reason.as_deref();
        let changes = decided(EventStatus::Accepted, ("reason", reason, None));
        self.audit_note(Action::Released, event.as_bytes(), false, note, &changes)?;
        Ok(Changed::Done)
    }

    /// Denies a held event. What it was held for stays its reason.
    pub(super) fn deny(&mut self, event: EventId, note: &Note) -> Result<Changed> {
        let held = match self.held(event, Action::Denied, note)? {
            Ok(held) => held,
            Err(changed) => return Ok(changed),
        };
        self.connection
            .prepare_cached("UPDATE event SET status = ?2 WHERE sequence = ?1")?
            .execute(params![held.sequence, Code(EventStatus::Denied)])?;
        self.await_nothing(event)?;
        let reason = held.reason.as_deref();
        let changes = decided(EventStatus::Denied, ("reason", reason, reason));
        self.audit_note(Action::Denied, event.as_bytes(), false, note, &changes)?;
        Ok(Changed::Done)
    }

    /// The event if it is held; else what to answer, and an entry about who tried.
    fn held(
        &mut self,
        event: EventId,
        action: Action,
        note: &Note,
    ) -> Result<std::result::Result<Held, Changed>> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT sequence, reason, order_key, status,
                    EXISTS (SELECT 1 FROM body WHERE row = event.body) FROM event WHERE id = ?1",
            )?
            .query_row([event.as_bytes()], |row| {
                let held = Held {
                    sequence: row.get(0)?,
                    reason: row.get(1)?,
                    order_key: row.get(2)?,
                    has_body: row.get(4)?,
                };
                Ok((held, row.get::<_, Code<EventStatus>>(3)?.0))
            })
            .optional()?;
        match found {
            None => Ok(Err(Changed::NotFound)),
            Some((held, EventStatus::Held)) => Ok(Ok(held)),
            Some((_, status)) => {
                let is = Some(status.code());
                self.audit_note(action, event.as_bytes(), true, note, &[("status", is, is)])?;
                Ok(Err(Changed::NotHeld(status)))
            }
        }
    }

    /// Sets delivered and dead deliveries going again, with all their attempts before them. One whose
    /// body is forgotten has nothing to deliver.
    pub(super) fn redeliver(&mut self, deliveries: &[DeliveryId], note: &Note) -> Result<usize> {
        let mut redelivered = 0;
        for delivery in deliveries {
            let changed = self
                .connection
                .prepare_cached(
                    "UPDATE delivery SET state = ?2, tries = 0, next_at = ?3, updated_at = ?3
                     WHERE id = ?1 AND state IN (4, 5) AND EXISTS (SELECT 1 FROM body WHERE row =
                        (SELECT body FROM event WHERE sequence = delivery.row / 1024))",
                )?
                .execute(params![delivery.as_bytes(), Code(State::Fresh), note.at.as_millis()])?;
            if changed == 1 {
                redelivered += 1;
                let again = ("status", None, Some(DeliveryStatus::Pending.code()));
                self.audit_note(Action::Redelivered, delivery.as_bytes(), false, note, &[again])?;
            }
        }
        Ok(redelivered)
    }

    /// Pauses, resumes or disables an endpoint.
    pub(super) fn set_endpoint_state(
        &mut self,
        endpoint: &str,
        state: EndpointState,
        note: &Note,
    ) -> Result<()> {
        let number = self.endpoint(endpoint, note.at)?;
        let before: Code<EndpointState> = self
            .connection
            .prepare_cached("SELECT state FROM endpoint WHERE id = ?1")?
            .query_row([number], |row| row.get(0))?;
        self.connection
            .prepare_cached("UPDATE endpoint SET state = ?2, changed_at = ?3 WHERE id = ?1")?
            .execute(params![number, Code(state), note.at.as_millis()])?;
        let change = ("state", Some(before.0.code()), Some(state.code()));
        self.audit_note(Action::EndpointChanged, endpoint.as_bytes(), false, note, &[change])
    }

    /// Notes until when an endpoint is left alone, for whoever looks. Nobody decided it, so it is
    /// not in the audit log.
    pub(super) fn set_endpoint_rest(
        &mut self,
        endpoint: &str,
        until: Option<Timestamp>,
    ) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE endpoint SET rests_until = ?2 WHERE name = ?1")?
            .execute(params![endpoint, until.map(Timestamp::as_millis)])?;
        Ok(())
    }
}
