//! Sliding windows that the replicas share: two counts a key, as `model::rate` weighs them.

use std::collections::BTreeMap;

use model::Timestamp;

/// What is added to the count of a key in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowAdd {
    /// A keyed hash of what is counted.
    pub key: [u8; 16],
    /// When the period began: a multiple of its length.
    pub period_start: Timestamp,
    /// How long a period is, milliseconds.
    pub period_ms: i64,
    /// How many more; none only reads.
    pub add: u32,
}

/// The counts of a key, of all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowCounts {
    /// In this period, what was just added included.
    pub current: u32,
    /// In the period before.
    pub previous: u32,
}

/// Rows of periods that are over, forgotten with each call.
pub(crate) const FORGOTTEN_AT_ONCE_MAX: i64 = 64;

impl WindowAdd {
    /// When the period no longer counts, not even as the one before.
    pub(crate) fn ends_at(&self) -> i64 {
        let two = self.period_ms.saturating_mul(2);
        self.period_start.as_millis().saturating_add(two)
    }

    /// When the period before began.
    pub(crate) fn previous_start(&self) -> i64 {
        self.period_start.as_millis().saturating_sub(self.period_ms)
    }
}

/// What is added to each row, in the order of the rows: a row is changed once, and nobody waits for
/// somebody who waits for them.
pub(crate) fn added_up(adds: &[WindowAdd]) -> Vec<WindowAdd> {
    let mut rows: BTreeMap<([u8; 16], Timestamp), WindowAdd> = BTreeMap::new();
    for add in adds.iter().filter(|add| add.add > 0) {
        rows.entry((add.key, add.period_start))
            .and_modify(|row| row.add = row.add.saturating_add(add.add))
            .or_insert(*add);
    }
    rows.into_values().collect()
}

/// A time at which everything that is asked for counts: what ended before is over.
pub(crate) fn oldest_start(adds: &[WindowAdd]) -> i64 {
    adds.iter().map(WindowAdd::previous_start).min().unwrap_or(0)
}
