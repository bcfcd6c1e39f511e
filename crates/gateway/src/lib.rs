//! The service: webhooks in, countersigned deliveries out, and the listener that watches over both.
//!
//! **In** is five steps, each of which takes what the one before made: *admit* (transport, address,
//! sizes, limits), *verify* (is it really the provider?), *read* (what does it say?), *decide* (may
//! it pass?), *record* (kept durably, once). Only then is a webhook acknowledged. **Out** leases
//! what was recorded, signs it again and delivers it, at least once.
//!
//! [`Gateway::start`] takes [`Settings`] (what the configuration means) and an open store; nothing
//! here reads the environment, or files but those of witnesses.

mod admin;
mod answer;
pub mod api;
pub mod api_keys;
mod auditing;
mod blocks;
mod chains;
mod clock;
mod entropy;
mod facts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inbound;
mod keys;
mod limit;
mod listener;
mod log_budget;
mod metrics;
pub mod operations;
pub mod operators;
mod orders;
mod outbound;
mod personal;
mod receipts;
mod refusal;
mod running;
mod secrets;
mod security_txt;
mod settings;
mod sharing;
pub mod shown;
mod tallies;
mod tls;
mod windows;

pub use self::chains::{Chain, ChainAsset, Node, Nodes, Watcher};
pub use auditing::{
    AuditLog, Auditing, BadMail, LogError, Mail, Placed, Sink, Syslog, Way, Witness, WitnessError,
};
pub use clock::Clock;
pub use facts::{Facts, KnownAs};
pub use inbound::{CertificateScript, Certificates, Fetch};
pub use keys::KeyError;
pub use orders::{
    Confirm, Counted, Kept, OrderFacts, OrderRules, Orders, Released, Vouches, WantedOrder,
};
pub use outbound::{Proxy, Resolver, Script};
pub use personal::Shown;
pub use receipts::ReceiptRefusal;
pub use refusal::Refusal;
pub use running::{Gateway, Running, StartError};
pub use security_txt::SecurityTxt;
pub use settings::{Endpoint, Format, Settings, Source};
pub use tls::{Identity, IdentityError, Tls};
#[cfg(feature = "redis")]
pub use windows::Redis;
pub use windows::Windows;
