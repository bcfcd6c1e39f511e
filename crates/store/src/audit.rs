//! Audit entries: who changed what, when, in the transaction that changed it.

use model::{RequestId, Timestamp};

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
