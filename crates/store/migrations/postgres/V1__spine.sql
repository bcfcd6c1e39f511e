-- The spine: arrivals, events, deliveries, tallies, keys and the audit log, for many replicas.
-- Enums are small numbers, written down in src/codes.rs. Times are unix milliseconds, days those
-- since 1970-01-01 (UTC). Ids are UUIDs of version 7, which sort by time; keyed hashes are 16 bytes.
-- "sealed" columns hold what only a data key opens.
--
-- What grows with every event is partitioned by the time in its id, week by week, so that it is
-- forgotten by dropping a table. What is worked on is small and stands apart from what is over.

-- Numbers of events: they grow, and a transaction that fails leaves a gap.
CREATE SEQUENCE event_sequence AS bigint;

-- Names of sources and providers.
CREATE TABLE name (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text text NOT NULL UNIQUE
);

CREATE TABLE endpoint (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 2),
    changed_at bigint NOT NULL,
    -- Until when an endpoint that keeps failing is left alone; null while deliveries go.
    rests_until bigint
);

CREATE TABLE data_key (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 2),
    owner bytea NOT NULL CHECK (length(owner) = 16),
    wrapped bytea NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX data_key_owner ON data_key (kind, owner, sequence);

-- One an arrival.
CREATE TABLE body (
    arrival uuid PRIMARY KEY,
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL
) PARTITION BY RANGE (arrival);
-- Sealed bytes do not compress: it is not tried.
ALTER TABLE body ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE TABLE body_default PARTITION OF body DEFAULT;

CREATE TABLE event (
    id uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    arrival uuid NOT NULL,
    source integer NOT NULL,
    provider integer NOT NULL,
    kind text,
    status smallint NOT NULL CHECK (status BETWEEN 0 AND 3),
    reason text,
    covers smallint NOT NULL CHECK (covers BETWEEN 0 AND 4),
    -- The step that stopped it, if one did.
    failed smallint CHECK (failed BETWEEN 1 AND 5),
    received_at bigint NOT NULL,
    count bigint NOT NULL CHECK (count > 0),
    range_start bigint NOT NULL,
    range_end bigint NOT NULL,
    order_key bytea CHECK (length(order_key) = 16),
    -- The dedup key that it holds and the hash of what it says; none if it holds none.
    dedup_key bytea CHECK (length(dedup_key) = 16),
    projection bytea CHECK (length(projection) = 16),
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL,
    -- Keyed hash of the arrival's bytes as they came, where they were truncated.
    original bytea CHECK (length(original) = 16)
) PARTITION BY RANGE (id);
ALTER TABLE event ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX event_in_order ON event (sequence);
CREATE INDEX event_unaccepted ON event (status, sequence) WHERE status <> 0;
CREATE TABLE event_default PARTITION OF event DEFAULT;

