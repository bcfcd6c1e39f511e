//! Deliveries: one event to one endpoint, leased, tried and settled.
//!
//! A pending delivery is *fresh* until it is first leased. Of the fresh ones with the same endpoint
//! and order key only the oldest may be leased; it is then the key's *head*, and the key waits for
//! it. A head that has failed [`model::retry::HEAD_ATTEMPTS`] times is *parked*: it goes on by
//! itself and the key moves on.

use std::sync::Arc;

use model::retry::HEAD_ATTEMPTS;
use model::{AttemptId, AttemptOutcome, DeliveryId, DeliveryStatus, EventId, Reach, Timestamp};

use crate::codes::State;
use crate::{EventRow, SealedRow};

/// A delivery to be made.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The delivery. Its id is made when it is planned.
    pub id: DeliveryId,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
}

/// Asks for deliveries to try now.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The time now.
    pub now: Timestamp,
    /// When the leases end: what is not settled by then may be leased again.
    pub until: Timestamp,
    /// At most so many in all.
    pub max: usize,
    /// The endpoints and how many each may take now.
    pub endpoints: Vec<(Arc<str>, usize)>,
}

/// A delivery that is the caller's to try, until the lease ends.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Grows with every lease of the delivery; a settlement with an older one is stale.
    pub fence: i64,
    /// Which attempt of this round it is; the first is 1.
    pub attempt: u32,
    /// The endpoint's name.
    pub endpoint: String,
    /// The event.
    pub event: EventRow,
    /// The body of its arrival.
    pub body: SealedRow,
}

/// How an attempt ended, and what comes next.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The fence of the lease.
    pub fence: i64,
    /// The attempt.
    pub attempt: AttemptId,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How.
    pub outcome: AttemptOutcome,
    /// What the endpoint answered, if it did.
    pub http_status: Option<u16>,
    /// What comes next.
    pub then: Then,
}

/// What comes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is delivered.
    Delivered,
    /// Nothing: it is a dead letter.
    Dead,
    /// Another attempt at this time. The store parks the delivery when its attempts ask for it.
    Again(Timestamp),
}

impl Then {
    /// Where a delivery stands after an attempt, and when it is due; `tries` are those of this
    /// round before it.
    pub(crate) fn next(self, before: State, tries: u32, ended_at: Timestamp) -> (State, Timestamp) {
        match self {
            Self::Delivered => (State::Delivered, ended_at),
            Self::Dead => (State::Dead, ended_at),
            Self::Again(at) if tries.saturating_add(1) >= HEAD_ATTEMPTS => (State::Parked, at),
            Self::Again(at) => (before, at),
        }
    }
}

/// Whether a settlement counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The attempt is kept and what comes next is set.
    Done,
    /// Somebody else leased or settled the delivery since: nothing was written.
    Stale,
}

/// Whether deliveries to an endpoint are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointState {
    /// They are.
    Active,
    /// They wait until a person resumes it.
    Paused,
    /// They wait: the endpoint said that it wants no more (410).
    Disabled,
}

impl EndpointState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Active, Self::Paused, Self::Disabled];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// Which deliveries to list: the newest `limit` of those that match.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Of this event.
    pub event: Option<EventId>,
    /// This one.
    pub id: Option<DeliveryId>,
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// In this state.
    pub status: Option<DeliveryStatus>,
    /// Planned at this time or later.
    pub since: Option<Timestamp>,
    /// Planned before this time.
    pub until: Option<Timestamp>,
    /// With a lower number than this: the newest of them are found by their number, so that one page
    /// follows the other.
    pub before: Option<i64>,
    /// Only those of events within reach.
    pub reach: Reach,
    /// At most so many.
    pub limit: usize,
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Grows with the event's sequence. Deliveries are listed in this order.
    pub number: i64,
    /// The delivery.
    pub id: DeliveryId,
    /// Its event.
    pub event: EventId,
    /// The endpoint's name.
    pub endpoint: String,
    /// Its state.
    pub status: DeliveryStatus,
    /// It failed so often that its order key no longer waits for it.
    pub parked: bool,
    /// Attempts in all rounds.
    pub attempts: u32,
    /// When it may next be tried; none while it is being tried and when nothing is left to try.
    pub next_at: Option<Timestamp>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An attempt as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The attempt.
    pub id: AttemptId,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How.
    pub outcome: AttemptOutcome,
    /// What the endpoint answered, if it did.
    pub http_status: Option<u16>,
}
