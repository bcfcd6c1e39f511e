//! A server that goes away: in the middle of a commit, for a while, or without a word.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bench::proxy::{Cut, Proxy};
use store::{Outcome, PostgresOptions, Store, Then};
use tokio::task::JoinSet;

use crate::conformance::fixture::*;
use crate::patient;
use crate::server::{self, Server};

/// How long is waited for what must come: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Spreads a number over all bits (SplitMix64).
fn spread(n: u64) -> u64 {
    let mut bits = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Half of the commits, in each of the ways.
fn half(commit: u64) -> Cut {
    match spread(commit) % 6 {
        0 => Cut::Before,
        1 => Cut::During,
        2 => Cut::After,
        _ => Cut::Not,
    }
}

/// The URL of a server, with the proxy in its place.
fn behind(proxy: &Proxy, of_server: &str) -> String {
    let rest: Vec<&str> = of_server
        .split(' ')
        .filter(|word| !word.starts_with("host=") && !word.starts_with("port="))
        .collect();
    format!("host=127.0.0.1 port={} {}", proxy.port(), rest.join(" "))
}

/// Records until so many connections were lost at a commit; then everything must be there once, and
/// be known if it comes again.
pub(crate) async fn nothing_is_lost_or_doubled(store: &Store, proxy: &Proxy, cuts: u64) {
    let mut answers: BTreeMap<u64, Option<Outcome>> = BTreeMap::new();
    let mut next = 0;
    while proxy.cuts() < cuts {
        let mut tasks = JoinSet::new();
        for n in next..next + 8 {
            let store = store.clone();
            tasks.spawn(async move {
                let record = draft(n).ordered(n % 3).to("app").record();
                (n, store.record(record).await)
            });
        }
        next += 8;
        for (n, answer) in tasks.join_all().await {
            match answer {
                Ok(recorded) => {
                    assert_eq!(recorded.events, [Outcome::New], "{n}");
                    answers.insert(n, Some(Outcome::New));
                }
                Err(error) => {
                    assert!(error.is_unavailable(), "{n}: {error}");
                    answers.insert(n, None);
                }
            }
        }
    }
    for (n, answer) in &answers {
        let copy = draft(1_000_000 + n).with(|event| event.dedup_key = Some(hash_bytes(*n)));
        let outcome = loop {
            // The provider's retry, which may be lost like any other.
            match store.record(copy.clone().record()).await {
                Ok(recorded) => break recorded.events[0],
                Err(error) => assert!(error.is_unavailable(), "{n}: {error}"),
            }
        };
        match outcome {
            Outcome::Duplicate { of } => {
                assert!(of == draft(*n).event.id || of == copy.event.id, "{n}: {of}");
            }
            outcome => assert_eq!((outcome, *answer), (Outcome::New, None), "{n} is lost"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_found_out() {
    let server = server::started().await;
    let database = server.database().await;
    let proxy = Proxy::start(server.socket(), half).await.unwrap();
    let url = server.serving_url(&database);
    let beside = Store::connect(&patient(url.clone())).await.unwrap();
    beside.add_key(key(KEY)).await.unwrap();
    let store = Store::connect(&patient(behind(&proxy, &url))).await.unwrap();
    nothing_is_lost_or_doubled(&store, &proxy, 100).await;
    store.close().await;

    // Each event with one delivery and one entry, and no more of them than events.
    let counts = beside.counts().await.unwrap();
    let events = server.rows(&database, "SELECT count(*) FROM event").await[0].get::<_, i64>(0);
    assert_eq!(counts.accepted, u64::try_from(events).unwrap());
    let entries = "SELECT count(*) FROM audit_entry WHERE action = 0";
    assert_eq!(server.rows(&database, entries).await[0].get::<_, i64>(0), events);
    let keys = "SELECT count(DISTINCT dedup_key) FROM event";
    assert_eq!(server.rows(&database, keys).await[0].get::<_, i64>(0), events);
    // What nobody doubted is not asked for again.
    assert!(store.transactions().iter().any(|of| of.name == "record" && of.retried > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_and_attempts_survive_lost_commits() {
    let server = server::started().await;
    let database = server.database().await;
    let url = server.serving_url(&database);
    let beside = Store::connect(&patient(url.clone())).await.unwrap();
    beside.add_key(key(KEY)).await.unwrap();
    for n in 0..60 {
        keep(&beside, draft(n).ordered(n % 5).to("app")).await;
    }
    let proxy = Proxy::start(server.socket(), half).await.unwrap();
    let store = Store::connect(&patient(behind(&proxy, &url))).await.unwrap();
    let mut seen: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    while beside.counts().await.unwrap().pending > 0 {
        for leased in lease(&store, NOON, "app", 8).await {
            assert_eq!((leased.fence, leased.attempt), (1, 1), "leased once");
            let n = number(leased.event.id);
            seen.entry(n % 5).or_default().push(n);
            let settled = settle(&store, &leased, after(1), Then::Delivered).await;
            assert_eq!(settled, store::Settled::Done);
            assert_eq!(beside.attempts(leased.delivery).await.unwrap().len(), 1);
        }
    }
    assert!(proxy.cuts() > 0);
    assert!(seen.values().all(|order| order.is_sorted() && order.len() == 12), "{seen:?}");
}

/// What is answered while the server is away, and how soon: if each waited for the server, it would
/// take longer than all of them may.
async fn refused(store: &Store, first: u64) {
    let begun = Instant::now();
    for n in first..first + 20 {
        let error = store.record(draft(n).record()).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert!(store.due(NOON).await.unwrap_err().is_unavailable());
        assert!(store.writable().await.unwrap_err().is_unavailable());
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

async fn recovers(store: &Store) {
    let begun = Instant::now();
    while store.writable().await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_is_refused_soon_and_found_again() {
    let server = Server::start("");
    server.prepare().await;
    let database = server.database().await;
    // Patient, so that whoever does not notice the end of its connection is refused too late.
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    for round in 0..2 {
        keep(&store, draft(round)).await;
        server.stop();
        refused(&store, 100 * (round + 1)).await;
        server.start_again();
        recovers(&store).await;
        // Nothing that was refused is there, and everything that was answered is.
        assert_eq!(all_events(&store).await.len(), usize::try_from(round).unwrap() + 1);
    }
    assert!(store.transactions().iter().any(|of| of.name == "probe" && of.committed > 0));
}

/// Under load, nobody waits behind those who already wait in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_given_up_soon() {
    let server = server::started().await;
    let database = server.database().await;
    let proxy = Proxy::start(server.socket(), |_| Cut::Not).await.unwrap();
    let url = behind(&proxy, &server.serving_url(&database));
    // So that everybody waits for what is found out about the server, and none twice as long: what
    // that takes more is what a busy machine may take.
    let options = PostgresOptions {
        stall_ms: 20_000,
        statement_timeout_ms: 5_000,
        ..PostgresOptions::new(url)
    };
    let store = Store::connect(&options).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    keep(&store, draft(1)).await;
    proxy.freeze();
    let mut tasks = JoinSet::new();
    for n in 100..400 {
        let store = store.clone();
        tasks.spawn(async move {
            let asked = Instant::now();
            (store.record(draft(n).record()).await.unwrap_err(), asked.elapsed())
        });
    }
    for (error, took) in tasks.join_all().await {
        assert!(error.is_unavailable() && !error.is_commit_unknown(), "{error}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    refused(&store, 1_000).await;
    proxy.thaw();
    recovers(&store).await;
    keep(&store, draft(2)).await;
    // What was given up before its commit never took effect.
    let kept: Vec<u64> = all_events(&store).await.iter().map(|event| number(event.id)).collect();
    assert_eq!(kept, [1, 2]);
}

/// Whoever waits for a lock that is held for long is told so soon, and so is whoever asks next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_every_connection_waits_for_sheds_what_comes() {
    // Long before a statement is given up, on a busy machine as well.
    const SOON: Duration = Duration::from_secs(2);
    let server = server::started().await;
    let database = server.database().await;
    let url = server.serving_url(&database);
    let options = PostgresOptions { statement_timeout_ms: 3_000, ..PostgresOptions::new(url) };
    let store = Store::connect(&options).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    keep(&store, draft(1)).await;

    let lock = server::connect(&server.owner_url(&database)).await;
    lock.batch_execute("BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let begun = Instant::now();
    let mut next = 100;
    // Longer than a statement may take: those that fail give their places to others.
    while begun.elapsed() < Duration::from_secs(8) {
        let mut tasks = JoinSet::new();
        for n in next..next + 50 {
            let store = store.clone();
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_millis(n % 10)).await;
                let asked = Instant::now();
                (store.record(draft(n).record()).await.unwrap_err(), asked.elapsed())
            });
        }
        next += 50;
        let answers = tasks.join_all().await;
        // Whom the machine lets wait may hear only that its own statement was given up.
        for (error, took) in &answers {
            assert!(error.is_overloaded() || error.is_unavailable(), "{error}");
            assert!(*took < Duration::from_secs(10), "{took:?}");
        }
        let told = answers.iter().filter(|(error, took)| error.is_overloaded() && *took < SOON);
        assert!(2 * told.count() > answers.len(), "{answers:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lock.batch_execute("ROLLBACK").await.unwrap();
    let begun = Instant::now();
    while store.record(draft(2).record()).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not recover");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until commits wait for a standby. That a session knows the setting is not enough.
async fn commits_wait(server: &Server, database: &str) {
    let begun = Instant::now();
    let commits = async {
        while begun.elapsed() < PATIENCE {
            server.run(database, "CREATE TEMPORARY TABLE committed ()").await;
        }
    };
    let one_waits = async {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while server.rows(database, waits).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = commits => panic!("no commit waits"),
        () = one_waits => {}
    }
}

/// A commit that waits for a standby that is not there is no acknowledgement, and nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_does_not_end_is_given_up_soon_and_found_later() {
    let server = Server::start("");
    server.prepare().await;
    let database = server.database().await;
    let store = Store::connect(&PostgresOptions::new(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    keep(&store, draft(1)).await;
    server.run(&database, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    server.run(&database, "SELECT pg_reload_conf()").await;
    commits_wait(&server, &database).await;

    let asked = Instant::now();
    let error = store.record(draft(2).record()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    // To find out whether it took effect is tried for five seconds.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let begun = Instant::now();
    while store.due(NOON).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "nobody knows that the server is away");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    refused(&store, 100).await;

    server.run(&database, "ALTER SYSTEM RESET synchronous_standby_names").await;
    server.run(&database, "SELECT pg_reload_conf()").await;
    recovers(&store).await;
    // The provider's retry is the same event, whether the first was kept or not. It may be too slow.
    let again = draft(1_002).with(|event| event.dedup_key = Some(hash_bytes(2)));
    while let Err(error) = store.record(again.clone().record()).await {
        assert!(error.is_unavailable(), "{error}");
    }
    let kept = all_events(&store).await.into_iter().map(|event| number(event.id));
    assert_eq!(kept.filter(|n| [2, 1_002].contains(n)).count(), 1);
}
