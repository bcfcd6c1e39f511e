//! Every reason why a store is not opened, beside the one that is.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use store::{OpenError, Options, Store};
use tempfile::TempDir;

/// As the gateway's, with a reserve that takes no time to make.
fn small() -> Options {
    Options { reserve_bytes: 64 * 1024, ..Options::default() }
}

/// A folder with a store that a gateway made and closed.
struct Made {
    folder: TempDir,
}

impl Made {
    async fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a folder") };
        let store = made.open().expect("a new store opens");
        store.close().await;
        drop(store);
        made
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("countersign.db")
    }

    fn open(&self) -> Result<Store, OpenError> {
        Store::open(&self.path(), small())
    }

    fn change(&self, sql: &str) {
        let connection = Connection::open(self.path()).expect("it opens");
        connection.execute_batch(sql).expect("it can be changed");
    }
}

fn open(path: &Path) -> Option<OpenError> {
    Store::open(path, small()).err()
}

#[tokio::test]
async fn a_store_that_was_closed_opens_again() {
    let made = Made::new().await;
    assert!(Store::open_beside(&made.path()).is_ok());
    assert!(made.open().is_ok());
}

#[tokio::test]
async fn a_second_gateway_is_refused_and_a_command_is_not() {
    let made = Made::new().await;
    let first = made.open().expect("nobody has it");
    assert_eq!(made.open().err(), Some(OpenError::InUse));
    assert!(Store::open_beside(&made.path()).is_ok());
    first.close().await;
    drop(first);
    assert!(made.open().is_ok());
}

#[tokio::test]
async fn a_command_makes_no_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("countersign.db");
    assert_eq!(Store::open_beside(&path).err(), Some(OpenError::NotFound));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(open(&folder.path().join("none/countersign.db")), Some(OpenError::NotWritable));
    assert_eq!(Store::open_beside(folder.path()).err(), Some(OpenError::NotWritable));
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("countersign.db");
    let bytes = b"this is a text of more than one hundred bytes, so that it is read as a header. "
        .repeat(100);
    std::fs::write(&path, &bytes).expect("written");
    assert_eq!(open(&path), Some(OpenError::Corrupt));
    assert_eq!(std::fs::read(&path).expect("it is there"), bytes);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("countersign.db");
    let connection = Connection::open(&path).expect("it opens");
    connection.execute_batch("CREATE TABLE theirs (a)").expect("made");
    drop(connection);
    assert_eq!(open(&path), Some(OpenError::Foreign));
    assert_eq!(Store::open_beside(&path).err(), Some(OpenError::Foreign));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let made = Made::new().await;
    made.change("INSERT INTO refinery_schema_history VALUES (999, 'later', 'then', '1')");
    assert_eq!(made.open().err(), Some(OpenError::NewerSchema));
    assert_eq!(Store::open_beside(&made.path()).err(), Some(OpenError::NewerSchema));
}

#[tokio::test]
async fn an_older_schema_is_migrated_by_a_gateway_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("countersign.db");
    // The oldest schema is none.
    std::fs::write(&path, b"").expect("written");
    assert_eq!(Store::open_beside(&path).err(), Some(OpenError::OlderSchema));
    assert_eq!(open(&path), None);
}

#[tokio::test]
async fn a_history_that_is_not_ours_is_refused() {
    let made = Made::new().await;
    made.change("UPDATE refinery_schema_history SET checksum = '1'");
    assert_eq!(made.open().err(), Some(OpenError::UnknownSchema));
}

#[tokio::test]
async fn a_store_that_another_process_holds_is_refused() {
    let made = Made::new().await;
    let holder = Connection::open(made.path()).expect("it opens");
    holder.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").expect("held");
    let path = made.path();
    let opened = tokio::task::spawn_blocking(move || open(&path)).await.expect("it ends");
    assert_eq!(opened, Some(OpenError::Busy));
}
