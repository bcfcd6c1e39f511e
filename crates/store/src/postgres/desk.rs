//! What a person does: release and deny events, redeliver, pause and resume endpoints.

use std::collections::HashSet;

use model::{DeliveryId, DeliveryStatus, EventId, EventStatus, Timestamp};

use super::audit::Entries;
use super::bind::{int2, int4, int8, text, uuid, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::record::Planned;
use super::session::{Session, column};
use crate::audit::{Entry, decided};
use crate::codes::Code;
use crate::error::Kind;
use crate::record::DELIVERIES_PER_EVENT;
use crate::{Action, Changed, EndpointState, NewDelivery, Note};

/// An event that somebody decides about.
struct Held {
    sequence: i64,
    arrival: Sixteen,
    reason: Option<String>,
    order_key: Option<Sixteen>,
    has_body: bool,
}

impl Session<'_> {
    /// Accepts a held event and plans its deliveries. A person's permit stands in for the step that
    /// held it; what it was held for stays in the audit log.
    pub(super) async fn release(
        &self,
        event: EventId,
        note: &Note,
        deliveries: &[NewDelivery],
    ) -> Result<Changed> {
        let held = match self.held(event, Action::Released, note).await? {
            Ok(held) => held,
            Err(changed) => return Ok(changed),
        };
        if !held.has_body && !deliveries.is_empty() {
            let resource = event.as_bytes();
            let because = ("because", None, Some("body_gone"));
            self.audit_note(Action::Released, resource, true, note, &[because]).await?;
            return Ok(Changed::BodyGone);
        }
        let id = Sixteen::from(event);
        self.run(
            "UPDATE event SET status = 0, reason = NULL, failed = NULL WHERE id = $1",
            &[uuid(&id)],
        )
        .await?;
        self.await_nothing(event).await?;
        let already = self.deliveries_of(held.sequence).await?;
        self.insert_deliveries(&Planned {
            sequence: held.sequence,
            already,
            event: id,
            arrival: held.arrival,
            order_key: held.order_key.map(|key| key.0),
            at: note.at,
            deliveries,
        })
        .await?;
        let reason = held.reason.as_deref();
        let changes = decided(EventStatus::Accepted, ("reason", reason, None));
        self.audit_note(Action::Released, event.as_bytes(), false, note, &changes).await?;
        self.count_accepted(1).await?;
        Ok(Changed::Done)
    }

    /// Denies a held event. What it was held for stays its reason.
    pub(super) async fn deny(&self, event: EventId, note: &Note) -> Result<Changed> {
        let held = match self.held(event, Action::Denied, note).await? {
            Ok(held) => held,
            Err(changed) => return Ok(changed),
        };
        let status = Code(EventStatus::Denied);
        let id = Sixteen::from(event);
        self.run("UPDATE event SET status = $2 WHERE id = $1", &[uuid(&id), int2(&status)]).await?;
        self.await_nothing(event).await?;
        let reason = held.reason.as_deref();
        let changes = decided(EventStatus::Denied, ("reason", reason, reason));
        self.audit_note(Action::Denied, event.as_bytes(), false, note, &changes).await?;
        Ok(Changed::Done)
    }

    /// The event if it is held; else what to answer, and an entry about who tried.
    async fn held(
        &self,
        event: EventId,
        action: Action,
        note: &Note,
    ) -> Result<std::result::Result<Held, Changed>> {
        let found = self
            .rows(
                "SELECT sequence, arrival, reason, order_key, status,
                    EXISTS (SELECT 1 FROM body WHERE body.arrival = event.arrival)
                 FROM event WHERE id = $1 FOR UPDATE OF event",
                &[uuid(&Sixteen::from(event))],
            )
            .await?;
        let Some(row) = found.first() else { return Ok(Err(Changed::NotFound)) };
        match column::<Code<EventStatus>>(row, 4)?.0 {
            EventStatus::Held => Ok(Ok(Held {
                sequence: column(row, 0)?,
                arrival: column(row, 1)?,
                reason: column(row, 2)?,
                order_key: column(row, 3)?,
                has_body: column(row, 5)?,
            })),
            status => {
                let is = Some(status.code());
                self.audit_note(action, event.as_bytes(), true, note, &[("status", is, is)])
                    .await?;
                Ok(Err(Changed::NotHeld(status)))
            }
        }
    }

    /// How many deliveries an event has, made or not.
    pub(super) async fn deliveries_of(&self, sequence: i64) -> Result<i64> {
        let sql = format!(
            "SELECT (SELECT count(*) FROM pending WHERE row / {DELIVERIES_PER_EVENT} = $1)
                + (SELECT count(*) FROM delivery WHERE row / {DELIVERIES_PER_EVENT} = $1)"
        );
        let rows = self.rows(&sql, &[int8(&sequence)]).await?;
        rows.first().map_or(Ok(0), |row| column(row, 0))
    }

    /// Sets delivered and dead deliveries going again, at their place, with all their attempts
    /// before them. One whose event or body is forgotten has nothing to deliver.
    pub(super) async fn redeliver(&self, deliveries: &[DeliveryId], note: &Note) -> Result<usize> {
        let ids: Vec<Sixteen> = deliveries.iter().map(|id| (*id).into()).collect();
        let rows = self
            .rows(
                "WITH ended AS (
                    SELECT id FROM delivery WHERE id = ANY ($1)
                        AND EXISTS (SELECT 1 FROM event WHERE event.id = delivery.event)
                        AND EXISTS (SELECT 1 FROM body WHERE body.arrival = delivery.arrival)
                    ORDER BY id FOR UPDATE OF delivery
                 ), gone AS (
                    DELETE FROM delivery WHERE id IN (SELECT id FROM ended)
                    RETURNING row, id, event, arrival, endpoint, order_key, attempts, fence,
                        created_at
                 )
                 INSERT INTO pending (row, delivery, event, arrival, endpoint, order_key, state,
                    tries, attempts, fence, leased, next_at, created_at, updated_at)
                 SELECT row, id, event, arrival, endpoint, order_key, 0, 0, attempts, fence, false,
                    $2, created_at, $2
                 FROM gone RETURNING delivery",
                &[uuids(&ids), int8(&note.at.as_millis())],
            )
            .await?;
        let mut again: HashSet<Sixteen> = HashSet::new();
        for row in &rows {
            again.insert(column(row, 0)?);
        }
        let mut entries = Entries::default();
        let changes = [("status", None, Some(DeliveryStatus::Pending.code()))];
        self.see_personal(note).await?;
        // In the order in which they were asked for, each once.
        for id in &ids {
            if again.remove(id) {
                let action = Action::Redelivered;
                let entry = Entry::by_hand(action, &id.0, false, note, &changes);
                entry.check()?;
                entries.push(&entry);
            }
        }
        self.audit(&entries).await?;
        if !rows.is_empty() {
            self.tell_work().await?;
        }
        Ok(rows.len())
    }

    /// Pauses, resumes or disables an endpoint.
    pub(super) async fn set_endpoint_state(
        &self,
        endpoint: &str,
        state: EndpointState,
        note: &Note,
    ) -> Result<()> {
        let numbers = self.endpoint_numbers([endpoint].into(), note.at).await?;
        let number = numbers.get(endpoint).ok_or(Failure::from(Kind::Internal))?;
        let rows = self
            .rows(
                "UPDATE endpoint SET state = $2, changed_at = $3
                 FROM (SELECT id, state FROM endpoint WHERE id = $1 FOR UPDATE) AS before
                 WHERE endpoint.id = before.id RETURNING before.state",
                &[int4(number), int2(&Code(state)), int8(&note.at.as_millis())],
            )
            .await?;
        let before = rows.first().map(|row| column::<Code<EndpointState>>(row, 0)).transpose()?;
        let change = ("state", before.map(|before| before.0.code()), Some(state.code()));
        let resource = endpoint.as_bytes();
        self.audit_note(Action::EndpointChanged, resource, false, note, &[change]).await?;
        self.tell_work().await
    }

    /// Notes until when an endpoint is left alone, for whoever looks. Nobody decided it, so it is
    /// not in the audit log.
    pub(super) async fn set_endpoint_rest(
        &self,
        endpoint: &str,
        until: Option<Timestamp>,
    ) -> Result<()> {
        let until = until.map(Timestamp::as_millis);
        self.run(
            "UPDATE endpoint SET rests_until = $2 WHERE name = $1",
            &[text(&endpoint), int8(&until)],
        )
        .await?;
        Ok(())
    }
}
