//! Runs: dedup keys that were written in order at once, and never change.
//!
//! A run's entries stand in blocks, numbered by the first bits of their keys: a key's block is known
//! without looking, and holds some sixty entries in their order. Which runs may have a key is asked
//! of their Bloom filters (Bloom, "Space/time trade-offs in hash coding with allowable errors",
//! 1970), all at once: the filters lie crosswise in memory, a word with one bit a run for each of
//! their positions, so that a few words say it for sixty-four runs. A key that is new costs no
//! more; in a filter of 65,536 keys one in a thousand is found by mistake.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::{Held, Key};
use crate::error::Kind;
use crate::sqlite::failure::Result;

/// The first bits of a key, which are the number of its block.
const BLOCK_BITS: u32 = 10;

/// Positions of a filter, as a power of two; sixteen for each of 65,536 keys.
const FILTER_BITS: u32 = 20;

/// Positions that a key sets.
const PROBES: u32 = 6;

/// Bytes of an entry: key, event, projection, day.
const ENTRY: usize = 16 + 16 + 16 + 4;

/// Filters side by side.
const LANES: usize = 64;

/// The runs of a file.
pub(super) struct Runs<'c> {
    connection: &'c Connection,
    block: Statement<'c>,
    /// The runs of each lane, oldest first as far as lanes were not used again.
    lanes: Vec<Option<Lane>>,
    /// The filters of sixty-four lanes each: a word for each position.
    filters: Vec<Vec<u64>>,
}

#[derive(Clone, Copy)]
struct Lane {
    run: i64,
    last_day: i64,
}

/// A run that was written and is not committed yet.
pub(in crate::sqlite) struct Run {
    lane: Lane,
    filter: Vec<u8>,
}

impl<'c> Runs<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            block: connection.prepare("SELECT entries FROM dedup_block WHERE row = ?1")?,
            lanes: Vec::new(),
            filters: Vec::new(),
        })
    }

    /// Reads the filters of all runs.
    pub(super) fn load(&mut self) -> Result<()> {
        self.lanes.clear();
        self.filters.clear();
        let mut statement =
            self.connection.prepare("SELECT run, last_day, filter FROM dedup_run ORDER BY run")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let lane = Lane { run: row.get(0)?, last_day: row.get(1)? };
            self.adopt(Run { lane, filter: row.get(2)? });
        }
        Ok(())
    }

    /// How a key is held, by the newest run that has it, if it counts.
    pub(super) fn find(&mut self, key: &Key, counts_from: i64) -> Result<Option<Held>> {
        let mut candidates: Vec<Lane> =
            self.candidates(key).filter(|lane| lane.last_day >= counts_from).collect();
        candidates.sort_unstable_by_key(|lane| std::cmp::Reverse(lane.run));
        for lane in candidates {
            let held = self.find_in(lane.run, key)?;
            if let Some(held) = held.filter(|held| held.day >= counts_from) {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    fn candidates(&self, key: &Key) -> impl Iterator<Item = Lane> {
        self.filters.iter().zip(self.lanes.chunks(LANES)).flat_map(|(words, lanes)| {
            let word = |position: usize| words.get(position).copied().unwrap_or(0);
            let mut bits = u64::MAX;
            for position in positions(key) {
                bits &= word(position);
                if bits == 0 {
                    break;
                }
            }
            let has = move |(n, _): &(usize, &Option<Lane>)| bits >> n & 1 == 1;
            lanes.iter().enumerate().filter(has).filter_map(|(_, lane)| *lane)
        })
    }

    fn find_in(&mut self, run: i64, key: &Key) -> Result<Option<Held>> {
        let read = |row: &rusqlite::Row<'_>| {
            let entries = row.get_ref(0)?.as_blob()?;
            let (entries, rest) = entries.as_chunks::<ENTRY>();
            if !rest.is_empty() {
                return Ok(Err(Kind::Corrupt));
            }
            let found = entries.binary_search_by(|entry| key_of(entry).cmp(key));
            Ok(Ok(found.ok().and_then(|n| entries.get(n)).map(decode)))
        };
        // A run that another process has dropped has no blocks.
        let found = self.block.query_row([block_row(run, key)], read).optional()?;
        Ok(found.transpose().map(Option::flatten)?)
    }

    /// Writes a run of these keys.
    pub(super) fn write<S>(&mut self, keys: &HashMap<Key, Held, S>) -> Result<Run> {
        let newest = "SELECT coalesce(max(run), 0) FROM dedup_run";
        let newest: i64 = self.connection.query_row(newest, [], |row| row.get(0))?;
        let last_day = keys.values().map(|held| held.day).max().unwrap_or(0);
        let lane = Lane { run: newest + 1, last_day };
        let mut sorted: Vec<(&Key, &Held)> = keys.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        let filter = filter_of(keys.keys());
        self.connection
            .prepare_cached(
                "INSERT INTO dedup_run (run, last_day, keys, filter) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                lane.run,
                last_day,
                i64::try_from(sorted.len()).unwrap_or(0),
                filter
            ])?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO dedup_block (row, entries) VALUES (?1, ?2)")?;
        for block in sorted.chunk_by(|(a, _), (b, _)| block_of(a) == block_of(b)) {
            let Some((first, _)) = block.first() else { continue };
            let entries: Vec<u8> = block.iter().flat_map(|(key, held)| encode(key, held)).collect();
            insert.execute(params![block_row(lane.run, first), entries])?;
        }
        Ok(Run { lane, filter })
    }

    /// Notes up to which event the keys are in runs.
    pub(super) fn set_merged(&mut self, sequence: i64) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE counter SET dedup_merged = ?1")?
            .execute([sequence])?;
        Ok(())
    }

    /// Takes a run into a free lane.
    pub(super) fn adopt(&mut self, run: Run) {
        let free = self.lanes.iter().position(Option::is_none);
        let n = free.unwrap_or(self.lanes.len());
        if n == self.lanes.len() {
            self.lanes.push(None);
        }
        if self.filters.len() <= n / LANES {
            self.filters.push(vec![0; 1 << FILTER_BITS]);
        }
        if let Some(lane) = self.lanes.get_mut(n) {
            *lane = Some(run.lane);
        }
        let Some(words) = self.filters.get_mut(n / LANES) else { return };
        for (eight, byte) in words.chunks_mut(8).zip(&run.filter) {
            for (bit, word) in eight.iter_mut().enumerate() {
                *word |= u64::from(byte >> bit & 1) << (n % LANES);
            }
        }
    }

    /// Drops a run all of whose keys are of earlier days, if there is one; says how many it had.
    pub(super) fn drop_one_before(&mut self, day: i64) -> Result<Option<usize>> {
        let is_old = |lane: &Option<Lane>| lane.is_some_and(|lane| lane.last_day < day);
        let Some(n) = self.lanes.iter().position(is_old) else { return Ok(None) };
        let Some(lane) = self.lanes.get_mut(n).and_then(Option::take) else { return Ok(None) };
        for word in self.filters.get_mut(n / LANES).into_iter().flatten() {
            *word &= !(1 << (n % LANES));
        }
        self.drop_run(lane.run).map(Some)
    }

    fn drop_run(&self, run: i64) -> Result<usize> {
        self.connection
            .prepare_cached("DELETE FROM dedup_block WHERE row >= ?1 AND row < ?2")?
            .execute([run << BLOCK_BITS, (run + 1) << BLOCK_BITS])?;
        let keys = self
            .connection
            .prepare_cached("DELETE FROM dedup_run WHERE run = ?1 RETURNING keys")?
            .query_row([run], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(keys.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(0))
    }
}

