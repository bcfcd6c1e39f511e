//! The audit log as it is sealed: which entries have their place, the hashes over them, and what was
//! signed.
//!
//! The store keeps what it is given and sees to one thing: that the log grows from where it was. Who
//! seals says from which size on, and if that is not the size any more, nothing happens.

use audit::tree::TileId;
use model::Timestamp;

use crate::Note;
use crate::audit::Action;

/// How far the log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// How many entries have their place.
    pub size: u64,
    /// The newest checkpoint; none before the first entry was sealed.
    pub checkpoint: Option<CheckpointRow>,
}

/// A checkpoint that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// How many entries it covers.
    pub size: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// The signed note.
    pub note: String,
}

/// Hashes of up to 256 neighbouring nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTile {
    /// Which ones.
    pub id: TileId,
    /// The hashes, one after the other.
    pub hashes: Vec<u8>,
    /// At the lowest level: the sequence of each entry.
    pub entries: Vec<i64>,
}

/// Gives entries their place in the log.
#[derive(Debug, Clone)]
pub struct Seal {
    /// How many had theirs before.
    pub from: u64,
    /// The sequences of those that get theirs now, in the order of the log.
    pub entries: Vec<i64>,
    /// Every tile that is new or has grown.
    pub tiles: Vec<LogTile>,
    /// What was signed over all of them.
    pub checkpoint: CheckpointRow,
}

impl Seal {
    /// The highest sequence that gets its place.
    pub(crate) fn last(&self) -> i64 {
        self.entries.iter().copied().max().unwrap_or(0)
    }
}

/// Something that leaves no trace but its audit entry.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What.
    pub action: Action,
    /// On what: an id or a name.
    pub resource: String,
    /// Whether it was refused.
    pub refused: bool,
    /// Who, when and from where.
    pub note: Note,
    /// What is different now: names, what was before, what is now.
    pub changes: Vec<(&'static str, Option<String>, Option<String>)>,
}

impl Deed {
    /// The changes, as entries are made from them.
    pub(crate) fn changes(&self) -> Vec<(&str, Option<&str>, Option<&str>)> {
        self.changes
            .iter()
            .map(|(name, before, after)| (*name, before.as_deref(), after.as_deref()))
            .collect()
    }
}

/// Sequences as they are stored in a tile.
pub(crate) fn to_bytes(sequences: &[i64]) -> Vec<u8> {
    sequences.iter().flat_map(|sequence| sequence.to_be_bytes()).collect()
}

/// What [`to_bytes`] wrote; nothing if it is anything else.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<i64>> {
    let (sequences, rest) = bytes.as_chunks();
    rest.is_empty().then(|| sequences.iter().copied().map(i64::from_be_bytes).collect())
}

/// A size as a column holds it.
pub(crate) fn size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
