//! Why a store is not copied.

use std::fmt;

use crate::StoreError;

/// Why a copy cannot begin or go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyError {
    /// The source is no file.
    SourceIsServer,
    /// The target is no server.
    TargetIsFile,
    /// There is nothing in the source.
    NothingToCopy,
    /// The target holds something that is no copy.
    OtherData,
    /// The target is a copy of another store.
    OtherSource,
    /// A gateway has worked on the target.
    Served,
    /// One of the two stores failed.
    Store(StoreError),
}

impl CopyError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SourceIsServer => "copy_source_is_server",
            Self::TargetIsFile => "copy_target_is_file",
            Self::NothingToCopy => "copy_nothing",
            Self::OtherData => "copy_other_data",
            Self::OtherSource => "copy_other_source",
            Self::Served => "copy_served",
            Self::Store(error) => error.code(),
        }
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceIsServer => {
                "a store is copied from a file to a server, and the source is a server: PostgreSQL's \
                 own tools copy from server to server"
            }
            Self::TargetIsFile => {
                "a store is copied from a file to a server, and the target is a file: stop the \
                 gateway and copy the file itself"
            }
            Self::NothingToCopy => {
                "there is nothing in the source yet: start the gateway on the target instead"
            }
            Self::OtherData => {
                "the target holds data that is no copy: give the copy a database of its own, \
                 migrated and empty"
            }
            Self::OtherSource => {
                "the target holds a copy of another store: give this one a database of its own, \
                 migrated and empty"
            }
            Self::Served => {
                "a gateway has worked on the target since it was copied to: what it did would be \
                 undone; to copy again, give the copy an empty database"
            }
            Self::Store(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for CopyError {}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
