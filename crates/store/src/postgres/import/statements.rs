//! How each table of a copy is written, found again and counted.

use crate::copy::CopiedTable;

/// What follows from the rows of a copy, made anew.
pub(super) const ARRANGE: [&str; 5] = [
    "DELETE FROM lane",
    "INSERT INTO lane (endpoint, order_key, delivery)
     SELECT endpoint, order_key, delivery FROM pending WHERE state = 2 AND order_key IS NOT NULL",
    "UPDATE counter SET accepted = CASE slot
        WHEN 0 THEN (SELECT count(*) FROM event WHERE status = 0) ELSE 0 END",
    "DELETE FROM audit_waiting",
    // The source keeps the last one of each minute; some were moved before there was a later one.
    "DELETE FROM audit_checkpoint WHERE size IN (
        SELECT size FROM (
            SELECT size, at / 60000 AS minute, lead(at / 60000) OVER (ORDER BY size) AS next
            FROM audit_checkpoint) AS kept
        WHERE minute = next)",
];

/// The first columns of a table as rows of this name, from one array each.
fn unnested(table: CopiedTable, name: &str, columns: usize) -> String {
    let columns = table.columns().iter().take(columns);
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
    let names: Vec<&str> = columns.map(|(name, _)| *name).collect();
    format!("unnest({}) AS {name} ({})", places.join(", "), names.join(", "))
}

/// Statements that write rows, one after the other, all with the same parameters. Rows that are
/// there are brought up to date.
pub(super) fn write(table: CopiedTable) -> Vec<String> {
    let new = unnested(table, "new", table.columns().len());
    writes(table).iter().map(|sql| sql.replace("{new}", &new)).collect()
}