-- How many events are accepted, in slots so that no two transactions wait for each other often.
-- A row has a page nearly to itself: its versions stay there.
CREATE TABLE counter (
    slot integer PRIMARY KEY,
    accepted bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO counter SELECT slot, 0 FROM generate_series(0, 63) AS slot;

-- Which event holds a dedup key, and from which day on.
CREATE TABLE dedup (
    key bytea PRIMARY KEY CHECK (length(key) = 16),
    event uuid NOT NULL,
    projection bytea NOT NULL CHECK (length(projection) = 16),
    day bigint NOT NULL
) PARTITION BY HASH (key);
CREATE INDEX dedup_day ON dedup (day);
CREATE TABLE dedup_0 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE dedup_1 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE dedup_2 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE dedup_3 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE dedup_4 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE dedup_5 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE dedup_6 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE dedup_7 PARTITION OF dedup FOR VALUES WITH (MODULUS 8, REMAINDER 7);

-- The last day on which dedup keys that no longer count were forgotten (0 is never), and the first
-- day whose keys were not.
CREATE TABLE sweep (
    one integer PRIMARY KEY CHECK (one = 1),
    swept_day bigint NOT NULL,
    first_day bigint NOT NULL
);
INSERT INTO sweep VALUES (1, 0, 0);

-- Events that are known by their bytes: unreadable ones (dedup_key is empty), and conflicts.
CREATE TABLE quarantine (
    body_key bytea NOT NULL CHECK (length(body_key) = 16),
    dedup_key bytea NOT NULL CHECK (length(dedup_key) IN (0, 16)),
    event uuid NOT NULL,
    PRIMARY KEY (body_key, dedup_key)
);

-- Deliveries that are to be made: the work.
CREATE TABLE pending (
    delivery uuid PRIMARY KEY,
    -- The event's sequence * 1024 + its place among the event's deliveries. It keeps it for good.
    row bigint NOT NULL,
    event uuid NOT NULL,
    arrival uuid NOT NULL,
    endpoint integer NOT NULL,
    order_key bytea CHECK (length(order_key) = 16),
    -- 0 fresh, 1 blocked behind its key's head, 2 head, 3 parked
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 3),
    -- Attempts in this round, and in all.
    tries integer NOT NULL,
    attempts integer NOT NULL,
    fence bigint NOT NULL,
    leased boolean NOT NULL,
    -- When it is due; while leased, when the lease ends.
    next_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0.05
);
-- Not of the row itself: an index in the order of the rows would be taken for finding the first of
-- some kind, however many others stand before it.
CREATE INDEX pending_of_event ON pending ((row / 1024));
CREATE INDEX pending_fresh ON pending (endpoint, row) WHERE state = 0;
CREATE INDEX pending_waiting ON pending (endpoint, next_at) WHERE state IN (2, 3);
CREATE INDEX pending_of_key ON pending (endpoint, order_key, row)
    WHERE order_key IS NOT NULL AND state <> 3;
CREATE INDEX pending_leased ON pending (endpoint) INCLUDE (tries) WHERE leased;

