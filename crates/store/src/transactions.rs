//! Transactions by name, and how they ended: every one is counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::command::Command;

/// The transactions of one name since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionCount {
    /// The name.
    pub name: &'static str,
    /// Those that took effect.
    pub committed: u64,
    /// How often one was tried again.
    pub retried: u64,
    /// Those that were given up: nothing of them took effect, or it is not known.
    pub failed: u64,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Committed,
    Retried,
    Failed,
}

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a transaction does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Name { $($(#[$doc])* $variant,)* }

        impl Name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

names! {
    /// Arrivals.
    Record = "record",
    /// Refused and duplicate arrivals.
    Tally = "tally",
    /// A data key.
    AddKey = "add_key",
    /// Deliveries to be tried.
    Lease = "lease",
    /// Attempts.
    Settle = "settle",
    /// An endpoint that is paused, resumed or left alone.
    Endpoint = "endpoint",
    /// A held event that may pass.
    Release = "release",
    /// A held event that may not.
    Deny = "deny",
    /// Deliveries that are set going again.
    Redeliver = "redeliver",
    /// What is forgotten.
    Sweep = "sweep",
    /// What is old enough to be deleted.
    Retain = "retain",
    /// Whether a commit is possible.
    Probe = "probe",
    /// Who does what one does for all.
    Duty = "duty",
    /// An API key that is created, rolled or revoked.
    ApiKey = "api_key",
    /// How API keys were used.
    ApiKeyUses = "api_key_uses",
    /// A block that is added or lifted.
    Block = "block",
    /// An order that is created.
    Order = "order",
    /// What pays orders, and how they change with it.
    Payment = "payment",
    /// A receipt that is taken.
    Receipt = "receipt",
    /// Events that may be decided on anew, taken or put off.
    Undecided = "undecided",
    /// An operator who is added or changed.
    Operator = "operator",
    /// What an operator asks another one to approve, decided on or used.
    Approval = "approval",
    /// A session that is opened, goes on or ends.
    Session = "session",
    /// When sessions were used.
    SessionUses = "session_uses",
    /// Shared windows.
    Window = "window",
    /// Requests that take effect once.
    Idempotency = "idempotency",
    /// Partitions that are made or dropped.
    Partition = "partition",
    /// A secret that is added, retired, or first used.
    Secret = "secret",
    /// Audit entries that get their place in the log, or went to a sink.
    Seal = "seal",
    /// An audit entry of its own.
    Deed = "deed",
    /// A part of a copy of another store.
    Copy = "copy",
}

impl Name {
    /// The name of the transaction that a command is, or nothing of those that are none.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::Record(_) => Self::Record,
            Command::Tally(_) => Self::Tally,
            Command::AddKey(_) => Self::AddKey,
            Command::Lease(_) => Self::Lease,
            Command::Settle(_) => Self::Settle,
            Command::SetEndpointState { .. } | Command::SetEndpointRest { .. } => Self::Endpoint,
            Command::Release { .. } => Self::Release,
            Command::Deny { .. } => Self::Deny,
            Command::Redeliver { .. } => Self::Redeliver,
            Command::Sweep { .. } => Self::Sweep,
            Command::Retain(_) | Command::ForgetSessions { .. } => Self::Retain,
            Command::Probe => Self::Probe,
            Command::CreateApiKey { .. }
            | Command::RollApiKey { .. }
            | Command::RevokeApiKey { .. }
            | Command::RevokeApiKeys { .. } => Self::ApiKey,
            Command::NoteApiKeyUses(_) => Self::ApiKeyUses,
            Command::AddBlock(..) | Command::LiftBlock { .. } => Self::Block,
            Command::CreateOrder(..) => Self::Order,
            Command::ChangeOrders(_) => Self::Payment,
            Command::TakeReceipt(..) => Self::Receipt,
            Command::TakeUndecided(_) | Command::PutOff(..) => Self::Undecided,
            Command::AddOperator { .. } | Command::ChangeOperator { .. } => Self::Operator,
            Command::AskApproval { .. }
            | Command::DecideApproval { .. }
            | Command::UseApproval { .. } => Self::Approval,
            Command::OpenSession { .. }
            | Command::EndSession { .. }
            | Command::EndSessions { .. } => Self::Session,
            Command::NoteSessionUses(_) => Self::SessionUses,
            Command::TakeDuty(_) | Command::ReleaseDuty { .. } => Self::Duty,
            Command::CountWindows { .. } => Self::Window,
            Command::ClaimRequest(_) | Command::KeepAnswer { .. } | Command::GiveUpClaim { .. } => {
                Self::Idempotency
            }
            Command::EnsurePartitions | Command::DropPartitions { .. } => Self::Partition,
            Command::Seal(_) | Command::MarkSink { .. } => Self::Seal,
            Command::AddSecret(..)
            | Command::RetireSecret(_)
            | Command::SeeConfigured(_)
            | Command::ProveSecret { .. } => Self::Secret,
            Command::Deed(_) => Self::Deed,
            Command::Copy(_) => Self::Copy,
            Command::KeepReserve | Command::Close => return None,
        })
    }
}

/// The counts of one store.
#[derive(Debug)]
pub(crate) struct Transactions(Vec<[AtomicU64; 3]>);

impl Default for Transactions {
    fn default() -> Self {
        Self(Name::ALL.iter().map(|_| Default::default()).collect())
    }
}

impl Transactions {
    pub(crate) fn count(&self, name: Name, ended: Ended, times: u64) {
        let of_name = self.0.get(name as usize);
        if let Some(count) = of_name.and_then(|counts| counts.get(ended as usize)) {
            count.fetch_add(times, Ordering::Relaxed);
        }
    }

    pub(crate) fn all(&self) -> Vec<TransactionCount> {
        let all = Name::ALL.iter().zip(&self.0);
        all.map(|(name, [committed, retried, failed])| TransactionCount {
            name: name.text(),
            committed: committed.load(Ordering::Relaxed),
            retried: retried.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
        })
        .collect()
    }
}