const fn writes(table: CopiedTable) -> &'static [&'static str] {
    match table {
        CopiedTable::Name => {
            &["INSERT INTO name (text) SELECT text FROM {new} ON CONFLICT DO NOTHING"]
        }
        CopiedTable::Endpoint => &["INSERT INTO endpoint (name, state, changed_at)
            SELECT name, state, changed_at FROM {new}
            ON CONFLICT (name) DO UPDATE SET
                state = excluded.state, changed_at = excluded.changed_at"],
        CopiedTable::Key => &["INSERT INTO data_key (id, kind, owner, wrapped, created_at)
            SELECT * FROM {new} ON CONFLICT (id) DO NOTHING"],
        CopiedTable::Event => EVENT,
        CopiedTable::Body => &["INSERT INTO body (arrival, sealed_key, sealed)
            SELECT * FROM {new} ON CONFLICT (arrival) DO NOTHING"],
        CopiedTable::Dedup => &["INSERT INTO dedup (key, event, projection, day)
            SELECT DISTINCT ON (key) key, event, projection, day FROM {new} ORDER BY key, day DESC
            ON CONFLICT (key) DO UPDATE SET
                event = excluded.event, projection = excluded.projection, day = excluded.day
            WHERE dedup.day <= excluded.day"],
        CopiedTable::Quarantine => &["INSERT INTO quarantine (body_key, dedup_key, event)
            SELECT * FROM {new}
            ON CONFLICT (body_key, dedup_key) DO UPDATE SET event = excluded.event"],
        CopiedTable::Delivery => DELIVERY,
        CopiedTable::Attempt => &[
            "INSERT INTO attempt (delivery, number, id, started_at, ended_at, outcome, http_status)
             SELECT * FROM {new} ON CONFLICT (delivery, number) DO NOTHING",
        ],
        CopiedTable::Tally => TALLY,
        CopiedTable::ApiKey => API_KEY,
        CopiedTable::Operator => OPERATOR,
        CopiedTable::Order => ORDER,
        CopiedTable::Payment => &["INSERT INTO payment (key, order_id) SELECT * FROM {new}
            ON CONFLICT (key) DO NOTHING"],
        CopiedTable::Chain => {
            &["INSERT INTO chain (name, revision, updated_at, sealed_key, sealed)
            SELECT * FROM {new} ON CONFLICT (name) DO UPDATE SET revision = excluded.revision,
                updated_at = excluded.updated_at, sealed_key = excluded.sealed_key,
                sealed = excluded.sealed"]
        }
        CopiedTable::Watch => &["INSERT INTO watch (order_id, chain, address_key, stage)
            SELECT * FROM {new} ON CONFLICT (order_id) DO UPDATE SET
                address_key = excluded.address_key, stage = excluded.stage"],
        CopiedTable::Receipt => {
            &["INSERT INTO receipt (key, request, taken_at) SELECT * FROM {new}
            ON CONFLICT (key) DO NOTHING"]
        }
        CopiedTable::Block => &["INSERT INTO block (id, kind, scope, party_key, created_at,
                created_by, ends_at, lifted_at, lifted_by, sealed_key, sealed)
            SELECT * FROM {new}
            ON CONFLICT (id) DO UPDATE SET
                lifted_at = excluded.lifted_at, lifted_by = excluded.lifted_by"],
        CopiedTable::Restated => &["INSERT INTO restated (event, sealed_key, sealed)
            SELECT * FROM {new} ON CONFLICT (event) DO UPDATE SET
                sealed_key = excluded.sealed_key, sealed = excluded.sealed"],
        CopiedTable::Undecided => {
            &["INSERT INTO undecided (event, reference_key, next_at, tries, since)
            SELECT * FROM {new} ON CONFLICT (event) DO UPDATE SET
                reference_key = excluded.reference_key, next_at = excluded.next_at,
                tries = excluded.tries"]
        }
        CopiedTable::Entry => &["INSERT INTO audit_entry
                (sequence, at, action, actor, resource, outcome, request, changes, address, agent,
                note, sealed_key, sealed)
            OVERRIDING SYSTEM VALUE SELECT * FROM {new} ON CONFLICT (sequence) DO NOTHING"],
        CopiedTable::Tile => &["INSERT INTO audit_tile (level, number, hashes, entries)
            SELECT * FROM {new}
            ON CONFLICT (level, number) DO UPDATE SET
                hashes = excluded.hashes, entries = excluded.entries"],
        CopiedTable::Secret => &["INSERT INTO secret (id, kind, owner, print, since, ends_at,
                retired_at, proven_at, sealed_key, sealed)
            SELECT * FROM {new}
            ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at,
                retired_at = excluded.retired_at, proven_at = excluded.proven_at"],
        CopiedTable::Sink => &["INSERT INTO audit_sink (name, size) SELECT * FROM {new}
            ON CONFLICT (name) DO UPDATE SET size = excluded.size"],
        CopiedTable::Checkpoint => &["INSERT INTO audit_checkpoint (size, at, note)
            SELECT * FROM {new} ON CONFLICT (size) DO NOTHING"],
    }
}

const EVENT: &[&str] = &[
    "INSERT INTO name (text) SELECT source FROM {new} UNION SELECT provider FROM {new}
     ON CONFLICT DO NOTHING",
    "INSERT INTO event (id, sequence, arrival, source, provider, kind, status, reason, covers,
        failed, received_at, count, range_start, range_end, order_key, dedup_key, projection,
        sealed_key, sealed, original)
     SELECT new.id, new.sequence, new.arrival, source.id, provider.id, new.kind, new.status,
        new.reason, new.covers, new.failed, new.received_at, new.count, new.range_start,
        new.range_end, new.order_key, new.dedup_key, new.projection, new.sealed_key, new.sealed,
        new.original
     FROM {new}
        JOIN name source ON source.text = new.source
        JOIN name provider ON provider.text = new.provider
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, reason = excluded.reason,
        failed = excluded.failed, count = excluded.count",
];

const DELIVERY: &[&str] = &[
    "INSERT INTO endpoint (name, state, changed_at)
     SELECT endpoint, 0, min(created_at) FROM {new} GROUP BY endpoint ON CONFLICT DO NOTHING",
    "DELETE FROM pending WHERE delivery IN (SELECT id FROM {new})",
    "DELETE FROM delivery WHERE id = ANY ($1)",
    "INSERT INTO pending (delivery, row, event, arrival, endpoint, order_key, state, tries,
        attempts, fence, leased, next_at, created_at, updated_at)
     SELECT new.id, new.row, new.event, new.arrival, endpoint.id, new.order_key, new.state,
        new.tries, new.attempts, new.fence, new.leased, new.next_at, new.created_at, new.updated_at
     FROM {new} JOIN endpoint ON endpoint.name = new.endpoint WHERE new.state < 4",
    "INSERT INTO delivery (id, row, event, arrival, endpoint, order_key, state, attempts, fence,
        created_at, updated_at)
     SELECT new.id, new.row, new.event, new.arrival, endpoint.id, new.order_key, new.state,
        new.attempts, new.fence, new.created_at, new.updated_at
     FROM {new} JOIN endpoint ON endpoint.name = new.endpoint WHERE new.state >= 4",
];

const TALLY: &[&str] = &[
    "INSERT INTO name (text) SELECT DISTINCT source FROM {new} WHERE source IS NOT NULL
     ON CONFLICT DO NOTHING",
    "INSERT INTO tally (row, minute, source, event, step, reason, address_key, arrival, count,
        first_at, last_at, sealed_key, sealed)
     SELECT nextval('tally_row'), new.minute, coalesce(name.id, 0), new.event, new.step, new.reason,
        new.address_key, new.arrival, new.count, new.first_at, new.last_at, new.sealed_key,
        new.sealed
     FROM {new} LEFT JOIN name ON name.text = new.source
     ON CONFLICT (minute, source, event, step, reason, address_key) DO UPDATE SET
        count = excluded.count, first_at = excluded.first_at, last_at = excluded.last_at",
];

const API_KEY: &[&str] = &["INSERT INTO api_key (id, environment, name, secret_hash, permissions, sources, providers, customer,
        networks, created_at, created_by, expires_at, rolled_from, grace_until, revoked_at,
        revoked_cause, last_used_at, last_address_key, last_address, uses, refusals)
     SELECT * FROM {new}
     ON CONFLICT (id) DO UPDATE SET
        grace_until = excluded.grace_until, revoked_at = excluded.revoked_at,
        revoked_cause = excluded.revoked_cause, last_used_at = excluded.last_used_at,
        last_address_key = excluded.last_address_key, last_address = excluded.last_address,
        uses = excluded.uses, refusals = excluded.refusals"];

const OPERATOR: &[&str] =
    &["INSERT INTO operator (id, login_key, role, sealed_key, login, password, totp, totp_step,
        generation, created_at, created_by, disabled_at)
     SELECT * FROM {new}
     ON CONFLICT (id) DO UPDATE SET
        role = excluded.role, password = excluded.password, totp = excluded.totp,
        totp_step = excluded.totp_step, generation = excluded.generation,
        disabled_at = excluded.disabled_at"];

const ORDER: &[&str] = &[
    "INSERT INTO orders (id, reference_key, customer_key, provider, source, unit,
        amount, tolerance, expires_at, cancelled_at, created_at, created_by, state, paid, pending,
        refunded, facts, version, revision, updated_at, sealed_key, sealed, address_key)
     SELECT * FROM {new}
     ON CONFLICT (id) DO UPDATE SET
        cancelled_at = excluded.cancelled_at, state = excluded.state, paid = excluded.paid,
        pending = excluded.pending, refunded = excluded.refunded, facts = excluded.facts,
        version = excluded.version, revision = excluded.revision, updated_at = excluded.updated_at",
];

/// A statement that finds the rows of these keys.
pub(super) fn find(table: CopiedTable) -> String {
    let keys = unnested(table, "wanted", table.key_columns());
    finds(table).replace("{wanted}", &keys)
}

const fn finds(table: CopiedTable) -> &'static str {
    match table {
        CopiedTable::Name => "SELECT text FROM name WHERE text = ANY ($1)",
        CopiedTable::Endpoint => {
            "SELECT name, state, changed_at FROM endpoint WHERE name = ANY ($1)"
        }
        CopiedTable::Key => {
            "SELECT id, kind, owner, wrapped, created_at FROM data_key WHERE id = ANY ($1)"
        }
        CopiedTable::Event => FIND_EVENT,
        CopiedTable::Body => {
            "SELECT arrival, sealed_key, sealed FROM body WHERE arrival = ANY ($1)"
        }
        CopiedTable::Dedup => "SELECT key, event, projection, day FROM dedup WHERE key = ANY ($1)",
        CopiedTable::Quarantine => {
            "SELECT body_key, dedup_key, event FROM quarantine
             WHERE (body_key, dedup_key) IN (SELECT * FROM {wanted})"
        }
        CopiedTable::Delivery => FIND_DELIVERY,
        CopiedTable::Attempt => {
            "SELECT delivery, number, id, started_at, ended_at, outcome, http_status FROM attempt
             WHERE (delivery, number) IN (SELECT * FROM {wanted})"
        }
        CopiedTable::Tally => FIND_TALLY,
        CopiedTable::ApiKey => FIND_API_KEY,
        CopiedTable::Operator => {
            "SELECT id, login_key, role, sealed_key, login, password, totp, totp_step, generation,
                created_at, created_by, disabled_at
             FROM operator WHERE id = ANY ($1)"
        }
        CopiedTable::Entry => {
            "SELECT sequence, at, action, actor, resource, outcome, request, changes, address, agent,
                note, sealed_key, sealed
             FROM audit_entry WHERE sequence = ANY ($1)"
        }
        CopiedTable::Tile => {
            "SELECT level, number, hashes, entries FROM audit_tile
             WHERE (level, number) IN (SELECT * FROM {wanted})"
        }
        CopiedTable::Secret => {
            "SELECT id, kind, owner, print, since, ends_at, retired_at, proven_at, sealed_key, sealed
             FROM secret WHERE id = ANY ($1)"
        }
        CopiedTable::Order => FIND_ORDER,
        CopiedTable::Payment => "SELECT key, order_id FROM payment WHERE key = ANY ($1)",
        CopiedTable::Chain => {
            "SELECT name, revision, updated_at, sealed_key, sealed FROM chain WHERE name = ANY ($1)"
        }
        CopiedTable::Watch => {
            "SELECT order_id, chain, address_key, stage FROM watch WHERE order_id = ANY ($1)"
        }
        CopiedTable::Receipt => {
            "SELECT key, request, taken_at FROM receipt WHERE key = ANY ($1)"
        }
        CopiedTable::Block => {
            "SELECT id, kind, scope, party_key, created_at, created_by, ends_at, lifted_at, lifted_by,
                sealed_key, sealed
             FROM block WHERE id = ANY ($1)"
        }
        CopiedTable::Restated => {
            "SELECT event, sealed_key, sealed FROM restated WHERE event = ANY ($1)"
        }
        CopiedTable::Undecided => {
            "SELECT event, reference_key, next_at, tries, since FROM undecided
             WHERE event = ANY ($1)"
        }
        CopiedTable::Sink => "SELECT name, size FROM audit_sink WHERE name = ANY ($1)",
        CopiedTable::Checkpoint => {
            "SELECT size, at, note FROM audit_checkpoint WHERE size = ANY ($1)"
        }
    }
}

const FIND_DELIVERY: &str =
    "SELECT found.id, row, event, arrival, endpoint.name, order_key, found.state, tries,
        attempts, fence, leased, next_at, created_at, updated_at
     FROM (
        SELECT delivery AS id, row, event, arrival, endpoint, order_key, state, tries,
            attempts, fence, leased, next_at, created_at, updated_at
        FROM pending WHERE delivery = ANY ($1)
        UNION ALL
        SELECT id, row, event, arrival, endpoint, order_key, state, 0, attempts, fence,
            false, updated_at, created_at, updated_at
        FROM delivery WHERE id = ANY ($1)
     ) AS found JOIN endpoint ON endpoint.id = found.endpoint";

const FIND_TALLY: &str = "SELECT tally.minute, name.text, tally.event, tally.step, tally.reason,
        tally.address_key, arrival, count, first_at, last_at, sealed_key, sealed
     FROM {wanted} LEFT JOIN name ON name.text = wanted.source
        JOIN tally ON tally.minute = wanted.minute
            AND tally.source = coalesce(name.id, 0) AND tally.event = wanted.event
            AND tally.step = wanted.step AND tally.reason = wanted.reason
            AND tally.address_key = wanted.address_key";

const FIND_EVENT: &str =
    "SELECT event.id, sequence, arrival, source.text, provider.text, kind, status, reason,
        covers, failed, received_at, count, range_start, range_end, order_key, dedup_key,
        projection, sealed_key, sealed, original
     FROM event JOIN name source ON source.id = event.source
        JOIN name provider ON provider.id = event.provider WHERE event.id = ANY ($1)";

const FIND_API_KEY: &str =
    "SELECT id, environment, name, secret_hash, permissions, sources, providers, customer,
        networks, created_at, created_by, expires_at, rolled_from, grace_until, revoked_at,
        revoked_cause, last_used_at, last_address_key, last_address, uses, refusals
     FROM api_key WHERE id = ANY ($1)";

const FIND_ORDER: &str =
    "SELECT id, reference_key, customer_key, provider, source, unit, amount, tolerance,
        expires_at, cancelled_at, created_at, created_by, state, paid, pending, refunded, facts,
        version, revision, updated_at, sealed_key, sealed, address_key
     FROM orders WHERE id = ANY ($1)";

/// A statement that counts the rows.
pub(super) const fn count(table: CopiedTable) -> &'static str {
    match table {
        CopiedTable::Name => "SELECT count(*) FROM name",
        CopiedTable::Endpoint => "SELECT count(*) FROM endpoint",
        CopiedTable::Key => "SELECT count(*) FROM data_key",
        CopiedTable::Event => "SELECT count(*) FROM event",
        CopiedTable::Body => "SELECT count(*) FROM body",
        CopiedTable::Dedup => "SELECT count(*) FROM dedup",
        CopiedTable::Quarantine => "SELECT count(*) FROM quarantine",
        CopiedTable::Delivery => {
            "SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM delivery)"
        }
        CopiedTable::Attempt => "SELECT count(*) FROM attempt",
        CopiedTable::Tally => "SELECT count(*) FROM tally",
        CopiedTable::ApiKey => "SELECT count(*) FROM api_key",
        CopiedTable::Operator => "SELECT count(*) FROM operator",
        CopiedTable::Entry => "SELECT count(*) FROM audit_entry",
        CopiedTable::Tile => "SELECT count(*) FROM audit_tile",
        CopiedTable::Checkpoint => "SELECT count(*) FROM audit_checkpoint",
        CopiedTable::Secret => "SELECT count(*) FROM secret",
        CopiedTable::Sink => "SELECT count(*) FROM audit_sink",
        CopiedTable::Order => "SELECT count(*) FROM orders",
        CopiedTable::Payment => "SELECT count(*) FROM payment",
        CopiedTable::Chain => "SELECT count(*) FROM chain",
        CopiedTable::Watch => "SELECT count(*) FROM watch",
        CopiedTable::Receipt => "SELECT count(*) FROM receipt",
        CopiedTable::Block => "SELECT count(*) FROM block",
        CopiedTable::Undecided => "SELECT count(*) FROM undecided",
        CopiedTable::Restated => "SELECT count(*) FROM restated",
    }
}

/// A statement that says whether anything stands in a store.
pub(super) fn anything() -> String {
    let tables = [
        "name",
        "endpoint",
        "data_key",
        "event",
        "body",
        "dedup",
        "quarantine",
        "pending",
        "delivery",
        "attempt",
        "tally",
        "api_key",
        "operator",
        "session",
        "audit_entry",
        "audit_tile",
        "secret",
        "audit_sink",
        "receipt",
        "block",
    ];
    let any = tables.map(|table| format!("EXISTS (SELECT 1 FROM {table})"));
    format!("SELECT {}", any.join(" OR "))
}
