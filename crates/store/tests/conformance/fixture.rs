//! What the cases share: a place to open stores in, and arrivals to record.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use model::{
    ArrivalId, AttemptId, AttemptOutcome, Covers, DeliveryId, EventId, EventStatus, RequestId,
    Steps, Timestamp,
};
use store::{
    EventQuery, EventRow, KeyKind, LeaseRequest, Leased, NewDelivery, NewEvent, NewKey, Note,
    Options, Outcome, Record, SealedRow, Settle, Settled, Store, Then,
};
use vault::{KeyId, Sealed, WrappedKey};

/// What is answered later, whatever gives it.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A backend under test: how to open it, as a gateway and beside one, and what holds of it. A path
/// stands for one store; where there is no file, its folder's name is the store's.
pub(crate) struct Backend {
    pub(crate) open: fn(PathBuf, Options) -> Later<Store>,
    pub(crate) open_beside: fn(PathBuf) -> Later<Store>,
    pub(crate) holds: Holds,
}

/// What a backend promises beyond what all do.
#[derive(Clone, Copy)]
pub(crate) struct Holds {
    /// Sequences begin at 1 and leave none out.
    pub(crate) no_gaps: bool,
    /// Whoever opens it is alone, so the leases of the one before are over.
    pub(crate) start_ends_leases: bool,
    /// Commands take effect in the order in which they were asked for.
    pub(crate) in_turn: bool,
}

/// A store of its own for one case, gone at its end.
pub(crate) struct Place {
    backend: Backend,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    pub(crate) fn holds(&self) -> Holds {
        self.backend.holds
    }

    /// Opens the store as a gateway and sees that the key of the fixtures is kept.
    pub(crate) async fn open(&self) -> Store {
        self.open_with(small()).await
    }

    pub(crate) async fn open_with(&self, options: Options) -> Store {
        let store = (self.backend.open)(self.path(), options).await;
        store.add_key(key(KEY)).await.unwrap();
        store
    }

    pub(crate) async fn open_beside(&self) -> Store {
        (self.backend.open_beside)(self.path()).await
    }

    /// Sees that so many events have sequences as this backend gives them.
    pub(crate) fn check_sequences(&self, events: &[EventRow], count: i64) {
        let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
        if self.holds().no_gaps {
            assert_eq!(sequences, (1..=count).collect::<Vec<_>>());
        } else {
            assert_eq!(i64::try_from(sequences.len()).unwrap(), count);
            assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
        }
    }
}

/// As the gateway's, with a reserve that takes no time to make.
pub(crate) fn small() -> Options {
    Options { reserve_bytes: 64 * 1024, ..Options::default() }
}

/// 2026-01-01, noon.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);
pub(crate) const DAY_MS: i64 = 86_400_000;
pub(crate) const KEY: u8 = 1;

pub(crate) fn after(ms: i64) -> Timestamp {
    NOON.plus_millis(ms)
}

pub(crate) fn key(byte: u8) -> NewKey {
    NewKey {
        id: KeyId([byte; 16]),
        kind: KeyKind::Bucket,
        owner: [byte; 16],
        wrapped: WrappedKey::from_bytes(vec![byte; 101]),
        created_at: NOON,
    }
}

pub(crate) fn sealed(text: &str) -> SealedRow {
    SealedRow { key: KeyId([KEY; 16]), sealed: Sealed::from_bytes(text.as_bytes().to_vec()) }
}

pub(crate) fn id_bytes(n: u64) -> [u8; 10] {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    random
}

pub(crate) fn hash_bytes(n: u64) -> [u8; 16] {
    (u128::from(n) + 1).to_be_bytes()
}

pub(crate) fn request(n: u64) -> RequestId {
    RequestId::new(NOON, id_bytes(n))
}

pub(crate) fn note() -> Note {
    Note { at: after(1_000), actor: "operator ada".to_owned(), request: request(1), personal: None }
}

/// An event to be recorded. Ids follow from its number, everything else can be changed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) n: u64,
    pub(crate) at: Timestamp,
    pub(crate) event: NewEvent,
    pub(crate) source: &'static str,
}

/// An accepted event with a dedup key of its own and no deliveries, received at noon.
pub(crate) fn draft(n: u64) -> Draft {
    draft_at(n, NOON)
}

pub(crate) fn draft_at(n: u64, at: Timestamp) -> Draft {
    let event = NewEvent {
        id: EventId::new(at, id_bytes(n)),
        dedup_key: Some(hash_bytes(n)),
        projection: hash_bytes(0),
        body_key: hash_bytes(n),
        kind: Some("payment.succeeded".to_owned()),
        status: EventStatus::Accepted,
        reason: None,
        covers: Covers::Full,
        steps: Steps::PASSED,
        order_key: None,
        range: 0..5,
        facts: sealed(&format!("facts {n}")),
        original: None,
        deliveries: Vec::new(),
        awaits: None,
    };
    Draft { n, at, event, source: "stripe" }
}

