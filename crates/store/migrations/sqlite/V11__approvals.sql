-- What an operator asks another one to approve. The request itself is sealed under the asking
-- operator's own key; which one it is stands as a keyed hash. It counts for a quarter of an hour.
CREATE TABLE approval (
    row INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    operator BLOB NOT NULL CHECK (length(operator) = 16),
    permission TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
    sealed_key BLOB NOT NULL CHECK (length(sealed_key) = 16),
    request BLOB NOT NULL,
    asked_at INTEGER NOT NULL,
    approver BLOB CHECK (length(approver) = 16),
    is_approved INTEGER,
    decided_at INTEGER,
    used_at INTEGER
) STRICT;
CREATE INDEX approval_asked ON approval (asked_at);
