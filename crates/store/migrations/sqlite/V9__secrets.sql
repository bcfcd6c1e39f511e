-- Secrets of sources and endpoints: those that were added are sealed; of those in the configuration
-- only a keyed hash is known, and since when.
CREATE TABLE secret (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    -- 0 of a source, 1 of an endpoint
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 1),
    owner TEXT NOT NULL,
    -- A keyed hash of it.
    print BLOB NOT NULL CHECK (length(print) = 16),
    since INTEGER NOT NULL,
    ends_at INTEGER,
    retired_at INTEGER,
    proven_at INTEGER,
    sealed_key BLOB CHECK (length(sealed_key) = 16),
    sealed BLOB,
    UNIQUE (kind, owner, print)
) STRICT;
