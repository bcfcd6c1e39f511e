-- API keys: of a secret only its keyed hash. Lists are words with one space between two; no bound is
-- null. Environments: 0 test, 1 live. Causes: 0 retired, 1 leaked, 2 suspected.
CREATE TABLE api_key (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    environment smallint NOT NULL CHECK (environment BETWEEN 0 AND 1),
    name text NOT NULL,
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 16),
    permissions text NOT NULL,
    sources text,
    providers text,
    customer bytea CHECK (length(customer) = 16),
    networks text NOT NULL,
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    expires_at bigint NOT NULL,
    -- The key whose place it took; each is followed by one at most.
    rolled_from uuid UNIQUE,
    -- Once it has a successor: until when it works.
    grace_until bigint,
    revoked_at bigint,
    revoked_cause smallint CHECK (revoked_cause BETWEEN 0 AND 2),
    -- Use, as far as it was written.
    last_used_at bigint,
    last_address_key uuid,
    last_address bytea,
    uses bigint NOT NULL,
    refusals bigint NOT NULL,
    CHECK ((revoked_at IS NULL) = (revoked_cause IS NULL))
) WITH (fillfactor = 50);

-- Grows in the transaction of every change of any key, but for its use: whoever keeps keys in memory
-- asks for this number. Whoever changes keys waits here for each other.
CREATE TABLE api_key_version (
    one integer PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO api_key_version VALUES (1, 0);

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT 'api_keys', source, ''::bytea, 0 FROM copied;
