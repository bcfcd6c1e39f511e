//! The audit log: its entries, tiles and checkpoints, and how far sinks have them.

use audit::tree::TileId;

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::{CheckpointRow, Deed, EntryRow, LogHead, LogTile, Seal, StoreError};

impl Store {
    /// Audit entries after a sequence number, oldest first, at most `limit`.
    pub async fn entries(&self, after: i64, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        on!(self, backend => backend.entries(after, limit).await)
    }

    /// Writes an audit entry about what leaves no other trace in the store, and must not happen without
    /// one: call it before.
    pub async fn audit(&self, deed: Deed) -> Result<(), StoreError> {
        self.done(Command::Deed(deed)).await
    }

    /// How far the audit log has come.
    pub async fn log_head(&self) -> Result<LogHead, StoreError> {
        on!(self, backend => backend.log_head().await)
    }

    /// Entries that have no place in the log yet, in the order of their sequence, at most `limit`.
    pub async fn waiting_entries(&self, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        on!(self, backend => backend.waiting_entries(limit).await)
    }

    /// Those of these entries that are there, in this order.
    pub async fn entries_of(&self, sequences: Vec<i64>) -> Result<Vec<EntryRow>, StoreError> {
        on!(self, backend => backend.entries_of(sequences).await)
    }

    /// Gives entries their place in the log, with the tiles and the checkpoint over them. False, and
    /// nothing happened, if the log has another size than whoever seals believes.
    pub async fn seal(&self, seal: Seal) -> Result<bool, StoreError> {
        match self.wait(Command::Seal(seal)).await? {
            Answer::Sealed(sealed) => Ok(sealed),
            _ => Err(unexpected()),
        }
    }

    /// Until where a sink has got entries; nothing for one that has had none.
    pub async fn sink_mark(&self, name: &str) -> Result<Option<u64>, StoreError> {
        on!(self, backend => backend.sink_mark(name.to_owned()).await)
    }

    /// Notes until where a sink has got entries. It never goes back.
    pub async fn mark_sink(&self, name: &str, size: u64) -> Result<(), StoreError> {
        self.done(Command::MarkSink { name: name.to_owned(), size }).await
    }

    /// Those of these tiles that are there, in any order.
    pub async fn log_tiles(&self, tiles: Vec<TileId>) -> Result<Vec<LogTile>, StoreError> {
        on!(self, backend => backend.log_tiles(tiles).await)
    }

    /// Checkpoints that cover more than so many entries, the smallest first: the last one of each
    /// minute.
    pub async fn checkpoints(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<CheckpointRow>, StoreError> {
        on!(self, backend => backend.checkpoints(after, limit).await)
    }
}