/// The positions that a key sets: keys are keyed hashes, so their bits serve as they are.
fn positions(key: &Key) -> impl Iterator<Item = usize> {
    let bits = u128::from_be_bytes(*key);
    (0..PROBES).map(move |n| {
        let position = (bits >> (n * FILTER_BITS)) & ((1 << FILTER_BITS) - 1);
        usize::try_from(position).unwrap_or(0)
    })
}

fn filter_of<'k>(keys: impl Iterator<Item = &'k Key>) -> Vec<u8> {
    let mut filter = vec![0_u8; (1 << FILTER_BITS) / 8];
    for position in keys.flat_map(positions) {
        if let Some(byte) = filter.get_mut(position / 8) {
            *byte |= 1 << (position % 8);
        }
    }
    filter
}

fn block_of(key: &Key) -> i64 {
    let bits = u128::from_be_bytes(*key) >> (u128::BITS - BLOCK_BITS);
    i64::try_from(bits).unwrap_or(0)
}

fn block_row(run: i64, key: &Key) -> i64 {
    (run << BLOCK_BITS) | block_of(key)
}

fn encode(key: &Key, held: &Held) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..16].copy_from_slice(key);
    entry[16..32].copy_from_slice(&held.event);
    entry[32..48].copy_from_slice(&held.projection);
    let day = i32::try_from(held.day).unwrap_or(i32::MAX);
    entry[48..].copy_from_slice(&day.to_be_bytes());
    entry
}

fn key_of(entry: &[u8; ENTRY]) -> &Key {
    entry.first_chunk().unwrap_or(&[0; 16])
}

fn decode(entry: &[u8; ENTRY]) -> Held {
    let part = |from: usize| {
        entry.get(from..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
    };
    let day = entry.last_chunk().copied().unwrap_or_default();
    Held { event: part(16), projection: part(32), day: i32::from_be_bytes(day).into() }
}
