//! Why the store could not be opened, or could not do what it was asked.

use std::fmt;

/// Why a command failed. Nothing of it took effect, unless [`StoreError::is_poisoned`] or
/// [`StoreError::is_commit_unknown`] says that this is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    kind: Kind,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Full,
    Overloaded,
    Busy,
    Corrupt,
    Poisoned,
    Closed,
    UnknownKey,
    NotDeliverable,
    TooManyDeliveries,
    Constraint,
    Io,
    Unavailable,
    CommitUnknown,
    CopyDisturbed,
    AuditUnavailable,
    Ordered,
    Internal,
}

impl StoreError {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, detail: String::new() }
    }

    pub(crate) fn with(kind: Kind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string() }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The disk is full: try again when there is room.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Too much waits already, or another process holds the store: try again soon.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.kind, Kind::Overloaded | Kind::Busy)
    }

    /// Somebody else was first too often.
    pub fn busy() -> Self {
        Self::new(Kind::Busy)
    }

    /// What is stored cannot be read.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Whether the last commits are durable is not known: the process must end, and what the next
    /// start finds is what counts.
    pub fn is_poisoned(&self) -> bool {
        self.kind == Kind::Poisoned
    }

    /// The store's server is away, or too slow: it is asked again by itself, and what was refused
    /// meanwhile may be sent again.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::CommitUnknown)
    }

    /// What was asked for would have left no audit entry, so it was not done.
    pub fn is_audit_unavailable(&self) -> bool {
        self.kind == Kind::AuditUnavailable
    }

    /// An event names an order that was not there when it was decided on: look for it, decide again.
    pub fn is_ordered(&self) -> bool {
        self.kind == Kind::Ordered
    }

    /// The connection was lost while the commit was under way, and whether it took effect could not
    /// be found out. A webhook that comes again is recognized if it did.
    pub fn is_commit_unknown(&self) -> bool {
        self.kind == Kind::CommitUnknown
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Full => "store_full",
            Kind::Overloaded => "store_overloaded",
            Kind::Busy => "store_busy",
            Kind::Corrupt => "store_corrupt",
            Kind::Poisoned => "store_poisoned",
            Kind::Closed => "store_closed",
            Kind::UnknownKey => "store_unknown_key",
            Kind::NotDeliverable => "store_not_deliverable",
            Kind::TooManyDeliveries => "store_too_many_deliveries",
            Kind::Constraint => "store_constraint",
            Kind::Io => "store_io",
            Kind::Unavailable => "store_unavailable",
            Kind::CommitUnknown => "store_commit_unknown",
            Kind::CopyDisturbed => "store_copy_disturbed",
            Kind::AuditUnavailable => "audit_unavailable",
            Kind::Ordered => "store_ordered",
            Kind::Internal => "store_internal",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Full => "the disk is full: make room, the store goes on by itself",
            Kind::Overloaded => "too many commands wait for the store: try again soon",
            Kind::Busy => "another process holds the store: end it, or try again soon",
            Kind::Corrupt => "the store's file is damaged: restore it from a backup",
            Kind::Poisoned => {
                "the disk failed to make a commit durable: check the disk, then start again"
            }
            Kind::Closed => "the store is closed: start again",
            Kind::UnknownKey => "sealed under a data key that is not kept: record the key first",
            Kind::NotDeliverable => "only an accepted event may have deliveries",
            Kind::TooManyDeliveries => "an event may have at most 1024 deliveries",
            Kind::Constraint => "the store refuses an id that it holds already",
            Kind::Io => "the disk cannot be read or written: check the disk and its permissions",
            Kind::Unavailable => {
                "the store's server is away or too slow: see that it runs, the store goes on by itself"
            }
            Kind::CommitUnknown => {
                "the store's server went away during a commit: see whether it took effect, then \
                 try again"
            }
            Kind::CopyDisturbed => "another copy into this store is under way: let one of them go on",
            Kind::AuditUnavailable => {
                "the audit entry cannot be written, so nothing was done: see the store's log"
            }
            Kind::Ordered => "an event names an order that came meanwhile: decide again",
            Kind::Internal => "the store failed: report this with the code that follows",
        })?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for StoreError {}

/// Why a store could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenError {
    /// Another gateway has it open.
    InUse,
    /// There is no store at this place, and only the gateway makes one.
    NotFound,
    /// The folder or the file cannot be read and written.
    NotWritable,
    /// The file is damaged, or not a database.
    Corrupt,
    /// A database, but not one of this program.
    Foreign,
    /// Made by a newer version.
    NewerSchema,
    /// Made by an older version, and only the gateway migrates it.
    OlderSchema,
    /// A migration that this version knows by the same number was another one.
    UnknownSchema,
    /// The disk is full.
    Full,
    /// Another process holds it.
    Busy,
    /// The server cannot be reached.
    Unreachable,
    /// The server refuses the user, or what the user has to do.
    Denied,
    /// The URL is not one of PostgreSQL.
    BadUrl,
    /// A certificate or key cannot be read.
    BadCertificate,
    /// The connection would be in the clear, and to another machine.
    Plaintext,
    /// The server is of a version that is too old.
    TooOld,
    /// There is no role of the name under which the gateway is to serve.
    UnknownRole,
    /// It is the target of a copy that is not finished.
    HalfCopied,
    /// The system refused something else, such as a thread.
    Failed,
}

