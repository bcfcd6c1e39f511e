-- Sessions by when they were over at the latest, however they ended.
CREATE INDEX session_over ON session (least(ends_at, ended_at));

-- Deletes sessions that were over before a time, and at least a day ago by this server's own clock: a
-- bounded number, the oldest first. Says how many. Who serves may end a session and delete none but
-- these, so one that lets somebody in cannot vanish.
CREATE FUNCTION forget_sessions(before bigint) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    kept_ms CONSTANT bigint := 86400000;
    rows_at_once CONSTANT integer := 1000;
    now_ms CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    gone integer;
BEGIN
    DELETE FROM session WHERE token_hash IN (
        SELECT token_hash FROM session
        WHERE least(ends_at, ended_at) < least(before, now_ms - kept_ms)
        ORDER BY least(ends_at, ended_at) LIMIT rows_at_once);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- It runs with the rights of the owner, so what it names is fixed.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION forget_sessions(bigint) SET search_path = %I, pg_temp',
        current_schema());
END $$;
ALTER FUNCTION forget_sessions(bigint) SET lock_timeout = '2s';
REVOKE ALL ON FUNCTION forget_sessions(bigint) FROM PUBLIC;
