//! What somebody may do to a log, and what must come of it.

use crate::fault::{Fault, FaultKind};

macro_rules! tampers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A way to tamper with a log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Tamper { $($(#[$doc])* $variant,)* }

        impl Tamper {
            /// Every way.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

tampers! {
    /// A field of an entry is another one; the kept hash stays.
    EditField = "edit a field",
    /// The kept hash is another one.
    EditHash = "edit a hash",
    /// An entry is another one, and its hash with it.
    EditRehashed = "edit an entry and its hash",
    /// What is no entry stands in place of one, with the right hash.
    EditGarbage = "replace an entry by other bytes",
    /// An entry is gone.
    Delete = "delete",
    /// A line of the export is gone.
    DeleteLine = "delete a line",
    /// An entry is gone, and those after it are renumbered and hashed anew.
    DeleteRenumbered = "delete and renumber",
    /// An entry stands there a second time.
    Insert = "insert a copy",
    /// An entry is added, and those after it are renumbered and hashed anew.
    InsertRenumbered = "insert and renumber",
    /// Two entries have changed places.
    Swap = "swap",
    /// Two entries have changed places, indices and hashes.
    SwapRenumbered = "swap and renumber",
    /// The last entries are gone.
    Truncate = "truncate",
    /// The file ends within a line.
    Cut = "cut within a line",
    /// An entry is added at the end.
    Append = "append",
    /// The last entries are others, hashed anew; nothing is signed.
    ForgeSuffix = "forge a consistent suffix",
    /// The same, signed by a key of the same name.
    ForgeSuffixOtherKey = "forge a suffix under another key",
    /// The same, signed by the log's own key.
    ForgeSuffixStolenKey = "forge a suffix with the stolen key",
    /// An older copy of the whole.
    RollBack = "roll the whole back",
    /// An older copy of the whole, which went on.
    RollBackAndGrow = "roll back and go on",
    /// A checkpoint says something else.
    EditCheckpoint = "edit a checkpoint",
    /// The signature of a checkpoint is another one.
    EditSignature = "edit a signature",
    /// A checkpoint stands elsewhere.
    MoveCheckpoint = "move a checkpoint",
    /// The head says something else.
    EditHead = "edit the head",
    /// A checkpoint is of another history, signed by the log's own key.
    ForkInside = "sign a fork inside",
    /// Another history is signed by the log's own key, and shown.
    Fork = "sign a fork",
    /// A checkpoint of another log.
    OtherLog = "take another log's checkpoint",
    /// What the witness has was changed.
    EditWitness = "edit what the witness has",
}

/// A log after somebody was at it.
#[derive(Debug, Clone)]
pub struct Tampered {
    /// What was done.
    pub tamper: Tamper,
    /// The export.
    pub export: Vec<u8>,
    /// What the witness has.
    pub witness: Vec<u8>,
    /// The first entry that is not what it was; for checkpoints the size.
    pub first: u64,
}

impl Tamper {
    /// What must be found: without a witness, and with one. `None`: nothing can be.
    pub fn faults(self) -> (Option<&'static [FaultKind]>, &'static [FaultKind]) {
        use FaultKind::{
            CheckpointFork, CheckpointMisplaced, CheckpointOrigin, CheckpointSignature,
            CheckpointUnsigned, Fork, Gap, LeafChanged, LeafMalformed, Repeated, RolledBack,
            RootMismatch, Truncated, Uncovered, WitnessSignature,
        };
        let alone: &[FaultKind] = match self {
            Self::EditField | Self::EditHash => &[LeafChanged],
            Self::EditRehashed
            | Self::DeleteRenumbered
            | Self::InsertRenumbered
            | Self::SwapRenumbered
            | Self::ForgeSuffix => &[RootMismatch],
            Self::EditGarbage => &[LeafMalformed],
            // Where the end or a checkpoint follows, there is no entry to see the gap by.
            Self::Delete => &[Gap, Truncated],
            Self::DeleteLine => &[Gap, CheckpointMisplaced],
            // Where the other one holds already, it is told that both were signed.
            Self::ForkInside => &[RootMismatch, CheckpointFork],
            Self::Insert => &[Repeated, Uncovered],
            Self::Swap => &[Gap],
            Self::Truncate | Self::Cut => &[Truncated],
            Self::Append => &[Uncovered],
            Self::ForgeSuffixOtherKey => &[CheckpointUnsigned],
            Self::EditCheckpoint | Self::EditSignature | Self::EditHead => &[CheckpointSignature],
            Self::MoveCheckpoint => &[CheckpointMisplaced],
            Self::OtherLog => &[CheckpointOrigin],
            Self::ForgeSuffixStolenKey | Self::Fork | Self::RollBackAndGrow => {
                return (None, &[Fork]);
            }
            Self::RollBack => return (None, &[RolledBack]),
            Self::EditWitness => return (None, &[WitnessSignature]),
        };
        (Some(alone), alone)
    }
}

impl Tampered {
    /// Whether this is what had to be found, and where.
    pub fn is_found_by(&self, fault: &Fault, with_witness: bool) -> bool {
        let (alone, witnessed) = self.tamper.faults();
        let kinds = if with_witness { witnessed } else { alone.unwrap_or_default() };
        let Fault { index, until, .. } = *fault;
        let is_here = if index == until {
            self.first.abs_diff(index) <= 1
        } else {
            (index..until).contains(&self.first)
        };
        kinds.contains(&fault.kind) && is_here
    }
}
