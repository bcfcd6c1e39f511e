-- What one replica does for all, as long as its lease lasts, and counts of sliding windows: on one
-- machine there is one replica, and it asks in the same way.
CREATE TABLE duty (
    name TEXT PRIMARY KEY,
    holder BLOB NOT NULL CHECK (length(holder) = 16),
    until INTEGER NOT NULL,
    fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rate_window (
    name TEXT NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 16),
    period_start INTEGER NOT NULL,
    count INTEGER NOT NULL,
    -- When it no longer counts, not even as the period before.
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (name, key, period_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX rate_window_ends ON rate_window (ends_at);
