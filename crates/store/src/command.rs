//! The commands of the writer: plain data in, plain data out, so that a batch can be run again.

use model::api_key::Cause;
use model::{ApiKeyId, BlockId, DeliveryId, EventId, OperatorId, SecretId, Timestamp};
use tokio::sync::oneshot;

use crate::approval::{Decision, Use};
use crate::copy::{Begun, CopyCommand};
use crate::duty::Duty;
use crate::retention::{Slice, Sliced};
use crate::secret::{Configured, NewSecret, Retire, SecretAdded, SecretRetired};
use crate::{
    ApiKeyChanged, ApiKeyUse, ApprovalJudged, BlockChanged, Changed, Claimed, Deed, EndpointState,
    IdempotencyClaim, Later, LeaseRequest, Leased, NewApiKey, NewApproval, NewBlock, NewDelivery,
    NewKey, NewOperator, NewOrder, NewReceipt, NewSession, Note, OperatorChange, OperatorChanged,
    OrderChanges, OrderCreated, OrdersChanged, PartitionClass, ReceiptTaken, Record, Recorded,
    Seal, SealedRow, SessionOpened, Settle, Settled, StoreError, Successor, TakeUndecided, Tally,
    Undecided, WindowAdd, WindowCounts,
};

/// Something that changes the store. Each is all or nothing.
#[derive(Debug)]
pub(crate) enum Command {
    Record(Record),
    Tally(Vec<Tally>),
    AddKey(NewKey),
    Lease(LeaseRequest),
    Settle(Settle),
    SetEndpointState {
        endpoint: String,
        state: EndpointState,
        note: Note,
    },
    SetEndpointRest {
        endpoint: String,
        until: Option<Timestamp>,
    },
    Release {
        event: EventId,
        note: Note,
        deliveries: Vec<NewDelivery>,
    },
    Deny {
        event: EventId,
        note: Note,
    },
    Redeliver {
        deliveries: Vec<DeliveryId>,
        note: Note,
    },
    /// Forgets dedup keys that no longer count.
    Sweep {
        now: Timestamp,
    },
    /// Deletes a slice of what is old enough, where it does not stand in partitions.
    Retain(Slice),
    CreateApiKey {
        key: NewApiKey,
        note: Note,
    },
    RollApiKey {
        old: ApiKeyId,
        new: Successor,
        note: Note,
    },
    RevokeApiKey {
        id: ApiKeyId,
        cause: Cause,
        note: Note,
    },
    RevokeApiKeys {
        cause: Cause,
        note: Note,
    },
    NoteApiKeyUses(Vec<ApiKeyUse>),
    AddOperator {
        operator: NewOperator,
        note: Note,
    },
    ChangeOperator {
        id: OperatorId,
        change: OperatorChange,
        /// It is refused if it might lock out the last administrator.
        spares_last: bool,
        note: Note,
    },
    OpenSession {
        session: NewSession,
        note: Note,
    },
    AskApproval {
        approval: NewApproval,
        note: Note,
    },
    DecideApproval {
        decision: Decision,
        note: Note,
    },
    UseApproval {
        wanted: Use,
        note: Note,
    },
    /// Hashes of tokens, and when each was used.
    NoteSessionUses(Vec<([u8; 16], Timestamp)>),
    EndSession {
        token_hash: [u8; 16],
        note: Note,
    },
    EndSessions {
        operator: OperatorId,
        note: Note,
    },
    /// Deletes sessions that were over before a time, a bounded number.
    ForgetSessions {
        before: Timestamp,
    },
    AddBlock(Box<NewBlock>, Note),
    LiftBlock {
        id: BlockId,
        note: Note,
    },
    CreateOrder(Box<NewOrder>, Note),
    /// Takes events that may be decided on anew.
    TakeUndecided(TakeUndecided),
    PutOff(Undecided, Later),
    /// Records what pays orders, and changes them.
    ChangeOrders(Box<OrderChanges>),
    /// Takes a receipt, unless its transaction answers another request.
    TakeReceipt(NewReceipt, Box<Deed>),
    TakeDuty(Duty),
    ReleaseDuty {
        name: String,
        holder: [u8; 16],
    },
    CountWindows {
        name: String,
        adds: Vec<WindowAdd>,
    },
    /// Claims a request that takes effect once.
    ClaimRequest(IdempotencyClaim),
    /// Keeps the answer to it.
    KeepAnswer {
        key: [u8; 16],
        holder: [u8; 16],
        answer: SealedRow,
    },
    /// Nothing was done: it may be claimed again.
    GiveUpClaim {
        key: [u8; 16],
        holder: [u8; 16],
    },
    /// Makes the partitions of the next weeks, where there are any.
    EnsurePartitions,
    /// Drops partitions that are no longer needed, where there are any.
    DropPartitions {
        class: PartitionClass,
        before: Timestamp,
    },
    AddSecret(NewSecret, Note),
    RetireSecret(Retire),
    SeeConfigured(Configured),
    ProveSecret {
        id: SecretId,
        at: Timestamp,
    },
    /// Gives entries their place in the audit log.
    Seal(Seal),
    /// Notes until where a sink has got entries.
    MarkSink {
        name: String,
        size: u64,
    },
    /// Writes an audit entry about what leaves no other trace.
    Deed(Deed),
    /// Takes in a part of a copy of another store.
    Copy(CopyCommand),
    /// Changes a row of no meaning, to see that a commit is possible.
    Probe,
    /// Sees that the reserve on the disk stands, or makes it.
    KeepReserve,
    /// The last one: what waits is still done, then the writer ends.
    Close,
}

/// What a command gave.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Recorded(Recorded),
    Key(NewKey),
    Claims(Vec<Claim>),
    Leased(Vec<Leased>),
    Settled(Settled),
    Changed(Changed),
    ApiKeyChanged(ApiKeyChanged),
    OperatorChanged(OperatorChanged),
    SessionOpened(SessionOpened),
    BlockChanged(BlockChanged),
    OrderCreated(OrderCreated),
    OrdersChanged(OrdersChanged),
    ReceiptTaken(ReceiptTaken),
    Undecided(Vec<Undecided>),
    ApprovalJudged(ApprovalJudged),
    Count(usize),
    SecretAdded(SecretAdded),
    SecretRetired(SecretRetired),
    /// Whether the log was as long as whoever sealed believed.
    Sealed(bool),
    /// The fence of a duty that was taken.
    Duty(Option<i64>),
    Windows(Vec<WindowCounts>),
    Claimed(Claimed),
    Sliced(Sliced),
    /// How far a copy has come.
    Begun(Begun),
    /// Dedup keys that were forgotten, and whether more wait.
    Swept {
        forgotten: usize,
        more: bool,
    },
}

/// A lease as the writer gives it; the event and its body are read afterwards.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) delivery: DeliveryId,
    pub(crate) fence: i64,
    pub(crate) attempt: u32,
    pub(crate) endpoint: String,
    pub(crate) sequence: i64,
}

/// A command and where its answer goes, once it is durable.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Result<Answer, StoreError>>,
}
