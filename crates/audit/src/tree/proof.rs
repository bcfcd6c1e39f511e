//! Proofs: that a leaf is in a tree (RFC 6962, 2.1.1), and that one tree grew from another (2.1.2).

use std::fmt;

use super::frontier::fold;
use super::{Node, cover};
use crate::hash::{Hash, empty_root, node_hash};

/// Which stored nodes a proof is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProofPlan {
    nodes: Vec<Node>,
    /// How many nodes, one after the other, each hash of the proof is made of.
    folds: Vec<usize>,
}

/// A proof needs a node that the store does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingNode(pub Node);

impl fmt::Display for MissingNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of level {} is not there", self.0.index, self.0.level)
    }
}

impl std::error::Error for MissingNode {}

impl ProofPlan {
    /// A plan from ranges of leaves, from the root downwards.
    fn of(ranges: &[(u64, u64)]) -> Self {
        let mut plan = Self::default();
        for (start, end) in ranges.iter().rev() {
            let before = plan.nodes.len();
            cover(*start, *end, &mut plan.nodes);
            plan.folds.push(plan.nodes.len() - before);
        }
        plan
    }

    /// The nodes to read.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The proof, from the hashes of these nodes.
    pub fn proof(
        &self,
        mut hash_of: impl FnMut(Node) -> Option<Hash>,
    ) -> Result<Vec<Hash>, MissingNode> {
        let mut nodes = self.nodes.iter();
        let mut proof = Vec::with_capacity(self.folds.len());
        for count in &self.folds {
            let hashes: Vec<Hash> = nodes
                .by_ref()
                .take(*count)
                .map(|node| hash_of(*node).ok_or(MissingNode(*node)))
                .collect::<Result<_, _>>()?;
            proof.extend(fold(&hashes));
        }
        Ok(proof)
    }
}

/// Where a tree of so many leaves, two at least, divides: the largest power of two below.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// What proves that the leaf at `index` is in the tree of `size` leaves; `None` where it is not.
pub fn inclusion_plan(index: u64, size: u64) -> Option<ProofPlan> {
    if index >= size {
        return None;
    }
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    Some(ProofPlan::of(&ranges))
}

/// What proves that the tree of `size` leaves begins with that of `earlier`; `None` where it is the
/// smaller one.
pub fn consistency_plan(earlier: u64, size: u64) -> Option<ProofPlan> {
    if earlier > size {
        return None;
    }
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while earlier != end && earlier != 0 {
        let middle = start + split(end - start);
        if earlier <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    // The earlier tree itself is known to whoever verifies; a part of it is not.
    if start > 0 {
        ranges.push((start, end));
    }
    Some(ProofPlan::of(&ranges))
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofError {
    /// There is no such leaf in that tree, or the later tree is the smaller one.
    Sizes,
    /// More or fewer hashes than that proof has.
    Length,
    /// The hashes lead to another root.
    Root,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sizes => "there can be no such proof for these sizes",
            Self::Length => "the proof has another number of hashes than it must have",
            Self::Root => "the proof leads to another root",
        })
    }
}

impl std::error::Error for ProofError {}

/// Verifies that a leaf is in a tree (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Sizes);
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(*sibling, hash);
            climb_to_odd(&mut at, &mut last);
        } else {
            hash = node_hash(hash, *sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    settled(last, &[(hash, root)])
}

/// Verifies that a tree grew from an earlier one (RFC 9162, 2.1.4.2).
pub fn verify_consistency(
    earlier: u64,
    earlier_root: Hash,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if earlier > size {
        return Err(ProofError::Sizes);
    }
    if earlier == 0 || earlier == size {
        let known = if earlier == 0 { empty_root() } else { root };
        let is_empty = proof.is_empty();
        return if is_empty {
            settled(0, &[(known, earlier_root)])
        } else {
            Err(ProofError::Length)
        };
    }
    let (mut at, mut last) = (earlier - 1, size - 1);
    let shift = at.trailing_ones();
    (at, last) = (at >> shift, last >> shift);
    // A whole earlier tree is the first hash itself, and is not sent.
    let whole = earlier.is_power_of_two().then_some(earlier_root);
    let mut hashes = whole.iter().chain(proof);
    let first = hashes.next().ok_or(ProofError::Length)?;
    let (mut old, mut new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            (old, new) = (node_hash(*hash, old), node_hash(*hash, new));
            climb_to_odd(&mut at, &mut last);
        } else {
            new = node_hash(new, *hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    settled(last, &[(old, earlier_root), (new, root)])
}

/// A node at the right edge may have no sibling for some levels: up to the one where it has. `at`
/// is odd, or it is `last`, which is not zero.
fn climb_to_odd(at: &mut u64, last: &mut u64) {
    let levels = at.trailing_zeros();
    (*at, *last) = (*at >> levels, *last >> levels);
}

fn settled(left: u64, pairs: &[(Hash, Hash)]) -> Result<(), ProofError> {
    if left != 0 {
        return Err(ProofError::Length);
    }
    if pairs.iter().all(|(one, two)| one == two) { Ok(()) } else { Err(ProofError::Root) }
}
