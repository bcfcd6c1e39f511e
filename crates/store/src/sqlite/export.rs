//! What stands in the file as plain data, page by page, beside whoever writes to it.
//!
//! New rows come after those that are there, but for attempts, deliveries of events that were held,
//! and quarantined bytes: whoever copies reads these again in the end.

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::Sqlite;
use super::failure::Result;
use crate::StoreError;
use crate::copy::{CopiedTable, Ends, Page, Row, Value, decode, encode, weight};
use crate::error::Kind;

/// Bytes of one page, from which on no further row is added.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Pages of one table: a statement whose first columns say where the row stands, and what they are
/// before the first row. Its last parameter is how many rows it may give.
struct Source {
    sql: &'static str,
    before: Vec<Stored>,
}

impl CopiedTable {
    fn source(self) -> Source {
        let sql = match self {
            Self::Name => "SELECT id, text FROM name WHERE id > ?1 ORDER BY id LIMIT ?2",
            Self::Endpoint => {
                "SELECT id, name, state, changed_at FROM endpoint WHERE id > ?1
                 ORDER BY id LIMIT ?2"
            }
            Self::Key => {
                "SELECT sequence, id, kind, owner, wrapped, created_at FROM data_key
                 WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
            }
            Self::Event => EVENT,
            Self::Body => {
                "SELECT row, arrival, body.sealed_key, body.sealed
                 FROM body CROSS JOIN event ON event.sequence = row
                 WHERE row > ?1 ORDER BY row LIMIT ?2"
            }
            Self::Dedup => {
                "SELECT sequence, dedup_key, id, projection, received_at / 86400000 FROM event
                 WHERE sequence > ?1 AND dedup_key IS NOT NULL AND received_at >=
                    (SELECT dedup_first_day FROM counter) * 86400000
                 ORDER BY sequence LIMIT ?2"
            }
            Self::Quarantine => QUARANTINE,
            Self::Delivery => DELIVERY,
            Self::Attempt => {
                "SELECT attempt.delivery, number, delivery.id, number, attempt.id, started_at,
                    ended_at, outcome, http_status
                 FROM attempt CROSS JOIN delivery ON row = attempt.delivery
                 WHERE (attempt.delivery, number) > (?1, ?2)
                 ORDER BY attempt.delivery, number LIMIT ?3"
            }
            Self::Tally => TALLY,
            Self::ApiKey => API_KEY,
            Self::Operator => OPERATOR,
            Self::Entry => {
                "SELECT sequence, sequence, at, action, actor, resource, outcome, request, changes,
                    address, agent, note, sealed_key, sealed
                 FROM audit_entry WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
            }
            Self::Tile => {
                "SELECT row, level, number, hashes, entries FROM audit_tile
                 WHERE row > ?1 ORDER BY row LIMIT ?2"
            }
            Self::Secret => {
                "SELECT sequence, id, kind, owner, print, since, ends_at, retired_at, proven_at,
                    sealed_key, sealed
                 FROM secret WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
            }
            Self::Sink => {
                "SELECT name, name, size FROM audit_sink WHERE name > ?1 ORDER BY name LIMIT ?2"
            }
            Self::Order => ORDER,
            Self::Payment => {
                "SELECT key, key, order_id FROM payment WHERE key > ?1 ORDER BY key LIMIT ?2"
            }
            Self::Chain => {
                "SELECT name, name, revision, updated_at, sealed_key, sealed
                 FROM chain WHERE name > ?1 ORDER BY name LIMIT ?2"
            }
            Self::Watch => {
                "SELECT order_id, order_id, chain, address_key, stage
                 FROM watch WHERE order_id > ?1 ORDER BY order_id LIMIT ?2"
            }
            Self::Receipt => RECEIPT,
            Self::Block => BLOCK,
            Self::Restated => RESTATED,
            Self::Undecided => UNDECIDED,
            Self::Checkpoint => {
                "SELECT size, size, at, note FROM audit_checkpoint
                 WHERE size > ?1 ORDER BY size LIMIT ?2"
            }
        };
        let before = match self {
            Self::Quarantine => vec![Stored::Blob(Vec::new()); 2],
            Self::Sink | Self::Chain => vec![Stored::Text(String::new())],
            Self::Payment | Self::Watch | Self::Receipt | Self::Undecided | Self::Restated => {
                vec![Stored::Blob(Vec::new())]
            }
            Self::Attempt => vec![Stored::Integer(i64::MIN); 2],
            _ => vec![Stored::Integer(i64::MIN)],
        };
        Source { sql, before }
    }

