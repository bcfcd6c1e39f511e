//! The frontier: the complete subtrees that a tree consists of, largest first.

use std::fmt;

use super::{Node, nodes_of};
use crate::hash::{Hash, empty_root, node_hash};
use crate::limits::LEAVES_MAX;

/// What appending to a tree needs: its size, and one hash for each bit that is set in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// The largest subtree first.
    hashes: Vec<Hash>,
}

/// The hashes are not those of a frontier of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontierError;

impl fmt::Display for FrontierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frontier has one hash for each bit that is set in its size")
    }
}

impl std::error::Error for FrontierError {}

impl Frontier {
    /// The frontier of a tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// From the hashes of the nodes that [`nodes_of`] names, in their order.
    pub fn from_hashes(size: u64, hashes: Vec<Hash>) -> Result<Self, FrontierError> {
        let fits = size <= LEAVES_MAX && nodes_of(size).len() == hashes.len();
        if fits { Ok(Self { size, hashes }) } else { Err(FrontierError) }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk().ok_or(FrontierError)?;
        let (hashes, rest) = rest.as_chunks();
        if !rest.is_empty() {
            return Err(FrontierError);
        }
        Self::from_hashes(u64::from_be_bytes(*size), hashes.iter().copied().map(Hash).collect())
    }

    /// The size in eight bytes, then the hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.0));
        bytes
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes, the largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds a leaf, and names every node that is complete now, from the leaf upwards.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(Node, Hash)) {
        let mut node = Node { level: 0, index: self.size };
        let mut hash = leaf;
        completed(node, hash);
        while node.index & 1 == 1 {
            let left = self.hashes.pop().expect("one hash for each bit of the size");
            hash = node_hash(left, hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold(&self.hashes).unwrap_or_else(empty_root)
    }
}

/// The root over subtrees, each smaller than the one before it.
pub(super) fn fold(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(left, right))
}
