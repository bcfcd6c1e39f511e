-- How far each chain was read, and the payments of the orders that are watched on it: one sealed state a
-- chain, written in the transaction of what it makes known. `revision` grows with every write.
CREATE TABLE chain (
    name text PRIMARY KEY,
    revision bigint NOT NULL,
    updated_at bigint NOT NULL,
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL
);

-- Orders whose payments are looked for on a chain. While one is watched no other may have its address
-- (a keyed hash of chain and address). Stages: 0 waits to be watched, 1 is watched, 2 no longer.
CREATE TABLE watch (
    order_id uuid PRIMARY KEY,
    chain text NOT NULL,
    address_key bytea UNIQUE CHECK (length(address_key) = 16),
    stage smallint NOT NULL CHECK (stage BETWEEN 0 AND 2),
    CHECK ((address_key IS NULL) = (stage = 2))
);
CREATE INDEX watch_waiting ON watch (chain) WHERE stage = 0;

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT what, source, ''::bytea, 0
FROM (VALUES ('chains'), ('watches')) AS new (what) CROSS JOIN (SELECT DISTINCT source FROM copied) AS known;
