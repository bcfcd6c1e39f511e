//! Audit entries: who changed what, when, in the transaction that changed it.

use audit::{Body, Change, Commitment, EntryError, Parts, Value};
use model::{
    ApiKeyId, ApprovalId, ArrivalId, BlockId, DeliveryId, EventId, EventStatus, OperatorId,
    OrderId, RequestId, Step, Timestamp,
};
use vault::KeyId;

use crate::error::Kind;
use crate::{Note, SealedRow, StoreError, Tally};

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
    /// An API key was created. The resource is the key.
    ApiKeyCreated = 6 "api_key.created",
    /// An API key got a successor, or its grace was cut short. The resource is the key.
    ApiKeyRolled = 7 "api_key.rolled",
    /// An API key was revoked. The resource is the key.
    ApiKeyRevoked = 8 "api_key.revoked",
    /// Arrivals were refused that look alike, counted. The resource is the source, if there is one.
    ArrivalsRefused = 9 "arrivals.refused",
    /// The audit log was read. The resource says what of it.
    LogRead = 10 "audit.read",
    /// The audit log was exported. The resource says what of it.
    LogExported = 11 "audit.exported",
    /// What an event says was shown in the clear. The resource is the event.
    EventRevealed = 12 "event.revealed",
    /// What operators sign in as was read. The resource says what of it.
    OperatorsRead = 26 "operators.read",
    /// An operator asked another one to approve something. The resource is the approval.
    ApprovalAsked = 27 "approval.asked",
    /// An operator approved what another one wants. The resource is the approval.
    ApprovalApproved = 28 "approval.approved",
    /// An operator refused what another one wants. The resource is the approval.
    ApprovalRefused = 29 "approval.refused",
    /// What was approved is done now. The resource is the approval.
    ApprovalUsed = 30 "approval.used",
    /// What operators want to be approved was read. The resource says what of it.
    ApprovalsRead = 31 "approvals.read",
    /// A key let somebody in, counted. The resource is the key.
    ApiKeyUsed = 24 "api_key.used",
    /// A key let nobody in, counted. The resource is the key, or `unknown` for what is none.
    ApiKeyRefused = 25 "api_key.refused",
    /// An operator was added. The resource is the operator.
    OperatorAdded = 13 "operator.added",
    /// An operator's role, state, password or seed was changed. The resource is the operator.
    OperatorChanged = 14 "operator.changed",
    /// Somebody signed in. The resource is the operator.
    SessionOpened = 15 "session.opened",
    /// Somebody was not signed in, or could not say who they are. The resource is the operator, or a
    /// keyed hash of whom they wanted to be.
    SessionRefused = 16 "session.refused",
    /// A session was ended, or all of an operator. The resource is the operator.
    SessionEnded = 17 "session.ended",
    /// Somebody who was signed in has said once more who they are. The resource is the operator.
    SessionConfirmed = 18 "session.confirmed",
    /// A secret was added. The resource is its source or endpoint.
    SecretAdded = 19 "secret.added",
    /// A secret was added, and those before it end. The resource is its source or endpoint.
    SecretRolled = 20 "secret.rolled",
    /// A secret was retired. The resource is its source or endpoint.
    SecretRetired = 21 "secret.retired",
    /// A real message was verified with a secret for the first time. The resource is its source.
    SecretProven = 22 "secret.proven",
    /// An order was created. The resource is the order.
    OrderCreated = 32 "order.created",
    /// An order changed, by what pays it or because somebody wanted it. The resource is the order.
    OrderChanged = 33 "order.changed",
    /// What is known of an order was shown in the clear. The resource is the order.
    OrderRevealed = 34 "order.revealed",
    /// A party was blocked. The resource is the block.
    BlockAdded = 35 "block.added",
    /// A block was lifted. The resource is the block.
    BlockLifted = 36 "block.lifted",
    /// Who is blocked was shown in the clear. The resource says what of it.
    BlocksRead = 37 "blocks.read",
    /// The gateway decided anew on an event: its order changed, or its provider answered. The resource is
    /// the event.
    DecidedAnew = 38 "event.decided_anew",
    /// A receipt was judged. The resource is the source whose provider signed it.
    ReceiptJudged = 39 "receipt.judged",
    /// A secret stands in the configuration now, or does not any more. The resource is its source or
    /// endpoint.
    SecretConfigured = 23 "secret.configured",
}

