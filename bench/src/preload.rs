//! Fills a store with many events quickly, to measure what a store that has seen years is like.
//!
//! The rows are what the gateway writes: sealed bodies and facts of the usual size, dedup keys
//! spread over the last days as their times are, and, for the newest, a delivery with its
//! attempt. Only the keyed hashes are random bytes. Nothing is fsynced until the end, since a store
//! that is lost on the way is simply filled again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use model::{
    ArrivalId, AttemptId, AttemptOutcome, Covers, DeliveryId, EventId, EventStatus, RequestId,
    Steps, Timestamp,
};
use store::{
    KeyKind, LeaseRequest, Leased, NewDelivery, NewEvent, NewKey, Options, Record, SealedRow,
    Settle, Store, Synchronous, Then,
};
use tokio::task::JoinSet;
use vault::{DataKey, KeyId, Owner, Place, RootKey, Sealed};

use crate::clock::{Chance, now_ms};
use crate::stripe::Series;

/// The endpoint of the deliveries, as [`crate::deployment`] names it.
const ENDPOINT: &str = "app";

/// Commands on their way at once, and commands in a transaction.
const AT_ONCE: usize = 4096;

/// How far back the events of most measurements reach.
pub const DAYS: u64 = 30;

/// What to put into the store.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// Events.
    pub events: u64,
    /// Of these, the newest so many have a delivery that was made.
    pub delivered: u64,
    /// How far back they reach, in days.
    pub days: u64,
}

impl Fill {
    /// Fills the store at this path, which no gateway may have open.
    ///
    /// # Errors
    /// When the store refuses anything.
    pub fn run(self, path: &Path, root_key: &str) -> Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(self.fill(path, root_key))
    }

    async fn fill(self, path: &Path, root_key: &str) -> Result<()> {
        let options = Options {
            synchronous: Synchronous::DangerNormal,
            batch_commands_max: AT_ONCE,
            queue_commands_max: 2 * AT_ONCE,
            reserve_bytes: 0,
            ..Options::default()
        };
        let store = Store::open(path, options).context("the store to fill")?;
        let bucket = Bucket::make(&store, root_key).await?;
        let shared = Arc::new(Shared {
            fill: self,
            store,
            bucket,
            series: Series::fresh(),
            now_ms: now_ms(),
            next: AtomicU64::new(0),
        });
        let mut recorders = JoinSet::new();
        for _ in 0..AT_ONCE {
            recorders.spawn(shared.clone().record_all());
        }
        while let Some(recorded) = recorders.join_next().await {
            recorded.context("a recording task")??;
        }
        shared.settle_all().await?;
        shared.store.close().await;
        Ok(())
    }
}

/// One data key for everything, wrapped under the gateway's root.
struct Bucket {
    key: DataKey,
    owner: [u8; 16],
}

impl Bucket {
    async fn make(store: &Store, root_key: &str) -> Result<Self> {
        let mut chance = Chance::new(crate::clock::fresh_seed());
        let root = RootKey::parse(root_key).context("the root key")?;
        let key = DataKey::new(KeyId(chance.bytes()), chance.bytes());
        let owner = chance.bytes();
        let wrapped = vault::wrap(&root, &key, Owner::Bucket(&owner), chance.bytes());
        let created_at = Timestamp::from_millis(now_ms());
        let new = NewKey { id: key.id(), kind: KeyKind::Bucket, owner, wrapped, created_at };
        store.add_key(new).await.context("the data key")?;
        Ok(Self { key, owner })
    }

    fn seal(
        &self,
        chance: &mut Chance,
        table: &str,
        column: &str,
        row: &[u8],
        text: &[u8],
    ) -> SealedRow {
        let place = Place { table, column, row, subject: &self.owner };
        let sealed: Sealed = vault::seal(&self.key, chance.bytes(), place, text);
        SealedRow { key: self.key.id(), sealed }
    }
}

struct Shared {
    fill: Fill,
    store: Store,
    bucket: Bucket,
    series: Series,
    now_ms: i64,
    next: AtomicU64,
}

