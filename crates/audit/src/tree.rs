//! The Merkle tree of RFC 6962 (and RFC 9162): appended to in O(log n), proved from stored nodes.
//!
//! A **node** is the root of a complete subtree: level 0 is a leaf, and node `index` of level
//! `level` covers the leaves from `index << level` on, `1 << level` of them. It never changes once
//! it is complete, so a store only adds to what it has: [`Frontier::append`] names the nodes that a
//! leaf completes. Every eighth level is kept, 256 hashes in a row of it to a [`Tile`], and what is
//! between is made from those when it is asked for. The **frontier** is the few nodes
//! that a tree of some size consists of; it is all that appending needs, and [`nodes_of`] says which
//! to read to have it again. A proof is first planned, so that a store can read what it
//! needs at once, and then put together.

mod frontier;
mod proof;
#[cfg(test)]
mod tests;
mod tile;

pub use frontier::{Frontier, FrontierError};
pub use proof::{
    MissingNode, ProofError, ProofPlan, consistency_plan, inclusion_plan, verify_consistency,
    verify_inclusion,
};

pub use tile::{Tile, TileId};

/// The root of a complete subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// How high: a leaf is at 0.
    pub level: u32,
    /// The how manieth of its level.
    pub index: u64,
}

/// The nodes that a tree of this size consists of, the largest first: its frontier.
pub fn nodes_of(size: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    cover(0, size, &mut nodes);
    nodes
}

/// The nodes that the leaves from `start` to `end` consist of. `start` is where a subtree begins.
fn cover(mut start: u64, end: u64, nodes: &mut Vec<Node>) {
    while let Some(level) = end.checked_sub(start).and_then(u64::checked_ilog2) {
        // As large as fits, and as large as can begin here (anything can begin at 0).
        let level = if start == 0 { level } else { level.min(start.trailing_zeros()) };
        nodes.push(Node { level, index: start >> level });
        start += 1 << level;
    }
}
