//! The blocks that were read, by height and hash: the cursor, and the way back from it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::asset::Hash;

/// The hashes of consecutive blocks. The newest is the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trail {
    /// The height of the oldest.
    start: u64,
    hashes: VecDeque<Hash>,
}

impl Trail {
    /// The newest block that was read: height and hash.
    pub fn tip(&self) -> Option<(u64, Hash)> {
        let hash = self.hashes.back()?;
        Some((self.end().saturating_sub(1), *hash))
    }

    /// The height of the oldest block that is remembered.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The hash at a height.
    pub fn hash_at(&self, height: u64) -> Option<Hash> {
        let at = usize::try_from(height.checked_sub(self.start)?).ok()?;
        self.hashes.get(at).copied()
    }

    /// Blocks that are remembered.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The height after the newest.
    fn end(&self) -> u64 {
        self.start.saturating_add(self.hashes.len() as u64)
    }

    /// Begins anew with one block.
    pub(crate) fn begin(&mut self, height: u64, hash: Hash) {
        self.start = height;
        self.hashes = VecDeque::from([hash]);
    }

    /// One block more. The caller has seen that its parent is the tip.
    pub(crate) fn extend(&mut self, hash: Hash) {
        self.hashes.push_back(hash);
    }

    /// Forgets the blocks from this height on.
    pub(crate) fn cut_from(&mut self, height: u64) {
        let kept = height.saturating_sub(self.start);
        self.hashes.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    /// Forgets the blocks below this height, but for the newest.
    pub(crate) fn trim_below(&mut self, height: u64) {
        let last = self.end().saturating_sub(1);
        let gone = height.min(last).saturating_sub(self.start);
        let gone = usize::try_from(gone).unwrap_or(0).min(self.hashes.len());
        self.hashes.drain(..gone);
        self.start = self.start.saturating_add(gone as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> Hash {
        Hash::from_bytes([number; 32])
    }

    fn trail() -> Trail {
        let mut trail = Trail::default();
        trail.begin(10, hash(10));
        (11..15).for_each(|number| trail.extend(hash(number)));
        trail
    }

    #[test]
    fn it_knows_the_blocks_it_has_and_no_others() {
        let trail = trail();
        assert_eq!(trail.tip(), Some((14, hash(14))));
        assert_eq!(trail.hash_at(10), Some(hash(10)));
        assert_eq!([trail.hash_at(9), trail.hash_at(15), trail.hash_at(u64::MAX)], [None; 3]);
        assert_eq!(Trail::default().tip(), None);
    }

    #[test]
    fn it_is_cut_at_the_front_and_trimmed_at_the_back() {
        let mut trail = trail();
        trail.cut_from(13);
        assert_eq!(trail.tip(), Some((12, hash(12))));
        trail.trim_below(11);
        assert_eq!((trail.start(), trail.len()), (11, 2));
        trail.trim_below(u64::MAX);
        assert_eq!((trail.tip(), trail.len()), (Some((12, hash(12))), 1), "the newest stays");
        trail.cut_from(0);
        assert!(trail.is_empty());
    }
}
