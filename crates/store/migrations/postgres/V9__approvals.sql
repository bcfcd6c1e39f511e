-- What an operator asks another one to approve. The request itself is sealed under the asking
-- operator's own key; which one it is stands as a keyed hash. It counts for a quarter of an hour.
CREATE TABLE approval (
    row bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    operator uuid NOT NULL,
    permission text NOT NULL,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 16),
    sealed_key uuid NOT NULL,
    request bytea NOT NULL,
    asked_at bigint NOT NULL,
    approver uuid,
    is_approved boolean,
    decided_at bigint,
    used_at bigint
) WITH (fillfactor = 50);
CREATE INDEX approval_asked ON approval (asked_at);