    /// How many rows there are, without looking at each: some may not be copied.
    const fn rows(self) -> &'static str {
        match self {
            Self::Name => "SELECT count(*) FROM name",
            Self::Endpoint => "SELECT count(*) FROM endpoint",
            Self::Key => "SELECT count(*) FROM data_key",
            Self::Event | Self::Dedup => "SELECT count(*) FROM event",
            Self::Body => "SELECT count(*) FROM body",
            Self::Quarantine => "SELECT count(*) FROM quarantine",
            Self::Delivery => "SELECT count(*) FROM delivery",
            Self::Attempt => "SELECT count(*) FROM attempt",
            Self::Tally => "SELECT count(*) FROM tally",
            Self::ApiKey => "SELECT count(*) FROM api_key",
            Self::Operator => "SELECT count(*) FROM operator",
            Self::Entry => "SELECT count(*) FROM audit_entry",
            Self::Tile => "SELECT count(*) FROM audit_tile",
            Self::Checkpoint => "SELECT count(*) FROM audit_checkpoint",
            Self::Secret => "SELECT count(*) FROM secret",
            Self::Sink => "SELECT count(*) FROM audit_sink",
            Self::Order => "SELECT count(*) FROM orders",
            Self::Payment => "SELECT count(*) FROM payment",
            Self::Chain => "SELECT count(*) FROM chain",
            Self::Watch => "SELECT count(*) FROM watch",
            Self::Receipt => "SELECT count(*) FROM receipt",
            Self::Block => "SELECT count(*) FROM block",
            Self::Undecided => "SELECT count(*) FROM undecided",
            Self::Restated => "SELECT count(*) FROM restated",
        }
    }
}

const EVENT: &str = "SELECT sequence, id, sequence, arrival,
        (SELECT text FROM name WHERE name.id = event.source),
        (SELECT text FROM name WHERE name.id = event.provider),
        kind, status, reason, covers, failed, received_at, count, range_start,
        range_end, order_key, dedup_key, projection, sealed_key, sealed, original
     FROM event WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

const DELIVERY: &str = "SELECT row, delivery.id, row, event.id, arrival,
        (SELECT name FROM endpoint WHERE endpoint.id = delivery.endpoint), delivery.order_key,
        state, iif(state < 4, tries, 0), attempts, fence, leased,
        iif(state < 4, next_at, updated_at), created_at, updated_at
     FROM delivery CROSS JOIN event ON sequence = row / 1024
     WHERE row > ?1 ORDER BY row LIMIT ?2";

const QUARANTINE: &str = "SELECT body_key, quarantine.dedup_key, body_key, quarantine.dedup_key, id
     FROM quarantine CROSS JOIN event ON sequence = quarantine.event
     WHERE (body_key, quarantine.dedup_key) > (?1, ?2)
     ORDER BY body_key, quarantine.dedup_key LIMIT ?3";

const TALLY: &str =
    "SELECT row, minute, (SELECT text FROM name WHERE name.id = tally.source), event,
        step, reason, address_key, arrival, count, first_at, last_at, sealed_key,
        sealed
     FROM tally WHERE row > ?1 ORDER BY row LIMIT ?2";

const API_KEY: &str = "SELECT sequence, id, environment, name, secret_hash, permissions, sources, providers, customer,
        networks, created_at, created_by, expires_at, rolled_from, grace_until, revoked_at,
        revoked_cause, last_used_at, last_address_key, last_address, uses, refusals
     FROM api_key WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

const OPERATOR: &str = "SELECT sequence, id, login_key, role, sealed_key, login, password, totp,
        totp_step, generation, created_at, created_by, disabled_at
     FROM operator WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

