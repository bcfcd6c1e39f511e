//! Blocks of parties as they are kept: who is blocked stands there as a keyed hash, and sealed.
//!
//! A party may have several blocks, one after the other or at once: it is blocked while any of them
//! stands. One that would end no later than another that stands is not added.

use model::block::{BlockLife, PartyKind};
use model::{BlockId, Timestamp};

use crate::{NewKey, SealedRow};

/// A block to be added.
#[derive(Debug, Clone)]
pub struct NewBlock {
    /// Its id.
    pub id: BlockId,
    /// What kind of party is blocked.
    pub kind: PartyKind,
    /// At which provider, or on which chain.
    pub of: String,
    /// Keyed hash of the party.
    pub party_key: [u8; 16],
    /// When it ends by itself; none if it does not.
    pub ends_at: Option<Timestamp>,
    /// Data keys that are needed and may not be kept yet.
    pub keys: Vec<NewKey>,
    /// What the party is called, and why it is blocked.
    pub sealed: SealedRow,
}

/// A block as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// Grows from block to block.
    pub sequence: i64,
    /// Its id.
    pub id: BlockId,
    /// What kind of party is blocked.
    pub kind: PartyKind,
    /// At which provider, or on which chain.
    pub of: String,
    /// Keyed hash of the party.
    pub party_key: [u8; 16],
    /// When it was added.
    pub created_at: Timestamp,
    /// Who added it.
    pub created_by: String,
    /// How it ends.
    pub life: BlockLife,
    /// Who lifted it.
    pub lifted_by: Option<String>,
    /// What the party is called, and why it is blocked.
    pub sealed: SealedRow,
}

/// A block that stands, as gateways hold it in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingBlock {
    /// Which.
    pub id: BlockId,
    /// Keyed hash of the party.
    pub party_key: [u8; 16],
    /// When it ends by itself.
    pub ends_at: Option<Timestamp>,
}

/// Whether a change of a block counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockChanged {
    /// It did.
    Done,
    /// There is no such block.
    NotFound,
    /// The party is blocked as long already, by this one.
    AlreadyBlocked(BlockId),
    /// It is over already: somebody lifted it, or its time is over.
    AlreadyOver,
}

/// Which blocks to list: the newest `limit` of those that match.
#[derive(Debug, Clone, Default)]
pub struct BlockQuery {
    /// Only those that stand at this time; those that are over too, if there is none.
    pub standing_at: Option<Timestamp>,
    /// With a lower sequence than this.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// The columns of a block, in the order in which both backends read them.
pub(crate) const COLUMNS: &str = "sequence, id, kind, scope, party_key, created_at, created_by,
    ends_at, lifted_at, lifted_by, sealed_key, sealed";

/// What the log says of a party's block: never who they are.
pub(crate) struct Added {
    ends_at: Option<String>,
}

impl Added {
    pub(crate) fn of(block: &NewBlock) -> Self {
        Self { ends_at: block.ends_at.map(|at| at.to_string()) }
    }

    pub(crate) fn changes<'a>(
        &'a self,
        block: &'a NewBlock,
    ) -> [(&'a str, Option<&'a str>, Option<&'a str>); 3] {
        [
            ("kind", None, Some(block.kind.code())),
            ("of", None, Some(&block.of)),
            ("ends_at", None, self.ends_at.as_deref()),
        ]
    }
}

/// What the log says of a change that did not count.
pub(crate) const ALREADY_OVER: (&str, Option<&str>, Option<&str>) =
    ("because", None, Some("already_over"));
