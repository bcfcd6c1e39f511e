//! Events and tallies as they are read, and what a person may do to an event.

use std::ops::Range;

use model::{ArrivalId, Covers, EventId, EventStatus, Reach, RequestId, Step, Steps, Timestamp};

use crate::{Personal, SealedRow};

/// Which events or tallies to list: the newest `limit` of those that match.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// With one of these statuses; empty means any. Tallies have none.
    pub statuses: Vec<EventStatus>,
    /// Of this source.
    pub source: Option<String>,
    /// Received at this time or later. Events are found by the time in their id.
    pub since: Option<Timestamp>,
    /// Received before this time.
    pub until: Option<Timestamp>,
    /// With a lower sequence than this: the newest of them are found by their sequence, so that one
    /// page follows the other. Tallies have none.
    pub before: Option<i64>,
    /// Only those within reach. Of tallies it is not asked.
    pub reach: Reach,
    /// At most so many.
    pub limit: usize,
}

/// An event as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Grows from event to event and is never used again.
    pub sequence: i64,
    /// The event.
    pub id: EventId,
    /// The arrival that brought it.
    pub arrival: ArrivalId,
    /// The source's name.
    pub source: String,
    /// The provider's name.
    pub provider: String,
    /// The provider's word for its type.
    pub kind: Option<String>,
    /// Its status now.
    pub status: EventStatus,
    /// Why, if not accepted.
    pub reason: Option<String>,
    /// What the signature covers.
    pub covers: Covers,
    /// The verdict of each step.
    pub steps: Steps,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How often it came, as far as that is counted here (quarantined ones).
    pub count: u32,
    /// Where its bytes stand in the body.
    pub range: Range<u32>,
    /// What was read of it.
    pub facts: SealedRow,
    /// Keyed hash of the arrival's bytes as they came, where they were truncated before they were
    /// kept: the event is *redacted*.
    pub original: Option<[u8; 16]>,
}

/// Refused or duplicate arrivals of one minute that look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyRow {
    /// The source, if it is a known one.
    pub source: Option<String>,
    /// The event that a duplicate repeats.
    pub event: Option<EventId>,
    /// The step that stopped them.
    pub step: Step,
    /// Why.
    pub reason: String,
    /// Keyed hash of the address.
    pub address_key: [u8; 16],
    /// The address.
    pub address: SealedRow,
    /// The first of them.
    pub arrival: ArrivalId,
    /// Minutes since 1970-01-01 (UTC).
    pub minute: i64,
    /// How many.
    pub count: u32,
    /// When the first came.
    pub first_at: Timestamp,
    /// When the last came.
    pub last_at: Timestamp,
}

/// Who did something, when, why and from where. It goes into the audit log.
#[derive(Debug, Clone)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// Who: an id, or a name that operators know.
    pub actor: String,
    /// The request, or the run of a command.
    pub request: RequestId,
    /// Why and from where. Its commitments stand in the log, the rest is sealed.
    pub personal: Option<Personal>,
}

/// Whether a person's decision about a held event counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Done,
    /// The event is not held.
    NotHeld(EventStatus),
    /// There is no such event.
    NotFound,
    /// Its body was deleted by retention: there is nothing to deliver.
    BodyGone,
}

/// How much there is of what, and whether there is room for more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted events.
    pub accepted: u64,
    /// Held events.
    pub held: u64,
    /// Denied events.
    pub denied: u64,
    /// Quarantined events.
    pub quarantined: u64,
    /// Whether the disk is full.
    pub full: bool,
    /// Deliveries that will be tried, parked ones included.
    pub pending: u64,
    /// Pending deliveries that their order key no longer waits for.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest pending delivery was planned.
    pub oldest_pending_at: Option<Timestamp>,
}
