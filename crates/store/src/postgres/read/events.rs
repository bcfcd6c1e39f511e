//! Events and bodies.

use model::{Covers, EventId, EventStatus, Step, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Filter, all, sealed_row};
use crate::codes::{Code, Coded as _, steps};
use crate::columns::EVENT;
use crate::postgres::Postgres;
use crate::postgres::bind::{Owned, count};
use crate::postgres::codes::{Sixteen, Unsigned};
use crate::postgres::failure::Result;
use crate::postgres::session::column;
use crate::{EventQuery, EventRow, SealedRow, StoreError};

/// Reads the columns of [`EVENT`].
pub(in crate::postgres) fn event_row(row: &Row) -> Result<EventRow> {
    Ok(EventRow {
        sequence: column(row, 0)?,
        id: column::<Sixteen>(row, 1)?.into(),
        arrival: column::<Sixteen>(row, 2)?.into(),
        source: column(row, 3)?,
        provider: column(row, 4)?,
        kind: column(row, 5)?,
        status: column::<Code<EventStatus>>(row, 6)?.0,
        reason: column(row, 7)?,
        covers: column::<Code<Covers>>(row, 8)?.0,
        steps: steps(column::<Option<Code<Step>>>(row, 9)?),
        received_at: Timestamp::from_millis(column(row, 10)?),
        count: column::<Unsigned>(row, 11)?.0,
        range: column::<Unsigned>(row, 12)?.0..column::<Unsigned>(row, 13)?.0,
        facts: sealed_row(row, 14)?,
        original: column::<Option<Sixteen>>(row, 16)?.map(|original| original.0),
    })
}

impl Postgres {
    pub(crate) async fn events(
        &self,
        query: EventQuery,
    ) -> std::result::Result<Vec<EventRow>, StoreError> {
        let mut filter = Filter::new();
        if let Some(source) = &query.source {
            let condition = "source = (SELECT id FROM name WHERE text = ?)";
            filter.and(condition, source.clone(), Type::TEXT);
        }
        if let Some(since) = query.since {
            filter.and("received_at >= ?", since.as_millis(), Type::INT8);
        }
        if let Some(until) = query.until {
            filter.and("received_at < ?", until.as_millis(), Type::INT8);
        }
        if !query.statuses.is_empty() {
            let codes: Vec<String> =
                query.statuses.iter().map(|status| status.number().to_string()).collect();
            filter.conditions.push(format!("status IN ({})", codes.join(", ")));
            if !query.statuses.contains(&EventStatus::Accepted) {
                // Few events are not accepted, and they have an index of their own.
                filter.conditions.push("status <> 0".to_owned());
            }
        }
        if let Some(before) = query.before {
            filter.and("sequence < ?", before, Type::INT8);
        }
        filter.and_within(&query.reach);
        filter.and_id_made(query.since, query.until);
        let by_time = query.since.is_some() || query.until.is_some();
        let order = if by_time && query.before.is_none() { "id" } else { "sequence" };
        let sql = format!(
            "SELECT {EVENT} FROM event{} ORDER BY {order} DESC LIMIT {}",
            filter.sql(),
            count(query.limit)
        );
        let mut events = all(&self.list(&sql, filter.parameters).await?, event_row)?;
        events.sort_by_key(|event| event.sequence);
        Ok(events)
    }

    pub(crate) async fn event(
        &self,
        id: EventId,
    ) -> std::result::Result<Option<EventRow>, StoreError> {
        let sql = format!("SELECT {EVENT} FROM event WHERE id = $1");
        let rows = self.look(&sql, vec![Owned::new(Sixteen::from(id), Type::UUID)]).await?;
        Ok(all(&rows, event_row)?.pop())
    }

    pub(crate) async fn body(
        &self,
        event: EventId,
    ) -> std::result::Result<Option<SealedRow>, StoreError> {
        let rows = self
            .look(
                "SELECT sealed_key, sealed FROM body
                 WHERE arrival = (SELECT arrival FROM event WHERE id = $1)",
                vec![Owned::new(Sixteen::from(event), Type::UUID)],
            )
            .await?;
        Ok(all(&rows, |row| sealed_row(row, 0))?.pop())
    }
}
