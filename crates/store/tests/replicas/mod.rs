//! Several replicas on one server: each delivery has one holder, each key one at a time, in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::retry::HEAD_ATTEMPTS;
use store::{Leased, NewOrder, OrderCreated, Outcome, Settled, Store, Then};
use tokio::task::JoinSet;

use crate::conformance::blocks::block;
use crate::conformance::fixture::*;
use crate::conformance::orders::order;
use crate::patient;
use crate::server;

async fn replicas(count: usize) -> Vec<Store> {
    let server = server::shared().await;
    let database = server.database().await;
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(Store::connect(&patient(server.serving_url(&database))).await.unwrap());
    }
    stores[0].add_key(key(KEY)).await.unwrap();
    stores
}

const KEYS: u64 = 7;

/// What is known of the deliveries under way, whoever has them.
#[derive(Default)]
struct Watch {
    /// By endpoint and key: the delivery and its fence. Parked ones are not watched.
    heads: HashMap<(String, u64), (u64, i64)>,
    /// Those that no longer stand before younger ones: over, or parked.
    out_of_the_way: BTreeSet<(String, u64)>,
    fences: HashMap<(String, u64), i64>,
}

impl Watch {
    fn leased(&mut self, leased: &Leased) {
        let n = number(leased.event.id);
        let endpoint = leased.endpoint.clone();
        let known = self.fences.insert((endpoint.clone(), n), leased.fence);
        assert!(known < Some(leased.fence), "{n} was leased twice with fence {}", leased.fence);
        if self.out_of_the_way.contains(&(endpoint.clone(), n)) {
            return;
        }
        let older = (0..n).filter(|other| other % KEYS == n % KEYS);
        for other in older {
            let gone = self.out_of_the_way.contains(&(endpoint.clone(), other));
            assert!(gone, "{n} was leased before {other}");
        }
        let key = (endpoint, n % KEYS);
        if let Some((other, fence)) = self.heads.insert(key, (n, leased.fence)) {
            assert_eq!(other, n, "{n} beside {other}, which has fence {fence}");
        }
    }

    /// Before the settlement is asked for: what it lets go may be leased before it is answered.
    fn settles(&mut self, leased: &Leased, then: Then) {
        let n = number(leased.event.id);
        let key = (leased.endpoint.clone(), n % KEYS);
        let parked = matches!(then, Then::Again(_)) && leased.attempt >= HEAD_ATTEMPTS;
        let lets_go = parked || !matches!(then, Then::Again(_));
        if self.heads.get(&key) == Some(&(n, leased.fence)) && lets_go {
            self.heads.remove(&key);
            self.out_of_the_way.insert((leased.endpoint.clone(), n));
        }
    }
}

