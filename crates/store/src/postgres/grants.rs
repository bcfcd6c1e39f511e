//! What the role may do that serves: no more than the code asks for, and nothing to the schema.

use tokio_postgres::Client;

use super::bind::text;
use super::failure::{open_error, open_failure};
use super::session::column;
use crate::OpenError;

/// Tables, and what may be done to each. Audit entries can only be added. (To lock a row, a role
/// needs to be allowed to change something of it.)
const TABLES: &[(&str, &str)] = &[
    ("schema_history", "SELECT"),
    ("name", "SELECT, INSERT"),
    ("endpoint", "SELECT, INSERT, UPDATE"),
    ("data_key", "SELECT, INSERT"),
    ("body", "SELECT, INSERT"),
    ("event", "SELECT, INSERT, UPDATE (status, reason, failed, count)"),
    ("counter", "SELECT, UPDATE"),
    ("dedup", "SELECT, INSERT, UPDATE, DELETE"),
    ("sweep", "SELECT, UPDATE"),
    ("quarantine", "SELECT, INSERT, UPDATE"),
    ("pending", "SELECT, INSERT, UPDATE, DELETE"),
    ("lane", "SELECT, INSERT, UPDATE, DELETE"),
    ("delivery", "SELECT, INSERT, DELETE, UPDATE (updated_at)"),
    ("attempt", "SELECT, INSERT"),
    ("tally", "SELECT, INSERT, UPDATE"),
    ("audit_entry", "SELECT, INSERT"),
    ("audit_waiting", "SELECT, INSERT, DELETE"),
    ("audit_head", "SELECT, UPDATE"),
    ("audit_tile", "SELECT, INSERT, UPDATE"),
    ("audit_checkpoint", "SELECT, INSERT, DELETE"),
    ("secret", "SELECT, INSERT, UPDATE (ends_at, retired_at, proven_at)"),
    ("audit_sink", "SELECT, INSERT, UPDATE"),
    ("batch", "SELECT, INSERT, DELETE"),
    ("duty", "SELECT, INSERT, UPDATE"),
    ("copied", "SELECT, INSERT, UPDATE"),
    (
        "api_key",
        "SELECT, INSERT, UPDATE (grace_until, revoked_at, revoked_cause, last_used_at, \
         last_address_key, last_address, uses, refusals)",
    ),
    ("api_key_version", "SELECT, UPDATE"),
    (
        "operator",
        "SELECT, INSERT, UPDATE (role, password, totp, totp_step, generation, disabled_at)",
    ),
    ("session", "SELECT, INSERT, UPDATE (last_seen_at, ended_at)"),
    ("operator_version", "SELECT, UPDATE"),
    (
        "orders",
        "SELECT, INSERT, UPDATE (cancelled_at, state, paid, pending, refunded, facts, version, \
         revision, updated_at)",
    ),
    ("payment", "SELECT, INSERT"),
    ("chain", "SELECT, INSERT, UPDATE"),
    ("watch", "SELECT, INSERT, UPDATE (address_key, stage)"),
    ("receipt", "SELECT, INSERT"),
    ("block", "SELECT, INSERT, UPDATE (lifted_at, lifted_by)"),
    ("block_version", "SELECT, UPDATE"),
    ("limit_slot", "SELECT, UPDATE"),
    ("undecided", "SELECT, INSERT, UPDATE, DELETE"),
    ("restated", "SELECT, INSERT, UPDATE, DELETE"),
    ("approval", "SELECT, INSERT, DELETE, UPDATE (approver, is_approved, decided_at, used_at)"),
    ("rate_window", "SELECT, INSERT, UPDATE, DELETE"),
    ("idempotency", "SELECT, INSERT, UPDATE, DELETE"),
];

const SEQUENCES: [&str; 3] = ["event_sequence", "tally_row", "audit_entry_sequence_seq"];

const FUNCTIONS: [&str; 3] =
    ["ensure_partitions()", "drop_partitions(text, bigint)", "forget_sessions(bigint)"];

/// Takes from the role whatever it had, and gives it what it needs.
pub(super) async fn grant(client: &Client, role: &str) -> Result<(), OpenError> {
    let rows = client
        .query_typed(
            "SELECT rolname = current_user, quote_ident(rolname), quote_ident(current_schema())
             FROM pg_roles WHERE rolname = $1",
            &[text(&role)],
        )
        .await
        .map_err(|error| open_error(&error))?;
    let row = rows.first().ok_or(OpenError::UnknownRole)?;
    let read =
        || Ok((column::<bool>(row, 0)?, column::<String>(row, 1)?, column::<String>(row, 2)?));
    let read: super::failure::Result<(bool, String, String)> = read();
    let (is_owner, role, schema) = read.map_err(|failure| open_failure(&failure))?;
    if is_owner {
        // An owner that serves has every right already, and none is taken from it.
        return Ok(());
    }
    client.batch_execute(&statements(&role, &schema)).await.map_err(|error| open_error(&error))
}

/// The names are quoted already.
fn statements(role: &str, schema: &str) -> String {
    let mut sql = format!("GRANT USAGE ON SCHEMA {schema} TO {role};");
    for (table, rights) in TABLES {
        sql.push_str(&format!(
            "REVOKE ALL ON TABLE {table} FROM {role}; GRANT {rights} ON TABLE {table} TO {role};"
        ));
    }
    for sequence in SEQUENCES {
        sql.push_str(&format!(
            "REVOKE ALL ON SEQUENCE {sequence} FROM {role};
             GRANT USAGE ON SEQUENCE {sequence} TO {role};"
        ));
    }
    for function in FUNCTIONS {
        sql.push_str(&format!("GRANT EXECUTE ON FUNCTION {function} TO {role};"));
    }
    sql
}
