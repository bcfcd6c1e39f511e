//! Reads the audit log: entries by their place, proofs, and exports.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;

use audit::tree::{
    Frontier, Node, ProofPlan, Tile, TileId, consistency_plan, inclusion_plan, nodes_of,
};
use audit::{Exporter, Hash};
use store::{CheckpointRow, EntryRow, Store, StoreError};

/// Entries of a tile of the lowest level.
const TILE: u64 = 256;

/// Checkpoints that are read at once.
const CHECKPOINTS: usize = 1_000;

/// Why nothing can be read or proved.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to be written could not be.
    #[error("audit_not_written: {0}")]
    Write(#[from] io::Error),
    /// Nothing was signed yet.
    #[error(
        "audit_empty: no checkpoint was signed yet; start the gateway, it signs twice a second"
    )]
    Empty,
    /// The log is not so long.
    #[error("audit_no_such_entry: the log has {size} signed entries; they are numbered from 0")]
    NoSuchEntry {
        /// How long it is.
        size: u64,
    },
    /// Hashes are missing or not what they must be.
    #[error("audit_damaged: the hashes over the log are not whole; restore them from a backup")]
    Damaged,
}

/// The log in a store.
#[derive(Debug, Clone)]
pub struct AuditLog {
    store: Store,
}

/// An entry at its place.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its place in the log.
    pub index: u64,
    /// The hash that was kept of it.
    pub hash: Hash,
    /// The entry; none if it is gone.
    pub entry: Option<EntryRow>,
}

impl Placed {
    /// The leaf as it must be: none if the entry is gone or can stand in no log.
    pub fn leaf(&self) -> Option<Vec<u8>> {
        let body = self.entry.as_ref()?.body().ok()?;
        Some(body.leaf(self.index))
    }
}

impl AuditLog {
    /// The log in this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// There is none, or the store fails.
    pub async fn head(&self) -> Result<CheckpointRow, LogError> {
        self.store.log_head().await?.checkpoint.ok_or(LogError::Empty)
    }

    /// Entries by their place, those of one tile at a time: from `places.start` on, as many as the
    /// tile holds of them.
    ///
    /// # Errors
    /// The store fails, or the tile is not whole.
    pub async fn entries(&self, places: Range<u64>) -> Result<Vec<Placed>, LogError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let number = places.start / TILE;
        let id = TileId { level: 0, number };
        let row = self.store.log_tiles(vec![id]).await?.pop().ok_or(LogError::Damaged)?;
        let tile = Tile::from_bytes(id, &row.hashes).ok_or(LogError::Damaged)?;
        let end = places.end.min((number + 1) * TILE);
        let within = |place: u64| usize::try_from(place - number * TILE).unwrap_or(usize::MAX);
        let within = within(places.start)..within(end);
        let hashes = tile.hashes().get(within.clone()).ok_or(LogError::Damaged)?;
        let sequences = row.entries.get(within).ok_or(LogError::Damaged)?;
        let found = self.store.entries_of(sequences.to_vec()).await?;
        let mut found: HashMap<i64, EntryRow> =
            found.into_iter().map(|entry| (entry.sequence, entry)).collect();
        let placed = (places.start..).zip(hashes).zip(sequences);
        Ok(placed
            .map(|((index, hash), sequence)| Placed {
                index,
                hash: *hash,
                entry: found.remove(sequence),
            })
            .collect())
    }

    /// Proves that an entry is in the tree of a checkpoint: the hashes, from the leaf upwards.
    ///
    /// # Errors
    /// There is no such entry, or its hashes are not whole.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        let plan = inclusion_plan(index, size).ok_or(LogError::NoSuchEntry { size })?;
        self.proof(&plan).await
    }

    /// Proves that the log of one size grew from that of an earlier one.
    ///
    /// # Errors
    /// The earlier one is the larger one, or hashes are not whole.
    pub async fn consistency(&self, earlier: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        let plan = consistency_plan(earlier, size).ok_or(LogError::NoSuchEntry { size })?;
        self.proof(&plan).await
    }

    async fn proof(&self, plan: &ProofPlan) -> Result<Vec<Hash>, LogError> {
        let tiles = plan.nodes().iter().map(|node| node.tile());
        let tiles = Tiles::read(&self.store, tiles).await?;
        plan.proof(|node| tiles.hash_of(node)).map_err(|_| LogError::Damaged)
    }

    /// Writes an export from an entry on, to the newest checkpoint; says how many entries it has.
    /// An entry that is gone is left out, and a verifier says so.
    ///
    /// # Errors
    /// The store fails, nothing was signed yet, or it cannot be written.
    pub async fn export<W: Write>(
        &self,
        out: W,
        from: u64,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, LogError> {
        let head = self.head().await?;
        if from > head.size {
            return Err(LogError::NoSuchEntry { size: head.size });
        }
        let mut exporter = Exporter::begin(out, &head.note, &self.frontier(from).await?)?;
        let mut checkpoints = self.store.checkpoints(from, CHECKPOINTS).await?.into_iter();
        let mut next = checkpoints.next();
        let (mut at, mut written) = (from, 0);
        while at < head.size {
            for placed in self.entries(at..head.size).await? {
                if let Some(leaf) = placed.leaf() {
                    exporter.entry(placed.hash, &leaf)?;
                    written += 1;
                }
                at = placed.index + 1;
                while let Some(checkpoint) = next.take_if(|checkpoint| checkpoint.size <= at) {
                    if checkpoint.size < head.size {
                        exporter.checkpoint(&checkpoint.note)?;
                    }
                    next = checkpoints.next();
                    if next.is_none() {
                        let more = self.store.checkpoints(checkpoint.size, CHECKPOINTS).await?;
                        checkpoints = more.into_iter();
                        next = checkpoints.next();
                    }
                }
            }
            progress(at - from, head.size - from);
        }
        exporter.finish()?;
        Ok(written)
    }

    async fn frontier(&self, size: u64) -> Result<Frontier, LogError> {
        let nodes = nodes_of(size);
        let tiles = Tiles::read(&self.store, nodes.iter().map(|node| node.tile())).await?;
        let hashes: Option<Vec<Hash>> = nodes.iter().map(|node| tiles.hash_of(*node)).collect();
        let frontier = hashes.and_then(|hashes| Frontier::from_hashes(size, hashes).ok());
        frontier.ok_or(LogError::Damaged)
    }
}

/// Tiles that were read.
pub(super) struct Tiles(HashMap<TileId, Tile>);

impl Tiles {
    pub(super) async fn read(
        store: &Store,
        wanted: impl Iterator<Item = TileId>,
    ) -> Result<Self, StoreError> {
        let mut wanted: Vec<TileId> = wanted.collect();
        wanted.sort_unstable();
        wanted.dedup();
        let rows = store.log_tiles(wanted).await?;
        let tiles = rows.iter().filter_map(|row| Tile::from_bytes(row.id, &row.hashes));
        Ok(Self(tiles.map(|tile| (tile.id, tile)).collect()))
    }

    pub(super) fn hash_of(&self, node: Node) -> Option<Hash> {
        self.0.get(&node.tile())?.hash_of(node)
    }
}