impl Action {
    /// What somebody does who approves or refuses what another one wants.
    pub(crate) const fn of_decision(is_approved: bool) -> Self {
        if is_approved { Self::ApprovalApproved } else { Self::ApprovalRefused }
    }
}

/// What an entry says of persons. The log has only commitments: salts and values are sealed beside
/// it, and can be erased without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal {
    /// From which network address.
    pub address: Option<Commitment>,
    /// With which user agent.
    pub agent: Option<Commitment>,
    /// What a person wrote about it.
    pub note: Option<Commitment>,
    /// Salts and values.
    pub sealed: SealedRow,
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
    pub outcome: &'static str,
    /// The request that asked for it, if one did.
    pub request: Option<RequestId>,
    /// What is different now: a JSON array of `[name, before, after]`.
    pub changes: String,
    /// What it says of persons.
    pub personal: Option<Personal>,
}

impl EntryRow {
    /// The entry as it stands in the log, but for its place.
    ///
    /// # Errors
    /// Somebody wrote it into the store by other means.
    pub fn body(&self) -> Result<Body, EntryError> {
        let request = self.request.map(|request| request.to_string());
        let personal = self.personal.as_ref();
        Body::from_parts(&Parts {
            time_ms: u64::try_from(self.at.as_millis()).unwrap_or(0),
            action: self.action.code(),
            outcome: self.outcome,
            actor: &self.actor,
            resource: &self.resource,
            changes: &self.changes,
            request: request.as_deref(),
            address: personal.and_then(|personal| personal.address),
            agent: personal.and_then(|personal| personal.agent),
            note: personal.and_then(|personal| personal.note),
        })
    }
}

/// Who the gateway is in the log, where the store has no actor.
pub(crate) const GATEWAY: &str = "gateway";

/// What is different now: names, what was before, and what is now.
pub(crate) type Changes<'a> = &'a [(&'a str, Option<&'a str>, Option<&'a str>)];

/// An entry to be written.
pub(crate) struct Entry<'a> {
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
    pub(crate) actor: Option<&'a str>,
    pub(crate) resource: &'a [u8],
    pub(crate) refused: bool,
    pub(crate) request: Option<RequestId>,
    pub(crate) changes: Option<String>,
    pub(crate) personal: Option<&'a Personal>,
}

impl<'a> Entry<'a> {
    /// An entry about what a person did.
    pub(crate) fn by_hand(
        action: Action,
        resource: &'a [u8],
        refused: bool,
        note: &'a Note,
        changes: Changes<'_>,
    ) -> Self {
        Self {
            at: note.at,
            action,
            actor: Some(&note.actor),
            resource,
            refused,
            request: Some(note.request),
            changes: Some(text(changes)),
            personal: note.personal.as_ref(),
        }
    }

    /// Refuses what could not be put into the log: the sealer would stand still before it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let row = EntryRow {
            sequence: 0,
            at: self.at,
            action: self.action,
            actor: self.actor.unwrap_or(GATEWAY).to_owned(),
            resource: resource(self.action, self.resource),
            outcome: outcome(self.refused),
            request: self.request,
            changes: self.changes.clone().unwrap_or_else(none),
            personal: self.personal.cloned(),
        };
        let unfit = |error| StoreError::with(Kind::AuditUnavailable, error);
        row.body().map(drop).map_err(unfit)
    }
}

/// What was refused, of arrivals that look alike but for their address.
pub(crate) struct Refused<'a> {
    source: Option<&'a str>,
    step: Step,
    reason: &'static str,
    count: u64,
    last_at: Timestamp,
}

