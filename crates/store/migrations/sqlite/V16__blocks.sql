-- Blocks of parties. Who is blocked, and why, is sealed; looked up by a keyed hash. Kinds: see `PartyKind`.
CREATE TABLE block (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    -- The provider, or the chain.
    scope TEXT NOT NULL,
    party_key BLOB NOT NULL CHECK (length(party_key) = 16),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    ends_at INTEGER,
    lifted_at INTEGER,
    lifted_by TEXT,
    sealed_key BLOB NOT NULL CHECK (length(sealed_key) = 16),
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX block_party ON block (party_key) WHERE lifted_at IS NULL;

-- Grows in the transaction of every change of any block: whoever keeps blocks in memory asks for this
-- number.
CREATE TABLE block_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO block_version VALUES (1, 0);
