//! The keeper: gives entries their place in the log, and signs what grew from what was signed before.
//!
//! One gateway does it for all on the same store (a duty, by lease), and a seal counts only if the log
//! is as long as the keeper believed: who lost the lease without noticing changes nothing. What the
//! keeper signed last it remembers, and what a witness saw last it reads at the start: a store that
//! was put back is not signed on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use audit::tree::{Frontier, Node, Tile, TileId, consistency_plan, nodes_of};
use audit::{Hash, Refused, Sealer, Signed, SigningKey};
use model::Timestamp;
use store::{CheckpointRow, EntryRow, LogTile, Seal, Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Auditing;
use super::reader::Tiles;
use super::witness::{Teller, WitnessError};
use crate::metrics::Metrics;
use crate::outbound::Client;
use crate::{Clock, entropy};

/// The duty, and how long its lease lasts, milliseconds.
const DUTY: &str = "audit";
const LEASE_MS: i64 = 10_000;

/// How often entries get their place, and how often a log that is not signed is looked at again.
const SEAL: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Entries of one seal.
const ENTRIES_MAX: usize = 4_096;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{code}: {0}", code = .0.code())]
    Refused(#[from] Refused),
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error(
        "audit_checkpoint_changed: the last checkpoint in the store is not one that was signed"
    )]
    Checkpoint,
    #[error(
        "audit_entry_unfit: entry {0} was not written by a gateway: it cannot stand in the log"
    )]
    Unfit(i64),
}

impl Stopped {
    /// Whether somebody must look: it does not pass by itself.
    fn is_lasting(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}

/// Keeps the log.
pub(crate) struct Keeper {
    store: Store,
    clock: Clock,
    key: SigningKey,
    auditing: Auditing,
    client: Arc<Client>,
    metrics: Arc<Metrics>,
    holder: [u8; 16],
    /// The log as it was last signed here.
    open: Option<Open>,
    last: Option<Signed>,
}

/// A log that may be added to.
struct Open {
    sealer: Sealer,
    /// The last tile of each level, as far as it is not full, and those that are not stored yet.
    tiles: BTreeMap<TileId, Growing>,
}

/// A tile, and the sequences of its entries.
struct Growing {
    tile: Tile,
    entries: Vec<i64>,
}

impl Keeper {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        key: SigningKey,
        auditing: Auditing,
        (client, metrics): (Arc<Client>, Arc<Metrics>),
    ) -> Self {
        let holder = entropy::bytes();
        let (open, last) = (None, None);
        Self { store, clock, key, auditing, client, metrics, holder, open, last }
    }

