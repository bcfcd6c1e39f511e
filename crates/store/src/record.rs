//! What is kept of an arrival: its events and body, or, when refused, its count.

use std::ops::Range;
use std::sync::Arc;

use model::{ArrivalId, Covers, EventId, EventStatus, RequestId, Step, Steps, Timestamp};
use vault::{KeyId, Sealed, WrappedKey};

use crate::audit::text;
use crate::{Awaits, NewDelivery};

/// Deliveries of one event: their rows are numbered within it.
pub(crate) const DELIVERIES_PER_EVENT: i64 = 1024;

/// Sealed bytes and the key that opens them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The data key. It must stand in the store, else whatever seals with it is refused.
    pub key: KeyId,
    /// The sealed bytes.
    pub sealed: Sealed,
}

/// Whose data key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// A person's.
    Subject,
    /// What is kept and forgotten together, such as a source's day.
    Bucket,
    /// The gateway's own.
    System,
}

/// A wrapped data key to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub id: KeyId,
    /// Whose it is.
    pub kind: KeyKind,
    /// A hash of the person, the bucket or the purpose.
    pub owner: [u8; 16],
    /// The key under the root.
    pub wrapped: WrappedKey,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A wrapped data key that is kept.
pub type StoredKey = NewKey;

/// An authentic arrival. Its events are recorded together or not at all.
#[derive(Debug, Clone)]
pub struct Record {
    /// The request that brought it.
    pub request: RequestId,
    /// The arrival.
    pub arrival: ArrivalId,
    /// When it arrived. The ids of its events are made at this time, too.
    pub received_at: Timestamp,
    /// The source's name.
    pub source: Arc<str>,
    /// The provider's name.
    pub provider: Arc<str>,
    /// Data keys that are needed and may not be kept yet: inserted first, unless they stand.
    pub keys: Vec<NewKey>,
    /// The whole request body, kept unless every event was known already.
    pub body: SealedRow,
    /// The events, in the body's order.
    pub events: Vec<NewEvent>,
    /// Keyed hashes of references that events of it name, and that no order was found for. If there is
    /// one after all nothing is recorded ([`StoreError::is_ordered`](crate::StoreError::is_ordered)).
    pub unordered: Vec<[u8; 16]>,
}

/// One event of an arrival.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event.
    pub id: EventId,
    /// Keyed hash of the source and the profile's dedup key; none if it could not be read.
    pub dedup_key: Option<[u8; 16]>,
    /// Keyed hash of the significant projection: what a true repeat has in common.
    pub projection: [u8; 16],
    /// Keyed hash of the source and the exact bytes: identifies what is unreadable or conflicts.
    pub body_key: [u8; 16],
    /// The provider's word for its type.
    pub kind: Option<String>,
    /// What was decided.
    pub status: EventStatus,
    /// Why, if not accepted.
    pub reason: Option<&'static str>,
    /// What the signature covers.
    pub covers: Covers,
    /// The verdict of each step.
    pub steps: Steps,
    /// Keyed hash of the order: deliveries with the same one keep their order.
    pub order_key: Option<[u8; 16]>,
    /// Where its bytes stand in the body.
    pub range: Range<u32>,
    /// What was read of it.
    pub facts: SealedRow,
    /// Keyed hash of the arrival's bytes as they came, where they were truncated before they were
    /// kept: the event is *redacted*.
    pub original: Option<[u8; 16]>,
    /// Where it goes; only an accepted event may have any.
    pub deliveries: Vec<NewDelivery>,
    /// What it waits for, if it may be decided on anew.
    pub awaits: Option<Awaits>,
}

/// What became of an arrival's events, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// One outcome an event.
    pub events: Vec<Outcome>,
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Kept for the first time.
    New,
    /// Known, with the same significant projection: nothing was written.
    Duplicate {
        /// The event that came first.
        of: EventId,
    },
    /// Known, with another significant projection: kept as quarantined, without deliveries.
    Conflict {
        /// The event that came first, and stands.
        of: EventId,
    },
    /// Quarantined before with the same bytes: only its count grew.
    Repeated {
        /// The quarantined event.
        of: EventId,
    },
}

/// Refused or duplicate arrivals of one minute that look alike.
#[derive(Debug, Clone)]
pub struct Tally {
    /// The source, if it is a known one.
    pub source: Option<Arc<str>>,
    /// The event that a duplicate repeats.
    pub event: Option<EventId>,
    /// The step that stopped them.
    pub step: Step,
    /// Why.
    pub reason: &'static str,
    /// Keyed hash of the address.
    pub address_key: [u8; 16],
    /// The address.
    pub address: SealedRow,
    /// The first of them.
    pub arrival: ArrivalId,
    /// Minutes since 1970-01-01 (UTC).
    pub minute: i64,
    /// How many since the last report.
    pub count: u32,
    /// When the first came.
    pub first_at: Timestamp,
    /// When the last came.
    pub last_at: Timestamp,
}

/// What an arrival left behind, as its audit entry says it: how many events of which status.
pub(crate) fn changes(record: &Record, outcomes: &[Outcome]) -> String {
    if let ([event], [Outcome::New]) = (&*record.events, outcomes) {
        return text(&[
            ("source", None, Some(&record.source)),
            (event.status.code(), None, Some("1")),
        ]);
    }
    let mut counts: Vec<(&str, u32)> = Vec::new();
    for (event, outcome) in record.events.iter().zip(outcomes) {
        let became = match outcome {
            Outcome::New => event.status.code(),
            Outcome::Duplicate { .. } => "duplicate",
            Outcome::Conflict { .. } => "conflict",
            Outcome::Repeated { .. } => "repeated",
        };
        match counts.iter_mut().find(|(name, _)| *name == became) {
            Some((_, count)) => *count += 1,
            None => counts.push((became, 1)),
        }
    }
    let counts: Vec<(&str, String)> =
        counts.into_iter().map(|(name, count)| (name, count.to_string())).collect();
    let source: (&str, Option<&str>, Option<&str>) = ("source", None, Some(&record.source));
    let counted = counts.iter().map(|(name, count)| (*name, None, Some(count.as_str())));
    text(&std::iter::once(source).chain(counted).collect::<Vec<_>>())
}
