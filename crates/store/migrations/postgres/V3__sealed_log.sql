-- The audit log as a Merkle tree over its entries, and the checkpoints that were signed.

-- How many entries have their place in the log, and the sequence of the last of them. It grows in
-- the transaction that keeps tiles and checkpoint.
CREATE TABLE audit_head (
    one integer PRIMARY KEY CHECK (one = 1),
    size bigint NOT NULL,
    last bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO audit_head VALUES (1, 0, 0);

-- Entries that have no place yet, written with them: transactions commit in another order than that
-- of the sequence, so that nobody can go on from the last one that was seen.
CREATE TABLE audit_waiting (
    sequence bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- 256 hashes of neighbouring nodes of every eighth level; of level 0 also the sequence of each
-- entry, eight bytes each.
CREATE TABLE audit_tile (
    level smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    entries bytea NOT NULL,
    PRIMARY KEY (level, number)
);
-- Hashes do not compress: it is not tried.
ALTER TABLE audit_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE audit_checkpoint (
    size bigint PRIMARY KEY,
    at bigint NOT NULL,
    note text NOT NULL
);
