//! Commitments: what stands in the log for something personal.
//!
//! A leaf can never be changed, so nothing personal is in one. It holds the SHA-256 of a label, a
//! kind, a salt of 32 random bytes and the value; salt and value are kept elsewhere. Whoever has
//! both shows what was meant. When both are erased, nothing can be learned from the hash, and every
//! proof about the leaf is as valid as before.

use std::fmt;

use crate::hash::{Hash, sha256};

const LABEL: &[u8] = b"audit commitment v1\0";

/// The hash that stands for a personal value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commitment(pub Hash);

impl Commitment {
    /// Commits to a value of a kind (`address`, `agent`, `note`, or the name of what changed).
    /// `salt` is 32 fresh bytes of the system's generator for each value, or equal values could be
    /// told and few possible ones be tried.
    ///
    /// A kind is a code, so it has no zero byte, and no two inputs are hashed as the same bytes.
    pub fn of(kind: &str, salt: &[u8; 32], value: &[u8]) -> Self {
        Self(sha256(&[LABEL, kind.as_bytes(), b"\0", salt, value].concat()))
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commitments that were written must be shown to be true years later.
    #[test]
    fn known_answer() {
        let one = Commitment::of("address", &[1; 32], b"192.0.2.1");
        let known = "629d78c803c86cde0e0485c55a77ee381fc95106c700b01ba46eb14c1893313c";
        assert_eq!(one.to_string(), known);
    }

    #[test]
    fn another_kind_salt_or_value_is_another_commitment() {
        let one = Commitment::of("address", &[1; 32], b"192.0.2.1");
        assert_ne!(one, Commitment::of("agent", &[1; 32], b"192.0.2.1"));
        assert_ne!(one, Commitment::of("address", &[2; 32], b"192.0.2.1"));
        assert_ne!(one, Commitment::of("address", &[1; 32], b"192.0.2.2"));
        assert_ne!(one, Commitment::of("address", &[1; 32], b""));
    }
}
