-- Events that may be decided on anew: held for what may still come, or come before their order was created.
CREATE TABLE undecided (
    event uuid PRIMARY KEY,
    -- Whose order it waits for, a keyed hash; of one that the provider is asked about, or that waits for
    -- nothing any more, none.
    reference_key bytea CHECK (length(reference_key) = 16),
    -- When it is looked at; none while nothing can have changed.
    next_at bigint,
    -- Grows whenever somebody takes it to look at, or its order changes: who took it before is too late.
    tries bigint NOT NULL,
    since bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX undecided_reference ON undecided (reference_key) WHERE reference_key IS NOT NULL;
CREATE INDEX undecided_next ON undecided (next_at) WHERE next_at IS NOT NULL;

-- What an event says since it was decided on anew, where that is something else than when it came. (Who
-- serves may change nothing of what an event said then.)
CREATE TABLE restated (
    event uuid PRIMARY KEY,
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL
);

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT what, source, ''::bytea, 0
FROM (VALUES ('undecided'), ('restated')) AS new (what) CROSS JOIN (SELECT DISTINCT source FROM copied) AS known;
