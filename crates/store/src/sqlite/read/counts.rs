//! How much there is of what, without walking through everything there is.

use model::{EventStatus, Timestamp};
use rusqlite::Connection;

use crate::sqlite::Sqlite;
use crate::sqlite::codes::Code;
use crate::sqlite::failure::Result;
use crate::{Counts, StoreError};

impl Sqlite {
    pub(crate) async fn counts(&self) -> std::result::Result<Counts, StoreError> {
        let counts = self.read(counts).await?;
        Ok(Counts { full: self.is_full(), ..counts })
    }
}

fn counts(connection: &Connection) -> Result<Counts> {
    // One snapshot, so that the numbers belong together.
    let transaction = connection.unchecked_transaction()?;
    let number = |sql: &str| -> Result<u64> {
        let count: i64 = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    // Sequences have no gaps, and events are only ever deleted from the oldest on.
    let events = number(
        "SELECT coalesce((SELECT max(sequence) FROM event) - (SELECT min(sequence) FROM event) + 1,
            0)",
    )?;
    let mut counts = Counts {
        pending: number(
            "SELECT (SELECT count(*) FROM delivery INDEXED BY delivery_fresh WHERE state = 0)
                + (SELECT count(*) FROM delivery INDEXED BY delivery_blocked WHERE state = 1)
                + (SELECT count(*) FROM delivery INDEXED BY delivery_waiting
                    WHERE state IN (2, 3))",
        )?,
        parked: number(
            "SELECT count(*) FROM delivery INDEXED BY delivery_waiting
             WHERE state IN (2, 3) AND state = 3",
        )?,
        dead: number("SELECT count(*) FROM delivery INDEXED BY delivery_dead WHERE state = 5")?,
        oldest_pending_at: oldest_pending(&transaction)?,
        ..Counts::default()
    };
    let mut unaccepted = 0;
    let mut statement = transaction.prepare_cached(
        "SELECT status, count(*) FROM event INDEXED BY event_unaccepted WHERE status <> 0
         GROUP BY status",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        unaccepted += count;
        match row.get::<_, Code<EventStatus>>(0)?.0 {
            EventStatus::Accepted => {}
            EventStatus::Held => counts.held = count,
            EventStatus::Denied => counts.denied = count,
            EventStatus::Quarantined => counts.quarantined = count,
        }
    }
    counts.accepted = events.saturating_sub(unaccepted);
    Ok(counts)
}

/// When the pending delivery of the oldest event was planned. What is blocked is younger than what
/// blocks it.
fn oldest_pending(connection: &Connection) -> Result<Option<Timestamp>> {
    let at: Option<i64> = connection
        .prepare_cached(
            "SELECT min(created_at) FROM delivery WHERE row IN (
                SELECT (SELECT row FROM delivery INDEXED BY delivery_fresh
                    WHERE state = 0 AND endpoint = endpoint.id ORDER BY row LIMIT 1) FROM endpoint
                UNION ALL
                SELECT row FROM delivery INDEXED BY delivery_waiting WHERE state IN (2, 3))",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}
