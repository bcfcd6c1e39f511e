//! Envelope encryption: keys wrapped under a root, records sealed and bound to where they live.
//!
//! A **root key** wraps **data keys** (one a person, or one a source and day). From a data key each
//! record gets a key of its own, derived with a fresh salt, and is **sealed** with it. Whoever moves
//! sealed bytes to another row, column, table or person, or tries another key, opens nothing.
//! Rotating the root rewraps data keys and touches no record.
//!
//! Everything here is pure: random bytes come in as parameters, and nothing is read or kept.
//! The bytes' layout is written down in [`seal`](mod@seal) and [`wrap`](mod@wrap), and known answers
//! in the tests hold it still.

mod context;
mod error;
mod index;
mod key;
pub mod seal;
mod signing;
pub mod wrap;

pub use error::{OpenError, RootKeyError};
pub use index::IndexKey;
pub use key::{DataKey, KeyId, RootKey};
pub use seal::{Place, Sealed, open, seal};
pub use signing::signing_seed;
pub use wrap::{Owner, WrappedKey, unwrap, wrap};
