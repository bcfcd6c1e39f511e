-- Requests of the API that take effect once: claimed before the effect, with the answer after it.
-- The key and the fingerprint are keyed hashes; the answer is sealed.
CREATE TABLE idempotency (
    key BLOB PRIMARY KEY CHECK (length(key) = 16),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
    -- Who does it, and until when, while there is no answer.
    holder BLOB NOT NULL CHECK (length(holder) = 16),
    held_until INTEGER NOT NULL,
    kept_until INTEGER NOT NULL,
    sealed_key BLOB CHECK (length(sealed_key) = 16),
    sealed BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_kept ON idempotency (kept_until);