-- Who is under way for an order key: one a key, because there can be no second row.
CREATE TABLE lane (
    endpoint integer NOT NULL,
    order_key bytea NOT NULL,
    delivery uuid NOT NULL,
    PRIMARY KEY (endpoint, order_key)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- Deliveries that are over: 4 delivered, 5 dead.
CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    row bigint NOT NULL,
    event uuid NOT NULL,
    arrival uuid NOT NULL,
    endpoint integer NOT NULL,
    order_key bytea,
    state smallint NOT NULL CHECK (state IN (4, 5)),
    attempts integer NOT NULL,
    fence bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX delivery_of_event ON delivery ((row / 1024));
CREATE INDEX delivery_dead ON delivery (endpoint, row) WHERE state = 5;
CREATE TABLE delivery_default PARTITION OF delivery DEFAULT;

CREATE TABLE attempt (
    delivery uuid NOT NULL,
    number integer NOT NULL,
    id uuid NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    outcome smallint NOT NULL CHECK (outcome BETWEEN 0 AND 6),
    http_status integer,
    PRIMARY KEY (delivery, number)
) PARTITION BY RANGE (delivery);
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;

-- Refused and duplicate arrivals. No source is 0, no event is an empty string.
CREATE SEQUENCE tally_row AS bigint;
CREATE TABLE tally (
    row bigint PRIMARY KEY,
    minute bigint NOT NULL,
    source integer NOT NULL,
    event bytea NOT NULL CHECK (length(event) IN (0, 16)),
    step smallint NOT NULL CHECK (step BETWEEN 1 AND 5),
    reason text NOT NULL,
    address_key bytea NOT NULL CHECK (length(address_key) = 16),
    arrival uuid NOT NULL,
    count bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL,
    UNIQUE (minute, source, event, step, reason, address_key)
);

-- Who serves may only add to it.
CREATE TABLE audit_entry (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    action smallint NOT NULL CHECK (action BETWEEN 0 AND 999),
    -- None is the gateway itself.
    actor text,
    resource bytea NOT NULL,
    outcome smallint NOT NULL CHECK (outcome BETWEEN 0 AND 1),
    request uuid,
    -- What is different now, as the log says it.
    changes text,
    -- Commitments to what is personal; salts and values are sealed.
    address bytea CHECK (length(address) = 32),
    agent bytea CHECK (length(agent) = 32),
    note bytea CHECK (length(note) = 32),
    sealed_key uuid,
    sealed bytea
);

-- One row a transaction, so that whoever lost its connection can find out whether it took effect.
CREATE TABLE batch (
    id uuid PRIMARY KEY,
    at bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- What one replica does for all, as long as its lease lasts.
CREATE TABLE duty (
    name text PRIMARY KEY,
    holder bytea NOT NULL CHECK (length(holder) = 16),
    until bigint NOT NULL,
    fence bigint NOT NULL
) WITH (fillfactor = 50);

-- Counts of sliding windows that the replicas share. A crash of the server forgets them.
CREATE UNLOGGED TABLE rate_window (
    name text NOT NULL,
    key bytea NOT NULL CHECK (length(key) = 16),
    period_start bigint NOT NULL,
    count bigint NOT NULL,
    -- When it no longer counts, not even as the period before.
    ends_at bigint NOT NULL,
    PRIMARY KEY (name, key, period_start)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX rate_window_ends ON rate_window (ends_at);

-- The least id that can be made at a time: a UUID of version 7 starts with it (RFC 9562).
CREATE FUNCTION id_bound(at bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (lpad(to_hex(least(greatest(at, 0), 281474976710655)), 12, '0')
        || repeat('0', 20))::uuid;

-- Makes the partitions of the last, this and the next weeks that are not there; says how many. A
-- week of which rows stand in the default partition already, after a clock jumped, stays there.
CREATE FUNCTION ensure_partitions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    week_ms CONSTANT bigint := 604800000;
    weeks_ahead CONSTANT integer := 4;
    -- Weeks begin on Mondays; 1970-01-05 was one.
    monday CONSTANT bigint := 345600000;
    this_week bigint;
    begins bigint;
    parent text;
    part text;
    made integer := 0;
BEGIN
    this_week := floor((extract(epoch FROM clock_timestamp()) * 1000 - monday) / week_ms);
    FOREACH parent IN ARRAY ARRAY['event', 'body', 'delivery', 'attempt'] LOOP
        -- One at a time: whoever comes second finds what the first has made.
        EXECUTE format('LOCK TABLE %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
        FOR week IN -1..weeks_ahead LOOP
            begins := monday + (this_week + week) * week_ms;
            part := format('%s_%s', parent, begins);
            CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
            BEGIN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
                EXECUTE format(
                    'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, part, id_bound(begins), id_bound(begins + week_ms));
                made := made + 1;
            EXCEPTION WHEN check_violation THEN
                RAISE WARNING '% of % stands in the default partition', part, parent;
            END;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Drops the oldest partition of a class that ends before a time; says how many it dropped, one or
-- none. Nothing younger than the floor of its class is dropped, nor what a pending delivery needs.
-- Of the default partition, which holds what a jumped clock put there, a bounded number of rows is
-- deleted. Everybody waits for a partition that is dropped, so what takes long comes before it, and
-- there is one in a transaction.
CREATE FUNCTION drop_partitions(class text, before bigint) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    day_ms CONSTANT bigint := 86400000;
    week_ms CONSTANT bigint := 604800000;
    rows_at_once CONSTANT integer := 10000;
    now_ms CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    floor_days integer;
    latest bigint;
    part record;
    since uuid;
    till uuid;
    needs text;
    is_needed boolean;
    -- Accepted events that are gone.
    fewer bigint := 0;
    of_part bigint := 0;
BEGIN
    floor_days := CASE class
        -- A duplicate is answered with the event that came first for 35 days, and a clock that
        -- jumped is believed for two more.
        WHEN 'event' THEN 37
        -- The last attempt comes after 75 hours; a person then has some days to redeliver.
        WHEN 'body' THEN 8
        -- What was delivered is told as long as the event is.
        WHEN 'delivery' THEN 37
        WHEN 'attempt' THEN 37
    END;
    IF floor_days IS NULL THEN
        RAISE EXCEPTION 'no class %', class USING ERRCODE = 'invalid_parameter_value';
    END IF;
    latest := least(before, now_ms - floor_days * day_ms);
    till := id_bound(latest);
    CASE class
        WHEN 'event' THEN
            WITH gone AS (
                DELETE FROM event_default WHERE id IN (
                    SELECT id FROM event_default kept WHERE id < till
                        AND NOT EXISTS (SELECT 1 FROM pending WHERE event = kept.id)
                    LIMIT rows_at_once)
                RETURNING status)
            SELECT count(*) INTO fewer FROM gone WHERE status = 0;
        WHEN 'body' THEN
            DELETE FROM body_default WHERE arrival IN (
                SELECT arrival FROM body_default kept WHERE arrival < till
                    AND NOT EXISTS (SELECT 1 FROM pending WHERE arrival = kept.arrival)
                LIMIT rows_at_once);
        WHEN 'delivery' THEN
            DELETE FROM delivery_default WHERE id IN (
                SELECT id FROM delivery_default WHERE id < till LIMIT rows_at_once);
        WHEN 'attempt' THEN
            DELETE FROM attempt_default WHERE delivery IN (
                SELECT delivery FROM attempt_default kept WHERE delivery < till
                    AND NOT EXISTS (SELECT 1 FROM pending WHERE delivery = kept.delivery)
                LIMIT rows_at_once);
    END CASE;
    needs := CASE class
        WHEN 'event' THEN 'SELECT EXISTS (SELECT 1 FROM pending WHERE event >= $1 AND event < $2)'
        WHEN 'body' THEN
            'SELECT EXISTS (SELECT 1 FROM pending WHERE arrival >= $1 AND arrival < $2)'
        WHEN 'attempt' THEN
            'SELECT EXISTS (SELECT 1 FROM pending WHERE delivery >= $1 AND delivery < $2)'
        ELSE 'SELECT false'
    END;
    FOR part IN
        SELECT child.relname AS name, substring(child.relname FROM '_([0-9]+)$')::bigint AS begins
        FROM pg_inherits JOIN pg_class child ON child.oid = pg_inherits.inhrelid
        WHERE inhparent = to_regclass(quote_ident(class)) AND child.relname ~ '_[0-9]+$'
        ORDER BY 2
    LOOP
        CONTINUE WHEN part.begins + week_ms > latest;
        since := id_bound(part.begins);
        till := id_bound(part.begins + week_ms);
        EXECUTE needs INTO is_needed USING since, till;
        CONTINUE WHEN is_needed;
        IF class = 'event' THEN
            EXECUTE format('SELECT count(*) FROM %I WHERE status = 0', part.name) INTO of_part;
        END IF;
        -- The table before its part, as everybody else. A redelivery that reads from the part now is
        -- waited for, and seen when it is looked at again; one that comes later finds nothing.
        EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', class);
        EXECUTE needs INTO is_needed USING since, till;
        IF is_needed THEN
            RAISE EXCEPTION 'a delivery needs % now', part.name USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE %I', part.name);
        -- Last: whoever changes the count holds the table, and now nobody does.
        UPDATE counter SET accepted = accepted - fewer - of_part WHERE slot = 0;
        RETURN 1;
    END LOOP;
    UPDATE counter SET accepted = accepted - fewer WHERE slot = 0 AND fewer > 0;
    RETURN 0;
END $$;

-- They run with the rights of the owner, so what they name is fixed, and nobody waits long for them.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION ensure_partitions() SET search_path = %I, pg_temp',
        current_schema());
    EXECUTE format(
        'ALTER FUNCTION drop_partitions(text, bigint) SET search_path = %I, pg_temp',
        current_schema());
END $$;
ALTER FUNCTION ensure_partitions() SET lock_timeout = '2s';
ALTER FUNCTION drop_partitions(text, bigint) SET lock_timeout = '2s';
REVOKE ALL ON FUNCTION ensure_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION drop_partitions(text, bigint) FROM PUBLIC;
