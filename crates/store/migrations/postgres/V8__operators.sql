-- Operators. What they sign in as, the hash of their password and the seed of their codes are sealed
-- under a key of their own. Roles: 0 viewer, 1 operator, 2 administrator.
CREATE TABLE operator (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    -- Keyed hash of what they sign in as.
    login_key bytea NOT NULL UNIQUE CHECK (length(login_key) = 16),
    role smallint NOT NULL CHECK (role BETWEEN 0 AND 2),
    sealed_key uuid NOT NULL,
    login bytea NOT NULL,
    password bytea NOT NULL,
    totp bytea NOT NULL,
    -- The time step of the last code that was used.
    totp_step bigint,
    -- Grows with every new password and seed.
    generation bigint NOT NULL,
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    disabled_at bigint
) WITH (fillfactor = 50);

-- Sessions: of a token only its keyed hash. A session that goes on under a new token is a new row.
CREATE TABLE session (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 16),
    operator uuid NOT NULL,
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    confirmed_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    ended_at bigint
) WITH (fillfactor = 50);
CREATE INDEX session_open ON session (operator) WHERE ended_at IS NULL;

-- Grows in the transaction of every change of an operator, and when a session is ended: whoever
-- keeps sessions in memory asks for this number. Whoever changes either waits here for each other.
CREATE TABLE operator_version (
    one integer PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO operator_version VALUES (1, 0);

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT what, source, ''::bytea, 0
FROM (VALUES ('operators'), ('sessions')) AS new (what) CROSS JOIN (SELECT source FROM copied) AS old;
