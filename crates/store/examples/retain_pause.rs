//! How long others wait while retention deletes from a file: `cargo run --release -p store --example
//! retain_pause [events] [bytes of a body]`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints and may panic")]

use std::time::{Duration, Instant};

use model::{
    ArrivalId, AttemptId, AttemptOutcome, Covers, DeliveryId, EventId, EventStatus, RequestId,
    Steps, Timestamp,
};
use store::{
    KeyKind, LeaseRequest, NewDelivery, NewEvent, NewKey, Options, Record, Retention, SealedRow,
    Settle, Store, Then,
};
use vault::{KeyId, Sealed, WrappedKey};

const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const KEY: KeyId = KeyId([1; 16]);
const DAY_MS: i64 = 86_400_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|text| text.parse::<u64>().unwrap());
    let events = number().unwrap_or(100_000);
    let bytes = usize::try_from(number().unwrap_or(1_200)).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir_in(".").unwrap();
    runtime.block_on(async {
        let store = Store::open(&folder.path().join("pause.db"), Options::default()).unwrap();
        fill(&store, events, bytes).await;
        measure(&store).await;
        store.close().await;
    });
}

async fn fill(store: &Store, events: u64, bytes: usize) {
    let key = NewKey {
        id: KEY,
        kind: KeyKind::Bucket,
        owner: [2; 16],
        wrapped: WrappedKey::from_bytes(vec![3; 101]),
        created_at: START,
    };
    store.add_key(key).await.unwrap();
    let numbers: Vec<u64> = (0..events).collect();
    for wave in numbers.chunks(128) {
        let mut tasks = tokio::task::JoinSet::new();
        for n in wave {
            let (store, record) = (store.clone(), record(*n, bytes));
            tasks.spawn(async move { store.record(record).await.unwrap() });
        }
        tasks.join_all().await;
        deliver(store).await;
    }
}

async fn deliver(store: &Store) {
    let (now, until) = (START, START.plus_millis(60_000));
    let request = LeaseRequest { now, until, max: 128, endpoints: vec![("app".into(), 128)] };
    let mut tasks = tokio::task::JoinSet::new();
    for leased in store.lease(request).await.unwrap() {
        let store = store.clone();
        let settle = Settle {
            delivery: leased.delivery,
            fence: leased.fence,
            attempt: AttemptId::new(START, [1; 10]),
            started_at: START,
            ended_at: START,
            outcome: AttemptOutcome::Delivered,
            http_status: Some(200),
            then: Then::Delivered,
        };
        tasks.spawn(async move { store.settle(settle).await.unwrap() });
    }
    tasks.join_all().await;
}

/// Commits as often as it can while everything is deleted.
async fn measure(store: &Store) {
    let later = START.plus_millis(60 * DAY_MS);
    store.forget(later).await.unwrap();
    let retention = Retention { events_days: Some(37), ..Retention::default() };
    let (retaining, begun) = (store.clone(), Instant::now());
    let retaining = tokio::spawn(async move { retaining.retain(later, retention).await });
    let mut waits = Vec::new();
    while !retaining.is_finished() {
        let asked = Instant::now();
        store.writable().await.unwrap();
        waits.push(asked.elapsed());
    }
    let removed = retaining.await.unwrap().unwrap();
    waits.sort_unstable();
    let at = |part: usize| waits.get(waits.len() * part / 1000).copied().unwrap_or(Duration::ZERO);
    let longest = waits.last().copied().unwrap_or_default();
    println!("{removed:?} in {:?}", begun.elapsed());
    println!(
        "{} commits beside: p50 {:?}, p99 {:?}, longest {longest:?}",
        waits.len(),
        at(500),
        at(990)
    );
}

fn record(n: u64, bytes: usize) -> Record {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    let key = (u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes();
    let sealed = |length| SealedRow { key: KEY, sealed: Sealed::from_bytes(vec![7; length]) };
    Record {
        request: RequestId::new(START, random),
        arrival: ArrivalId::new(START, random),
        received_at: START,
        source: "stripe".into(),
        provider: "stripe".into(),
        keys: Vec::new(),
        body: sealed(bytes),
        unordered: Vec::new(),
        events: vec![NewEvent {
            id: EventId::new(START, random),
            dedup_key: Some(key),
            projection: [5; 16],
            body_key: key,
            kind: None,
            status: EventStatus::Accepted,
            reason: None,
            covers: Covers::Full,
            steps: Steps::PASSED,
            order_key: None,
            range: 0..1,
            facts: sealed(200),
            original: None,
            deliveries: vec![NewDelivery {
                id: DeliveryId::new(START, random),
                endpoint: "app".into(),
            }],
            awaits: None,
        }],
    }
}
