//! Blocks of parties.

use model::{BlockId, Timestamp};

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::{BlockChanged, BlockQuery, BlockRow, NewBlock, Note, StandingBlock, StoreError};

impl Store {
    /// Blocks a party, unless another block of it stands that ends no earlier.
    pub async fn add_block(&self, block: NewBlock, note: Note) -> Result<BlockChanged, StoreError> {
        self.block_changed(Command::AddBlock(Box::new(block), note)).await
    }

    /// Lifts a block. Others of the same party stand as before.
    pub async fn lift_block(&self, id: BlockId, note: Note) -> Result<BlockChanged, StoreError> {
        self.block_changed(Command::LiftBlock { id, note }).await
    }

    /// One block.
    pub async fn block(&self, id: BlockId) -> Result<Option<BlockRow>, StoreError> {
        on!(self, backend => backend.block(id).await)
    }

    /// The newest blocks of those that match, newest first.
    pub async fn blocks(&self, query: BlockQuery) -> Result<Vec<BlockRow>, StoreError> {
        on!(self, backend => backend.blocks(query).await)
    }

    /// Every block that stands.
    pub async fn standing_blocks(&self, now: Timestamp) -> Result<Vec<StandingBlock>, StoreError> {
        on!(self, backend => backend.standing_blocks(now).await)
    }

    /// A number that grows with every change of any block. Cheap: every gateway asks for it several
    /// times a second. Read it before the blocks, not after.
    pub async fn blocks_version(&self) -> Result<i64, StoreError> {
        on!(self, backend => backend.blocks_version().await)
    }

    async fn block_changed(&self, command: Command) -> Result<BlockChanged, StoreError> {
        match self.wait(command).await? {
            Answer::BlockChanged(changed) => Ok(changed),
            _ => Err(unexpected()),
        }
    }
}
