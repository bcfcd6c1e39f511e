//! The schema: how it is made, who may change it, and what is dropped of it.

use std::time::{SystemTime, UNIX_EPOCH};

use model::Timestamp;
use store::{OpenError, PartitionClass, PostgresOptions, ServerWarning, Store, Then};
use tokio::task::JoinSet;

use crate::conformance::fixture::*;
use crate::patient;
use crate::server::{self, SERVING, Server};

const WEEK_MS: i64 = 7 * DAY_MS;

#[expect(clippy::disallowed_methods, reason = "partitions follow the server's clock")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

async fn owned(server: &Server) -> (String, PostgresOptions) {
    let database = server.empty_database().await;
    let options = PostgresOptions::new(server.owner_url(&database));
    (database, options)
}

#[tokio::test]
async fn an_empty_database_is_migrated_once() {
    let server = server::shared().await;
    let (database, owner) = owned(server).await;
    let serving = patient(server.serving_url(&database));
    assert_eq!(Store::connect(&serving).await.unwrap_err(), OpenError::OlderSchema);
    let plan = Store::migrate_plan(&owner).await.unwrap();
    assert!(
        plan.iter().map(|migration| migration.version).eq(1..=i32::try_from(plan.len()).unwrap())
    );
    assert_eq!(Store::migrate_apply(&owner, Some(SERVING)).await.unwrap(), plan);
    assert_eq!(Store::migrate_plan(&owner).await.unwrap(), []);
    assert_eq!(Store::migrate_apply(&owner, Some(SERVING)).await.unwrap(), []);
    let store = Store::connect(&serving).await.unwrap();
    store.writable().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_that_migrate_at_once_one_does() {
    let server = server::shared().await;
    let (database, owner) = owned(server).await;
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let owner = owner.clone();
        tasks
            .spawn(async move { Store::migrate_apply(&owner, Some(SERVING)).await.unwrap().len() });
    }
    let mut applied = tasks.join_all().await;
    applied.sort_unstable();
    assert!(applied[..3].iter().all(|count| *count == 0) && applied[3] > 0, "{applied:?}");
    Store::connect(&patient(server.serving_url(&database))).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_is_not_this_versions_is_refused() {
    let server = server::shared().await;
    for (change, expected) in [
        ("INSERT INTO schema_history VALUES (999, 'later', '1', 0)", OpenError::NewerSchema),
        ("UPDATE schema_history SET checksum = '1'", OpenError::UnknownSchema),
        ("UPDATE schema_history SET name = 'another'", OpenError::UnknownSchema),
        ("DELETE FROM schema_history", OpenError::OlderSchema),
    ] {
        let database = server.database().await;
        server.run(&database, change).await;
        let serving = patient(server.serving_url(&database));
        assert_eq!(Store::connect(&serving).await.unwrap_err(), expected, "{change}");
        if expected != OpenError::OlderSchema {
            let owner = PostgresOptions::new(server.owner_url(&database));
            assert_eq!(Store::migrate_plan(&owner).await.unwrap_err(), expected, "{change}");
            assert_eq!(Store::migrate_apply(&owner, None).await.unwrap_err(), expected, "{change}");
        }
    }
}

#[tokio::test]
async fn a_database_with_other_tables_of_our_names_is_left_alone() {
    let server = server::shared().await;
    let (database, owner) = owned(server).await;
    server.run(&database, "CREATE TABLE event (theirs integer)").await;
    assert_eq!(Store::migrate_apply(&owner, None).await.unwrap_err(), OpenError::Foreign);
    let tables = "SELECT 1 FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(server.rows(&database, tables).await.len(), 1);
}

#[tokio::test]
async fn a_role_that_does_not_exist_cannot_serve() {
    let server = server::shared().await;
    let (_, owner) = owned(server).await;
    let nobody = Some("no\"body; DROP TABLE event");
    assert_eq!(Store::migrate_apply(&owner, nobody).await.unwrap_err(), OpenError::UnknownRole);
    assert!(!Store::migrate_plan(&owner).await.unwrap().is_empty(), "nothing was applied");
}

#[tokio::test]
async fn a_role_with_any_name_can_serve() {
    let server = server::shared().await;
    let (database, owner) = owned(server).await;
    let role = format!("Odd\"{database}'; role");
    server.run("postgres", &format!("CREATE ROLE \"{}\"", role.replace('"', "\"\""))).await;
    Store::migrate_apply(&owner, Some(&role)).await.unwrap();
    let rights = "SELECT 1 FROM information_schema.role_table_grants WHERE grantee LIKE 'Odd%'";
    assert!(!server.rows(&database, rights).await.is_empty());
    server.run(&database, &format!("DROP OWNED BY \"{}\"", role.replace('"', "\"\""))).await;
    server.run("postgres", &format!("DROP ROLE \"{}\"", role.replace('"', "\"\""))).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let nowhere = PostgresOptions::new("host=127.0.0.1 port=1 user=a dbname=b");
    assert_eq!(Store::connect(&nowhere).await.unwrap_err(), OpenError::Unreachable);
    let server = server::shared().await;
    let absent = patient(server.serving_url("no_such_database"));
    assert_eq!(Store::connect(&absent).await.unwrap_err(), OpenError::NotFound);
}

#[tokio::test]
async fn who_may_not_even_read_is_denied() {
    let server = server::shared().await;
    let database = server.database().await;
    server.run(&database, &format!("REVOKE ALL ON schema_history FROM {SERVING}")).await;
    let serving = patient(server.serving_url(&database));
    assert_eq!(Store::connect(&serving).await.unwrap_err(), OpenError::Denied);
}

#[tokio::test]
async fn who_serves_can_change_neither_the_schema_nor_the_audit_log() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    let client = server::connect(&server.serving_url(&database)).await;
    for forbidden in [
        "UPDATE audit_entry SET actor = 'nobody'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "DROP TABLE audit_entry",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "CREATE TABLE mine (a integer)",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE event ADD COLUMN mine integer",
        "DROP TABLE event_default",
        "DELETE FROM event",
        "UPDATE event SET sealed = ''",
        "DELETE FROM body",
        "UPDATE body SET sealed = ''",
        "UPDATE attempt SET outcome = 0",
        "DELETE FROM attempt",
        "DELETE FROM api_key",
        "UPDATE api_key SET permissions = 'keys:change'",
        "UPDATE api_key SET expires_at = 0",
        "UPDATE api_key SET secret_hash = ''",
        "DELETE FROM operator",
        "UPDATE operator SET login_key = ''",
        "DELETE FROM session",
        "UPDATE session SET operator = gen_random_uuid()",
        "UPDATE session SET created_at = 0",
        "UPDATE session SET token_hash = ''",
        "DELETE FROM data_key",
        "UPDATE data_key SET wrapped = ''",
        "INSERT INTO schema_history VALUES (2, 'mine', '', 0)",
        "TRUNCATE dedup",
        "SELECT setval('event_sequence', 1)",
        "ALTER FUNCTION drop_partitions(text, bigint) RESET ALL",
        "ALTER FUNCTION forget_sessions(bigint) RESET ALL",
        "CREATE OR REPLACE FUNCTION forget_sessions(before bigint) RETURNS integer
            LANGUAGE sql AS 'SELECT 1'",
    ] {
        let error = client.batch_execute(forbidden).await.expect_err(forbidden);
        let code = error.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {error:?}");
    }
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_serves_deletes_no_session_that_was_not_over_for_a_day() {
    let server = server::shared().await;
    let database = server.database().await;
    let session = |token: u8, age_ms: i64, ended: &str| {
        format!(
            "INSERT INTO session SELECT decode(repeat('0{token}', 16), 'hex'), gen_random_uuid(),
                at, at, at, at + {}, {ended}
             FROM (SELECT {} AS at) AS opened",
            model::limits::SESSION_MS_MAX,
            now().as_millis() - age_ms
        )
    };
    let half_a_day = DAY_MS / 2;
    for sql in [
        session(1, 0, "NULL"),
        session(2, DAY_MS, "at + 60000"),
        session(3, DAY_MS + half_a_day - 60_000, "NULL"),
        session(4, DAY_MS + half_a_day + 60_000, "NULL"),
        session(5, DAY_MS + half_a_day, "at + 60000"),
    ] {
        server.run(&database, &sql).await;
    }
    let client = server::connect(&server.serving_url(&database)).await;
    // Nothing that it finds in a schema of its own, or of the session, is taken for the table.
    client.batch_execute("CREATE TEMPORARY TABLE session (token_hash bytea)").await.unwrap();
    for (before, forgotten) in [(i64::MIN, 0), (0, 0), (i64::MAX, 2), (i64::MAX, 0)] {
        let sql = format!("SELECT forget_sessions({before})");
        let rows = client.query_typed(&sql, &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, i32>(0), forgotten, "{before}");
    }
    let left = server.rows(&database, "SELECT token_hash FROM session ORDER BY 1").await;
    let left: Vec<u8> = left.iter().map(|row| row.get::<_, Vec<u8>>(0)[0]).collect();
    assert_eq!(left, [1, 2, 3]);
}

/// The names of the partitions of a table, the default one left out.
async fn partitions(server: &Server, database: &str, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
         WHERE inhparent = '{table}'::regclass AND relname ~ '_[0-9]+$' ORDER BY 1"
    );
    server.rows(database, &sql).await.iter().map(|row| row.get(0)).collect()
}

