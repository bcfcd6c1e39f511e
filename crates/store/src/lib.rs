//! The only crate with SQL: named transactions over SQLite or PostgreSQL.
//!
//! The cast: an arrival is **recorded** in one transaction with its events, their dedup keys, their
//! **deliveries** and an audit entry. Deliveries are **leased** with a fencing token, tried, and
//! **settled** with their attempt. Refused and duplicate arrivals are **tallied**. What a person does
//! to an event or a delivery is a command like any other, and leaves an audit entry or fails.
//!
//! A transaction is plain data in, plain data out: never a closure, never a handle. Answers come
//! after the commit is durable. Everything that could name a person comes in sealed
//! ([`vault::Sealed`]); plaintext at rest is a type error.
//!
//! Backends are variants of [`Store`]; the suite in `tests/conformance` says what each must keep.

mod api_key;
mod approval;
mod audit;
mod block;
mod chain;
mod codes;
mod columns;
mod command;
mod copy;
mod delivery;
mod duty;
mod error;
mod event;
mod idempotency;
mod log;
mod memory;
mod operator;
mod options;
mod order;
mod partition;
mod postgres;
mod receipt;
mod record;
mod retention;
mod schema;
mod secret;
mod slots;
mod sqlite;
mod store;
mod transactions;
mod undecided;
mod window;

pub use api_key::{ApiKeyChanged, ApiKeyRow, ApiKeyUse, NewApiKey, Successor};
pub use approval::{ApprovalJudged, ApprovalRow, NewApproval, Party};
pub use audit::{Action, EntryRow, Personal};
pub use block::{BlockChanged, BlockQuery, BlockRow, NewBlock, StandingBlock};
pub use chain::{ChainChange, ChainRow, NewWatch};
pub use copy::{
    CopiedTable, CopyError, CopyStage, Paged, Side, StoreCopy, TableCompared, TableProgress,
};
pub use delivery::{
    AttemptRow, DeliveryQuery, DeliveryRow, EndpointState, LeaseRequest, Leased, NewDelivery,
    Settle, Settled, Then,
};
pub use error::{OpenError, StoreError};
pub use event::{Changed, Counts, EventQuery, EventRow, Note, TallyRow};
pub use idempotency::{Claimed, IdempotencyClaim};
pub use log::{CheckpointRow, Deed, LogHead, LogTile, Seal};
pub use operator::{
    NewOperator, NewSession, OperatorChange, OperatorChanged, OperatorRow, SessionOpened,
    SessionRow,
};
pub use options::{Options, Synchronous};
pub use order::{
    NewOrder, OrderChange, OrderChanges, OrderCreated, OrderQuery, OrderRow, OrdersChanged,
};
pub use partition::PartitionClass;
pub use postgres::{MigrationName, PostgresOptions, ServerWarning};
pub use receipt::{NewReceipt, ReceiptTaken};
pub use record::{
    KeyKind, NewEvent, NewKey, Outcome, Record, Recorded, SealedRow, StoredKey, Tally,
};
pub use retention::{BODIES_DAYS_MIN, DELIVERIES_DAYS_MIN, EVENTS_DAYS_MIN, Removed, Retention};
pub use secret::{Configured, NewSecret, SecretAdded, SecretRetired, SecretRow};
pub use store::Store;
pub use transactions::TransactionCount;
pub use undecided::{Anew, Awaits, Later, TakeUndecided, Undecided};
pub use window::{WindowAdd, WindowCounts};
