//! Opening the file: the instance lock, its mode, its settings, its schema.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use refinery::Runner;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sabotage::Defect;

use super::failure::Opening;
use crate::schema::{self, Applied};
use crate::{OpenError, Synchronous};

/// `application_id` of our files, "CSgi"; the first migration sets it.
const APPLICATION_ID: i64 = 0x4353_6769;

/// Every migration there ever was, in order: the file of each and its name.
const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__spine", include_str!("../../migrations/sqlite/V1__spine.sql")),
    ("V2__redacted", include_str!("../../migrations/sqlite/V2__redacted.sql")),
    ("V3__rest", include_str!("../../migrations/sqlite/V3__rest.sql")),
    ("V4__duties", include_str!("../../migrations/sqlite/V4__duties.sql")),
    ("V5__sealed_log", include_str!("../../migrations/sqlite/V5__sealed_log.sql")),
    ("V6__api_keys", include_str!("../../migrations/sqlite/V6__api_keys.sql")),
    ("V7__idempotency", include_str!("../../migrations/sqlite/V7__idempotency.sql")),
    ("V8__sinks", include_str!("../../migrations/sqlite/V8__sinks.sql")),
    ("V9__secrets", include_str!("../../migrations/sqlite/V9__secrets.sql")),
    ("V10__operators", include_str!("../../migrations/sqlite/V10__operators.sql")),
    ("V11__approvals", include_str!("../../migrations/sqlite/V11__approvals.sql")),
    ("V12__orders", include_str!("../../migrations/sqlite/V12__orders.sql")),
    ("V13__chains", include_str!("../../migrations/sqlite/V13__chains.sql")),
    ("V14__sessions_over", include_str!("../../migrations/sqlite/V14__sessions_over.sql")),
    ("V15__receipts", include_str!("../../migrations/sqlite/V15__receipts.sql")),
    ("V16__blocks", include_str!("../../migrations/sqlite/V16__blocks.sql")),
    ("V17__order_limits", include_str!("../../migrations/sqlite/V17__order_limits.sql")),
    ("V18__undecided", include_str!("../../migrations/sqlite/V18__undecided.sql")),
];

/// Only the owner reads and writes.
pub(super) const MODE: u32 = 0o600;

/// How long to wait for a process beside this one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Bytes of a page. Twice the usual: seven bodies of 1 KiB fit where three would in half of it, and
/// what a commit costs is mostly the number of pages that it writes.
const PAGE_BYTES: i64 = 8192;

/// The writer's pages in memory, KiB. What is written is written side by side, so little is needed;
/// and SQLite walks through all of it whenever a commit has rearranged pages.
const WRITER_CACHE_KIB: i64 = 4 * 1024;

/// A reader's pages in memory, KiB.
const READER_CACHE_KIB: i64 = 2 * 1024;

