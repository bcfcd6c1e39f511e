//! What recording costs: CPU microseconds a record of the writer's thread, and records a second, at
//! several batch sizes. `cargo run --release -p store --example record_rate [records] [batch] [url]`
//!
//! With the URL of a migrated PostgreSQL database it records there; the writer is then all of the
//! process, and the server's own CPU is not counted.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints and may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use model::{ArrivalId, Covers, DeliveryId, EventId, EventStatus, RequestId, Steps, Timestamp};
use store::{
    KeyKind, NewDelivery, NewEvent, NewKey, Options, PostgresOptions, Record, SealedRow, Store,
    Synchronous,
};
use vault::{DataKey, KeyId, Owner, Place, RootKey, WrappedKey, seal, wrap};

const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const KEY: KeyId = KeyId([1; 16]);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|text| text.parse::<u64>().unwrap());
    let records = number().unwrap_or(100_000);
    let only = number();
    let url = arguments.next();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    println!("batch  records/s  writer us/record  all us/record  file MiB");
    for batch in [1_usize, 32, 128] {
        if only.is_some_and(|only| only != batch as u64) {
            continue;
        }
        let records = if batch == 1 { records / 10 } else { records };
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("rate.db");
        runtime.block_on(run(&path, url.as_deref(), batch, records));
    }
}

async fn open(path: &Path, url: Option<&str>, batch: usize) -> Store {
    let Some(url) = url else {
        let synchronous = Synchronous::Full;
        let options = Options { synchronous, batch_commands_max: batch, ..Options::default() };
        return Store::open(path, options).unwrap();
    };
    let options = PostgresOptions { batch_commands_max: batch, ..PostgresOptions::new(url) };
    Store::connect(&options).await.unwrap()
}

async fn run(path: &Path, url: Option<&str>, batch: usize, records: u64) {
    let store = open(path, url, batch).await;
    store.add_key(new_key()).await.unwrap();
    let before = store.counts().await.unwrap().accepted;
    let made: Vec<Record> = (before..before + records)
        .map(|n| record(n, START.plus_millis(i64::try_from(n / 20).unwrap())))
        .collect();
    let mut waves: Vec<Vec<Record>> = Vec::new();
    let mut made = made.into_iter().peekable();
    while made.peek().is_some() {
        waves.push(made.by_ref().take(batch).collect());
    }
    let (writer, all, started) = (writer_cpu_us(), process_cpu_us(), Instant::now());
    // Two waves at a time: while one is committed, the next one waits, as under load. (A server
    // commits several at once.)
    let waves_at_once = if url.is_some() { 4 } else { 2 };
    let permits = Arc::new(tokio::sync::Semaphore::new(waves_at_once));
    for wave in waves {
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let store = store.clone();
        tokio::spawn(async move {
            let asked: Vec<_> = wave.into_iter().map(|record| store.record(record)).collect();
            let asked: Vec<_> = asked.into_iter().map(Box::pin).collect();
            join_all(asked).await;
            drop(permit);
        });
    }
    let _ = permits.acquire_many(u32::try_from(waves_at_once).unwrap()).await.unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let count = records as f64;
    let writer = (writer_cpu_us() - writer) / count;
    let all = (process_cpu_us() - all) / count;
    assert_eq!(store.counts().await.unwrap().accepted, before + records);
    let size = std::fs::metadata(path).map_or(0, |file| file.len()) / (1024 * 1024);
    println!("{batch:>5}  {:>9.0}  {writer:>16.1}  {all:>13.1}  {size:>8}", count / seconds);
    store.close().await;
}

/// Polls all of them: each must have asked before the first answer is waited for.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) {
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| std::pin::Pin::new(future).poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn new_key() -> NewKey {
    let key = DataKey::new(KEY, [7; 32]);
    let wrapped: WrappedKey =
        wrap(&RootKey::generate([9; 32]), &key, Owner::Bucket(&[2; 16]), [3; 12]);
    NewKey { id: KEY, kind: KeyKind::Bucket, owner: [2; 16], wrapped, created_at: START }
}

fn record(n: u64, at: Timestamp) -> Record {
    let key = DataKey::new(KEY, [7; 32]);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&hash(n).to_be_bytes());
    let event = EventId::new(at, random);
    let mut dedup = [0; 16];
    dedup[..8].copy_from_slice(&hash(n ^ 0xdead).to_be_bytes());
    dedup[8..].copy_from_slice(&hash(n ^ 0xbeef).to_be_bytes());
    let mut order = dedup;
    order.reverse();
    let place = Place { table: "body", column: "bytes", row: event.as_bytes(), subject: &[2; 16] };
    let mut salt = [0; 32];
    salt[..8].copy_from_slice(&n.to_be_bytes());
    let sealed = |bytes: &[u8]| SealedRow { key: KEY, sealed: seal(&key, salt, place, bytes) };
    Record {
        request: RequestId::new(at, random),
        arrival: ArrivalId::new(at, random),
        received_at: at,
        source: "stripe".into(),
        provider: "stripe".into(),
        keys: Vec::new(),
        body: sealed(&[b'x'; 1024]),
        unordered: Vec::new(),
        events: vec![NewEvent {
            id: event,
            dedup_key: Some(dedup),
            projection: [5; 16],
            body_key: dedup,
            kind: Some("payment_intent.succeeded".to_owned()),
            status: EventStatus::Accepted,
            reason: None,
            covers: Covers::Full,
            steps: Steps::PASSED,
            order_key: Some(order),
            range: 0..1024,
            facts: sealed(&[b'f'; 200]),
            original: None,
            deliveries: vec![NewDelivery {
                id: DeliveryId::new(at, random),
                endpoint: "app".into(),
            }],
            awaits: None,
        }],
    }
}

/// SplitMix64: spreads a counter over all bits.
fn hash(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// CPU time of the thread called `store-writer`, microseconds.
fn writer_cpu_us() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads
        .map(|thread| thread.unwrap().path())
        .filter(|thread| {
            std::fs::read_to_string(thread.join("comm"))
                .is_ok_and(|name| name.trim() == "store-writer")
        })
        .map(|thread| cpu_us(&thread.join("stat")))
        .sum()
}

fn process_cpu_us() -> f64 {
    cpu_us(Path::new("/proc/self/stat"))
}

/// User and system time in a `stat` file of Linux, which counts in hundredths of a second.
fn cpu_us(path: &Path) -> f64 {
    let text = std::fs::read_to_string(path).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks = |n| fields.split_whitespace().nth(n).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * 10_000.0
}
