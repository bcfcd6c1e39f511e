//! Append-only Merkle log, C2SP formats: entries, proofs, checkpoints, offline verification.

mod hash;
pub mod limits;
pub mod tree;

pub use hash::{Hash, empty_root, leaf_hash, node_hash};
