//! Events that may be decided on anew.

use model::limits::UNDECIDED_DAYS;
use model::{EventId, EventStatus, OrderId, Timestamp};
use tokio_postgres::types::Type;

use super::Postgres;
use super::audit::Entries;
use super::bind::{Owned, bytea, byteas, count, int2, int8, int8s, text, uuid, uuids};
use super::codes::Sixteen;
use super::failure::Result;
use super::record::Planned;
use super::session::{Session, column};
use crate::codes::{Code, failed};
use crate::error::Kind;
use crate::retention::DAY_MS;
use crate::{Anew, Awaits, Later, OrderChanges, StoreError, TakeUndecided, Undecided};

/// An event that is decided on anew, as it stands.
pub(super) struct KeptEvent {
    sequence: i64,
    arrival: Sixteen,
    order_key: Option<Sixteen>,
}

/// Events that wait for something.
#[derive(Default)]
pub(super) struct Waiting {
    event: Vec<Sixteen>,
    reference_key: Vec<Option<Sixteen>>,
    next_at: Vec<i64>,
    since: Vec<i64>,
}

impl Waiting {
    pub(super) fn push(&mut self, event: EventId, awaits: Awaits, since: Timestamp) {
        self.event.push(event.into());
        self.reference_key.push(awaits.reference_key().map(Sixteen));
        self.next_at.push(awaits.first_at(since));
        self.since.push(since.as_millis());
    }
}

