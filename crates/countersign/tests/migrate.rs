//! `countersign migrate` and `check`, as whoever installs or upgrades a PostgreSQL store sees them:
//! what is said, what is refused, and the exit codes that scripts go by.

use std::path::Path;

use bench::deployment::{Deliveries, Deployment};
use bench::postgres::{Cluster, OWNER, SERVING};
use bench::server::free_address;
use serde_json::{Value, json};

const NO_APPLICATION: &str = "http://127.0.0.1:9/webhooks";

/// A deployment whose store is at this URL.
fn deployment(url: &str) -> Deployment {
    let binary = Path::new(env!("CARGO_BIN_EXE_countersign"));
    Deployment::with_store(binary, NO_APPLICATION, Deliveries::Paused, url).expect("a folder")
}

/// How `migrate --json` ends for this user: the exit code, and what it answers or the error's code.
fn migrate(url: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<&str> = ["migrate", "--json"].iter().chain(arguments).copied().collect();
    ended(url, &arguments)
}

fn ended(url: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = deployment(url).run(arguments, &[]).expect("it runs");
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok())
    };
    let code = |error: Value| error.pointer("/errors/0/code").cloned();
    let said = last(&output.stdout).or_else(|| last(&output.stderr).and_then(code));
    (output.status.code(), said.unwrap_or_default())
}

fn refused(code: &str) -> (Option<i32>, Value) {
    (Some(4), json!(code))
}

#[test]
fn a_schema_is_planned_applied_and_refused_as_the_manual_says() {
    let cluster = Cluster::start(&["fsync=off"]).expect("PostgreSQL starts");
    cluster.make_database("shop").expect("a database");
    let (owner, serving) = (cluster.url(OWNER, "shop"), cluster.url(SERVING, "shop"));
    let all = json!([
        { "version": 1, "name": "spine" }, { "version": 2, "name": "copied" },
        { "version": 3, "name": "sealed_log" }, { "version": 4, "name": "api_keys" },
        { "version": 5, "name": "idempotency" }, { "version": 6, "name": "sinks" },
        { "version": 7, "name": "secrets" }, { "version": 8, "name": "operators" },
        { "version": 9, "name": "approvals" }, { "version": 10, "name": "orders" },
        { "version": 11, "name": "chains" }, { "version": 12, "name": "sessions_over" },
        { "version": 13, "name": "pages" }, { "version": 14, "name": "receipts" },
        { "version": 15, "name": "blocks" }, { "version": 16, "name": "order_limits" },
        { "version": 17, "name": "undecided" },
    ]);
    let pending = json!({ "applied": [], "pending": all, "serving_role": null });

    // Nothing is done by asking, whoever asks, and nobody serves what is not there.
    assert_eq!(migrate(&owner, &[]), (Some(1), pending.clone()));
    assert_eq!(migrate(&serving, &[]), (Some(1), pending.clone()));
    assert_eq!(ended(&serving, &["serve", "--json"]), refused("store_older_schema"));

    // What is refused changes nothing.
    let unknown = migrate(&owner, &["--apply", "--serving-role", "nobody_of_this_name"]);
    assert_eq!(unknown, refused("store_unknown_role"));
    assert_eq!(migrate(&serving, &["--apply"]), refused("store_denied"));
    assert_eq!(migrate(&owner, &[]), (Some(1), pending));

    let applied = json!({ "applied": all, "pending": [], "serving_role": SERVING });
    assert_eq!(migrate(&owner, &["--apply", "--serving-role", SERVING]), (Some(0), applied));
    let nothing = json!({ "applied": [], "pending": [], "serving_role": null });
    assert_eq!(migrate(&owner, &[]), (Some(0), nothing.clone()));
    assert_eq!(migrate(&owner, &["--apply"]), (Some(0), nothing.clone()));
    assert_eq!(migrate(&serving, &[]), (Some(0), nothing));
    deployment(&serving).serve().expect("it serves").stop().expect("it stops");

    // A database that a newer version has migrated is left alone.
    let newer = "INSERT INTO schema_history VALUES (99, 'later', '0', 0)";
    cluster.query("shop", newer).expect("inserted");
    assert_eq!(migrate(&owner, &["--apply"]), refused("store_newer_schema"));
    assert_eq!(ended(&serving, &["serve", "--json"]), refused("store_newer_schema"));
}

#[test]
fn what_is_no_store_of_ours_is_refused_before_anything_is_changed() {
    let cluster = Cluster::start(&["fsync=off"]).expect("PostgreSQL starts");
    cluster.make_database("theirs").expect("a database");
    let owner = cluster.url(OWNER, "theirs");
    cluster.query("theirs", "CREATE TABLE event (theirs text)").expect("a table");
    assert_eq!(migrate(&owner, &["--apply"]), refused("store_foreign"));
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(cluster.query("theirs", tables).expect("it answers"), "1");

    assert_eq!(migrate(&cluster.url(OWNER, "nothing"), &[]), refused("store_not_found"));
    assert_eq!(migrate(&cluster.url("nobody", "theirs"), &[]), refused("store_denied"));
    let nowhere = format!("postgres://{OWNER}@{}/theirs", free_address().expect("a port"));
    assert_eq!(migrate(&nowhere, &[]), refused("store_unreachable"));
    // A file is migrated by the gateway that opens it.
    assert_eq!(migrate("sqlite:shop.db", &[]), (Some(2), json!("usage")));
}

#[test]
fn a_server_that_can_lose_what_was_acknowledged_is_found_by_check() {
    let cluster = Cluster::start(&["fsync=off"]).expect("PostgreSQL starts");
    cluster.make_database("shop").expect("a database");
    let (owner, serving) = (cluster.url(OWNER, "shop"), cluster.url(SERVING, "shop"));
    assert_eq!(ended(&serving, &["check", "--json"]), refused("store_older_schema"));
    let (code, _) = migrate(&owner, &["--apply", "--serving-role", SERVING]);
    assert_eq!(code, Some(0));

    let found = || {
        let (code, said) = ended(&serving, &["check", "--json"]);
        let of = |finding: &Value| finding["code"].as_str().map(str::to_owned);
        let codes: Vec<String> =
            said["findings"].as_array().into_iter().flatten().filter_map(of).collect();
        (code, codes)
    };
    let (code, codes) = found();
    assert_eq!(code, Some(1));
    assert!(["nothing_synced", "no_standby"].iter().all(|one| codes.iter().any(|c| c == one)));
    assert!(!codes.iter().any(|code| code == "commits_not_waited_for"), "{codes:?}");

    let off = format!("ALTER ROLE {SERVING} SET synchronous_commit = off");
    cluster.query("shop", &off).expect("set");
    let (_, codes) = found();
    assert!(codes.iter().any(|code| code == "commits_not_waited_for"), "{codes:?}");
}
