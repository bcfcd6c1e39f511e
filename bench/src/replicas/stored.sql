-- Events since a Monday, spread evenly, one an arrival and each with a delivery that was made: rows
-- of the usual size in the partitions of their weeks. What is sealed is bytes of no meaning.
SET ROLE {owner};
SELECT ensure_partitions();
DO $$
DECLARE
    week_ms CONSTANT bigint := 604800000;
    begins bigint := {begins};
    parent text;
    part text;
BEGIN
    WHILE begins < {now} LOOP
        FOREACH parent IN ARRAY ARRAY['event', 'body', 'delivery', 'attempt'] LOOP
            part := format('%s_%s', parent, begins);
            CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, part, id_bound(begins), id_bound(begins + week_ms));
        END LOOP;
        begins := begins + week_ms;
    END LOOP;
END $$;

INSERT INTO name (text) VALUES ('stripe');
INSERT INTO endpoint (name, state, changed_at) VALUES ('app', 0, {begins});
CREATE TEMPORARY TABLE made AS
    SELECT n, at, nextval('event_sequence') AS sequence, gen_random_uuid() AS sealed_key,
        (time || '7000a' || substr(md5('event' || n), 1, 15))::uuid AS event,
        (time || '7000a' || substr(md5('body' || n), 1, 15))::uuid AS arrival,
        (time || '7000a' || substr(md5('made' || n), 1, 15))::uuid AS delivery,
        decode(md5('order' || n), 'hex') AS order_key,
        decode(md5('dedup' || n), 'hex') AS dedup_key,
        decode(md5('says' || n), 'hex') AS projection
    FROM generate_series(0, {events} - 1) AS n,
        LATERAL (SELECT {begins} + n * (({now} - {begins}) / {events}) AS at) AS placed,
        LATERAL (SELECT lpad(to_hex(at), 12, '0') AS time) AS of_id;
INSERT INTO event (id, sequence, arrival, source, provider, kind, status, covers, received_at, count,
        range_start, range_end, order_key, dedup_key, projection, sealed_key, sealed)
    SELECT event, sequence, arrival, 1, 1, 'payment_intent.succeeded', 0, 4, at, 1,
        0, 1024, order_key, dedup_key, projection, sealed_key, decode(repeat(md5(n::text), 14), 'hex')
    FROM made;
INSERT INTO body (arrival, sealed_key, sealed)
    SELECT arrival, sealed_key, decode(repeat(md5(n::text), 66), 'hex') FROM made;
INSERT INTO delivery (id, row, event, arrival, endpoint, order_key, state, attempts, fence, created_at,
        updated_at)
    SELECT delivery, sequence * 1024, event, arrival, 1, order_key, 4, 1, 1, at, at FROM made;
INSERT INTO attempt (delivery, number, id, started_at, ended_at, outcome, http_status)
    SELECT delivery, 1, delivery, at, at + 2, 0, 200 FROM made;
-- For 35 days repeats are recognised by them.
INSERT INTO dedup (key, event, projection, day)
    SELECT dedup_key, event, projection, at / 86400000 FROM made
    WHERE at >= {now} - 35 * 86400000::bigint;
UPDATE counter SET accepted = {events} WHERE slot = 0;
DROP TABLE made;
