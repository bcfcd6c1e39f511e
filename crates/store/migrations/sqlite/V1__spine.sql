-- The spine: arrivals, events, deliveries, tallies, keys and the audit log.
-- Enums are small numbers, written down in src/sqlite/codes.rs. Times are unix milliseconds.
-- Ids and keyed hashes are 16 bytes. "sealed" columns hold what only a data key opens.
-- Days are those since 1970-01-01 (UTC).

PRAGMA application_id = 0x43536769;

CREATE TABLE counter (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- The highest sequence of any event that was deleted: it is never used again.
    sequence_floor INTEGER NOT NULL,
    -- The last day on which dedup keys that no longer count were forgotten, and the first day whose
    -- keys were not.
    dedup_swept_day INTEGER NOT NULL,
    dedup_first_day INTEGER NOT NULL,
    -- The dedup keys of the events up to this sequence are in runs; the others are in the events.
    dedup_merged INTEGER NOT NULL,
    -- Grows whenever somebody asks whether a commit is possible.
    probes INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0, 0, 0, 0, 0);

-- Dedup keys that were written in order at once (src/sqlite/dedup/runs.rs).
CREATE TABLE dedup_run (
    run INTEGER PRIMARY KEY,
    last_day INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    filter BLOB NOT NULL
) STRICT;
CREATE TABLE dedup_block (
    -- The run * 1024 + the first ten bits of the keys in it.
    row INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;

-- Names of sources and providers.
CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE data_key (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    owner BLOB NOT NULL CHECK (length(owner) = 16),
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX data_key_owner ON data_key (kind, owner);

-- One an arrival, numbered as the arrival's first event.
CREATE TABLE body (
    row INTEGER PRIMARY KEY,
    sealed_key BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE event (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    arrival BLOB NOT NULL,
    body INTEGER NOT NULL,
    source INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    kind TEXT,
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
    reason TEXT,
    covers INTEGER NOT NULL CHECK (covers BETWEEN 0 AND 4),
    -- The step that stopped it, if one did.
    failed INTEGER CHECK (failed BETWEEN 1 AND 5),
    received_at INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    range_start INTEGER NOT NULL,
    range_end INTEGER NOT NULL,
    order_key BLOB,
    -- The dedup key that it holds, a keyed hash, and that of what it says; none if it holds none.
    dedup_key BLOB CHECK (length(dedup_key) = 16),
    projection BLOB CHECK (length(projection) = 16),
    sealed_key BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX event_unaccepted ON event (status) WHERE status <> 0;
CREATE TRIGGER event_sequence_floor AFTER DELETE ON event BEGIN
    UPDATE counter SET sequence_floor = max(sequence_floor, OLD.sequence);
END;

-- Events that are known by their bytes: unreadable ones (dedup_key is empty), and conflicts.
CREATE TABLE quarantine (
    body_key BLOB NOT NULL CHECK (length(body_key) = 16),
    dedup_key BLOB NOT NULL CHECK (length(dedup_key) IN (0, 16)),
    event INTEGER NOT NULL,
    PRIMARY KEY (body_key, dedup_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
    -- The event's sequence * 1024 + its place among the event's deliveries.
    row INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    endpoint INTEGER NOT NULL,
    order_key BLOB,
    -- 0 fresh, 1 blocked behind its key's head, 2 head, 3 parked, 4 delivered, 5 dead
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    -- Attempts in this round, and in all.
    tries INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    leased INTEGER NOT NULL CHECK (leased BETWEEN 0 AND 1),
    -- When it is due; while leased, when the lease ends.
    next_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_fresh ON delivery (endpoint) WHERE state = 0;
CREATE INDEX delivery_blocked ON delivery (endpoint, order_key) WHERE state = 1;
CREATE UNIQUE INDEX delivery_head ON delivery (endpoint, order_key)
    WHERE state = 2 AND order_key IS NOT NULL;
CREATE INDEX delivery_waiting ON delivery (endpoint, next_at, state) WHERE state IN (2, 3);
CREATE INDEX delivery_leased ON delivery (endpoint, tries) WHERE leased = 1;
CREATE INDEX delivery_dead ON delivery (endpoint) WHERE state = 5;

CREATE TABLE attempt (
    delivery INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 6),
    http_status INTEGER,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- Refused and duplicate arrivals. No source is 0, no event is an empty blob.
CREATE TABLE tally (
    row INTEGER PRIMARY KEY,
    minute INTEGER NOT NULL,
    source INTEGER NOT NULL,
    event BLOB NOT NULL CHECK (length(event) IN (0, 16)),
    step INTEGER NOT NULL CHECK (step BETWEEN 1 AND 5),
    reason TEXT NOT NULL,
    address_key BLOB NOT NULL CHECK (length(address_key) = 16),
    arrival BLOB NOT NULL CHECK (length(arrival) = 16),
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    sealed_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (minute, source, event, step, reason, address_key)
) STRICT;

CREATE TABLE audit_entry (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action INTEGER NOT NULL CHECK (action BETWEEN 0 AND 999),
    -- None is the gateway itself.
    actor TEXT,
    resource BLOB NOT NULL,
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 1),
    request BLOB,
    -- What is different now, as the log says it.
    changes TEXT,
    -- Commitments to what is personal; salts and values are sealed.
    address BLOB CHECK (length(address) = 32),
    agent BLOB CHECK (length(agent) = 32),
    note BLOB CHECK (length(note) = 32),
    sealed_key BLOB CHECK (length(sealed_key) = 16),
    sealed BLOB
) STRICT;
