//! Dedup keys: which event holds each, for thirty-five days.
//!
//! A key is a keyed hash, so a table of keys in their order takes each new one at a random place:
//! a page of its own to log and to write back for every event. Measured, that was most of what a
//! record cost. So a new key stands in its event's row alone, which is appended, and in memory; when
//! memory holds enough of them they are written side by side, in order, as one *run* that never
//! changes (see [`runs`]). A key is looked for in memory, then in the runs whose filter has it.
//!
//! Everything in memory follows from the file: a start reads it anew, and so does a writer that finds
//! that another process has committed.

mod runs;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use model::{EventId, Timestamp};
use rusqlite::{Connection, Statement};
use sabotage::Point;

use super::failure::{Result, pass};
use super::session::Session;
use crate::command::Answer;
use crate::memory::{DAYS_AT_ONCE_MAX, DAYS_UNSWEPT_MAX, credible_day, first_day_that_counts};
use runs::{Run, Runs};

/// A keyed hash of a source and what identifies its event.
pub(super) type Key = [u8; 16];

/// An event that holds a key, and its significant projection.
pub(super) type Holder = (EventId, [u8; 16]);

/// How a key is held.
#[derive(Clone, Copy)]
struct Held {
    event: [u8; 16],
    projection: [u8; 16],
    /// The day from which it counts.
    day: i64,
}

/// The keys, and what was added to them since the last commit.
pub(super) struct Dedup<'c> {
    run_keys: usize,
    loaded: bool,
    recent: HashMap<Key, Held, BuildHasherDefault<Spread>>,
    runs: Runs<'c>,
    /// The keys of the events up to this one are in the runs.
    merged: i64,
    /// The keys of the events up to this one are in the runs or in memory.
    seen: i64,
    /// Keys of earlier days were forgotten, whatever the clock says now.
    first_day: i64,
    /// The last day on which keys were forgotten; 0 is never.
    swept_day: i64,
    /// What each key taken since the last commit was before.
    undo: Vec<(Key, Option<Held>)>,
    state: Statement<'c>,
    unseen: Statement<'c>,
}

