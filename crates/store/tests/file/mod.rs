//! What is particular to the embedded backend: its file, its lock, its schema.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use store::{OpenError, Store};

use crate::conformance::fixture::*;

fn opened(path: &Path) -> Result<Store, OpenError> {
    Store::open(path, small())
}

/// A store that was made and closed.
async fn made() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = opened(&path).unwrap();
    store.add_key(key(KEY)).await.unwrap();
    keep(&store, draft(1).to("app")).await;
    store.close().await;
    (folder, path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn a_second_gateway_is_refused_until_the_first_ends() {
    let (_folder, path) = made().await;
    let first = opened(&path).unwrap();
    assert_eq!(opened(&path).unwrap_err(), OpenError::InUse);
    // A command beside it is not a gateway.
    let command = Store::open_beside(&path).unwrap();
    assert_eq!(opened(&path).unwrap_err(), OpenError::InUse);
    first.close().await;
    let second = opened(&path).unwrap();
    keep(&second, draft(2)).await;
    assert_eq!(all_events(&command).await.len(), 2);
    drop(second);
    opened(&path).unwrap();
}

#[tokio::test]
async fn only_the_owner_reads_the_files() {
    let (_folder, path) = made().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = opened(&path).unwrap();
    keep(&store, draft(2)).await;
    for suffix in ["", "-wal", "-shm", ".lock", ".reserve"] {
        assert_eq!(mode(&beside(&path, suffix)), 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn closing_leaves_one_file_that_holds_everything() {
    let (_folder, path) = made().await;
    let log = fs::metadata(beside(&path, "-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "everything is written back");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    assert_eq!(all_events(&opened(&copy).unwrap()).await.len(), 1);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fs::write(&path, "not a database, but long enough to look like the start of one".repeat(100))
        .unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(opened(&path).unwrap_err(), OpenError::Corrupt);
    assert_eq!(Store::open_beside(&path).unwrap_err(), OpenError::Corrupt);
    assert_eq!(fs::read(&path).unwrap(), before);

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    assert_eq!(opened(&foreign).unwrap_err(), OpenError::Foreign);
    assert_eq!(Store::open_beside(&foreign).unwrap_err(), OpenError::Foreign);
    let tables: i64 = Connection::open(&foreign)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn damage_is_refused_or_reported_and_never_a_panic() {
    let (_folder, path) = made().await;
    let whole = fs::read(&path).unwrap();
    let page = 8192;
    for at in (0..whole.len()).step_by(page) {
        let mut damaged = whole.clone();
        damaged[at..at + page].fill(0xa5);
        fs::write(&path, &damaged).unwrap();
        let Ok(store) = opened(&path) else { continue };
        let _ = store.events(store::EventQuery { limit: 9, ..Default::default() }).await;
        let _ = store.event(draft(1).event.id).await;
        let _ = store.record(draft(2).record()).await;
        let _ = store.counts().await;
        let _ = store.entries(0, 100).await;
        let _ = lease_or_nothing(&store).await;
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    if let Ok(store) = opened(&path) {
        let error = store.events(store::EventQuery { limit: 9, ..Default::default() }).await;
        assert!(error.is_err_and(|error| error.is_corrupt()));
    }
}

async fn lease_or_nothing(store: &Store) -> usize {
    let request = store::LeaseRequest {
        now: NOON,
        until: after(1),
        max: 9,
        endpoints: vec![("app".into(), 9)],
    };
    store.lease(request).await.map_or(0, |leased| leased.len())
}

#[tokio::test]
async fn places_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(opened(folder.path()).unwrap_err(), OpenError::NotWritable);
    assert_eq!(Store::open_beside(folder.path()).unwrap_err(), OpenError::NotWritable);
    let nowhere = folder.path().join("no such folder/store.db");
    assert_eq!(opened(&nowhere).unwrap_err(), OpenError::NotWritable);
    let absent = folder.path().join("absent.db");
    assert_eq!(Store::open_beside(&absent).unwrap_err(), OpenError::NotFound);
    assert!(!absent.exists(), "only a gateway makes a store");
}

#[tokio::test]
async fn a_store_of_the_first_release_is_brought_up_and_keeps_its_events() {
    let (_folder, path) = made().await;
    let first_release = "ALTER TABLE event DROP COLUMN original;
        ALTER TABLE endpoint DROP COLUMN rests_until;
        DROP TABLE duty; DROP TABLE rate_window;
        DROP TABLE audit_head; DROP TABLE audit_tile; DROP TABLE audit_sink;
        DROP TABLE audit_checkpoint; DROP TABLE api_key; DROP TABLE api_key_version; DROP TABLE secret;
        DROP TABLE idempotency; DROP TABLE operator; DROP TABLE session;
        DROP TABLE operator_version; DROP TABLE approval; DROP TABLE orders; DROP TABLE payment;
        DROP TABLE chain; DROP TABLE watch;
        DROP TABLE receipt;
        DROP TABLE block; DROP TABLE block_version;
        DROP TRIGGER event_restated; DROP TABLE undecided; DROP TABLE restated;
        DELETE FROM refinery_schema_history WHERE version > 1";
    Connection::open(&path).unwrap().execute_batch(first_release).unwrap();
    assert_eq!(Store::open_beside(&path).unwrap_err(), OpenError::OlderSchema);
    let store = opened(&path).unwrap();
    keep(&store, draft(2).with(|event| event.original = Some(hash_bytes(5)))).await;
    let originals: Vec<_> = all_events(&store).await.into_iter().map(|e| e.original).collect();
    assert_eq!(originals, [None, Some(hash_bytes(5))]);
}

#[tokio::test]
async fn other_schemas_are_refused() {
    let history = |sql: &str| {
        let sql = sql.to_owned();
        async move {
            let (folder, path) = made().await;
            Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
            (folder, path)
        }
    };
    let newer = "INSERT INTO refinery_schema_history
        SELECT version + 1, 'later', applied_on, '1' FROM refinery_schema_history
        ORDER BY version DESC LIMIT 1";
    let (_folder, path) = history(newer).await;
    assert_eq!(opened(&path).unwrap_err(), OpenError::NewerSchema);
    assert_eq!(Store::open_beside(&path).unwrap_err(), OpenError::NewerSchema);

    for other in [
        "UPDATE refinery_schema_history SET checksum = '1'",
        "UPDATE refinery_schema_history SET name = 'another'",
    ] {
        let (_folder, path) = history(other).await;
        assert_eq!(opened(&path).unwrap_err(), OpenError::UnknownSchema, "{other}");
        assert_eq!(Store::open_beside(&path).unwrap_err(), OpenError::UnknownSchema, "{other}");
    }
    // Damage in the one place where the migrations' library would panic.
    let (_folder, path) = history("UPDATE refinery_schema_history SET applied_on = 'x'").await;
    opened(&path).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    assert_eq!(Store::open_beside(&empty).unwrap_err(), OpenError::OlderSchema);
    opened(&empty).unwrap();
}

#[tokio::test]
async fn sequences_are_never_used_again() {
    let (_folder, path) = made().await;
    let store = opened(&path).unwrap();
    for n in 2..=5 {
        keep(&store, draft(n)).await;
    }
    let retention = Connection::open(&path).unwrap();
    retention.execute("DELETE FROM event WHERE sequence > 3", []).unwrap();
    keep(&store, draft(6)).await;
    let sequences: Vec<_> = all_events(&store).await.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 6]);
    retention.execute("DELETE FROM event", []).unwrap();
    store.close().await;
    let store = opened(&path).unwrap();
    keep(&store, draft(7)).await;
    assert_eq!(all_events(&store).await[0].sequence, 7);
}

#[tokio::test]
async fn an_event_stays_while_its_dedup_key_is_in_its_row_alone() {
    let (_folder, path) = made().await;
    let store = opened(&path).unwrap();
    let retention = store::Retention { events_days: Some(37), ..Default::default() };
    lease_and_deliver(&store).await;
    // Nothing was forgotten yet, so the key still counts.
    let much_later = after(100 * DAY_MS);
    assert_eq!(store.retain(much_later, retention).await.unwrap().events, 0);
    let same = store.record(draft(1).record()).await.unwrap();
    assert_eq!(same.events, [store::Outcome::Duplicate { of: draft(1).event.id }]);
    // A clock that jumps ahead makes nothing old.
    store.forget(after(DAY_MS)).await.unwrap();
    assert_eq!(store.retain(much_later, retention).await.unwrap().events, 0);
    for day in 2..100 {
        store.forget(after(day * DAY_MS)).await.unwrap();
    }
    assert_eq!(store.retain(much_later, retention).await.unwrap().events, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_while_much_is_deleted() {
    let (_folder, path) = made().await;
    let store = opened(&path).unwrap();
    lease_and_deliver(&store).await;
    for first in 0..20 {
        let drafts = (0..100).map(|n| draft(first * 100 + n + 10).record());
        let records = drafts.map(|record| {
            store.record(store::Record {
                body: store::SealedRow {
                    sealed: vault::Sealed::from_bytes(vec![7; 20_000]),
                    ..record.body.clone()
                },
                ..record
            })
        });
        for recorded in records.collect::<Vec<_>>() {
            recorded.await.unwrap();
        }
    }
    let later = after(60 * DAY_MS);
    store.forget(later).await.unwrap();
    let retaining = store.clone();
    let retention = store::Retention { events_days: Some(37), ..Default::default() };
    let retaining = tokio::spawn(async move { retaining.retain(later, retention).await });
    let mut longest = std::time::Duration::ZERO;
    let mut times = 0;
    while !retaining.is_finished() {
        let begun = std::time::Instant::now();
        store.writable().await.unwrap();
        longest = longest.max(begun.elapsed());
        times += 1;
    }
    let removed = retaining.await.unwrap().unwrap();
    assert_eq!((removed.events, removed.bodies), (2001, 2001));
    assert!(times > 5, "others had their turn {times} times");
    // On a machine that is busy with other things; a slice takes a few milliseconds.
    assert!(longest < std::time::Duration::from_secs(20), "{longest:?}");
}

async fn lease_and_deliver(store: &Store) {
    for leased in lease(store, NOON, "app", 9).await {
        settle(store, &leased, after(1), store::Then::Delivered).await;
    }
}

#[tokio::test]
async fn the_audit_log_can_refuse() {
    let (_folder, path) = made().await;
    let store = opened(&path).unwrap();
    keep(&store, draft(2).held()).await;
    let events = all_events(&store).await;
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_entry BEGIN
                SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    store.record(draft(3).record()).await.unwrap_err();
    store.add_key(key(9)).await.unwrap_err();
    store.release(draft(2).event.id, note(), Vec::new()).await.unwrap_err();
    store.deny(draft(2).event.id, note()).await.unwrap_err();
    let paused = store::EndpointState::Paused;
    store.set_endpoint_state("app", paused, note()).await.unwrap_err();
    assert_eq!(all_events(&store).await, events);
    assert_eq!(store.data_key(key(9).id).await.unwrap(), None);
    assert_eq!(store.endpoint_states().await.unwrap()[0].1, store::EndpointState::Active);
}

#[tokio::test]
async fn the_file_is_set_as_documented() {
    let (_folder, path) = made().await;
    let connection = Connection::open(&path).unwrap();
    let pragma = |name: &str| -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("page_size"), "8192");
    assert_eq!(pragma("integrity_check"), "ok");
    assert_eq!(pragma("application_id"), 0x4353_6769.to_string());
}

/// Plaintext cannot be in the file: nothing but ids, hashes, types, names and times is.
#[tokio::test]
async fn every_text_in_the_file_is_a_name_a_type_or_a_reason() {
    let (_folder, path) = made().await;
    let connection = Connection::open(&path).unwrap();
    let mut texts: Vec<String> = connection
        .prepare(
            "SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.type = 'TEXT' AND m.name NOT LIKE 'refinery%'",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    texts.sort();
    let expected = [
        "api_key.created_by",
        "api_key.name",
        "api_key.networks",
        "api_key.permissions",
        "api_key.providers",
        "api_key.sources",
        "approval.permission",
        "audit_checkpoint.note",
        "audit_entry.actor",
        "audit_entry.changes",
        "audit_sink.name",
        "block.created_by",
        "block.lifted_by",
        "block.scope",
        "chain.name",
        "duty.name",
        "endpoint.name",
        "event.kind",
        "event.reason",
        "name.text",
        "operator.created_by",
        "orders.created_by",
        "orders.provider",
        "orders.source",
        "orders.unit",
        "rate_window.name",
        "secret.owner",
        "tally.reason",
        "watch.chain",
    ];
    assert_eq!(texts, expected);
}
