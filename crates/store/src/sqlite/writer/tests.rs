//! What becomes of a batch when the disk, and not a command, fails.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use model::{ArrivalId, Covers, EventId, EventStatus, RequestId, Steps, Timestamp};
use vault::{KeyId, Sealed, WrappedKey};

use super::super::open;
use super::*;
use crate::{KeyKind, NewEvent, NewKey, Record, SealedRow, Synchronous};

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

fn connect(path: &Path) -> Connection {
    open::make_file(path).expect("a file");
    let mut connection = open::connect_writer(path, Synchronous::Full).expect("a connection");
    open::migrate(&mut connection).expect("a schema");
    connection
}

fn sealed(bytes: usize) -> SealedRow {
    SealedRow { key: KeyId([1; 16]), sealed: Sealed::from_bytes(vec![0; bytes]) }
}

fn record(n: u8, body_bytes: usize) -> Command {
    let random = [n; 10];
    Command::Record(Record {
        request: RequestId::new(NOON, random),
        arrival: ArrivalId::new(NOON, random),
        received_at: NOON,
        source: "stripe".into(),
        provider: "stripe".into(),
        keys: vec![NewKey {
            id: KeyId([1; 16]),
            kind: KeyKind::Bucket,
            owner: [1; 16],
            wrapped: WrappedKey::from_bytes(vec![1; 101]),
            created_at: NOON,
        }],
        body: sealed(body_bytes),
        unordered: Vec::new(),
        events: vec![NewEvent {
            id: EventId::new(NOON, random),
            dedup_key: Some([n; 16]),
            projection: [0; 16],
            body_key: [n; 16],
            kind: None,
            status: EventStatus::Accepted,
            reason: None,
            covers: Covers::Full,
            steps: Steps::PASSED,
            order_key: None,
            range: 0..1,
            facts: sealed(10),
            original: None,
            deliveries: Vec::new(),
            awaits: None,
        }],
    })
}

/// Commits these commands in one batch and gives their answers.
fn committed(session: &mut Session<'_>, commands: Vec<Command>) -> Vec<Result<Answer, StoreError>> {
    committed_with(&Room::new(Path::new("none"), 0), session, commands)
}

fn committed_with(
    room: &Room,
    session: &mut Session<'_>,
    commands: Vec<Command>,
) -> Vec<Result<Answer, StoreError>> {
    let (mut batch, answered): (Vec<_>, Vec<_>) = commands
        .into_iter()
        .map(|command| {
            let (answer, answered) = oneshot::channel();
            (Job { command, answer }, answered)
        })
        .unzip();
    let poisoned = AtomicBool::new(false);
    room.admit(&mut batch);
    let transactions = Transactions::default();
    let _ = commit(session, &mut batch, (&poisoned, room, &transactions));
    assert!(!poisoned.into_inner(), "nothing here leaves a commit's fate unknown");
    answered.into_iter().map(|mut answered| answered.try_recv().expect("an answer")).collect()
}

fn events(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).expect("a count")
}

#[test]
fn a_full_disk_fails_the_batch_and_goes_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = connect(&folder.path().join("store.db"));
    let mut session = Session::new(&connection, 100).expect("a session");
    assert!(committed(&mut session, vec![record(1, 10)]).iter().all(Result::is_ok));

    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("a number of pages");
    let bound = |pages: i64| {
        connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .expect("a bound");
    };
    bound(pages + 3);
    let batch = || vec![record(2, 10), record(3, 100_000), record(4, 10)];
    for answer in committed(&mut session, batch()) {
        assert!(answer.is_err_and(|error| error.is_full() && error.code() == "store_full"));
    }
    assert_eq!(events(&connection), 1);
    // Small things still pass, and everything does when there is room again.
    assert!(committed(&mut session, vec![Command::Probe]).iter().all(Result::is_ok));
    bound(100_000);
    assert!(committed(&mut session, batch()).iter().all(Result::is_ok));
    assert_eq!(events(&connection), 4);
}

#[test]
fn the_reserve_is_for_what_is_owed_and_stands_again_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let connection = connect(&path);
    let mut session = Session::new(&connection, 100).expect("a session");
    let room = Room::new(&path, 100_000);
    room.keep();
    let reserve = folder.path().join("store.db.reserve");
    assert!(reserve.exists());
    let mut committed = |commands| committed_with(&room, &mut session, commands);
    assert!(committed(vec![record(1, 10)]).iter().all(Result::is_ok));

    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("a number of pages");
    connection
        .pragma_update_and_check(None, "max_page_count", pages + 3, |_| Ok(()))
        .expect("a bound");
    let pause = |n: u8| Command::SetEndpointState {
        endpoint: "app".to_owned(),
        state: crate::EndpointState::Paused,
        note: crate::Note {
            at: NOON,
            actor: "operator ada".to_owned(),
            personal: None,
            request: RequestId::new(NOON, [n; 10]),
        },
    };
    let answers = committed(vec![record(2, 10), pause(1), record(3, 100_000), Command::Probe]);
    let codes: Vec<_> = answers.iter().map(|a| a.as_ref().err().map(StoreError::code)).collect();
    let full = Some("store_full");
    assert_eq!(codes, [full, None, full, full]);
    assert!(!reserve.exists(), "it was given up");
    // Nothing comes in now, not even what would fit, and people's commands are still done.
    let answers = committed(vec![record(2, 10), pause(2)]);
    assert!(answers[0].as_ref().is_err_and(StoreError::is_full) && answers[1].is_ok());
    let entries: i64 = connection
        .query_row("SELECT count(*) FROM audit_entry WHERE actor IS NOT NULL", [], |row| row.get(0))
        .expect("a count");
    assert_eq!((events(&connection), entries), (1, 2));

    assert!(committed(vec![Command::KeepReserve]).iter().all(Result::is_ok));
    assert!(reserve.exists());
    assert!(committed(vec![record(2, 10), Command::Probe]).iter().all(Result::is_ok));
    assert_eq!(events(&connection), 2);
}

#[test]
fn a_failing_command_is_undone_and_the_others_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = connect(&folder.path().join("store.db"));
    let mut session = Session::new(&connection, 100).expect("a session");
    let mut unknown = record(5, 10);
    if let Command::Record(record) = &mut unknown {
        // It adds a source before it fails.
        record.source = "nowhere".into();
        record.events[0].facts.key = KeyId([9; 16]);
    }
    let answers = committed(&mut session, vec![record(4, 10), unknown, record(6, 10)]);
    let kept: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, false, true]);
    assert_eq!(events(&connection), 2);
    let names: i64 = connection
        .query_row("SELECT count(*) FROM name WHERE text = 'nowhere'", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(names, 0);
}

#[test]
fn another_writer_that_holds_on_is_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let connection = connect(&path);
    let mut session = Session::new(&connection, 100).expect("a session");
    connection.busy_timeout(Duration::from_millis(10)).expect("a timeout");
    let other = Connection::open(&path).expect("another connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    for answer in committed(&mut session, vec![record(1, 10), Command::Probe]) {
        assert!(answer.is_err_and(|error| error.is_overloaded() && error.code() == "store_busy"));
    }
    other.execute_batch("ROLLBACK").expect("the lock given back");
    assert!(committed(&mut session, vec![record(1, 10)]).iter().all(Result::is_ok));
}
