//! The gateway as it runs: real listeners, a real store, a clock that the test sets, and an
//! application that answers what it is told to.

mod application;
mod certificates;
mod deliveries;
mod encrypted;
mod harness;
mod inbound;
mod neighbours;
mod operations;
mod outage;
mod plain;
mod proxied;
mod redaction;
mod refusals;
mod rot;
mod ssrf;
mod tunnelled;