impl OpenError {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::InUse,
        Self::NotFound,
        Self::NotWritable,
        Self::Corrupt,
        Self::Foreign,
        Self::NewerSchema,
        Self::OlderSchema,
        Self::UnknownSchema,
        Self::Full,
        Self::Busy,
        Self::Unreachable,
        Self::Denied,
        Self::BadUrl,
        Self::BadCertificate,
        Self::Plaintext,
        Self::TooOld,
        Self::UnknownRole,
        Self::HalfCopied,
        Self::Failed,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InUse => "store_in_use",
            Self::NotFound => "store_not_found",
            Self::NotWritable => "store_not_writable",
            Self::Corrupt => "store_corrupt",
            Self::Foreign => "store_foreign",
            Self::NewerSchema => "store_newer_schema",
            Self::OlderSchema => "store_older_schema",
            Self::UnknownSchema => "store_unknown_schema",
            Self::Full => "store_full",
            Self::Busy => "store_busy",
            Self::Unreachable => "store_unreachable",
            Self::Denied => "store_denied",
            Self::BadUrl => "store_bad_url",
            Self::BadCertificate => "store_bad_certificate",
            Self::Plaintext => "store_plaintext",
            Self::TooOld => "store_too_old",
            Self::UnknownRole => "store_unknown_role",
            Self::HalfCopied => "store_half_copied",
            Self::Failed => "store_failed",
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => {
                "another gateway has this store open: end it, or give this one a store of its own"
            }
            Self::NotFound => "there is no store here yet: start the gateway once, it makes one",
            Self::NotWritable => {
                "the store's file or folder cannot be read and written: see that it exists and \
                 belongs to the user that runs this"
            }
            Self::Corrupt => "the file is damaged or not a database: restore it from a backup",
            Self::Foreign => {
                "the file is a database of another program: give the store a file of its own"
            }
            Self::NewerSchema => {
                "the store was made by a newer version: use that version, or restore an older backup"
            }
            Self::OlderSchema => {
                "the store was made by an older version: start the gateway once, it migrates it; \
                 PostgreSQL is migrated by `countersign migrate`"
            }
            Self::UnknownSchema => {
                "the store was made by a version that is not an ancestor of this one: use the \
                 version that made it"
            }
            Self::Full => "the disk is full: make room and start again",
            Self::Busy => "another process holds the store: end it and start again",
            Self::Unreachable => {
                "the store's server cannot be reached: see that it runs and that its URL is right"
            }
            Self::Denied => {
                "the store's server refuses the user: see its password and its rights, which \
                 `countersign migrate` grants"
            }
            Self::BadUrl => {
                "the store's URL cannot be read: write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
            }
            Self::BadCertificate => {
                "a certificate or key for the store's server cannot be read: give PEM"
            }
            Self::Plaintext => {
                "the connection to the store's server would be in the clear: use \
                 sslmode=verify-full, or allow it by name"
            }
            Self::TooOld => "the store's server is too old: use PostgreSQL 15 or newer",
            Self::UnknownRole => {
                "the serving role does not exist: make it with CREATE ROLE, then migrate again"
            }
            Self::HalfCopied => {
                "the store is a copy that is not finished: end it with \
                 `countersign store copy --finish`"
            }
            Self::Failed => "the system refused to open the store: see its log and start again",
        })
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_error_has_its_code_and_says_what_to_do() {
        let mut codes: Vec<_> = OpenError::ALL.iter().map(|error| error.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), OpenError::ALL.len());
        for error in OpenError::ALL {
            assert!(error.to_string().contains(": "), "{error}");
        }
    }

    #[test]
    fn predicates_follow_the_kind() {
        assert!(StoreError::new(Kind::Full).is_full());
        assert!(StoreError::new(Kind::Overloaded).is_overloaded());
        assert!(StoreError::new(Kind::Busy).is_overloaded());
        assert!(StoreError::new(Kind::Corrupt).is_corrupt());
        assert!(StoreError::new(Kind::Poisoned).is_poisoned());
        assert!(StoreError::new(Kind::Unavailable).is_unavailable());
        let unknown = StoreError::new(Kind::CommitUnknown);
        assert!(unknown.is_unavailable() && unknown.is_commit_unknown());
        assert!(!StoreError::new(Kind::Unavailable).is_commit_unknown());
        assert!(!StoreError::new(Kind::Io).is_full());
        assert_eq!(StoreError::with(Kind::Io, "extended code 778").code(), "store_io");
    }
}
