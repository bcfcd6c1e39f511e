//! The nouns of the gateway and their state machines.
//!
//! Everything here is pure: no clock, no randomness, no I/O. Time and random bytes come in as
//! parameters, so that every state machine can be tested without waiting.

pub mod access;
pub mod api_key;
pub mod block;
pub mod breaker;
pub mod delivery;
pub mod destination;
pub mod event;
pub mod id;
pub mod limits;
pub mod money;
pub mod operator;
pub mod order;
pub mod rate;
pub mod retry;
pub mod secret;
pub mod time;

pub use access::{Permission, Reach, Role};
pub use delivery::{AttemptOutcome, DeliveryStatus};
pub use event::{Covers, Environment, EventStatus, Quarantine, Step, Steps, Verdict};
pub use id::{
    ApiKeyId, ApprovalId, ArrivalId, AttemptId, BlockId, DeliveryId, EventId, OperatorId, OrderId,
    RequestId, SecretId,
};
pub use money::Money;
pub use order::OrderState;
pub use time::Timestamp;
