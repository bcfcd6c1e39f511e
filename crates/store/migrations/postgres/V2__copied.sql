-- How far a copy of another store into this one has come. It is empty in a store that began here.
CREATE TABLE copied (
    -- A table of the copy, or "finished", once everything is here and was compared.
    what text PRIMARY KEY,
    -- Which store it is a copy of: the id of the first data key that it made.
    source bytea NOT NULL CHECK (length(source) = 16),
    -- After which row of the source the next page begins; nothing at the beginning.
    after bytea NOT NULL,
    rows bigint NOT NULL
);