/// Makes the partition of a week that is past.
async fn make_past(server: &Server, database: &str, table: &str, begins: i64) {
    let client = server::connect(&server.owner_url(database)).await;
    let sql = format!(
        "CREATE TABLE {table}_{begins} PARTITION OF {table}
         FOR VALUES FROM ('{}') TO ('{}')",
        bound(begins),
        bound(begins + WEEK_MS)
    );
    client.batch_execute(&sql).await.unwrap();
}

fn bound(at: i64) -> String {
    let bytes = (u128::from(u64::try_from(at).unwrap()) << 80).to_be_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The Monday on which the week began that many weeks ago.
fn week(ago: i64) -> i64 {
    let monday = 4 * DAY_MS;
    let weeks = (now().as_millis() - monday).div_euclid(WEEK_MS);
    monday + (weeks - ago) * WEEK_MS
}

const CLASSES: [(PartitionClass, &str); 4] = [
    (PartitionClass::Event, "event"),
    (PartitionClass::Body, "body"),
    (PartitionClass::Delivery, "delivery"),
    (PartitionClass::Attempt, "attempt"),
];

#[tokio::test]
async fn partitions_are_made_ahead_and_once() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    assert_eq!(store.ensure_partitions().await.unwrap(), 0, "migrating has made them");
    for (_, table) in CLASSES {
        let expected: Vec<_> = (-4..=1).rev().map(|ago| format!("{table}_{}", week(ago))).collect();
        assert_eq!(partitions(server, &database, table).await, expected);
    }
    keep(&store, draft_at(1, now()).to("app")).await;
    let sql = format!("SELECT 1 FROM event_{}", week(0));
    assert_eq!(server.rows(&database, &sql).await.len(), 1, "events stand in their week");

    server.run(&database, &format!("DROP TABLE event_{}", week(-4))).await;
    assert_eq!(store.ensure_partitions().await.unwrap(), 1);
    // A clock that was ahead has put rows where the partition would be: they stay where they are.
    server.run(&database, &format!("DROP TABLE event_{}", week(-4))).await;
    keep(&store, draft_at(2, Timestamp::from_millis(week(-4) + 5))).await;
    assert_eq!(store.ensure_partitions().await.unwrap(), 0);
    assert_eq!(all_events(&store).await.len(), 2);
    assert_eq!(store.forget(now()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_younger_than_its_floor_is_never_dropped() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    let always = Timestamp::from_millis(i64::MAX);
    // The newest week that is older than each floor, and the next one, which is not.
    let day = |days: i64| (now().as_millis() - days * DAY_MS - 4 * DAY_MS).div_euclid(WEEK_MS);
    for ((class, table), floor) in CLASSES.into_iter().zip([37, 8, 37, 37]) {
        let old = 4 * DAY_MS + (day(floor) - 1) * WEEK_MS;
        for begins in [old, old + WEEK_MS] {
            if begins < week(1) {
                make_past(server, &database, table, begins).await;
            }
        }
        let before = partitions(server, &database, table).await;
        let early = Timestamp::from_millis(old + WEEK_MS - 1);
        assert_eq!(store.drop_partitions(class, early).await.unwrap(), 0, "{table}");
        assert_eq!(store.drop_partitions(class, always).await.unwrap(), 1, "{table}");
        assert_eq!(partitions(server, &database, table).await, before[1..], "{table}");
        assert_eq!(store.drop_partitions(class, always).await.unwrap(), 0, "{table}");
    }
    let client = server::connect(&server.serving_url(&database)).await;
    client.batch_execute("SELECT drop_partitions('audit_entry', 0)").await.unwrap_err();
}

#[tokio::test]
async fn what_a_pending_delivery_needs_is_never_dropped() {
    let server = server::shared().await;
    let database = server.database().await;
    let begins = week(10);
    for (_, table) in CLASSES {
        make_past(server, &database, table, begins).await;
    }
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    let at = Timestamp::from_millis(begins + 5);
    keep(&store, draft_at(1, at).to("app")).await;
    keep(&store, draft_at(2, at)).await;
    // One that a jumped clock has put into the default partition, and one that is new.
    keep(&store, draft_at(3, Timestamp::from_millis(week(20)))).await;
    keep(&store, draft_at(4, now())).await;
    let always = Timestamp::from_millis(i64::MAX);
    let drop_all = async || {
        let mut dropped = 0;
        for (class, _) in CLASSES {
            dropped += store.drop_partitions(class, always).await.unwrap();
        }
        dropped
    };
    let leased = lease(&store, at, "app", 1).await.pop().unwrap();
    let again = at.plus_millis(5);
    settle(&store, &leased, at, Then::Again(again)).await;
    assert_eq!(drop_all().await, 1, "the history alone, which is empty");
    assert_eq!(store.counts().await.unwrap().accepted, 3, "3 was in the default partition");

    let leased = lease(&store, again, "app", 1).await.pop().unwrap();
    assert_eq!(number(leased.event.id), 1);
    settle(&store, &leased, again, Then::Dead).await;
    assert_eq!(store.attempts(leased.delivery).await.unwrap().len(), 2);
    assert_eq!(drop_all().await, 3);
    assert_eq!(store.counts().await.unwrap().accepted, 1);
    let left: Vec<_> = all_events(&store).await.iter().map(|event| number(event.id)).collect();
    assert_eq!(left, [4]);
    // What is forgotten cannot be delivered again.
    assert_eq!(store.redeliver(vec![leased.delivery], note()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_can_lose_commits_is_said() {
    let server = server::shared().await;
    let database = server.database().await;
    let set = format!("ALTER DATABASE {database} SET synchronous_commit = off");
    server.run("postgres", &set).await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    let warnings = store.server_facts(now()).await.unwrap();
    assert!(warnings.contains(&ServerWarning::CommitsNotWaitedFor), "{warnings:?}");
    assert!(!warnings.iter().any(|warning| matches!(warning, ServerWarning::ClocksDiffer { .. })));
    let ahead = store.server_facts(now().plus_millis(-60_000)).await.unwrap();
    assert!(ahead.iter().any(|warning| matches!(warning, ServerWarning::ClocksDiffer { .. })));
}