impl Refused<'_> {
    /// The entry about it.
    pub(crate) fn entry(&self) -> Entry<'_> {
        let count = self.count.to_string();
        Entry {
            at: self.last_at,
            action: Action::ArrivalsRefused,
            actor: None,
            resource: self.source.unwrap_or_default().as_bytes(),
            refused: true,
            request: None,
            changes: Some(text(&[
                ("step", None, Some(self.step.code())),
                ("reason", None, Some(self.reason)),
                ("count", None, Some(&count)),
            ])),
            personal: None,
        }
    }
}

/// Refused arrivals by source and reason, added up over addresses: a flood is one entry.
pub(crate) fn refused(tallies: &[Tally]) -> Vec<Refused<'_>> {
    let mut all: Vec<Refused<'_>> = Vec::new();
    for tally in tallies.iter().filter(|tally| tally.event.is_none()) {
        let (source, step, reason) = (tally.source.as_deref(), tally.step, tally.reason);
        let count = u64::from(tally.count);
        let alike = |one: &&mut Refused<'_>| {
            one.source == source && one.step == step && one.reason == reason
        };
        match all.iter_mut().find(alike) {
            Some(one) => {
                one.count += count;
                one.last_at = one.last_at.max(tally.last_at);
            }
            None => all.push(Refused { source, step, reason, count, last_at: tally.last_at }),
        }
    }
    all
}

/// Changes as they are stored.
pub(crate) fn text(changes: Changes<'_>) -> String {
    let value =
        |text: Option<&str>| text.map_or(Value::Nothing, |text| Value::Text(text.to_owned()));
    let changes: Vec<Change> = changes
        .iter()
        .map(|(name, before, after)| Change {
            name: (*name).to_owned(),
            before: value(*before),
            after: value(*after),
        })
        .collect();
    Change::text(&changes)
}

/// What a person's decision about a held event changes.
pub(crate) fn decided<'a>(
    status: EventStatus,
    reason: (&'a str, Option<&'a str>, Option<&'a str>),
) -> [(&'a str, Option<&'a str>, Option<&'a str>); 2] {
    [("status", Some(EventStatus::Held.code()), Some(status.code())), reason]
}

/// No changes, as an entry has them.
pub(crate) fn none() -> String {
    "[]".to_owned()
}

/// How it ended, in a word.
pub(crate) fn outcome(refused: bool) -> &'static str {
    if refused { "refused" } else { "done" }
}

/// What an entry is about, as it is written elsewhere.
pub(crate) fn resource(action: Action, bytes: &[u8]) -> String {
    match (action, <[u8; 16]>::try_from(bytes)) {
        (Action::Recorded, Ok(id)) => ArrivalId::from_bytes(id).to_string(),
        (Action::Released | Action::Denied | Action::DecidedAnew, Ok(id)) => {
            EventId::from_bytes(id).to_string()
        }
        (Action::Redelivered, Ok(id)) => DeliveryId::from_bytes(id).to_string(),
        (
            Action::ApiKeyCreated
            | Action::ApiKeyRolled
            | Action::ApiKeyRevoked
            | Action::ApiKeyUsed
            | Action::ApiKeyRefused,
            Ok(id),
        ) => ApiKeyId::from_bytes(id).to_string(),
        (
            Action::OperatorAdded
            | Action::OperatorChanged
            | Action::SessionOpened
            | Action::SessionRefused
            | Action::SessionEnded
            | Action::SessionConfirmed,
            Ok(id),
        ) => OperatorId::from_bytes(id).to_string(),
        (Action::OrderCreated | Action::OrderChanged, Ok(id)) => {
            OrderId::from_bytes(id).to_string()
        }
        (
            Action::ApprovalAsked
            | Action::ApprovalApproved
            | Action::ApprovalRefused
            | Action::ApprovalUsed,
            Ok(id),
        ) => ApprovalId::from_bytes(id).to_string(),
        (Action::BlockAdded | Action::BlockLifted, Ok(id)) => BlockId::from_bytes(id).to_string(),
        (Action::KeyAdded, Ok(id)) => format!("{:?}", KeyId(id)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A commitment as it is stored, read back.
pub(crate) fn commitment(bytes: Option<[u8; 32]>) -> Option<Commitment> {
    bytes.map(|bytes| Commitment(audit::Hash(bytes)))
}
