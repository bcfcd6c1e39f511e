-- Requests of the API that take effect once: claimed before the effect, with the answer after it.
-- The key and the fingerprint are keyed hashes; the answer is sealed.
CREATE TABLE idempotency (
    key bytea PRIMARY KEY CHECK (length(key) = 16),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 16),
    -- Who does it, and until when, while there is no answer.
    holder bytea NOT NULL CHECK (length(holder) = 16),
    held_until bigint NOT NULL,
    kept_until bigint NOT NULL,
    sealed_key uuid,
    sealed bytea
);
CREATE INDEX idempotency_kept ON idempotency (kept_until);
