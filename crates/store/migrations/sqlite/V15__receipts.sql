-- What a transaction paid for, by the first receipt of it that was taken: keyed hashes of the transaction
-- and of the request. A transaction answers one request, for good.
CREATE TABLE receipt (
    key BLOB PRIMARY KEY CHECK (length(key) = 16),
    request BLOB NOT NULL CHECK (length(request) = 16),
    taken_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
