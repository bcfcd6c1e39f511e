//! The sealer's state: gives entries their place in the log, and signs what grew from what was
//! signed before, nothing else.
//!
//! Whoever seals keeps, in one transaction: the leaves, the nodes that each completed, and the
//! checkpoint. To go on after a start it reads the last checkpoint, the frontier of exactly that size
//! ([`nodes_of`](crate::tree::nodes_of)), and the newest checkpoint that a witness has. What does not
//! fit is a [`Refused`], for good: a log that was rolled back or rewritten is not signed again, or
//! its two histories could never be told apart.

use std::fmt;

use sabotage::Defect;

use crate::checkpoint::{CheckpointError, Signed};
use crate::entry::Body;
use crate::hash::{Hash, leaf_hash};
use crate::limits::LEAVES_MAX;
use crate::note::SigningKey;
use crate::tree::{Frontier, MissingNode, Node, consistency_plan, verify_consistency};

/// Why nothing more is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A checkpoint was signed for more leaves than the log has: it was rolled back.
    RolledBack,
    /// A checkpoint was signed for another history than the log's: it was rewritten.
    Rewritten,
    /// A node that is needed to see whether the log fits is not there.
    Missing(MissingNode),
    /// The key is that of another log, or its name is none.
    Key(CheckpointError),
    /// The log is as long as a log can be.
    Full,
}

impl Refused {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RolledBack => "rollback_detected",
            Self::Rewritten => "rewrite_detected",
            Self::Missing(_) => "audit_node_missing",
            Self::Key(_) => "audit_key",
            Self::Full => "audit_full",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RolledBack => f.write_str(
                "a checkpoint was signed for more entries than there are: the log was rolled back",
            ),
            Self::Rewritten => f.write_str(
                "a checkpoint was signed for other entries than there are: the log was rewritten",
            ),
            Self::Missing(node) => write!(f, "the log cannot be compared: {node}"),
            Self::Key(error) => write!(f, "this key cannot sign for the log: {error}"),
            Self::Full => f.write_str("the log is full"),
        }
    }
}

impl std::error::Error for Refused {}

/// A log that may be added to and signed.
///
/// It only grows: what it signs begins with all that it was resumed from and signed before. A
/// checkpoint leaves the process only after it was committed together with its leaves; when that
/// fails, this value is dropped, and made again from what is stored.
#[derive(Debug)]
pub struct Sealer {
    origin: String,
    frontier: Frontier,
}

/// An entry that has its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the log.
    pub index: u64,
    /// The bytes to keep.
    pub leaf: Vec<u8>,
    /// The nodes that are complete now, the leaf itself first.
    pub nodes: Vec<(Node, Hash)>,
}

impl Sealer {
    /// A log that nothing was ever signed for.
    pub fn begin(origin: &str) -> Self {
        Self { origin: origin.to_owned(), frontier: Frontier::new() }
    }

    /// Goes on after `last`, with the frontier of its size. Each of the checkpoints in `seen`, kept
    /// where the log's own store does not reach, must be one that this log grew from; `hash_of`
    /// reads stored nodes.
    pub fn resume(
        last: &Signed,
        frontier: Frontier,
        seen: &[Signed],
        mut hash_of: impl FnMut(Node) -> Option<Hash>,
    ) -> Result<Self, Refused> {
        if frontier.size() < last.size() {
            return Err(Refused::RolledBack);
        }
        if frontier.size() > last.size() || frontier.root() != last.root() {
            return Err(Refused::Rewritten);
        }
        let origin = last.checkpoint().origin.clone();
        for earlier in seen.iter().filter(|_| !sabotage::on(Defect::RollBackSigned)) {
            if earlier.checkpoint().origin != origin {
                return Err(Refused::Key(CheckpointError::Origin));
            }
            let plan = consistency_plan(earlier.size(), last.size()).ok_or(Refused::RolledBack)?;
            let proof = plan.proof(&mut hash_of).map_err(Refused::Missing)?;
            let (size, root) = (earlier.size(), earlier.root());
            verify_consistency(size, root, last.size(), last.root(), &proof)
                .map_err(|_| Refused::Rewritten)?;
        }
        Ok(Self { origin, frontier })
    }

    /// How many entries have their place.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The frontier, to be kept with the checkpoint that is signed for it.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Gives an entry the next place.
    pub fn append(&mut self, body: &Body) -> Result<Appended, Refused> {
        let index = self.frontier.size();
        if index >= LEAVES_MAX {
            return Err(Refused::Full);
        }
        let leaf = body.leaf(index);
        let mut nodes = Vec::new();
        self.frontier.append(leaf_hash(&leaf), |node, hash| nodes.push((node, hash)));
        Ok(Appended { index, leaf, nodes })
    }

    /// Signs the log as it is now, by one key, or by two while the second one takes over.
    pub fn sign(&self, key: &SigningKey, next: Option<&SigningKey>) -> Result<Signed, Refused> {
        if key.verifier().name() != self.origin {
            return Err(Refused::Key(CheckpointError::Origin));
        }
        Signed::sign(self.frontier.size(), self.frontier.root(), key, next).map_err(Refused::Key)
    }
}

#[cfg(test)]
mod tests;
