//! What is wrong with a log, and where.

use std::fmt;
use std::io;

use crate::checkpoint::CheckpointError;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $says:literal,)*) => {
        /// What is wrong with an export, or does not fit between it and a witness.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FaultKind { $($(#[$doc])* $variant,)* }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl fmt::Display for FaultKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $says,)* })
            }
        }
    };
}

kinds! {
    /// A line is not one of an export.
    Malformed = "malformed" "the line is not one of an export",
    /// An entry and the hash beside it differ.
    LeafChanged = "leaf_changed" "the entry, or the hash beside it, was changed",
    /// A line has the hash of its bytes, but they are no entry.
    LeafMalformed = "leaf_malformed" "these bytes are not an entry",
    /// An entry with a later index stands here.
    Gap = "gap" "entries are missing or out of their order",
    /// An entry with an earlier index stands here.
    Repeated = "repeated" "an entry was inserted, repeated, or is out of its order",
    /// An entry that the head does not cover.
    Uncovered = "uncovered" "an entry was added that no checkpoint covers",
    /// It ends before the head does.
    Truncated = "truncated" "the log ends before its last entry",
    /// A checkpoint cannot be read.
    CheckpointMalformed = "checkpoint_malformed" "this is not a checkpoint",
    /// None of the given keys has signed a checkpoint.
    CheckpointUnsigned = "checkpoint_unsigned" "none of the given keys has signed the checkpoint",
    /// A checkpoint's signature does not fit.
    CheckpointSignature = "checkpoint_signature" "the checkpoint was changed: its signature does not fit",
    /// A checkpoint is of another log.
    CheckpointOrigin = "checkpoint_origin" "the checkpoint is of another log",
    /// A checkpoint does not stand after the last entry that it covers.
    CheckpointMisplaced = "checkpoint_misplaced" "entries before the checkpoint are missing or too many, or it was moved",
    /// Two checkpoints of the same size were signed, and say different things.
    CheckpointFork = "checkpoint_fork" "two histories were signed: another checkpoint of the same size holds",
    /// Entries are not those that were signed for.
    RootMismatch = "root_mismatch" "entries were changed, and their hashes with them: they are not those that were signed",
    /// A witness's checkpoint cannot be read.
    WitnessMalformed = "witness_malformed" "what the witness has is not a checkpoint",
    /// None of the given keys has signed a witness's checkpoint.
    WitnessUnsigned = "witness_unsigned" "none of the given keys has signed what the witness has",
    /// The signature of a witness's checkpoint does not fit.
    WitnessSignature = "witness_signature" "what the witness has was changed: its signature does not fit",
    /// A witness's checkpoint is of another log.
    WitnessOrigin = "witness_origin" "what the witness has is of another log",
    /// The same key has signed two histories.
    Fork = "fork" "two histories were signed: the witness has seen other entries",
    /// The witness has seen more than there is.
    RolledBack = "rolled_back" "the log was rolled back: the witness has seen more entries",
}

impl FaultKind {
    pub(crate) fn of_checkpoint(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Malformed => Self::CheckpointMalformed,
            CheckpointError::Unsigned => Self::CheckpointUnsigned,
            CheckpointError::Signature => Self::CheckpointSignature,
            CheckpointError::Origin => Self::CheckpointOrigin,
        }
    }

    pub(crate) fn of_witness(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Malformed => Self::WitnessMalformed,
            CheckpointError::Unsigned => Self::WitnessUnsigned,
            CheckpointError::Signature => Self::WitnessSignature,
            CheckpointError::Origin => Self::WitnessOrigin,
        }
    }

    /// Whether the line is one of what the witness has, not of the export.
    pub fn is_of_witness(self) -> bool {
        matches!(
            self,
            Self::WitnessMalformed
                | Self::WitnessUnsigned
                | Self::WitnessSignature
                | Self::WitnessOrigin
                | Self::Fork
                | Self::RolledBack
        )
    }
}

/// The first thing that is wrong.
///
/// The first bad entry is one of `index` to `until - 1`: one entry where it can be told, else those
/// between two checkpoints. Where `until` is `index`, the fault is between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// In which line it was found; the first one is 1.
    pub line: u64,
    /// The first entry that may be bad.
    pub index: u64,
    /// The first entry after it that is not meant.
    pub until: u64,
}

impl Fault {
    /// The verdict as one JSON object.
    pub fn to_json(&self) -> String {
        let Self { kind, line, index, until } = self;
        let code = kind.code();
        format!(r#"{{"verdict":"{code}","line":{line},"index":{index},"until":{until}}}"#)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, line, index, until } = self;
        let place = if kind.is_of_witness() { "line of the witness" } else { "line" };
        match until.saturating_sub(*index) {
            0 => write!(f, "before entry {index}, {place} {line}: {kind}"),
            1 => write!(f, "entry {index}, {place} {line}: {kind}"),
            _ => write!(f, "entries {index} to {}, {place} {line}: {kind}", until - 1),
        }
    }
}

impl std::error::Error for Fault {}

/// Why a verification did not end well.
#[derive(Debug)]
pub enum VerifyError {
    /// Something is wrong with the log.
    Fault(Fault),
    /// It could not be read.
    Read(io::Error),
}

impl From<io::Error> for VerifyError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Fault> for VerifyError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fmt::Display::fmt(fault, f),
            Self::Read(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl std::error::Error for VerifyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FaultKind::ALL.len());
    }

    #[test]
    fn a_fault_says_where() {
        let fault = |index, until| Fault { kind: FaultKind::RootMismatch, line: 9, index, until };
        assert!(fault(3, 4).to_string().starts_with("entry 3, line 9: "));
        assert!(fault(3, 8).to_string().starts_with("entries 3 to 7, line 9: "));
        assert!(fault(3, 3).to_string().starts_with("before entry 3, line 9: "));
        let json = r#"{"verdict":"root_mismatch","line":9,"index":3,"until":8}"#;
        assert_eq!(fault(3, 8).to_json(), json);
    }
}
