-- API keys: of a secret only its keyed hash. Lists are words with one space between two; no bound is
-- null. Environments: 0 test, 1 live. Causes: 0 retired, 1 leaked, 2 suspected.
CREATE TABLE api_key (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    environment INTEGER NOT NULL CHECK (environment BETWEEN 0 AND 1),
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 16),
    permissions TEXT NOT NULL,
    sources TEXT,
    providers TEXT,
    customer BLOB CHECK (length(customer) = 16),
    networks TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    -- The key whose place it took; each is followed by one at most.
    rolled_from BLOB UNIQUE CHECK (length(rolled_from) = 16),
    -- Once it has a successor: until when it works.
    grace_until INTEGER,
    revoked_at INTEGER,
    revoked_cause INTEGER CHECK (revoked_cause BETWEEN 0 AND 2),
    -- Use, as far as it was written.
    last_used_at INTEGER,
    last_address_key BLOB CHECK (length(last_address_key) = 16),
    last_address BLOB,
    uses INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    CHECK ((revoked_at IS NULL) = (revoked_cause IS NULL))
) STRICT;

-- Grows in the transaction of every change of any key, but for its use: whoever keeps keys in memory
-- asks for this number.
CREATE TABLE api_key_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO api_key_version VALUES (1, 0);
