//! Events and bodies.

use model::{ArrivalId, Covers, EventId, EventStatus, Step, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};
use vault::{KeyId, Sealed};

use super::{Filter, limit};
use crate::columns::EVENT;
use crate::command::Claim;
use crate::error::Kind;
use crate::sqlite::Sqlite;
use crate::sqlite::codes::{Code, steps};
use crate::sqlite::failure::Result;
use crate::{EventQuery, EventRow, Leased, SealedRow, StoreError};

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        sequence: row.get(0)?,
        id: EventId::from_bytes(row.get(1)?),
        arrival: ArrivalId::from_bytes(row.get(2)?),
        source: row.get(3)?,
        provider: row.get(4)?,
        kind: row.get(5)?,
        status: row.get::<_, Code<EventStatus>>(6)?.0,
        reason: row.get(7)?,
        covers: row.get::<_, Code<Covers>>(8)?.0,
        steps: steps(row.get::<_, Option<Code<Step>>>(9)?),
        received_at: Timestamp::from_millis(row.get(10)?),
        count: row.get(11)?,
        range: row.get(12)?..row.get(13)?,
        facts: SealedRow { key: KeyId(row.get(14)?), sealed: Sealed::from_bytes(row.get(15)?) },
        original: row.get(16)?,
    })
}

impl Sqlite {
    pub(crate) async fn events(
        &self,
        query: EventQuery,
    ) -> std::result::Result<Vec<EventRow>, StoreError> {
        self.list(move |connection| events(connection, &query)).await
    }

    pub(crate) async fn event(
        &self,
        id: EventId,
    ) -> std::result::Result<Option<EventRow>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {EVENT} FROM event WHERE id = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([id.as_bytes()], event_row).optional()?)
        })
        .await
    }

    pub(crate) async fn body(
        &self,
        event: EventId,
    ) -> std::result::Result<Option<SealedRow>, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT sealed_key, sealed FROM body
                     WHERE row = (SELECT body FROM event WHERE id = ?1)",
                )?
                .query_row([event.as_bytes()], |row| {
                    Ok(SealedRow {
                        key: KeyId(row.get(0)?),
                        sealed: Sealed::from_bytes(row.get(1)?),
                    })
                })
                .optional()?)
        })
        .await
    }

    /// The events and bodies of deliveries that were just leased.
    pub(crate) async fn leased(
        &self,
        claims: Vec<Claim>,
    ) -> std::result::Result<Vec<Leased>, StoreError> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |connection| {
            let sql = format!(
                "SELECT {EVENT}, body.sealed_key, body.sealed FROM event
                 JOIN body ON body.row = event.body WHERE sequence = ?1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            claims
                .into_iter()
                .map(|claim| {
                    let (event, body) = statement
                        .query_row([claim.sequence], |row| {
                            let body = SealedRow {
                                key: KeyId(row.get(17)?),
                                sealed: Sealed::from_bytes(row.get(18)?),
                            };
                            Ok((event_row(row)?, body))
                        })
                        .optional()?
                        .ok_or_else(|| StoreError::new(Kind::Corrupt))?;
                    Ok(Leased {
                        delivery: claim.delivery,
                        fence: claim.fence,
                        attempt: claim.attempt,
                        endpoint: claim.endpoint,
                        event,
                        body,
                    })
                })
                .collect()
        })
        .await
    }
}

fn events(connection: &Connection, query: &EventQuery) -> Result<Vec<EventRow>> {
    let mut filter = Filter::new();
    if let Some(source) = &query.source {
        filter.and("source = (SELECT id FROM name WHERE text = ?)", source.clone());
    }
    if let Some(since) = query.since {
        filter.and("received_at >= ?", since.as_millis());
    }
    if let Some(until) = query.until {
        filter.and("received_at < ?", until.as_millis());
    }
    if let Some(before) = query.before {
        filter.and("sequence < ?", before);
    }
    filter.and_within(&query.reach);
    let sql = sequences(query, &mut filter);
    let sql = format!("SELECT {EVENT} FROM event WHERE sequence IN ({sql})");
    let mut events: Vec<EventRow> = connection
        .prepare(&sql)?
        .query_map(params_from_iter(&filter.values), event_row)?
        .collect::<rusqlite::Result<_>>()?;
    // Each status gave its newest.
    events.sort_by_key(|event| event.sequence);
    let surplus = events.len().saturating_sub(query.limit);
    Ok(events.split_off(surplus))
}

/// SQL for the sequences of the newest events that match, by the index that finds them soonest.
fn sequences(query: &EventQuery, filter: &mut Filter) -> String {
    let accepted = query.statuses.contains(&EventStatus::Accepted);
    let newest = limit(query.limit);
    if !query.statuses.is_empty() && !accepted {
        // Few events are not accepted, and they have an index of their own.
        let of_status = query.statuses.iter().map(|status| {
            format!(
                "SELECT * FROM (SELECT sequence FROM event INDEXED BY event_unaccepted
                 {} AND status <> 0 ORDER BY sequence DESC LIMIT {newest})",
                with_status(filter, *status)
            )
        });
        return of_status.collect::<Vec<_>>().join(" UNION ALL ");
    }
    if accepted {
        let codes: Vec<_> = query.statuses.iter().map(|status| number(*status)).collect();
        filter.conditions.push(format!("status IN ({})", codes.join(", ")));
    }
    filter.and_id_made(query.since, query.until);
    let by_time = query.since.is_some() || query.until.is_some();
    let order = if by_time && query.before.is_none() { "id" } else { "sequence" };
    format!("SELECT sequence FROM event{} ORDER BY {order} DESC LIMIT {newest}", filter.sql())
}

fn with_status(filter: &Filter, status: EventStatus) -> String {
    let status = format!("status = {}", number(status));
    match filter.sql() {
        none if none.is_empty() => format!("WHERE {status}"),
        some => format!("{some} AND {status}"),
    }
}

fn number(status: EventStatus) -> String {
    match status {
        EventStatus::Accepted => "0",
        EventStatus::Held => "1",
        EventStatus::Denied => "2",
        EventStatus::Quarantined => "3",
    }
    .to_owned()
}
