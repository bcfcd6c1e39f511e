-- What a transaction paid for, by the first receipt of it that was taken: keyed hashes of the transaction
-- and of the request. A transaction answers one request, for good.
CREATE TABLE receipt (
    key bytea PRIMARY KEY CHECK (length(key) = 16),
    request bytea NOT NULL CHECK (length(request) = 16),
    taken_at bigint NOT NULL
);

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT 'receipts', source, ''::bytea, 0 FROM copied;
