-- Events that may be decided on anew: held for what may still come, or come before their order was created.
CREATE TABLE undecided (
    event BLOB PRIMARY KEY CHECK (length(event) = 16),
    -- Whose order it waits for, a keyed hash; of one that the provider is asked about, or that waits for
    -- nothing any more, none.
    reference_key BLOB CHECK (length(reference_key) = 16),
    -- When it is looked at; none while nothing can have changed.
    next_at INTEGER,
    -- Grows whenever somebody takes it to look at, or its order changes: who took it before is too late.
    tries INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX undecided_reference ON undecided (reference_key) WHERE reference_key IS NOT NULL;
CREATE INDEX undecided_next ON undecided (next_at) WHERE next_at IS NOT NULL;

-- What an event says since it was decided on anew, where that is something else than when it came.
CREATE TABLE restated (
    event BLOB PRIMARY KEY CHECK (length(event) = 16),
    sealed_key BLOB NOT NULL CHECK (length(sealed_key) = 16),
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER event_restated AFTER DELETE ON event BEGIN
    DELETE FROM restated WHERE event = OLD.id;
END;
