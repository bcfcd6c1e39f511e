//! Audit entries: who changed what, when, in the transaction that changed it.

use model::{ArrivalId, DeliveryId, EventId, RequestId, Timestamp};
use vault::KeyId;

use crate::Note;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $code:literal,)*) => {
        /// What an audit entry is about. The numbers are stored: they never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            pub(crate) const fn number(self) -> i64 {
                match self { $(Self::$variant => $number,)* }
            }

            pub(crate) const fn of_number(number: i64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    /// An arrival was recorded. The resource is the arrival.
    Recorded = 0 "arrival.recorded",
    /// A held event was released. The resource is the event.
    Released = 1 "event.released",
    /// A held event was denied. The resource is the event.
    Denied = 2 "event.denied",
    /// A delivery was set going again. The resource is the delivery.
    Redelivered = 3 "delivery.redelivered",
    /// An endpoint was paused, resumed or disabled. The resource is the endpoint's name.
    EndpointChanged = 4 "endpoint.changed",
    /// A data key was added. The resource is the key.
    KeyAdded = 5 "key.added",
}

/// An audit entry as it was written. Entries are only ever added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Grows from entry to entry.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// Who; `gateway` for what it does by itself.
    pub actor: String,
    /// On what: an id or a name.
    pub resource: String,
    /// How it ended.
    pub outcome: String,
    /// The request that asked for it, if one did.
    pub request: Option<RequestId>,
    /// More about it, never anything personal.
    pub detail: Option<String>,
}

/// Who the gateway is in the log, where the store has no actor.
pub(crate) const GATEWAY: &str = "gateway";

/// An entry to be written.
pub(crate) struct Entry<'a> {
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
    pub(crate) actor: Option<&'a str>,
    pub(crate) resource: &'a [u8],
    pub(crate) refused: bool,
    pub(crate) request: Option<RequestId>,
    pub(crate) detail: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// An entry about what a person did.
    pub(crate) fn by_hand(
        action: Action,
        resource: &'a [u8],
        refused: bool,
        note: &'a Note,
        detail: &'a str,
    ) -> Self {
        Self {
            at: note.at,
            action,
            actor: Some(&note.actor),
            resource,
            refused,
            request: Some(note.request),
            detail: Some(detail),
        }
    }
}

impl Note {
    /// What stands in the log: how it was before, and why it was changed.
    pub(crate) fn detail(&self, before: &str) -> String {
        format!("{before}: {}", self.reason)
    }
}

/// How it ended, in a word.
pub(crate) fn outcome(refused: bool) -> String {
    if refused { "refused" } else { "done" }.to_owned()
}

/// What an entry is about, as it is written elsewhere.
pub(crate) fn resource(action: Action, bytes: &[u8]) -> String {
    match (action, <[u8; 16]>::try_from(bytes)) {
        (Action::Recorded, Ok(id)) => ArrivalId::from_bytes(id).to_string(),
        (Action::Released | Action::Denied, Ok(id)) => EventId::from_bytes(id).to_string(),
        (Action::Redelivered, Ok(id)) => DeliveryId::from_bytes(id).to_string(),
        (Action::KeyAdded, Ok(id)) => format!("{:?}", KeyId(id)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
