//! Enums as the small numbers that stand in the store. A number never changes its meaning.

use model::api_key::Cause;
use model::block::PartyKind;
use model::order::FactKind;
use model::{
    AttemptOutcome, Covers, DeliveryStatus, Environment, EventStatus, OrderState, Role, Step, Steps,
};

use model::secret::SecretKind;

use crate::{EndpointState, KeyKind};

/// An enum that is stored as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code<T>(pub(crate) T);

/// What has a number of its own.
pub(crate) trait Coded: Copy {
    /// The number.
    fn number(self) -> i16;

    /// Whose number it is.
    fn from_number(number: i64) -> Option<Self>;
}

macro_rules! codes {
    ($($kind:ty { $($variant:ident = $number:literal,)* })*) => {$(
        impl Coded for $kind {
            fn number(self) -> i16 {
                match self { $(<$kind>::$variant => $number,)* }
            }

            fn from_number(number: i64) -> Option<Self> {
                match number {
                    $($number => Some(<$kind>::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

codes! {
    EventStatus { Accepted = 0, Held = 1, Denied = 2, Quarantined = 3, }
    Covers { Full = 0, Fields = 1, Identifiers = 2, Checksum = 3, None = 4, }
    Step { Admit = 1, Verify = 2, Read = 3, Decide = 4, Record = 5, }
    KeyKind { Subject = 0, Bucket = 1, System = 2, }
    Environment { Test = 0, Live = 1, }
    Role { Viewer = 0, Operator = 1, Administrator = 2, }
    Cause { Retired = 0, Leaked = 1, Suspected = 2, }
    EndpointState { Active = 0, Paused = 1, Disabled = 2, }
    SecretKind { Source = 0, Endpoint = 1, }
    PartyKind { Customer = 0, Address = 1, Payee = 2, Card = 3, }
    OrderState {
        Awaiting = 0, Partial = 1, Detected = 2, Confirming = 3, Paid = 4, Overpaid = 5, Expired = 6,
        Late = 7, Reversed = 8, Disputed = 9, Refunded = 10, Failed = 11, Cancelled = 12,
    }
    FactKind {
        Pending = 0, Paid = 1, Failed = 2, Refunded = 3, Disputed = 4, DisputeWon = 5,
        DisputeLost = 6, Seen = 7, Confirming = 8, Counted = 9, Gone = 10, Undone = 11,
    }
    State { Fresh = 0, Blocked = 1, Head = 2, Parked = 3, Delivered = 4, Dead = 5, }
    AttemptOutcome {
        Delivered = 0, Refused = 1, Gone = 2, Unreachable = 3, TimedOut = 4, Forbidden = 5,
        Unreadable = 6,
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not leased in this round.
    Fresh,
    /// Found behind its key's head; made fresh again when the head is out of the way.
    Blocked,
    /// Leased in this round; its key waits for it.
    Head,
    /// Failed so often that its key moved on.
    Parked,
    /// The endpoint answered 2xx.
    Delivered,
    /// Given up.
    Dead,
}

impl State {
    /// As it is told.
    pub(crate) fn status(self) -> DeliveryStatus {
        match self {
            Self::Fresh | Self::Blocked | Self::Head | Self::Parked => DeliveryStatus::Pending,
            Self::Delivered => DeliveryStatus::Delivered,
            Self::Dead => DeliveryStatus::Dead,
        }
    }
}

/// The verdicts, as the step that stopped the event, if one did.
pub(crate) fn failed(steps: Steps) -> Option<Code<Step>> {
    steps.failed().map(Code)
}

/// The verdicts from the stored step.
pub(crate) fn steps(failed: Option<Code<Step>>) -> Steps {
    failed.map_or(Steps::PASSED, |step| Steps::failed_at(step.0))
}
