-- The audit log as a Merkle tree over its entries, and the checkpoints that were signed.

-- How many entries have their place in the log, and the sequence of the last of them. It grows in
-- the transaction that keeps tiles and checkpoint.
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT;
INSERT INTO audit_head VALUES (1, 0, 0);

-- 256 hashes of neighbouring nodes of every eighth level; of level 0 also the sequence of each
-- entry, eight bytes each.
CREATE TABLE audit_tile (
    row INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    entries BLOB NOT NULL,
    UNIQUE (level, number)
) STRICT;

CREATE TABLE audit_checkpoint (
    size INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;
