//! Deliveries, their attempts, and whether anything is due.

use model::{AttemptOutcome, DeliveryId, DeliveryStatus, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Filter, all};
use crate::codes::{Code, State};
use crate::postgres::Postgres;
use crate::postgres::bind::{Owned, count};
use crate::postgres::codes::{Sixteen, Unsigned};
use crate::postgres::failure::{Failure, Result};
use crate::postgres::session::column;
use crate::record::DELIVERIES_PER_EVENT;
use crate::{AttemptRow, DeliveryQuery, DeliveryRow, EndpointState, StoreError};

/// Deliveries to be made.
const PENDING: &str = "SELECT row, delivery AS id, event, endpoint, state, leased, attempts,
    next_at, created_at, updated_at FROM pending";

/// Deliveries that are over.
const OVER: &str = "SELECT row, id, event, endpoint, state, false AS leased, attempts,
    updated_at AS next_at, created_at, updated_at FROM delivery";

impl Postgres {
    pub(crate) async fn deliveries(
        &self,
        query: DeliveryQuery,
    ) -> std::result::Result<Vec<DeliveryRow>, StoreError> {
        let mut filter = Filter::new();
        if let Some(id) = query.id {
            filter.and("id = ?", Sixteen::from(id), Type::UUID);
        }
        if let Some(event) = query.event {
            let condition =
                format!("row / {DELIVERIES_PER_EVENT} = (SELECT sequence FROM event WHERE id = ?)");
            filter.and(&condition, Sixteen::from(event), Type::UUID);
        }
        if let Some(endpoint) = query.endpoint {
            let condition = "endpoint = (SELECT id FROM endpoint WHERE name = ?)";
            filter.and(condition, endpoint, Type::TEXT);
        }
        if let Some(since) = query.since {
            filter.and("created_at >= ?", since.as_millis(), Type::INT8);
        }
        if let Some(until) = query.until {
            filter.and("created_at < ?", until.as_millis(), Type::INT8);
        }
        if let Some(before) = query.before {
            filter.and("row < ?", before, Type::INT8);
        }
        if query.reach.is_bound() {
            let parameters = std::mem::take(&mut filter.parameters);
            let mut events = Filter { parameters, ..Filter::new() };
            events.conditions.push("event.id = found.event".to_owned());
            events.and_within(&query.reach);
            filter.conditions.push(format!("EXISTS (SELECT 1 FROM event{})", events.sql()));
            filter.parameters = events.parameters;
        }
        let of = match query.status {
            None => format!("{PENDING} UNION ALL {OVER}"),
            Some(DeliveryStatus::Pending) => PENDING.to_owned(),
            Some(DeliveryStatus::Delivered) => format!("{OVER} WHERE state = 4"),
            Some(DeliveryStatus::Dead) => format!("{OVER} WHERE state = 5"),
        };
        let by_time = (query.since.is_some() || query.until.is_some()) && query.status.is_none();
        if by_time {
            filter.and_id_made(query.since, query.until);
        }
        let order = if by_time && query.before.is_none() {
            "id DESC".to_owned()
        } else {
            // In the words of the index, so that it is taken.
            format!("row / {DELIVERIES_PER_EVENT} DESC, row DESC")
        };
        let sql = format!(
            "SELECT id, event, (SELECT name FROM endpoint WHERE endpoint.id = found.endpoint),
                state, leased, attempts, next_at, created_at, updated_at, row
             FROM ({of}) AS found{} ORDER BY {order} LIMIT {}",
            filter.sql(),
            count(query.limit)
        );
        let mut deliveries = all(&self.list(&sql, filter.parameters).await?, delivery_row)?;
        deliveries.sort_by_key(|delivery| delivery.number);
        Ok(deliveries)
    }

    pub(crate) async fn attempts(
        &self,
        delivery: DeliveryId,
    ) -> std::result::Result<Vec<AttemptRow>, StoreError> {
        let rows = self
            .list(
                "SELECT id, started_at, ended_at, outcome, http_status FROM attempt
                 WHERE delivery = $1 ORDER BY number",
                vec![Owned::new(Sixteen::from(delivery), Type::UUID)],
            )
            .await?;
        all(&rows, |row| {
            let status: Option<i32> = column(row, 4)?;
            Ok(AttemptRow {
                id: column::<Sixteen>(row, 0)?.into(),
                started_at: Timestamp::from_millis(column(row, 1)?),
                ended_at: Timestamp::from_millis(column(row, 2)?),
                outcome: column::<Code<AttemptOutcome>>(row, 3)?.0,
                http_status: status.map(u16::try_from).transpose().map_err(Failure::corrupt)?,
            })
        })
    }

    pub(crate) async fn due(&self, now: Timestamp) -> std::result::Result<bool, StoreError> {
        let rows = self
            .look(
                "SELECT 1 FROM endpoint WHERE state = 0 AND (
                    EXISTS (SELECT 1 FROM pending
                        WHERE pending.state = 0 AND pending.endpoint = endpoint.id)
                    OR EXISTS (SELECT 1 FROM pending
                        WHERE pending.state IN (2, 3) AND pending.endpoint = endpoint.id
                            AND next_at <= $1))
                 LIMIT 1",
                vec![Owned::new(now.as_millis(), Type::INT8)],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    pub(crate) async fn endpoint_rests(
        &self,
    ) -> std::result::Result<Vec<(String, Timestamp)>, StoreError> {
        let sql = "SELECT name, rests_until FROM endpoint
                   WHERE rests_until IS NOT NULL ORDER BY name";
        all(&self.look(sql, Vec::new()).await?, |row| {
            Ok((column(row, 0)?, Timestamp::from_millis(column(row, 1)?)))
        })
    }

    pub(crate) async fn endpoint_states(
        &self,
    ) -> std::result::Result<Vec<(String, EndpointState, Timestamp)>, StoreError> {
        let sql = "SELECT name, state, changed_at FROM endpoint ORDER BY name";
        all(&self.look(sql, Vec::new()).await?, |row| {
            Ok((
                column(row, 0)?,
                column::<Code<EndpointState>>(row, 1)?.0,
                Timestamp::from_millis(column(row, 2)?),
            ))
        })
    }
}

fn delivery_row(row: &Row) -> Result<DeliveryRow> {
    let state = column::<Code<State>>(row, 3)?.0;
    let leased: bool = column(row, 4)?;
    let status = state.status();
    let waits = status == DeliveryStatus::Pending && !leased;
    let next_at = Timestamp::from_millis(column(row, 6)?);
    Ok(DeliveryRow {
        number: column(row, 9)?,
        id: column::<Sixteen>(row, 0)?.into(),
        event: column::<Sixteen>(row, 1)?.into(),
        endpoint: column(row, 2)?,
        status,
        parked: state == State::Parked,
        attempts: column::<Unsigned>(row, 5)?.0,
        next_at: waits.then_some(next_at),
        created_at: Timestamp::from_millis(column(row, 7)?),
        updated_at: Timestamp::from_millis(column(row, 8)?),
    })
}
