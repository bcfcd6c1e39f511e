//! Deliveries, their attempts, and whether anything is due.

use model::{AttemptId, AttemptOutcome, DeliveryId, DeliveryStatus, EventId, Timestamp};
use rusqlite::{Connection, Row, params_from_iter};

use super::{Filter, limit};
use crate::sqlite::Sqlite;
use crate::sqlite::codes::{Code, State};
use crate::sqlite::failure::Result;
use crate::sqlite::record::DELIVERIES_PER_EVENT;
use crate::{AttemptRow, DeliveryQuery, DeliveryRow, EndpointState, StoreError};

/// The rows of pending deliveries: each kind has an index of its own.
const PENDING: &str = "row IN (
    SELECT row FROM delivery INDEXED BY delivery_fresh WHERE state = 0
    UNION ALL SELECT row FROM delivery INDEXED BY delivery_blocked WHERE state = 1
    UNION ALL SELECT row FROM delivery INDEXED BY delivery_waiting WHERE state IN (2, 3))";

impl Sqlite {
    pub(crate) async fn deliveries(
        &self,
        query: DeliveryQuery,
    ) -> std::result::Result<Vec<DeliveryRow>, StoreError> {
        self.list(move |connection| deliveries(connection, &query)).await
    }

    pub(crate) async fn attempts(
        &self,
        delivery: DeliveryId,
    ) -> std::result::Result<Vec<AttemptRow>, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT id, started_at, ended_at, outcome, http_status FROM attempt
                     WHERE delivery = (SELECT row FROM delivery WHERE id = ?1) ORDER BY number",
                )?
                .query_map([delivery.as_bytes()], |row| {
                    Ok(AttemptRow {
                        id: AttemptId::from_bytes(row.get(0)?),
                        started_at: Timestamp::from_millis(row.get(1)?),
                        ended_at: Timestamp::from_millis(row.get(2)?),
                        outcome: row.get::<_, Code<AttemptOutcome>>(3)?.0,
                        http_status: row.get(4)?,
                    })
                })?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn due(&self, now: Timestamp) -> std::result::Result<bool, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM endpoint WHERE state = 0 AND (
                        EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_fresh
                            WHERE state = 0 AND endpoint = endpoint.id)
                        OR EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_waiting
                            WHERE state IN (2, 3) AND endpoint = endpoint.id AND next_at <= ?1))
                     LIMIT 1",
                )?
                .exists([now.as_millis()])?)
        })
        .await
    }

    pub(crate) async fn endpoint_rests(
        &self,
    ) -> std::result::Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT name, rests_until FROM endpoint
                     WHERE rests_until IS NOT NULL ORDER BY name",
                )?
                .query_map([], |row| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?))))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn endpoint_states(
        &self,
    ) -> std::result::Result<Vec<(String, EndpointState, Timestamp)>, StoreError> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT name, state, changed_at FROM endpoint ORDER BY name")?
                .query_map([], |row| {
                    Ok((
                        row.get(0)?,
                        row.get::<_, Code<EndpointState>>(1)?.0,
                        Timestamp::from_millis(row.get(2)?),
                    ))
                })?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn deliveries(connection: &Connection, query: &DeliveryQuery) -> Result<Vec<DeliveryRow>> {
    let mut filter = Filter::new();
    if let Some(id) = query.id {
        filter.and("id = ?", id.as_bytes().to_vec());
    }
    if let Some(event) = query.event {
        let rows = format!("(SELECT sequence FROM event WHERE id = ?) * {DELIVERIES_PER_EVENT}");
        filter.and(&format!("row >= {rows}"), event.as_bytes().to_vec());
        filter.and(&format!("row < {rows} + {DELIVERIES_PER_EVENT}"), event.as_bytes().to_vec());
    }
    if let Some(endpoint) = &query.endpoint {
        filter.and("endpoint = (SELECT id FROM endpoint WHERE name = ?)", endpoint.clone());
    }
    if let Some(since) = query.since {
        filter.and("created_at >= ?", since.as_millis());
    }
    if let Some(until) = query.until {
        filter.and("created_at < ?", until.as_millis());
    }
    if let Some(before) = query.before {
        filter.and("row < ?", before);
    }
    if query.reach.is_bound() {
        let mut events = Filter { values: std::mem::take(&mut filter.values), ..Filter::new() };
        events.conditions.push(format!("event.sequence = row / {DELIVERIES_PER_EVENT}"));
        events.and_within(&query.reach);
        filter.conditions.push(format!("EXISTS (SELECT 1 FROM event{})", events.sql()));
        filter.values = events.values;
    }
    match query.status {
        None => {}
        Some(DeliveryStatus::Pending) => filter.conditions.push(PENDING.to_owned()),
        Some(DeliveryStatus::Delivered) => filter.conditions.push("state = 4".to_owned()),
        Some(DeliveryStatus::Dead) => filter.conditions.push("state = 5".to_owned()),
    }
    let by_time = (query.since.is_some() || query.until.is_some()) && query.status.is_none();
    if by_time {
        filter.and_id_made(query.since, query.until);
    }
    let order = if by_time && query.before.is_none() { "id" } else { "row" };
    let sql = format!(
        "SELECT id, (SELECT id FROM event WHERE sequence = row / {DELIVERIES_PER_EVENT}),
            (SELECT name FROM endpoint WHERE endpoint.id = delivery.endpoint),
            state, leased, attempts, next_at, created_at, updated_at, row
         FROM delivery{} ORDER BY {order} DESC LIMIT {}",
        filter.sql(),
        limit(query.limit)
    );
    let mut deliveries: Vec<DeliveryRow> = connection
        .prepare(&sql)?
        .query_map(params_from_iter(&filter.values), delivery_row)?
        .collect::<rusqlite::Result<_>>()?;
    deliveries.sort_by_key(|delivery| delivery.number);
    Ok(deliveries)
}

fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let state = row.get::<_, Code<State>>(3)?.0;
    let leased: bool = row.get(4)?;
    let status = state.status();
    let waits = status == DeliveryStatus::Pending && !leased;
    let next_at = Timestamp::from_millis(row.get(6)?);
    Ok(DeliveryRow {
        number: row.get(9)?,
        id: DeliveryId::from_bytes(row.get(0)?),
        event: EventId::from_bytes(row.get(1)?),
        endpoint: row.get(2)?,
        status,
        parked: state == State::Parked,
        attempts: row.get(5)?,
        next_at: waits.then_some(next_at),
        created_at: Timestamp::from_millis(row.get(7)?),
        updated_at: Timestamp::from_millis(row.get(8)?),
    })
}
