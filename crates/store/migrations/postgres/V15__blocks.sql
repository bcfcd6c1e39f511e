-- Blocks of parties. Who is blocked, and why, is sealed; looked up by a keyed hash. Kinds: see `PartyKind`.
CREATE TABLE block (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 3),
    -- The provider, or the chain.
    scope text NOT NULL,
    party_key bytea NOT NULL CHECK (length(party_key) = 16),
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    ends_at bigint,
    lifted_at bigint,
    lifted_by text,
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL
);
CREATE INDEX block_party ON block (party_key) WHERE lifted_at IS NULL;

-- Grows in the transaction of every change of any block: whoever keeps blocks in memory asks for this
-- number. Whoever changes blocks waits here for each other.
CREATE TABLE block_version (
    one integer PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO block_version VALUES (1, 0);

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT 'blocks', source, ''::bytea, 0 FROM copied;
