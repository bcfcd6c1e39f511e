//! Refused and duplicate arrivals.

use model::{ArrivalId, EventId, Step, Timestamp};
use rusqlite::{Connection, Row, params_from_iter};
use vault::{KeyId, Sealed};

use super::{Filter, limit};
use crate::sqlite::Sqlite;
use crate::sqlite::codes::Code;
use crate::sqlite::failure::Result;
use crate::{EventQuery, SealedRow, StoreError, TallyRow};

impl Sqlite {
    pub(crate) async fn tallies(
        &self,
        query: EventQuery,
    ) -> std::result::Result<Vec<TallyRow>, StoreError> {
        self.list(move |connection| tallies(connection, &query)).await
    }
}

fn tallies(connection: &Connection, query: &EventQuery) -> Result<Vec<TallyRow>> {
    let mut filter = Filter::new();
    if let Some(source) = &query.source {
        filter.and("source = (SELECT id FROM name WHERE text = ?)", source.clone());
    }
    if let Some(since) = query.since {
        filter.and("last_at >= ?", since.as_millis());
        filter.and("minute >= ?", since.minute());
    }
    if let Some(until) = query.until {
        filter.and("first_at < ?", until.as_millis());
        filter.and("minute <= ?", until.minute());
    }
    let sql = format!(
        "SELECT minute, (SELECT text FROM name WHERE name.id = tally.source), event, step, reason,
            address_key, arrival, count, first_at, last_at, sealed_key, sealed
         FROM tally{} ORDER BY minute DESC, row DESC LIMIT {}",
        filter.sql(),
        limit(query.limit)
    );
    let mut tallies: Vec<TallyRow> = connection
        .prepare(&sql)?
        .query_map(params_from_iter(&filter.values), tally_row)?
        .collect::<rusqlite::Result<_>>()?;
    tallies.reverse();
    Ok(tallies)
}

fn tally_row(row: &Row<'_>) -> rusqlite::Result<TallyRow> {
    let event: Vec<u8> = row.get(2)?;
    Ok(TallyRow {
        minute: row.get(0)?,
        source: row.get(1)?,
        event: <[u8; 16]>::try_from(event).ok().map(EventId::from_bytes),
        step: row.get::<_, Code<Step>>(3)?.0,
        reason: row.get(4)?,
        address_key: row.get(5)?,
        arrival: ArrivalId::from_bytes(row.get(6)?),
        count: row.get(7)?,
        first_at: Timestamp::from_millis(row.get(8)?),
        last_at: Timestamp::from_millis(row.get(9)?),
        address: SealedRow { key: KeyId(row.get(10)?), sealed: Sealed::from_bytes(row.get(11)?) },
    })
}
