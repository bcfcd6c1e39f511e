//! Opening: the server's version and the schema's, before anything is asked of them.

use std::time::Duration;

use refinery::Migration;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::codes::Sixteen;
use super::failure::{open_error, open_failure};
use super::options::{PostgresOptions, Target};
use super::session::column;
use crate::OpenError;
use crate::schema::{self, Applied};

/// What this is tested with begins here.
const VERSION_MIN: i32 = 150_000;

/// Every migration there ever was, in order: the file of each and its name.
const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__spine", include_str!("../../migrations/postgres/V1__spine.sql")),
    ("V2__copied", include_str!("../../migrations/postgres/V2__copied.sql")),
    ("V3__sealed_log", include_str!("../../migrations/postgres/V3__sealed_log.sql")),
    ("V4__api_keys", include_str!("../../migrations/postgres/V4__api_keys.sql")),
    ("V5__idempotency", include_str!("../../migrations/postgres/V5__idempotency.sql")),
    ("V6__sinks", include_str!("../../migrations/postgres/V6__sinks.sql")),
    ("V7__secrets", include_str!("../../migrations/postgres/V7__secrets.sql")),
    ("V8__operators", include_str!("../../migrations/postgres/V8__operators.sql")),
    ("V9__approvals", include_str!("../../migrations/postgres/V9__approvals.sql")),
    ("V10__orders", include_str!("../../migrations/postgres/V10__orders.sql")),
    ("V11__chains", include_str!("../../migrations/postgres/V11__chains.sql")),
    ("V12__sessions_over", include_str!("../../migrations/postgres/V12__sessions_over.sql")),
    ("V13__pages", include_str!("../../migrations/postgres/V13__pages.sql")),
    ("V14__receipts", include_str!("../../migrations/postgres/V14__receipts.sql")),
    ("V15__blocks", include_str!("../../migrations/postgres/V15__blocks.sql")),
    ("V16__order_limits", include_str!("../../migrations/postgres/V16__order_limits.sql")),
    ("V17__undecided", include_str!("../../migrations/postgres/V17__undecided.sql")),
];

/// What opening waits for, milliseconds.
const OPEN_MS_MAX: u64 = 10_000;

/// A server that is what it should be.
pub(super) struct Opened {
    pub(super) target: Target,
    pub(super) listened: Option<Target>,
    /// Bytes that no other process has.
    pub(super) process: [u8; 10],
}

/// A connection that is used for a while and then closed.
pub(super) struct Dialled {
    pub(super) client: Client,
    driver: AbortHandle,
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Sees that the server and its schema are those of this version.
pub(super) async fn open(options: &PostgresOptions) -> Result<Opened, OpenError> {
    let target = Target::of(options)?;
    let listened = Target::listened(options)?;
    let opening = async {
        let dialled = dial(&target).await?;
        let known = known()?;
        let Some(found) = history(&dialled.client).await? else {
            return Err(OpenError::OlderSchema);
        };
        if schema::applied(&found, &known)? != known.len() {
            return Err(OpenError::OlderSchema);
        }
        process(&dialled.client).await
    };
    let opened = timeout(Duration::from_millis(OPEN_MS_MAX), opening).await;
    let process = opened.unwrap_or(Err(OpenError::Unreachable))?;
    Ok(Opened { target, listened, process })
}

/// A connection to a server that is not too old.
pub(super) async fn dial(target: &Target) -> Result<Dialled, OpenError> {
    let connecting = target.config.connect(target.tls.clone());
    let (client, driver) = timeout(2 * target.connect_within, connecting)
        .await
        .map_err(|_| OpenError::Unreachable)?
        .map_err(|error| open_error(&error))?;
    let driver = tokio::spawn(async move {
        // Whoever uses the connection hears of it, too.
        let _ = driver.await;
    })
    .abort_handle();
    let dialled = Dialled { client, driver };
    let sql = "SELECT current_setting('server_version_num')::integer";
    let rows = dialled.client.query_typed(sql, &[]).await.map_err(|error| open_error(&error))?;
    let version: i32 = rows
        .first()
        .ok_or(OpenError::Failed)
        .and_then(|row| column(row, 0).map_err(|failure| open_failure(&failure)))?;
    see_version(version).map(|()| dialled)
}

/// Refuses what lacks something that is relied on.
fn see_version(version: i32) -> Result<(), OpenError> {
    if version < VERSION_MIN { Err(OpenError::TooOld) } else { Ok(()) }
}

/// The migrations that this version knows.
pub(super) fn known() -> Result<Vec<Migration>, OpenError> {
    schema::known(MIGRATIONS)
}

/// The migrations that were applied; none at all where no schema ever was.
pub(super) async fn history(client: &Client) -> Result<Option<Vec<Applied>>, OpenError> {
    let is_there = "SELECT to_regclass('schema_history') IS NOT NULL";
    let rows = client.query_typed(is_there, &[]).await.map_err(|error| open_error(&error))?;
    let is_there = rows.first().map(|row| column(row, 0));
    if !is_there.transpose().map_err(|failure| open_failure(&failure))?.unwrap_or(false) {
        return Ok(None);
    }
    let sql = "SELECT version, name, checksum FROM schema_history ORDER BY version";
    let rows = client.query_typed(sql, &[]).await.map_err(|error| open_error(&error))?;
    let read = rows.iter().map(|row| {
        Ok(Applied {
            version: i64::from(column::<i32>(row, 0)?),
            name: column(row, 1)?,
            checksum: column(row, 2)?,
        })
    });
    let read: super::failure::Result<Vec<Applied>> = read.collect();
    read.map(Some).map_err(|failure| open_failure(&failure))
}

async fn process(client: &Client) -> Result<[u8; 10], OpenError> {
    let sql = "SELECT gen_random_uuid()";
    let rows = client.query_typed(sql, &[]).await.map_err(|error| open_error(&error))?;
    let random: Sixteen = rows
        .first()
        .ok_or(OpenError::Failed)
        .and_then(|row| column(row, 0).map_err(|failure| open_failure(&failure)))?;
    random.0.first_chunk().copied().ok_or(OpenError::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        assert_eq!(see_version(149_999), Err(OpenError::TooOld));
        assert_eq!(see_version(150_000), Ok(()));
    }

    #[test]
    fn migrations_are_numbered_in_order() {
        let known = known().expect("their names can be read");
        assert!(
            known
                .iter()
                .map(refinery::Migration::version)
                .zip(1..)
                .all(|(version, number)| version == number)
        );
    }
}
