-- How far each chain was read, and the payments of the orders that are watched on it: one sealed state a
-- chain, written in the transaction of what it makes known. `revision` grows with every write.
CREATE TABLE chain (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    sealed_key BLOB NOT NULL CHECK (length(sealed_key) = 16),
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Orders whose payments are looked for on a chain. While one is watched no other may have its address
-- (a keyed hash of chain and address). Stages: 0 waits to be watched, 1 is watched, 2 no longer.
CREATE TABLE watch (
    order_id BLOB PRIMARY KEY CHECK (length(order_id) = 16),
    chain TEXT NOT NULL,
    address_key BLOB UNIQUE CHECK (length(address_key) = 16),
    stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2),
    CHECK ((address_key IS NULL) = (stage = 2))
) STRICT, WITHOUT ROWID;
CREATE INDEX watch_waiting ON watch (chain) WHERE stage = 0;
