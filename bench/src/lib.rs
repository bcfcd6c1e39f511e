//! What the gateway is measured and broken with: load, a baseline, an application, kills.
//!
//! Nothing here is part of the product. The pieces, in the order in which a measurement uses them:
//!
//! - [`stripe`] makes 1 KiB Stripe events and signs each one anew;
//! - [`server`] starts a server process, waits until it is ready, and reads its CPU time and
//!   memory from the kernel; [`deployment`] writes the configuration that a gateway starts with;
//! - [`bare`] is the *bare receiver*: the least that verifies a signature and keeps the event
//!   durably (hyper, one HMAC, one group-committed insert). It does nothing else, so the ratio to
//!   it is the price of everything else;
//! - [`postgres`] starts database servers, with a standby if one is wanted;
//! - [`proxy`] stands before one and loses connections at their commits;
//! - [`peers`] are receivers as they are commonly written;
//! - [`load`] offers events over kept connections, in a closed or an open loop;
//! - [`application`] takes the deliveries and counts them by `webhook-id`;
//! - [`crash`] kills a gateway under load, again and again, and compares what it acknowledged with
//!   what it kept and delivered;
//! - [`replicas`] does it to several gateways on one database;
//! - [`forgetful`] is a disk that forgets what was not synced, and [`power`] cuts its power under a
//!   gateway's load;
//! - [`full`] fills the [`disk`] under a gateway, and sees what it still does;
//! - [`refused`] lets the n-th system call of a gateway fail, [`failpoints`] a place of its code;
//! - [`hostile`] sends what two readers could read in two ways, and looks what becomes of it;
//! - [`preload`] fills a store with many events quickly;
//! - [`prove`] puts them together into claims, one JSON line each.

pub mod application;
pub mod bare;
pub mod clock;
pub mod crash;
pub mod deployment;
pub mod disk;
pub mod failpoints;
pub mod forgetful;
pub mod full;
pub mod hostile;
pub mod load;
pub mod peers;
pub mod postgres;
pub mod power;
pub mod preload;
pub mod prove;
pub mod proxy;
pub mod refused;
pub mod replicas;
pub mod server;
pub mod stripe;
pub mod timing;
mod wire;
