-- Sessions by when they were over at the latest, however they ended: they are deleted a day later.
CREATE INDEX session_over ON session (min(ends_at, coalesce(ended_at, ends_at)));
