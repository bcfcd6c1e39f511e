//! What SQLite's errors mean here.

use std::io::ErrorKind;

use rusqlite::ErrorCode;
use rusqlite::ffi;
use sabotage::{Defect, Point};

use crate::error::Kind;
use crate::{OpenError, StoreError};

/// A [`StoreError`] on its way out: keeps SQLite's error type out of the crate's interface.
#[derive(Debug, Clone)]
pub(super) struct Failure(pub(super) StoreError);

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// Passes a failpoint, or fails as on a disk that refuses a write. After a commit it is the sync that
/// failed: whether the commit is durable is then not known.
pub(super) fn pass(point: Point) -> Result<()> {
    if !sabotage::fails(point) {
        return Ok(());
    }
    let code = match point {
        Point::Committed => ffi::SQLITE_IOERR_FSYNC,
        _ => ffi::SQLITE_IOERR_WRITE,
    };
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Self {
        Self(StoreError::new(kind))
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let kind = kind_of(&error);
        Self(match (&error, kind) {
            (rusqlite::Error::SqliteFailure(cause, _), Kind::Io | Kind::Poisoned | Kind::Busy) => {
                StoreError::with(kind, format_args!("code {}", cause.extended_code))
            }
            // These name tables and columns, never values.
            (
                rusqlite::Error::SqliteFailure(_, Some(message)),
                Kind::Constraint | Kind::Internal,
            ) => StoreError::with(kind, message),
            (rusqlite::Error::SqliteFailure(..), _) => StoreError::new(kind),
            (_, Kind::Internal) => StoreError::with(kind, error),
            _ => StoreError::new(kind),
        })
    }
}

/// An [`OpenError`] on its way out, for the same reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening(pub(super) OpenError);

impl From<OpenError> for Opening {
    fn from(error: OpenError) -> Self {
        Self(error)
    }
}

impl Opening {
    /// What it means when it happens while opening.
    pub(super) fn from_sqlite(error: &rusqlite::Error) -> Self {
        Self::from_kind(kind_of(error))
    }

    fn from_kind(kind: Kind) -> Self {
        Self(match kind {
            Kind::Full => OpenError::Full,
            Kind::Busy => OpenError::Busy,
            Kind::Corrupt => OpenError::Corrupt,
            Kind::Io => OpenError::NotWritable,
            _ => OpenError::Failed,
        })
    }
}

impl From<StoreError> for Opening {
    fn from(error: StoreError) -> Self {
        Self::from_kind(error.kind())
    }
}

impl From<rusqlite::Error> for Opening {
    fn from(error: rusqlite::Error) -> Self {
        Self::from_sqlite(&error)
    }
}

impl From<std::io::Error> for Opening {
    fn from(error: std::io::Error) -> Self {
        Self(match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full,
            _ => OpenError::NotWritable,
        })
    }
}

fn kind_of(error: &rusqlite::Error) -> Kind {
    match error {
        rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
            ErrorCode::DiskFull => Kind::Full,
            // The log's index is a file that could not grow.
            ErrorCode::SystemIoFailure if cause.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                Kind::Full
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Kind::Busy,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Kind::Corrupt,
            ErrorCode::ConstraintViolation => Kind::Constraint,
            // After a failed fsync the kernel may have dropped what it could not write: trying
            // again would succeed and mean nothing.
            ErrorCode::SystemIoFailure
                if matches!(
                    cause.extended_code,
                    ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC
                ) && !sabotage::on(Defect::FsyncErrorIgnored) =>
            {
                Kind::Poisoned
            }
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied => Kind::Io,
            _ => Kind::Internal,
        },
        // A row that is not what the schema and the checks allow.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => Kind::Corrupt,
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(code: i32) -> OpenError {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        Opening::from_sqlite(&error).0
    }

    #[test]
    fn a_full_disk_is_told_apart_when_opening() {
        assert_eq!(opening(ffi::SQLITE_FULL), OpenError::Full);
        let error = std::io::Error::from(ErrorKind::StorageFull);
        assert_eq!(Opening::from(error).0, OpenError::Full);
        assert_eq!(opening(ffi::SQLITE_IOERR), OpenError::NotWritable);
    }

    #[test]
    fn after_a_failed_fsync_nothing_more_is_known() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(Failure::from(error).0.is_poisoned(), "{code}");
        }
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_READ), None);
        assert!(!Failure::from(error).0.is_poisoned());
    }

    #[test]
    fn what_is_not_known_to_be_anything_else_has_failed() {
        assert_eq!(opening(ffi::SQLITE_NOMEM), OpenError::Failed);
        assert_eq!(opening(ffi::SQLITE_BUSY), OpenError::Busy);
        assert_eq!(opening(ffi::SQLITE_NOTADB), OpenError::Corrupt);
    }
}