/// One that leases, tries, fails, dies and comes too late.
async fn work(
    store: Store,
    seed: u64,
    clock: Arc<AtomicI64>,
    watch: Arc<Mutex<Watch>>,
    open: Arc<AtomicUsize>,
    until: Instant,
) {
    let mut random = seed;
    let mut next = move |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let lock = || watch.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held: Vec<Leased> = Vec::new();
    while open.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        let step = i64::try_from(next(1_500)).unwrap();
        let now = after(clock.fetch_add(step, Ordering::SeqCst) + step);
        let slots = usize::try_from(next(4)).unwrap();
        let found = lease_many(&store, now, slots, &[("app", slots), ("books", slots)]).await;
        for leased in found {
            lock().leased(&leased);
            // One in eight dies with its lease.
            if next(8) > 0 {
                held.push(leased);
            }
        }
        if held.is_empty() || next(3) == 0 {
            tokio::time::sleep(Duration::from_millis(next(4))).await;
            continue;
        }
        let leased = held.swap_remove(usize::try_from(next(held.len() as u64)).unwrap());
        let then = match next(10) {
            0..6 => Then::Delivered,
            6 => Then::Dead,
            _ if leased.attempt >= 10 => Then::Dead,
            _ => Then::Again(now.plus_millis(i64::try_from(next(20_000)).unwrap())),
        };
        lock().settles(&leased, then);
        let settled = settle(&store, &leased, now, then).await;
        if settled == Settled::Done && !matches!(then, Then::Again(_)) {
            open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_keep_the_order_whatever_happens_to_them() {
    let stores = replicas(4).await;
    let count = 140;
    for n in 0..count {
        keep(&stores[0], draft(n).ordered(n % KEYS).to("app").to("books")).await;
    }
    let clock = Arc::new(AtomicI64::new(0));
    let watch = Arc::new(Mutex::new(Watch::default()));
    let open = Arc::new(AtomicUsize::new(2 * usize::try_from(count).unwrap()));
    let until = Instant::now() + Duration::from_secs(60);
    let mut tasks = JoinSet::new();
    for (seed, store) in (1_u64..).zip(&stores) {
        tasks.spawn(work(
            store.clone(),
            seed,
            Arc::clone(&clock),
            Arc::clone(&watch),
            Arc::clone(&open),
            until,
        ));
    }
    tasks.join_all().await;
    let counts = stores[0].counts().await.unwrap();
    assert_eq!((open.load(Ordering::SeqCst), counts.pending), (0, 0), "nothing is left behind");
}

/// Few keys, long lines, many who lease: if a wake-up were lost, a line would stand still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_forgotten_behind_its_head() {
    let stores = replicas(4).await;
    let count = 240_u64;
    for n in 0..count {
        keep(&stores[0], draft(n).ordered(n % 3).to("app")).await;
    }
    let delivered = Arc::new(Mutex::new(BTreeMap::<u64, Vec<u64>>::new()));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for store in &stores {
        let (store, delivered) = (store.clone(), Arc::clone(&delivered));
        tasks.spawn(async move {
            while store.due(after(1)).await.unwrap() {
                assert!(begun.elapsed() < Duration::from_secs(60), "a line stands still");
                for leased in lease(&store, after(1), "app", 4).await {
                    let n = number(leased.event.id);
                    let push = |lines: &mut BTreeMap<u64, Vec<u64>>| {
                        lines.entry(n % 3).or_default().push(n);
                    };
                    push(&mut delivered.lock().unwrap_or_else(PoisonError::into_inner));
                    settle(&store, &leased, after(2), Then::Delivered).await;
                }
            }
        });
    }
    tasks.join_all().await;
    // Whoever saw nothing due may have looked between a lease and its settlement.
    while let Some(leased) = lease(&stores[0], after(1), "app", 1).await.pop() {
        let n = number(leased.event.id);
        delivered.lock().unwrap().entry(n % 3).or_default().push(n);
        settle(&stores[0], &leased, after(2), Then::Delivered).await;
    }
    assert_eq!(stores[0].counts().await.unwrap().pending, 0);
    for (key, order) in delivered.lock().unwrap().iter() {
        assert!(order.is_sorted() && order.len() == 80, "key {key}: {order:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_arrivals_in_opposite_orders_are_new_once() {
    let stores = replicas(2).await;
    for round in 0..20_u64 {
        let drafts = |side: u64| -> Vec<Draft> {
            let draft_of = |n| {
                draft(round * 10_000 + side * 1_000 + n)
                    .with(|event| event.dedup_key = Some(hash_bytes(round * 1_000 + n)))
            };
            (0..50).map(draft_of).collect()
        };
        let mut other = drafts(1);
        other.reverse();
        let (one, other) = tokio::join!(
            stores[0].record(arrival(round * 2, drafts(0))),
            stores[1].record(arrival(round * 2 + 1, other)),
        );
        let mut outcomes = one.unwrap().events;
        let mut reversed = other.unwrap().events;
        reversed.reverse();
        outcomes.extend(reversed);
        let (ones, others) = outcomes.split_at(50);
        for (one, other) in ones.iter().zip(others) {
            let new = [one, other].iter().filter(|o| matches!(o, Outcome::New)).count();
            let known = |o: &&&Outcome| matches!(o, Outcome::Duplicate { .. });
            let known = [one, other].iter().filter(known).count();
            assert_eq!((new, known), (1, 1), "round {round}: {one:?} and {other:?}");
        }
    }
    assert_eq!(stores[0].counts().await.unwrap().accepted, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_unreadable_bytes_are_one_event() {
    let stores = replicas(3).await;
    let mut tasks = JoinSet::new();
    for n in 0..60_u64 {
        let store = stores[usize::try_from(n % 3).unwrap()].clone();
        tasks.spawn(async move {
            let same = draft(n).unreadable().with(|event| event.body_key = hash_bytes(n % 4));
            store.record(same.record()).await.unwrap().events[0]
        });
    }
    let outcomes = tasks.join_all().await;
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::New)).count();
    let events = all_events(&stores[0]).await;
    assert_eq!((new, events.len()), (4, 4));
    assert_eq!(events.iter().map(|event| event.count).sum::<u32>(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_have_one_key() {
    let stores = replicas(4).await;
    let mut tasks = JoinSet::new();
    for (n, store) in (10..).zip(&stores) {
        let store = store.clone();
        let mine = store::NewKey { owner: [77; 16], ..key(n) };
        tasks.spawn(async move { store.add_key(mine).await.unwrap() });
    }
    let keys = tasks.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_another_is_heard_of() {
    let server = server::shared().await;
    let database = server.database().await;
    let url = server.serving_url(&database);
    let listening = store::PostgresOptions { listen_url: Some(url.clone()), ..patient(url) };
    let one = Store::connect(&listening).await.unwrap();
    let other = Store::connect(&listening).await.unwrap();
    one.add_key(key(KEY)).await.unwrap();
    // What is told when it begins to listen.
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, other.fresh_work()).await.unwrap();
    let heard = tokio::time::timeout(patience, other.fresh_work());
    let recorded = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        keep(&one, draft(1).to("app")).await;
    };
    let (heard, ()) = tokio::join!(heard, recorded);
    heard.expect("the other heard of it");
    assert!(tokio::time::timeout(patience, one.fresh_work()).await.is_ok());
}

/// Another replica is about to become the key's head: whoever comes meanwhile waits, and loses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_another_takes_at_the_same_time_is_lost() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    keep(&store, draft(1).ordered(9).to("app")).await;
    keep(&store, draft(2).to("app")).await;
    let other = server::connect(&server.serving_url(&database)).await;
    other
        .batch_execute(
            "BEGIN; INSERT INTO lane SELECT endpoint, order_key, gen_random_uuid() FROM pending
             WHERE order_key IS NOT NULL",
        )
        .await
        .unwrap();
    let leasing = {
        let store = store.clone();
        tokio::spawn(async move { lease(&store, NOON, "app", 8).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!leasing.is_finished(), "it waits for the other");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(numbers(&leasing.await.unwrap()), [2], "what has no key goes");
    assert_eq!(numbers(&lease(&store, NOON, "app", 8).await), [0_u64; 0]);
    // It is blocked now, and whoever gives the lane up lets it go.
    let blocked = "SELECT state::integer FROM pending ORDER BY row";
    let states: Vec<i32> =
        server.rows(&database, blocked).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(states, [1, 2]);
}

/// What another replica gives up at this moment is not marked as waiting for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_blocked_behind_a_lane_that_is_given_up() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    keep(&store, draft(1).ordered(9).to("app")).await;
    let head = lease(&store, NOON, "app", 1).await.pop().unwrap();
    keep(&store, draft(2).ordered(9).to("app")).await;
    let other = server::connect(&server.serving_url(&database)).await;
    other.batch_execute("BEGIN; DELETE FROM lane").await.unwrap();
    // It neither waits nor leases: the head is still there to be seen.
    assert_eq!(numbers(&lease(&store, NOON, "app", 8).await), [0_u64; 0]);
    let states = "SELECT state::integer FROM pending ORDER BY row";
    let of = |rows: Vec<tokio_postgres::Row>| -> Vec<i32> {
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(of(server.rows(&database, states).await), [2, 0]);
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(numbers(&lease(&store, NOON, "app", 8).await), [0_u64; 0]);
    assert_eq!(of(server.rows(&database, states).await), [2, 1]);
    settle(&store, &head, after(1), Then::Delivered).await;
    assert_eq!(numbers(&lease(&store, after(1), "app", 8).await), [2]);
}

/// Whoever creates an order waits for a block that is being added, and finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_is_created_beside_a_block_that_is_being_added() {
    let server = server::shared().await;
    let database = server.database().await;
    let store = Store::connect(&patient(server.serving_url(&database))).await.unwrap();
    store.add_key(key(KEY)).await.unwrap();
    let block = block(1, 7, None);
    store.add_block(block.clone(), note()).await.unwrap();
    let other = server::connect(&server.owner_url(&database)).await;
    other.batch_execute("UPDATE block SET lifted_at = 0").await.unwrap();
    other.batch_execute("BEGIN").await.unwrap();
    other.batch_execute("SELECT pg_advisory_xact_lock(1650680173)").await.unwrap();
    let creating = {
        let (store, order) = (store.clone(), NewOrder { parties: vec![hash_bytes(7)], ..order(1) });
        tokio::spawn(async move { store.create_order(order, note()).await.unwrap() })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!creating.is_finished(), "it waits for the block");
    other.batch_execute("UPDATE block SET lifted_at = NULL; COMMIT").await.unwrap();
    assert_eq!(creating.await.unwrap(), OrderCreated::PartyBlocked { place: 0, block: block.id });
}