    /// Keeps the log until it is stopped; then what waits gets its place, and the witnesses hear of
    /// it.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut seal = tokio::time::interval(SEAL);
        seal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (signed, newest) = watch::channel(None);
        let teller = Teller::new(&self.auditing, self.client.clone(), self.clock.clone());
        let telling = tokio::spawn(teller.run(newest, self.metrics.clone()));
        loop {
            tokio::select! {
                _ = seal.tick() => {
                    if self.keep().await {
                        tokio::select! {
                            () = tokio::time::sleep(LOOK_AGAIN) => {}
                            () = stop.cancelled() => return,
                        }
                    }
                }
                () = stop.cancelled() => {
                    self.keep().await;
                    let _ = self.store.release_duty(DUTY, self.holder).await;
                    signed.send_replace(self.last.clone());
                    // It tells what is left, and ends.
                    drop(signed);
                    let _ = telling.await;
                    return;
                }
            }
            signed.send_replace(self.last.clone());
        }
    }

    /// Gives all that waits its place. Says whether the log must not be signed.
    async fn keep(&mut self) -> bool {
        if !self.is_ours().await {
            self.open = None;
            return false;
        }
        match self.seal_all().await {
            Ok(()) => {
                self.metrics.audit(self.last.as_ref().map_or(0, Signed::size), false);
                false
            }
            Err(stopped) => {
                self.open = None;
                let lasting = stopped.is_lasting();
                self.metrics.audit(self.last.as_ref().map_or(0, Signed::size), lasting);
                if lasting {
                    tracing::error!(error = %stopped, "the audit log is not signed any more");
                } else {
                    tracing::warn!(error = %stopped, "audit entries wait for their place");
                }
                lasting
            }
        }
    }

    async fn is_ours(&self) -> bool {
        let now = self.clock.now();
        let until = now.plus_millis(LEASE_MS);
        self.store.has_duty(DUTY, self.holder, now, until).await.unwrap_or(false)
    }

    async fn seal_all(&mut self) -> Result<(), Stopped> {
        loop {
            let entries = self.store.waiting_entries(ENTRIES_MAX).await?;
            if entries.is_empty() && (self.open.is_some() || self.last.is_some()) {
                return Ok(());
            }
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open().await?,
            };
            if entries.is_empty() {
                self.open = Some(open);
                return Ok(());
            }
            let (seal, signed) = self.seal(&mut open, &entries, self.clock.now())?;
            // Who was faster goes on; here it begins anew.
            if self.store.seal(seal).await? {
                open.tiles.retain(|_, growing| !growing.tile.is_full());
                self.last = Some(signed);
                self.open = Some(open);
            }
            if entries.len() < ENTRIES_MAX || !self.is_ours().await {
                return Ok(());
            }
        }
    }

    /// Adds entries and signs.
    fn seal(
        &self,
        open: &mut Open,
        entries: &[EntryRow],
        now: Timestamp,
    ) -> Result<(Seal, Signed), Stopped> {
        let from = open.sealer.size();
        let mut grown = BTreeSet::new();
        for entry in entries {
            let body = entry.body().map_err(|_| Stopped::Unfit(entry.sequence))?;
            let appended = open.sealer.append(&body)?;
            for (node, hash) in appended.nodes.into_iter().filter(|(node, _)| node.is_kept()) {
                if !open.grow(node, hash, entry.sequence) {
                    return Err(Refused::Rewritten.into());
                }
                grown.insert(node.tile());
            }
        }
        let signed = open.sealer.sign(&self.key, None)?;
        let note = signed.note().to_owned();
        let seal = Seal {
            from,
            entries: entries.iter().map(|entry| entry.sequence).collect(),
            tiles: grown.iter().filter_map(|id| open.tiles.get(id)).map(Growing::row).collect(),
            checkpoint: CheckpointRow { size: signed.size(), at: now, note },
        };
        Ok((seal, signed))
    }

    /// The log as the store has it, if it is the one that was signed here and that witnesses saw.
    async fn open(&mut self) -> Result<Open, Stopped> {
        let mut seen: Vec<Signed> = self.last.iter().cloned().collect();
        for witness in &self.auditing.witnesses {
            seen.extend(witness.newest(self.key.verifier()).await?);
        }
        let head = self.store.log_head().await?;
        let Some(row) = head.checkpoint else {
            if head.size > 0 || !seen.is_empty() {
                return Err(Refused::RolledBack.into());
            }
            let sealer = Sealer::begin(self.key.verifier().name());
            return Ok(Open { sealer, tiles: BTreeMap::new() });
        };
        let keys = [self.key.verifier().clone()];
        let last = Signed::open(row.note.as_bytes(), &keys).map_err(|_| Stopped::Checkpoint)?;
        if last.size() != row.size || head.size != row.size {
            return Err(Stopped::Checkpoint);
        }
        let mut nodes = nodes_of(last.size());
        for earlier in &seen {
            let plan = consistency_plan(earlier.size(), last.size()).ok_or(Refused::RolledBack)?;
            nodes.extend(plan.nodes());
        }
        let tiles = Tiles::read(&self.store, nodes.iter().map(|node| node.tile())).await?;
        let hash = |node: &Node| tiles.hash_of(*node).ok_or(Refused::Rewritten);
        let hashes = nodes_of(last.size()).iter().map(hash).collect::<Result<Vec<Hash>, _>>()?;
        let frontier =
            Frontier::from_hashes(last.size(), hashes).map_err(|_| Refused::Rewritten)?;
        let sealer = Sealer::resume(&last, frontier, &seen, |node| tiles.hash_of(node))?;
        let tiles = growing(&self.store, last.size()).await?;
        self.last = Some(last);
        Ok(Open { sealer, tiles })
    }
}

impl Open {
    /// Adds a kept node to its tile; false if the tile is not what it was.
    fn grow(&mut self, node: Node, hash: Hash, sequence: i64) -> bool {
        let id = node.tile();
        let empty = || Growing { tile: Tile::empty(id), entries: Vec::new() };
        let growing = self.tiles.entry(id).or_insert_with(empty);
        if node.level == 0 {
            growing.entries.push(sequence);
        }
        growing.tile.push(node, hash)
    }
}

impl Growing {
    fn row(&self) -> LogTile {
        let (id, hashes) = (self.tile.id, self.tile.to_bytes());
        LogTile { id, hashes, entries: self.entries.clone() }
    }
}

/// The last tile of each level of a log of this size, as far as it is not full.
async fn growing(store: &Store, size: u64) -> Result<BTreeMap<TileId, Growing>, Stopped> {
    let mut wanted = Vec::new();
    let mut complete = size;
    for level in 0.. {
        if complete == 0 {
            break;
        }
        if !complete.is_multiple_of(256) {
            wanted.push(TileId { level, number: complete / 256 });
        }
        complete /= 256;
    }
    let rows = store.log_tiles(wanted.clone()).await?;
    if rows.len() != wanted.len() {
        return Err(Refused::Rewritten.into());
    }
    let mut growing = BTreeMap::new();
    for row in rows {
        let tile = Tile::from_bytes(row.id, &row.hashes).ok_or(Refused::Rewritten)?;
        let is_whole = row.id.level > 0 || tile.hashes().len() == row.entries.len();
        if !is_whole {
            return Err(Refused::Rewritten.into());
        }
        growing.insert(row.id, Growing { tile, entries: row.entries });
    }
    Ok(growing)
}
