//! What PostgreSQL's errors mean here, and whether trying again is of use.

use std::error::Error as _;
use std::io::ErrorKind;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::Kind;
use crate::{OpenError, StoreError};

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// What trying again would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The same: it is the command's own.
    Own,
    /// Succeed, most likely: another transaction was in the way.
    InTheWay,
    /// Succeed, perhaps, on another connection: this one is gone.
    Lost,
    /// Take as long again, or be refused again: the server is slow, full or away.
    Away,
}

/// A [`StoreError`] on its way out.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) class: Class,
}

impl Failure {
    /// The server cannot be reached now.
    pub(super) fn away(detail: &str) -> Self {
        Self { error: StoreError::with(Kind::Unavailable, detail), class: Class::Away }
    }

    /// The connection is gone.
    pub(super) fn lost(detail: &str) -> Self {
        Self { error: StoreError::with(Kind::Unavailable, detail), class: Class::Lost }
    }

    /// What was read is not what the schema and the checks allow.
    pub(super) fn corrupt(detail: impl std::fmt::Display) -> Self {
        StoreError::with(Kind::Corrupt, detail).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, class: Class::Own }
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Self {
        StoreError::new(kind).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some(error) = error.as_db_error() {
            return Self::of_server(error);
        }
        let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        match cause.map(std::io::Error::kind) {
            // A statement that cannot be put into a message.
            Some(ErrorKind::InvalidInput) => StoreError::with(Kind::Internal, error).into(),
            Some(kind) => Self::lost(&format!("{error}: {kind}")),
            None => Self::lost(&error.to_string()),
        }
    }
}

impl Failure {
    fn of_server(error: &DbError) -> Self {
        let code = error.code();
        let told = |kind| StoreError::with(kind, format_args!("code {}", code.code()));
        let (kind, class) = match *code {
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
                (Kind::Busy, Class::InTheWay)
            }
            SqlState::DISK_FULL => (Kind::Full, Class::Own),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => (Kind::Corrupt, Class::Own),
            // Of a server that no longer is, or not yet is, the one that takes writes.
            SqlState::READ_ONLY_SQL_TRANSACTION => (Kind::Unavailable, Class::Lost),
            SqlState::QUERY_CANCELED
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::OUT_OF_MEMORY => (Kind::Unavailable, Class::Away),
            _ if is_fatal(error) || code.code().starts_with("08") => {
                (Kind::Unavailable, Class::Lost)
            }
            // This names tables and constraints; the values stand in the detail.
            _ if code.code().starts_with("23") => {
                return StoreError::with(Kind::Constraint, error.message()).into();
            }
            _ => (Kind::Internal, Class::Own),
        };
        Self { error: told(kind), class }
    }
}

/// Whether the server ended the connection with it.
fn is_fatal(error: &DbError) -> bool {
    matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

/// What it means when no connection is made, whatever the reason. One that is refused because there
/// are too many says that the server is there.
pub(super) fn unreachable(error: &Error) -> Failure {
    let crowded = error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS);
    let detail = match error.code() {
        Some(code) => format!("code {}", code.code()),
        None => error.to_string(),
    };
    Failure {
        error: StoreError::with(Kind::Unavailable, detail),
        class: if crowded { Class::Away } else { Class::Lost },
    }
}

/// What it means when it happens while opening. The cause goes to the log: it may name hosts.
pub(super) fn open_error(error: &Error) -> OpenError {
    tracing::error!(error = %Causes(error), "the store's server refuses");
    let Some(code) = error.code() else { return OpenError::Unreachable };
    match *code {
        SqlState::INVALID_CATALOG_NAME => OpenError::NotFound,
        SqlState::INSUFFICIENT_PRIVILEGE => OpenError::Denied,
        // Objects of these names are there, and not by a migration of ours.
        SqlState::DUPLICATE_TABLE | SqlState::DUPLICATE_FUNCTION => OpenError::Foreign,
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => OpenError::Busy,
        SqlState::DISK_FULL => OpenError::Full,
        _ if code.code().starts_with("28") => OpenError::Denied,
        _ if code.code().starts_with("57") || code.code().starts_with("53") => {
            OpenError::Unreachable
        }
        _ => OpenError::Failed,
    }
}

/// What it means when a transaction fails while opening.
pub(super) fn open_failure(failure: &Failure) -> OpenError {
    match failure.error.kind() {
        Kind::Unavailable | Kind::Busy => OpenError::Unreachable,
        Kind::Full => OpenError::Full,
        Kind::Corrupt => OpenError::Corrupt,
        _ => OpenError::Failed,
    }
}

/// An error with its causes.
struct Causes<'a>(&'a Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
