//! The audit log as this gateway keeps it: entries get their place, checkpoints are signed and go to
//! witnesses, and whoever asks reads and proves what is there.

use std::time::Duration;

mod keeper;
mod mail;
mod reader;
mod sink;
mod syslog;
mod witness;

pub(crate) use keeper::Keeper;
pub use mail::{BadMail, Mail};
pub use reader::{AuditLog, LogError, Placed};
pub(crate) use sink::Shipper;
pub use sink::{Sink, Way};
pub use syslog::Syslog;
pub use witness::{Witness, WitnessError};

/// What the configuration says of the audit log.
#[derive(Debug, Clone)]
pub struct Auditing {
    /// What the log is called; without it, after its key.
    pub origin: Option<String>,
    /// Where checkpoints go.
    pub witnesses: Vec<Witness>,
    /// How often.
    pub witness_every: Duration,
    /// Where entries go.
    pub sinks: Vec<Sink>,
}

impl Default for Auditing {
    fn default() -> Self {
        Self {
            origin: None,
            witnesses: Vec::new(),
            witness_every: Duration::from_secs(60),
            sinks: Vec::new(),
        }
    }
}
