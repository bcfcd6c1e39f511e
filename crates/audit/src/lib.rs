//! Append-only Merkle log, C2SP formats: entries, proofs, checkpoints, offline verification.

mod checkpoint;
mod commitment;
mod entry;
mod export;
mod fault;
mod hash;
pub mod limits;
mod note;
mod seal;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tree;
mod verify;
mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, Signed};
pub use commitment::Commitment;
pub use entry::{Body, Change, Entry, EntryError, Parts, Value};
pub use export::Exporter;
pub use fault::{Fault, FaultKind, VerifyError};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use note::{KeyError, Note, NoteError, Signature, SigningKey, VerifierKey};
pub use seal::{Appended, Refused, Sealer};
pub use verify::{Progress, Verified, verify};
pub use witness::Witness;