impl Session<'_> {
    /// Notes that events wait for something, or for something else.
    pub(super) async fn await_them(&self, waiting: &Waiting) -> Result<()> {
        if waiting.event.is_empty() {
            return Ok(());
        }
        self.run(
            "INSERT INTO undecided (event, reference_key, next_at, tries, since)
             SELECT event, reference_key, next_at, 0, since
             FROM unnest($1, $2, $3, $4) AS new (event, reference_key, next_at, since)
             ON CONFLICT (event) DO UPDATE SET reference_key = excluded.reference_key,
                next_at = excluded.next_at, tries = undecided.tries + 1",
            &[
                uuids(&waiting.event),
                byteas(&waiting.reference_key),
                int8s(&waiting.next_at),
                int8s(&waiting.since),
            ],
        )
        .await?;
        Ok(())
    }

    /// It waits for nothing any more.
    pub(super) async fn await_nothing(&self, event: EventId) -> Result<()> {
        let sql = "UPDATE undecided SET reference_key = NULL, next_at = NULL, tries = tries + 1
             WHERE event = $1";
        self.run(sql, &[uuid(&Sixteen::from(event))]).await?;
        Ok(())
    }

    /// What waits for an order is looked at: it was created, or has changed.
    pub(super) async fn wake_undecided(&self, order: OrderId, now: Timestamp) -> Result<()> {
        self.run(
            "UPDATE undecided SET next_at = $2, tries = tries + 1 WHERE event IN (
                SELECT event FROM undecided
                WHERE reference_key = (SELECT reference_key FROM orders WHERE id = $1)
                ORDER BY event FOR UPDATE)",
            &[uuid(&Sixteen::from(order)), int8(&now.as_millis())],
        )
        .await?;
        Ok(())
    }

    pub(super) async fn take_undecided(&self, take: &TakeUndecided) -> Result<Vec<Undecided>> {
        let now = take.now.as_millis();
        self.run(
            "UPDATE undecided SET next_at = NULL, tries = tries + 1 WHERE event IN (
                SELECT event FROM undecided
                WHERE next_at <= $1 AND reference_key IS NOT NULL AND NOT EXISTS
                    (SELECT 1 FROM orders WHERE orders.reference_key = undecided.reference_key)
                ORDER BY event FOR UPDATE SKIP LOCKED)",
            &[int8(&now)],
        )
        .await?;
        let rows = self
            .rows(
                "UPDATE undecided SET next_at = $2, tries = tries + 1 WHERE event IN (
                    SELECT event FROM undecided WHERE next_at <= $1
                    ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED)
                 RETURNING event, reference_key, tries, since",
                &[int8(&now), int8(&take.until.as_millis()), int8(&count(take.limit))],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let reference_key = column::<Option<Sixteen>>(row, 1)?.map(|key| key.0);
                Ok(Undecided {
                    event: column::<Sixteen>(row, 0)?.into(),
                    awaits: Awaits::of(reference_key),
                    tries: column(row, 2)?,
                    since: Timestamp::from_millis(column(row, 3)?),
                })
            })
            .collect()
    }

    /// Says when an event is looked at again, unless somebody took or woke it since.
    pub(super) async fn put_off(&self, looked: &Undecided, later: Later) -> Result<()> {
        let (event, tries) = (Sixteen::from(looked.event), looked.tries);
        let next_at = match later {
            Later::At(at) => Some(at.as_millis()),
            Later::WithItsOrder => None,
            Later::Never => {
                let sql = "UPDATE undecided SET reference_key = NULL, next_at = NULL
                     WHERE event = $1 AND tries = $2";
                self.run(sql, &[uuid(&event), int8(&tries)]).await?;
                return Ok(());
            }
        };
        let sql = "UPDATE undecided SET next_at = $3 WHERE event = $1 AND tries = $2";
        self.run(sql, &[uuid(&event), int8(&tries), int8(&next_at)]).await?;
        Ok(())
    }

    /// Forgets what has waited for too long.
    pub(super) async fn forget_undecided(&self, today: i64) -> Result<()> {
        let before = today.saturating_sub(UNDECIDED_DAYS).saturating_mul(DAY_MS);
        self.run("DELETE FROM undecided WHERE since < $1", &[int8(&before)]).await?;
        // Events go with their partitions.
        let sql =
            "DELETE FROM restated WHERE NOT EXISTS (SELECT 1 FROM event WHERE id = restated.event)";
        self.run(sql, &[]).await?;
        Ok(())
    }

    /// The event, if it is as whoever decides believes, and what is to be delivered of it is there. It
    /// stays so.
    pub(super) async fn kept_event(&self, anew: &Anew) -> Result<Option<KeptEvent>> {
        let found = self
            .rows(
                "SELECT sequence, arrival, order_key,
                    EXISTS (SELECT 1 FROM body WHERE body.arrival = event.arrival)
                 FROM event WHERE id = $1 AND status = $2 AND reason IS NOT DISTINCT FROM $3
                 FOR UPDATE OF event",
                &[uuid(&Sixteen::from(anew.event)), int2(&Code(anew.from.0)), text(&anew.from.1)],
            )
            .await?;
        let Some(row) = found.first() else { return Ok(None) };
        let has_body: bool = column(row, 3)?;
        if !has_body && !anew.deliveries.is_empty() {
            return Ok(None);
        }
        Ok(Some(KeptEvent {
            sequence: column(row, 0)?,
            arrival: column(row, 1)?,
            order_key: column(row, 2)?,
        }))
    }

    /// Decides on an event anew.
    pub(super) async fn decide_anew(
        &self,
        anew: &Anew,
        kept: &KeptEvent,
        ordered: &OrderChanges,
    ) -> Result<()> {
        if anew.to != EventStatus::Accepted && !anew.deliveries.is_empty() {
            return Err(Kind::NotDeliverable.into());
        }
        let id = Sixteen::from(anew.event);
        let sql = "UPDATE event SET status = $2, reason = $3, failed = $4 WHERE id = $1";
        let step = failed(anew.steps);
        self.run(sql, &[uuid(&id), int2(&Code(anew.to)), text(&anew.reason), int2(&step)]).await?;
        if let Some(facts) = &anew.facts {
            let key = Sixteen::from(facts.key);
            self.kept_keys(&[key]).await?.see(facts)?;
            let sql = "INSERT INTO restated (event, sealed_key, sealed) VALUES ($1, $2, $3)
                ON CONFLICT (event) DO UPDATE SET
                    sealed_key = excluded.sealed_key, sealed = excluded.sealed";
            self.run(sql, &[uuid(&id), uuid(&key), bytea(&facts.sealed.as_bytes())]).await?;
        }
        if !anew.deliveries.is_empty() {
            self.insert_deliveries(&Planned {
                sequence: kept.sequence,
                already: self.deliveries_of(kept.sequence).await?,
                event: id,
                arrival: kept.arrival,
                order_key: kept.order_key.map(|key| key.0),
                at: ordered.at,
                deliveries: &anew.deliveries,
            })
            .await?;
        }
        match anew.awaits {
            Some(awaits) => {
                let mut waiting = Waiting::default();
                waiting.push(anew.event, awaits, ordered.at);
                self.await_them(&waiting).await?;
            }
            None => self.await_nothing(anew.event).await?,
        }
        self.tell_anew(anew, ordered).await?;
        let is_new = anew.to == EventStatus::Accepted && anew.from.0 != EventStatus::Accepted;
        self.count_accepted(i64::from(is_new)).await
    }

    /// The entry about it.
    async fn tell_anew(&self, anew: &Anew, ordered: &OrderChanges) -> Result<()> {
        let changes = anew.changes();
        if let Some(note) = &ordered.note {
            let event = anew.event.as_bytes();
            return self.audit_note(anew.by_hand(), event, false, note, &changes).await;
        }
        let mut entries = Entries::default();
        if anew.is_decided() {
            entries.push(&anew.entry(ordered.at, &changes));
        }
        self.audit(&entries).await
    }
}

impl Postgres {
    pub(crate) async fn any_undecided(
        &self,
        now: Timestamp,
    ) -> std::result::Result<bool, StoreError> {
        let sql = "SELECT 1 FROM undecided WHERE next_at <= $1 LIMIT 1";
        let now = Owned::new(now.as_millis(), Type::INT8);
        Ok(!self.look(sql, vec![now]).await?.is_empty())
    }
}
