-- Until where in the audit log each sink has got entries.
CREATE TABLE audit_sink (
    name TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
