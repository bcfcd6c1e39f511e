//! Blocks as they are shown outside.

use model::Timestamp;
use serde::Serialize;
use store::BlockRow;
use utoipa::ToSchema;

use super::{BlockState, PartyKind};
use crate::operations::BlockedParty;

/// A block of a party.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Block {
    /// The block.
    #[schema(pattern = "^blk_[0-9a-hjkmnp-tv-z]{26}$")]
    pub id: String,
    /// What kind of party is blocked.
    pub kind: PartyKind,
    /// At which provider, or on which chain.
    pub of: String,
    /// What the party is called there: for those who may block.
    pub name: Option<String>,
    /// Why it is blocked: for those who may block.
    pub reason: Option<String>,
    /// Where the block stands.
    pub state: BlockState,
    /// When it was added.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Who added it.
    pub created_by: String,
    /// When it ends by itself, if it does.
    #[schema(format = DateTime)]
    pub ends_at: Option<String>,
    /// When it was lifted.
    #[schema(format = DateTime)]
    pub lifted_at: Option<String>,
    /// Who lifted it.
    pub lifted_by: Option<String>,
}

impl Block {
    /// A block at a time; who is blocked only where that may be seen.
    pub fn of(row: &BlockRow, party: Option<BlockedParty>, now: Timestamp) -> Self {
        let (name, reason) = party.map(|party| (party.name, party.reason)).unzip();
        Self {
            id: row.id.to_string(),
            kind: row.kind.into(),
            of: row.of.clone(),
            name,
            reason,
            state: row.life.state(now).into(),
            created_at: row.created_at.to_string(),
            created_by: row.created_by.clone(),
            ends_at: row.life.ends_at.map(|at| at.to_string()),
            lifted_at: row.life.lifted_at.map(|at| at.to_string()),
            lifted_by: row.lifted_by.clone(),
        }
    }
}