const ORDER: &str =
    "SELECT sequence, id, reference_key, customer_key, provider, source, unit, amount,
        tolerance, expires_at, cancelled_at, created_at, created_by, state, paid, pending, refunded,
        facts, version, revision, updated_at, sealed_key, sealed, address_key
     FROM orders WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

const RECEIPT: &str =
    "SELECT key, key, request, taken_at FROM receipt WHERE key > ?1 ORDER BY key LIMIT ?2";
const BLOCK: &str = "SELECT sequence, id, kind, scope, party_key, created_at, created_by, ends_at,
        lifted_at, lifted_by, sealed_key, sealed
     FROM block WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
const UNDECIDED: &str = "SELECT event, event, reference_key, next_at, tries, since FROM undecided
     WHERE event > ?1 ORDER BY event LIMIT ?2";

const RESTATED: &str = "SELECT event, event, sealed_key, sealed FROM restated
     WHERE event > ?1 ORDER BY event LIMIT ?2";

impl Sqlite {
    /// Rows of a table after one of them, or from the first on.
    pub(crate) async fn page(
        &self,
        table: CopiedTable,
        after: Vec<u8>,
        rows_max: usize,
    ) -> std::result::Result<Page, StoreError> {
        self.read(move |connection| page(connection, table, &after, rows_max)).await
    }

    /// About how many rows a table has.
    pub(crate) async fn rows(&self, table: CopiedTable) -> std::result::Result<u64, StoreError> {
        self.read(move |connection| {
            let rows: i64 = connection.query_row(table.rows(), [], |row| row.get(0))?;
            Ok(u64::try_from(rows).unwrap_or(0))
        })
        .await
    }

    /// Which store it is: the id of the first data key that it made, which no other has. One without
    /// a key has nothing in it.
    pub(crate) async fn identity(&self) -> std::result::Result<Option<[u8; 16]>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT id FROM data_key ORDER BY sequence LIMIT 1";
            Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Where its numbers and days have come to.
    pub(crate) async fn ends(&self) -> std::result::Result<Ends, StoreError> {
        self.read(|connection| {
            Ok(connection.query_row(
                "SELECT max(sequence_floor, coalesce((SELECT max(sequence) FROM event), 0)),
                    coalesce((SELECT max(sequence) FROM audit_entry), 0),
                    dedup_swept_day, dedup_first_day, size, last FROM counter, audit_head",
                [],
                |row| {
                    Ok(Ends {
                        sequence: row.get(0)?,
                        entry: row.get(1)?,
                        swept_day: row.get(2)?,
                        first_day: row.get(3)?,
                        sealed: row.get(4)?,
                        sealed_last: row.get(5)?,
                    })
                },
            )?)
        })
        .await
    }
}

fn page(
    connection: &Connection,
    table: CopiedTable,
    after: &[u8],
    rows_max: usize,
) -> Result<Page> {
    let Source { sql, before } = table.source();
    let mut parameters: Vec<Stored> = decode(after)?.into_iter().map(stored).collect();
    if parameters.is_empty() {
        parameters = before.clone();
    }
    if parameters.len() != before.len() {
        return Err(Kind::Corrupt.into());
    }
    parameters.push(Stored::Integer(i64::try_from(rows_max).unwrap_or(i64::MAX)));
    let columns = table.columns().len();
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params_from_iter(parameters))?;
    let mut page = Page { rows: Vec::new(), after: after.to_vec() };
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        let place = (0..before.len()).map(|n| value(row.get_ref(n)?)).collect::<Result<Row>>()?;
        let copied = (before.len()..before.len() + columns).map(|n| value(row.get_ref(n)?));
        let copied = copied.collect::<Result<Row>>()?;
        bytes += copied.iter().map(weight).sum::<usize>();
        page.rows.push(copied);
        page.after = encode(&place);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}

fn value(stored: ValueRef<'_>) -> Result<Value> {
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec()).map_err(|_| StoreError::new(Kind::Corrupt))?,
        ),
        ValueRef::Real(_) => return Err(Kind::Corrupt.into()),
    })
}

fn stored(value: Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Number(number) => Stored::Integer(number),
        Value::Bytes(bytes) => Stored::Blob(bytes),
        Value::Text(text) => Stored::Text(text),
    }
}
