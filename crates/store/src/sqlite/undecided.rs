//! Events that may be decided on anew.

use model::limits::UNDECIDED_DAYS;
use model::{EventId, EventStatus, OrderId, Timestamp};
use rusqlite::{OptionalExtension as _, params};

use super::Sqlite;
use super::codes::{Code, failed};
use super::failure::Result;
use super::record::{DELIVERIES_PER_EVENT, Planned};
use super::session::Session;
use crate::error::Kind;
use crate::retention::DAY_MS;
use crate::{Anew, Awaits, Later, OrderChanges, StoreError, TakeUndecided, Undecided};

/// An event that is decided on anew, as it stands.
pub(super) struct KeptEvent {
    sequence: i64,
    order_key: Option<[u8; 16]>,
}

impl Session<'_> {
    /// Notes that an event waits for something, or for something else.
    pub(super) fn await_it(&self, event: EventId, awaits: Awaits, since: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO undecided (event, reference_key, next_at, tries, since)
                 VALUES (?1, ?2, ?3, 0, ?4)
                 ON CONFLICT (event) DO UPDATE SET reference_key = excluded.reference_key,
                    next_at = excluded.next_at, tries = undecided.tries + 1",
            )?
            .execute(params![
                event.as_bytes(),
                awaits.reference_key(),
                awaits.first_at(since),
                since.as_millis()
            ])?;
        Ok(())
    }

    /// It waits for nothing any more. The row stays until it is swept, so that a copy of this store that
    /// has it already hears of it.
    pub(super) fn await_nothing(&self, event: EventId) -> Result<()> {
        let sql = "UPDATE undecided SET reference_key = NULL, next_at = NULL, tries = tries + 1
             WHERE event = ?1";
        self.connection.prepare_cached(sql)?.execute([event.as_bytes()])?;
        Ok(())
    }

    /// What waits for an order is looked at: it was created, or has changed.
    pub(super) fn wake_undecided(&self, order: OrderId, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE undecided SET next_at = ?2, tries = tries + 1
                 WHERE reference_key = (SELECT reference_key FROM orders WHERE id = ?1)",
            )?
            .execute(params![order.as_bytes(), now.as_millis()])?;
        Ok(())
    }

    pub(super) fn take_undecided(&self, take: &TakeUndecided) -> Result<Vec<Undecided>> {
        let now = take.now.as_millis();
        self.connection
            .prepare_cached(
                "UPDATE undecided SET next_at = NULL, tries = tries + 1
                 WHERE next_at <= ?1 AND reference_key IS NOT NULL AND NOT EXISTS
                    (SELECT 1 FROM orders WHERE orders.reference_key = undecided.reference_key)",
            )?
            .execute([now])?;
        let limit = i64::try_from(take.limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(
            "UPDATE undecided SET next_at = ?2, tries = tries + 1 WHERE event IN
                (SELECT event FROM undecided WHERE next_at <= ?1 ORDER BY next_at LIMIT ?3)
             RETURNING event, reference_key, tries, since",
        )?;
        let rows = statement.query_map(params![now, take.until.as_millis(), limit], |row| {
            Ok(Undecided {
                event: EventId::from_bytes(row.get(0)?),
                awaits: Awaits::of(row.get(1)?),
                tries: row.get(2)?,
                since: Timestamp::from_millis(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Says when an event is looked at again, unless somebody took or woke it since.
    pub(super) fn put_off(&self, looked: &Undecided, later: Later) -> Result<()> {
        let (event, tries) = (looked.event.as_bytes(), looked.tries);
        let next_at = match later {
            Later::At(at) => Some(at.as_millis()),
            Later::WithItsOrder => None,
            Later::Never => {
                let sql = "UPDATE undecided SET reference_key = NULL, next_at = NULL
                     WHERE event = ?1 AND tries = ?2";
                self.connection.prepare_cached(sql)?.execute(params![event, tries])?;
                return Ok(());
            }
        };
        let sql = "UPDATE undecided SET next_at = ?3 WHERE event = ?1 AND tries = ?2";
        self.connection.prepare_cached(sql)?.execute(params![event, tries, next_at])?;
        Ok(())
    }

    /// Forgets what has waited for too long.
    pub(super) fn forget_undecided(&self, today: i64) -> Result<()> {
        let before = today.saturating_sub(UNDECIDED_DAYS).saturating_mul(DAY_MS);
        let sql = "DELETE FROM undecided WHERE since < ?1";
        self.connection.prepare_cached(sql)?.execute([before])?;
        Ok(())
    }

    /// The event, if it is as whoever decides believes, and what is to be delivered of it is there.
    pub(super) fn kept_event(&self, anew: &Anew) -> Result<Option<KeptEvent>> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT sequence, order_key, EXISTS (SELECT 1 FROM body WHERE row = event.body)
                 FROM event WHERE id = ?1 AND status = ?2 AND reason IS ?3",
            )?
            .query_row(params![anew.event.as_bytes(), Code(anew.from.0), anew.from.1], |row| {
                let kept = KeptEvent { sequence: row.get(0)?, order_key: row.get(1)? };
                Ok((kept, row.get::<_, bool>(2)?))
            })
            .optional()?;
        let fits = |has_body: bool| has_body || anew.deliveries.is_empty();
        Ok(found.and_then(|(kept, has_body)| fits(has_body).then_some(kept)))
    }

    /// Decides on an event anew.
    pub(super) fn decide_anew(
        &mut self,
        anew: &Anew,
        kept: &KeptEvent,
        ordered: &OrderChanges,
    ) -> Result<()> {
        if anew.to != EventStatus::Accepted && !anew.deliveries.is_empty() {
            return Err(Kind::NotDeliverable.into());
        }
        let sequence = kept.sequence;
        self.connection
            .prepare_cached(
                "UPDATE event SET status = ?2, reason = ?3, failed = ?4 WHERE sequence = ?1",
            )?
            .execute(params![sequence, Code(anew.to), anew.reason, failed(anew.steps)])?;
        if let Some(facts) = &anew.facts {
            self.see_key(facts)?;
            let sql = "INSERT INTO restated (event, sealed_key, sealed) VALUES (?1, ?2, ?3)
                ON CONFLICT (event) DO UPDATE SET
                    sealed_key = excluded.sealed_key, sealed = excluded.sealed";
            let sealed = params![anew.event.as_bytes(), facts.key.0, facts.sealed.as_bytes()];
            self.connection.prepare_cached(sql)?.execute(sealed)?;
        }
        self.insert_deliveries(&Planned {
            sequence,
            already: self.deliveries_of(sequence)?,
            order_key: kept.order_key,
            at: ordered.at,
            deliveries: &anew.deliveries,
        })?;
        match anew.awaits {
            Some(awaits) => self.await_it(anew.event, awaits, ordered.at)?,
            None => self.await_nothing(anew.event)?,
        }
        let changes = anew.changes();
        match &ordered.note {
            Some(note) => {
                let (action, event) = (anew.by_hand(), anew.event.as_bytes());
                self.audit_note(action, event, false, note, &changes)
            }
            None if anew.is_decided() => self.audit(&anew.entry(ordered.at, &changes)),
            None => Ok(()),
        }
    }

    /// How many deliveries an event has.
    pub(super) fn deliveries_of(&self, sequence: i64) -> Result<i64> {
        let rows = [sequence * DELIVERIES_PER_EVENT, (sequence + 1) * DELIVERIES_PER_EVENT];
        let sql = "SELECT count(*) FROM delivery WHERE row >= ?1 AND row < ?2";
        Ok(self.connection.prepare_cached(sql)?.query_row(rows, |row| row.get(0))?)
    }
}

impl Sqlite {
    pub(crate) async fn any_undecided(
        &self,
        now: Timestamp,
    ) -> std::result::Result<bool, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT 1 FROM undecided WHERE next_at <= ?1";
            Ok(connection.prepare_cached(sql)?.exists([now.as_millis()])?)
        })
        .await
    }
}
