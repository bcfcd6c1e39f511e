//! Events that may be decided on anew: which they are, when each is looked at, and what is decided then.
//!
//! One waits for its **order**: it came before the order was created, or was held for what another
//! event may bring. Whatever changes the order has it looked at. Or it waits for the **answer** of its
//! provider's API. Whoever takes one to look at has it until a time that they say, so that of several
//! gateways one does; whoever is too late finds that it was taken by another since.

use model::{EventId, EventStatus, RequestId, Steps, Timestamp};

use crate::audit::{Changes, Entry};
use crate::{Action, NewDelivery, SealedRow};

/// After so long what waits for its order is looked at once, whatever happens: an order that was created
/// at the same moment did not see it. Milliseconds, and longer than any transaction takes.
pub(crate) const ONCE_MORE_MS: i64 = 10_000;

/// What an event waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    /// The order of the reference with this keyed hash, or what changes it.
    Order([u8; 16]),
    /// The answer of its provider's API.
    Answer,
}

impl Awaits {
    /// The keyed hash of the reference, as it is kept.
    pub(crate) const fn reference_key(self) -> Option<[u8; 16]> {
        match self {
            Self::Order(key) => Some(key),
            Self::Answer => None,
        }
    }

    /// When it is looked at first.
    pub(crate) const fn first_at(self, since: Timestamp) -> i64 {
        match self {
            Self::Order(_) => since.as_millis().saturating_add(ONCE_MORE_MS),
            Self::Answer => since.as_millis(),
        }
    }

    pub(crate) fn of(reference_key: Option<[u8; 16]>) -> Self {
        reference_key.map_or(Self::Answer, Self::Order)
    }
}

/// An event that was taken to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided {
    /// Which.
    pub event: EventId,
    /// What it waits for.
    pub awaits: Awaits,
    /// How often it was taken or woken, this time included.
    pub tries: i64,
    /// Since when it waits.
    pub since: Timestamp,
}

/// Asks for events that are to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct TakeUndecided {
    /// What is due by this time.
    pub now: Timestamp,
    /// Nobody else gets them until then.
    pub until: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// What becomes of an event that was looked at and not decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// It is looked at again then.
    At(Timestamp),
    /// It is looked at when its order changes.
    WithItsOrder,
    /// Nothing will change it.
    Never,
}

/// A kept event that is decided on anew.
#[derive(Debug, Clone)]
pub struct Anew {
    /// Which.
    pub event: EventId,
    /// The status and reason that this was decided at: if they are others now, nothing happens.
    pub from: (EventStatus, Option<String>),
    /// Its status then.
    pub to: EventStatus,
    /// Why, if it is not accepted.
    pub reason: Option<&'static str>,
    /// The verdicts then.
    pub steps: Steps,
    /// What it says then, if that is something else: sealed under the key that it was sealed under.
    pub facts: Option<SealedRow>,
    /// Where it goes; only an accepted event may have any.
    pub deliveries: Vec<NewDelivery>,
    /// What it waits for then, if for anything.
    pub awaits: Option<Awaits>,
    /// The reference that no order has, where this was decided without one: if one has it now, nothing
    /// happens.
    pub unordered: Option<[u8; 16]>,
    /// Who asks for it: a person's request, or a run of the gateway.
    pub request: RequestId,
}

impl Anew {
    /// Whether the event is another one then, beside what it waits for.
    pub(crate) fn is_decided(&self) -> bool {
        self.from.0 != self.to || self.from.1.as_deref() != self.reason
    }

    /// What is different then.
    pub(crate) fn changes(&self) -> [(&'static str, Option<&str>, Option<&str>); 2] {
        let (before, reason) = &self.from;
        [
            ("status", Some(before.code()), Some(self.to.code())),
            ("reason", reason.as_deref(), self.reason),
        ]
    }

    /// What a person does who has it decided so.
    pub(crate) const fn by_hand(&self) -> Action {
        if matches!(self.to, EventStatus::Denied) { Action::Denied } else { Action::Released }
    }

    /// The entry about what the gateway decided by itself.
    pub(crate) fn entry<'a>(&'a self, at: Timestamp, changes: Changes<'_>) -> Entry<'a> {
        Entry {
            at,
            action: Action::DecidedAnew,
            actor: None,
            resource: self.event.as_bytes(),
            refused: false,
            request: Some(self.request),
            changes: Some(crate::audit::text(changes)),
            personal: None,
        }
    }
}