impl Draft {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut NewEvent)) -> Self {
        change(&mut self.event);
        self
    }

    pub(crate) fn to(mut self, endpoint: &str) -> Self {
        let n = self.n * 100 + self.event.deliveries.len() as u64;
        self.event.deliveries.push(delivery(n, self.at, endpoint));
        self
    }

    pub(crate) fn ordered(self, order: u64) -> Self {
        self.with(|event| event.order_key = Some(hash_bytes(order)))
    }

    pub(crate) fn held(self) -> Self {
        self.with(|event| {
            event.status = EventStatus::Held;
            event.reason = Some("needs_confirmation");
            event.steps = Steps::failed_at(model::Step::Decide);
        })
    }

    pub(crate) fn unreadable(self) -> Self {
        self.with(|event| {
            event.dedup_key = None;
            event.status = EventStatus::Quarantined;
            event.reason = Some("duplicate_key");
            event.steps = Steps::failed_at(model::Step::Read);
        })
    }

    pub(crate) fn from(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// An arrival with this event alone.
    pub(crate) fn record(self) -> Record {
        arrival(self.n, vec![self])
    }
}

pub(crate) fn delivery(n: u64, at: Timestamp, endpoint: &str) -> NewDelivery {
    NewDelivery { id: DeliveryId::new(at, id_bytes(n)), endpoint: endpoint.into() }
}

/// An arrival with these events. Source and time are those of the first.
pub(crate) fn arrival(n: u64, drafts: Vec<Draft>) -> Record {
    let (at, source) = drafts.first().map_or((NOON, "stripe"), |first| (first.at, first.source));
    Record {
        request: RequestId::new(at, id_bytes(n)),
        arrival: arrival_id(n, at),
        received_at: at,
        source: source.into(),
        provider: source.into(),
        keys: Vec::new(),
        body: sealed(&format!("body {n}")),
        events: drafts.into_iter().map(|draft| draft.event).collect(),
        unordered: Vec::new(),
    }
}

pub(crate) fn arrival_id(n: u64, at: Timestamp) -> ArrivalId {
    ArrivalId::new(at, id_bytes(n))
}

/// Records an event that must be new.
pub(crate) async fn keep(store: &Store, draft: Draft) {
    let recorded = store.record(draft.record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::New]);
}

pub(crate) async fn all_events(store: &Store) -> Vec<EventRow> {
    store.events(EventQuery { limit: 10_000, ..EventQuery::default() }).await.unwrap()
}

pub(crate) async fn event(store: &Store, id: EventId) -> EventRow {
    store.event(id).await.unwrap().expect("the event is kept")
}

/// Leases for one endpoint; leases last a minute.
pub(crate) async fn lease(
    store: &Store,
    now: Timestamp,
    endpoint: &str,
    slots: usize,
) -> Vec<Leased> {
    lease_many(store, now, slots, &[(endpoint, slots)]).await
}

pub(crate) async fn lease_many(
    store: &Store,
    now: Timestamp,
    max: usize,
    endpoints: &[(&str, usize)],
) -> Vec<Leased> {
    let endpoints =
        endpoints.iter().map(|(name, slots)| (Arc::from(*name), *slots)).collect::<Vec<_>>();
    let until = now.plus_millis(60_000);
    store.lease(LeaseRequest { now, until, max, endpoints }).await.unwrap()
}

/// The numbers of the drafts whose events were leased, in order.
pub(crate) fn numbers(leased: &[Leased]) -> Vec<u64> {
    leased.iter().map(|leased| number(leased.event.id)).collect()
}

pub(crate) fn number(id: EventId) -> u64 {
    // The two highest bits are the UUID's variant.
    u64::from_be_bytes(id.as_bytes()[8..].try_into().unwrap()) & (u64::MAX >> 2)
}

/// Settles an attempt that ended at `now`.
pub(crate) async fn settle(store: &Store, leased: &Leased, now: Timestamp, then: Then) -> Settled {
    let (outcome, http_status) = match then {
        Then::Delivered => (AttemptOutcome::Delivered, Some(204)),
        Then::Again(_) | Then::Dead => (AttemptOutcome::Refused, Some(500)),
    };
    store
        .settle(Settle {
            delivery: leased.delivery,
            fence: leased.fence,
            attempt: AttemptId::new(now, id_bytes(u64::from(leased.attempt))),
            started_at: now.plus_millis(-100),
            ended_at: now,
            outcome,
            http_status,
            then,
        })
        .await
        .unwrap()
}
