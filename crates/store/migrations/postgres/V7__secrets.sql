-- Secrets of sources and endpoints: those that were added are sealed; of those in the configuration
-- only a keyed hash is known, and since when.
CREATE TABLE secret (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    -- 0 of a source, 1 of an endpoint
    kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 1),
    owner text NOT NULL,
    -- A keyed hash of it.
    print bytea NOT NULL CHECK (length(print) = 16),
    since bigint NOT NULL,
    ends_at bigint,
    retired_at bigint,
    proven_at bigint,
    sealed_key uuid,
    sealed bytea,
    UNIQUE (kind, owner, print)
);
