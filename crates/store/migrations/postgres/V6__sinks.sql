-- Until where in the audit log each sink has got entries.
CREATE TABLE audit_sink (
    name text PRIMARY KEY,
    size bigint NOT NULL
) WITH (fillfactor = 50);
