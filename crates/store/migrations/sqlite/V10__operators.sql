-- Operators. What they sign in as, the hash of their password and the seed of their codes are sealed
-- under a key of their own. Roles: 0 viewer, 1 operator, 2 administrator.
CREATE TABLE operator (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    -- Keyed hash of what they sign in as.
    login_key BLOB NOT NULL UNIQUE CHECK (length(login_key) = 16),
    role INTEGER NOT NULL CHECK (role BETWEEN 0 AND 2),
    sealed_key BLOB NOT NULL CHECK (length(sealed_key) = 16),
    login BLOB NOT NULL,
    password BLOB NOT NULL,
    totp BLOB NOT NULL,
    -- The time step of the last code that was used.
    totp_step INTEGER,
    -- Grows with every new password and seed.
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    disabled_at INTEGER
) STRICT;

-- Sessions: of a token only its keyed hash. A session that goes on under a new token is a new row.
CREATE TABLE session (
    row INTEGER PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 16),
    operator BLOB NOT NULL CHECK (length(operator) = 16),
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    confirmed_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX session_open ON session (operator) WHERE ended_at IS NULL;

-- Grows in the transaction of every change of an operator, and when a session is ended: whoever
-- keeps sessions in memory asks for this number.
CREATE TABLE operator_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO operator_version VALUES (1, 0);
