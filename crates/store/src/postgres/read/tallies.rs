//! Refused and duplicate arrivals.

use model::{EventId, Step, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Filter, all, sealed_row};
use crate::codes::Code;
use crate::postgres::Postgres;
use crate::postgres::bind::count;
use crate::postgres::codes::{Sixteen, Unsigned};
use crate::postgres::failure::Result;
use crate::postgres::session::column;
use crate::{EventQuery, StoreError, TallyRow};

impl Postgres {
    pub(crate) async fn tallies(
        &self,
        query: EventQuery,
    ) -> std::result::Result<Vec<TallyRow>, StoreError> {
        let mut filter = Filter::new();
        if let Some(source) = &query.source {
            let condition = "source = (SELECT id FROM name WHERE text = ?)";
            filter.and(condition, source.clone(), Type::TEXT);
        }
        if let Some(since) = query.since {
            filter.and("last_at >= ?", since.as_millis(), Type::INT8);
            filter.and("minute >= ?", since.minute(), Type::INT8);
        }
        if let Some(until) = query.until {
            filter.and("first_at < ?", until.as_millis(), Type::INT8);
            filter.and("minute <= ?", until.minute(), Type::INT8);
        }
        let sql = format!(
            "SELECT minute, (SELECT text FROM name WHERE name.id = tally.source), event, step,
                reason, address_key, arrival, count, first_at, last_at, sealed_key, sealed
             FROM tally{} ORDER BY minute DESC, row DESC LIMIT {}",
            filter.sql(),
            count(query.limit)
        );
        let mut tallies = all(&self.list(&sql, filter.parameters).await?, tally_row)?;
        tallies.reverse();
        Ok(tallies)
    }
}

fn tally_row(row: &Row) -> Result<TallyRow> {
    let event: &[u8] = column(row, 2)?;
    Ok(TallyRow {
        minute: column(row, 0)?,
        source: column(row, 1)?,
        event: <[u8; 16]>::try_from(event).ok().map(EventId::from_bytes),
        step: column::<Code<Step>>(row, 3)?.0,
        reason: column(row, 4)?,
        address_key: column::<Sixteen>(row, 5)?.0,
        arrival: column::<Sixteen>(row, 6)?.into(),
        count: column::<Unsigned>(row, 7)?.0,
        first_at: Timestamp::from_millis(column(row, 8)?),
        last_at: Timestamp::from_millis(column(row, 9)?),
        address: sealed_row(row, 10)?,
    })
}
