//! The gateway as it runs: real listeners, a real store, a clock that the test sets, and an
//! application that answers what it is told to. Each backend runs all of it: `sqlite.rs` and
//! `postgres.rs` beside this folder say how its stores are opened, in `backend()`.

mod admin_api;
mod admin_approvals;
mod admin_blocks;
mod admin_operators;
pub(crate) mod api;
pub(crate) mod api_keys;
pub(crate) mod application;
pub(crate) mod auditing;
mod certificates;
mod certified;
mod deliveries;
mod encrypted;
pub(crate) mod harness;
pub(crate) mod headers;
mod inbound;
mod neighbours;
pub(crate) mod operations;
mod outage;
mod partial;
mod plain;
mod proxied;
pub(crate) mod receipts;
mod redaction;
mod refusals;
mod secrets;
mod security_txt;
mod ssrf;
mod tunnelled;