impl<'c> Dedup<'c> {
    pub(super) fn new(connection: &'c Connection, run_keys: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            run_keys,
            loaded: false,
            recent: HashMap::default(),
            runs: Runs::new(connection)?,
            merged: 0,
            seen: 0,
            first_day: 0,
            swept_day: 0,
            undo: Vec::new(),
            state: connection
                .prepare("SELECT dedup_merged, dedup_first_day, dedup_swept_day FROM counter")?,
            unseen: connection.prepare(
                "SELECT dedup_key, id, projection, received_at, sequence FROM event
                 WHERE sequence > ?1 AND dedup_key IS NOT NULL ORDER BY sequence",
            )?,
        })
    }

    /// Takes note of what another connection has committed.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if self.loaded { self.load() } else { Ok(()) }
    }

    /// Reads what is not known yet.
    pub(super) fn load(&mut self) -> Result<()> {
        let (merged, first_day, swept_day) =
            self.state.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if !self.loaded || merged != self.merged {
            self.loaded = false;
            self.recent.clear();
            self.runs.load()?;
            self.seen = merged;
        }
        self.merged = merged;
        self.first_day = first_day;
        self.swept_day = swept_day;
        let mut rows = self.unseen.query([self.seen])?;
        while let Some(row) = rows.next()? {
            let day = Timestamp::from_millis(row.get(3)?).day();
            if day >= first_day {
                let held = Held { event: row.get(1)?, projection: row.get(2)?, day };
                self.recent.insert(row.get(0)?, held);
            }
            self.seen = row.get(4)?;
        }
        drop(rows);
        self.loaded = true;
        Ok(())
    }

    /// Takes a key for an event, or says which event holds it. Whoever takes it keeps it in the
    /// event's row, in the same transaction.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        key: &Key,
        event: EventId,
        projection: &[u8; 16],
    ) -> Result<Option<Holder>> {
        if !self.loaded {
            self.load()?;
        }
        let today = credible_day(at, self.swept_day, DAYS_UNSWEPT_MAX);
        let counts_from = self.first_day.max(first_day_that_counts(today));
        let counts = |held: &Held| held.day >= counts_from;
        let held = match self.recent.get(key).copied().filter(counts) {
            Some(held) => Some(held),
            None => self.runs.find(key, counts_from)?,
        };
        if let Some(held) = held {
            return Ok(Some((EventId::from_bytes(held.event), held.projection)));
        }
        let held = Held { event: *event.as_bytes(), projection: *projection, day: at.day() };
        let before = self.recent.insert(*key, held);
        self.undo.push((*key, before));
        Ok(None)
    }

    /// How far [`Dedup::undo_to`] would go back to come here again.
    pub(super) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Gives back what was taken since the mark.
    pub(super) fn undo_to(&mut self, mark: usize) {
        while self.undo.len() > mark
            && let Some((key, before)) = self.undo.pop()
        {
            match before {
                Some(held) => self.recent.insert(key, held),
                None => self.recent.remove(&key),
            };
        }
    }

    /// What was taken is committed, up to this event.
    pub(super) fn committed(&mut self, sequence: i64) {
        self.undo.clear();
        if self.loaded {
            self.seen = sequence;
        }
    }

    /// Reads everything anew before it is used again.
    pub(super) fn distrust(&mut self) {
        self.undo.clear();
        self.loaded = false;
    }

    /// Whether memory holds enough keys for a run.
    pub(super) fn is_long(&self) -> bool {
        let enough = if sabotage::aims_at(Point::DedupRun) { 64 } else { self.run_keys };
        self.recent.len() >= enough
    }

    /// Writes the keys in memory, those of the events up to this one, as a run.
    pub(super) fn write_run(&mut self, sequence: i64) -> Result<Run> {
        let run = self.runs.write(&self.recent)?;
        pass(Point::DedupRun)?;
        self.runs.set_merged(sequence)?;
        Ok(run)
    }

    /// The run is committed: its keys need no memory any more.
    pub(super) fn adopt(&mut self, run: Run, sequence: i64) {
        self.runs.adopt(run);
        self.recent.clear();
        self.merged = sequence;
    }

    /// Forgets keys before a day: all that are in memory, and a run; says how many, and whether there
    /// are more.
    fn forget_before(&mut self, day: i64) -> Result<(usize, bool)> {
        let held = self.recent.len();
        self.recent.retain(|_, held| held.day >= day);
        let of_memory = held - self.recent.len();
        let of_run = self.runs.drop_one_before(day)?;
        Ok((of_memory + of_run.unwrap_or(0), of_run.is_some()))
    }
}

impl Session<'_> {
    /// Forgets what no longer counts, once a day, however often somebody asks.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Result<Answer> {
        let swept: i64 = self
            .connection
            .prepare_cached("SELECT dedup_swept_day FROM counter")?
            .query_row([], |row| row.get(0))?;
        let today = credible_day(now, swept, DAYS_AT_ONCE_MAX);
        if today <= swept {
            return Ok(Answer::Swept { forgotten: 0, more: false });
        }
        self.distrust_if_undone = true;
        self.dedup.load()?;
        let first = first_day_that_counts(today);
        let (forgotten, more) = self.dedup.forget_before(first)?;
        if !more {
            self.forget_undecided(today)?;
            self.connection
                .prepare_cached(
                    "UPDATE counter SET dedup_swept_day = ?1,
                        dedup_first_day = max(dedup_first_day, ?2)",
                )?
                .execute([today, first])?;
            self.dedup.first_day = self.dedup.first_day.max(first);
            self.dedup.swept_day = today;
        }
        Ok(Answer::Swept { forgotten, more })
    }
}

/// Keys are keyed hashes already: their first bytes spread as well as any hash of them.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    /// Comes before the bytes, and is the same for all.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