impl Shared {
    async fn record_all(self: Arc<Self>) -> Result<()> {
        let mut chance = Chance::new(crate::clock::fresh_seed());
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= self.fill.events {
                return Ok(());
            }
            let record = self.record(n, &mut chance)?;
            self.store.record(record).await.context("recording")?;
        }
    }

    fn record(&self, n: u64, chance: &mut Chance) -> Result<Record> {
        let span_ms = self.fill.days * 86_400_000;
        let age_ms = span_ms - span_ms / self.fill.events.max(1) * n;
        let received_at = Timestamp::from_millis(self.now_ms - i64::try_from(age_ms)?);
        let id = EventId::new(received_at, chance.bytes());
        let arrival = ArrivalId::new(received_at, chance.bytes());
        let body = self.series.body(n, received_at.as_seconds());
        let facts = format!(
            r#"{{"id":"{}","type":"payment_intent.succeeded","order":"pi_{n:024}","amount":"2000","currency":"EUR","status":"succeeded","live":false}}"#,
            self.series.id(n)
        );
        let is_delivered = n + self.fill.delivered >= self.fill.events;
        let deliveries = is_delivered.then(|| NewDelivery {
            id: DeliveryId::new(received_at, chance.bytes()),
            endpoint: ENDPOINT.into(),
        });
        let range = 0..u32::try_from(body.len())?;
        let seal = &mut |table, column, row: &[u8], text: &[u8]| {
            self.bucket.seal(chance, table, column, row, text)
        };
        let body = seal("body", "sealed", arrival.as_bytes(), &body);
        let facts = seal("event", "facts", id.as_bytes(), facts.as_bytes());
        let event = NewEvent {
            id,
            dedup_key: Some(chance.bytes()),
            projection: chance.bytes(),
            body_key: chance.bytes(),
            kind: Some("payment_intent.succeeded".into()),
            status: EventStatus::Accepted,
            reason: None,
            covers: Covers::Full,
            steps: Steps::PASSED,
            order_key: Some(chance.bytes()),
            range,
            facts,
            original: None,
            deliveries: deliveries.into_iter().collect(),
            awaits: None,
        };
        Ok(Record {
            request: RequestId::new(received_at, chance.bytes()),
            arrival,
            received_at,
            source: "stripe".into(),
            provider: "stripe".into(),
            keys: Vec::new(),
            body,
            events: vec![event],
            unordered: Vec::new(),
        })
    }

    /// Makes every delivery that was planned, as if the application had taken it at once.
    async fn settle_all(self: &Arc<Self>) -> Result<()> {
        let mut settled = 0;
        loop {
            let now = Timestamp::from_millis(self.now_ms);
            let request = LeaseRequest {
                now,
                until: now.plus_millis(model::limits::LEASE_MS),
                max: AT_ONCE,
                endpoints: vec![(ENDPOINT.into(), AT_ONCE)],
            };
            let leased = self.store.lease(request).await.context("leasing")?;
            if leased.is_empty() {
                ensure!(settled == self.fill.delivered, "{settled} deliveries were settled");
                return Ok(());
            }
            let mut settlers = JoinSet::new();
            for delivery in leased {
                settled += 1;
                settlers.spawn(self.clone().settle(delivery));
            }
            while let Some(done) = settlers.join_next().await {
                done.context("a settling task")??;
            }
        }
    }

    async fn settle(self: Arc<Self>, leased: Leased) -> Result<()> {
        let mut chance = Chance::new(crate::clock::fresh_seed());
        let at = leased.event.received_at;
        let settle = Settle {
            delivery: leased.delivery,
            fence: leased.fence,
            attempt: AttemptId::new(at, chance.bytes()),
            started_at: at,
            ended_at: at.plus_millis(2),
            outcome: AttemptOutcome::Delivered,
            http_status: Some(200),
            then: Then::Delivered,
        };
        self.store.settle(settle).await.context("settling")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_store_holds_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("filled.db");
        let root = RootKey::generate(Chance::new(7).bytes()).to_text();
        Fill { events: 300, delivered: 40, days: DAYS }.run(&path, &root).unwrap();

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let counts = runtime.block_on(async {
            let store = Store::open_beside(&path).unwrap();
            let all = store::EventQuery { limit: 300, ..store::EventQuery::default() };
            let times = store.events(all).await.unwrap().into_iter().map(|row| row.received_at);
            assert!(times.clone().max().unwrap().day() - times.min().unwrap().day() >= 29);
            store.counts().await.unwrap()
        });
        assert_eq!((counts.accepted, counts.pending, counts.dead), (300, 0, 0));
    }
}