/// Takes the instance lock; it lasts as long as the file is open.
pub(super) fn lock(path: &Path) -> Result<File, Opening> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(MODE)
        .open(beside(path, ".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse.into()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes the file with its mode before SQLite does, and tightens what is there.
pub(super) fn make_file(path: &Path) -> Result<(), Opening> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(MODE).open(path)?;
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match fs::metadata(&file) {
            Ok(found) if found.permissions().mode() & 0o777 != MODE => {
                fs::set_permissions(&file, fs::Permissions::from_mode(MODE))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sees that there is a file, which only a gateway makes.
pub(super) fn see_file(path: &Path) -> Result<(), Opening> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(OpenError::NotWritable.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(OpenError::NotFound.into()),
        Err(error) => Err(error.into()),
    }
}

/// The folder of the store.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path of a file that belongs to the store.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes or migrates the file for a gateway, and ends the leases that a crash left.
pub(super) fn prepare(path: &Path, synchronous: Synchronous) -> Result<Connection, Opening> {
    make_file(path)?;
    let mut connection = connect_writer(path, synchronous)?;
    migrate(&mut connection)?;
    clear_leases(&connection)?;
    // SQLite syncs the folder too, but goes on when that fails: a log whose name is lost is lost.
    File::open(folder(path))?.sync_all()?;
    Ok(connection)
}

/// A connection that may write.
pub(super) fn connect_writer(path: &Path, synchronous: Synchronous) -> Result<Connection, Opening> {
    let connection = connect(path, WRITER_CACHE_KIB)?;
    // Counts only while the file is empty.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NotWritable.into());
    }
    connection.pragma_update(
        None,
        "synchronous",
        match synchronous {
            Synchronous::Full if !sabotage::on(Defect::SynchronousNormal) => "full",
            _ => "normal",
        },
    )?;
    // Checkpoints are the writer's own business, at a time when it has answered everybody.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn connect_reader(path: &Path) -> Result<Connection, Opening> {
    let connection = connect(path, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path, cache_kib: i64) -> Result<Connection, Opening> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        // Closing must not checkpoint: only the gateway's writer does.
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Brings the schema up to this version, or refuses it.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Opening> {
    match applied(connection)? {
        found if found == MIGRATIONS.len() => Ok(()),
        _ => {
            let known = schema::known(MIGRATIONS)?;
            // In one transaction with their history: a power cut between the two would leave a
            // schema that no start could tell from a stranger's.
            let runner = Runner::new(&known).set_grouped(true);
            runner.run(connection).map_err(|error| open_error(&error))?;
            check_schema(connection)
        }
    }
}

/// Sees that the schema is exactly this version's.
pub(super) fn check_schema(connection: &Connection) -> Result<(), Opening> {
    if applied(connection)? == MIGRATIONS.len() {
        Ok(())
    } else {
        Err(OpenError::OlderSchema.into())
    }
}

/// How many of the known migrations are applied; refuses any that is not known.
///
/// Refinery would panic on a damaged history, so it only ever sees one that was read here.
fn applied(connection: &Connection) -> Result<usize, Opening> {
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let history = tables.iter().any(|table| table == "refinery_schema_history");
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != APPLICATION_ID && tables.len() > usize::from(history) {
        return Err(OpenError::Foreign.into());
    }
    if !history {
        return Ok(0);
    }
    let found: Vec<Applied> = connection
        .prepare("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version")?
        .query_map([], |row| {
            Ok(Applied { version: row.get(0)?, name: row.get(1)?, checksum: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(schema::applied(&found, &schema::known(MIGRATIONS)?)?)
}

fn open_error(error: &refinery::Error) -> Opening {
    match error.kind() {
        refinery::error::Kind::Connection(_, cause) => cause
            .downcast_ref::<rusqlite::Error>()
            .map_or(Opening(OpenError::Failed), Opening::from_sqlite),
        _ => Opening(OpenError::UnknownSchema),
    }
}

/// Ends the leases that a crash left: nobody holds them any more, and no endpoint is left alone.
pub(super) fn clear_leases(connection: &Connection) -> Result<(), Opening> {
    if sabotage::on(Defect::LeasesKept) {
        return Ok(());
    }
    connection
        .execute("UPDATE delivery SET leased = 0, next_at = updated_at WHERE leased = 1", [])?;
    connection.execute("UPDATE endpoint SET rests_until = NULL", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_syncs_its_log_at_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        make_file(&path).map_err(|opening| opening.0).unwrap();
        let writer = connect_writer(&path, Synchronous::Full).map_err(|opening| opening.0).unwrap();
        let setting: i64 =
            writer.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(setting, 2, "FULL (https://www.sqlite.org/pragma.html#pragma_synchronous)");
    }

    #[test]
    fn a_schema_without_its_history_is_never_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        make_file(&path).map_err(|opening| opening.0).unwrap();
        let mut writer =
            connect_writer(&path, Synchronous::Full).map_err(|opening| opening.0).unwrap();
        let history = "CREATE TABLE refinery_schema_history
                           (version INTEGER, name TEXT, applied_on TEXT, checksum TEXT);
                       CREATE TRIGGER cut BEFORE INSERT ON refinery_schema_history
                           BEGIN SELECT RAISE(ABORT, 'cut'); END;";
        writer.execute_batch(history).unwrap();
        assert!(migrate(&mut writer).is_err());
        writer.execute_batch("DROP TRIGGER cut").unwrap();
        migrate(&mut writer).map_err(|opening| opening.0).expect("it can be tried again");
    }
}
