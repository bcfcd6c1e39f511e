//! Migrating: by the owner of the schema, never by who serves.
//!
//! A runner of its own, since refinery's prepares statements with names, which a pooler in
//! transaction mode does not keep. Files, versions and checksums are refinery's.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::bind::{int4, text};
use super::failure::open_error;
use super::grants;
use super::open::{dial, history, known};
use super::options::{PostgresOptions, Target};
use crate::{OpenError, schema};

/// Two that make the history at once get in each other's way; one of them tries again.
const TRIES_MAX: usize = 5;

/// Locks the history against whoever migrates too, and not against those who read it.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s';
    CREATE TABLE IF NOT EXISTS schema_history (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at bigint NOT NULL
    );
    LOCK TABLE schema_history IN SHARE ROW EXCLUSIVE MODE";

/// A migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationName {
    /// Its number; they are applied in order.
    pub version: i32,
    /// What it is about.
    pub name: String,
}

/// The migrations that are not applied yet.
pub(crate) async fn plan(options: &PostgresOptions) -> Result<Vec<MigrationName>, OpenError> {
    let dialled = dial(&Target::of(options)?).await?;
    let known = known()?;
    let found = history(&dialled.client).await?.unwrap_or_default();
    let applied = schema::applied(&found, &known)?;
    Ok(known.iter().skip(applied).map(name_of).collect())
}

/// Applies what is not applied yet, all or nothing, and gives the serving role its rights.
pub(crate) async fn apply(
    options: &PostgresOptions,
    serving_role: Option<&str>,
) -> Result<Vec<MigrationName>, OpenError> {
    let target = Target::of(options)?;
    for _ in 0..TRIES_MAX {
        let dialled = dial(&target).await?;
        match dialled.client.batch_execute(BEGIN).await {
            Ok(()) => return migrate(&dialled.client, serving_role).await,
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            Err(error) => return Err(open_error(&error)),
        }
    }
    Err(OpenError::Busy)
}

/// Whoever holds the lock migrates; the connection's end rolls back what is not committed.
async fn migrate(
    client: &Client,
    serving_role: Option<&str>,
) -> Result<Vec<MigrationName>, OpenError> {
    let known = known()?;
    let found = history(client).await?.unwrap_or_default();
    let applied = schema::applied(&found, &known)?;
    let mut done = Vec::new();
    for migration in known.iter().skip(applied) {
        let sql = migration.sql().ok_or(OpenError::Failed)?;
        client.batch_execute(sql).await.map_err(|error| open_error(&error))?;
        let (version, checksum) = (migration.version(), migration.checksum().to_string());
        client
            .execute_typed(
                "INSERT INTO schema_history (version, name, checksum, applied_at)
                 VALUES ($1, $2, $3, floor(extract(epoch FROM clock_timestamp()) * 1000))",
                &[int4(&version), text(&migration.name()), text(&checksum)],
            )
            .await
            .map_err(|error| open_error(&error))?;
        done.push(name_of(migration));
    }
    if let Some(role) = serving_role {
        grants::grant(client, role).await?;
    }
    client
        .batch_execute("SELECT ensure_partitions(); COMMIT")
        .await
        .map_err(|error| open_error(&error))?;
    Ok(done)
}

fn name_of(migration: &refinery::Migration) -> MigrationName {
    MigrationName { version: migration.version(), name: migration.name().to_owned() }
}
