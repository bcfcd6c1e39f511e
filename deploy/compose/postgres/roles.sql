-- Two roles: the owner migrates, the gateway serves and may change nothing of the schema. Run once, as
-- a superuser, with psql; the passwords are files. `migrate` grants the serving role what it needs.

-- A statement that fails is logged, and these hold passwords.
SET log_min_error_statement = panic;
SET log_statement = 'none';
SET password_encryption = 'scram-sha-256';

\set owner `cat "${SECRETS:-/run/secrets}/owner_password"`
\set serve `cat "${SECRETS:-/run/secrets}/serve_password"`
CREATE ROLE countersign_owner LOGIN PASSWORD :'owner';
CREATE ROLE countersign_serve LOGIN PASSWORD :'serve';

CREATE DATABASE countersign OWNER countersign_owner;
REVOKE ALL ON DATABASE countersign FROM PUBLIC;
GRANT CONNECT ON DATABASE countersign TO countersign_serve;
