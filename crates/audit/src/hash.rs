//! SHA-256 as RFC 6962 uses it: leaves and nodes can never be taken for one another.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// A SHA-256 hash. Prints as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Reads 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            if let [high, low] = pair {
                *high = digit(byte >> 4);
                *low = digit(byte & 15);
            }
        }
        text
    }
}

fn digit(char: u8) -> Option<u8> {
    match char {
        b'0'..=b'9' => Some(char - b'0'),
        b'a'..=b'f' => Some(char - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_hex()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 of bytes as they are.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let hash = digest(&SHA256, bytes);
    Hash(*hash.as_ref().first_chunk().expect("SHA-256 gives 32 bytes"))
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    sha256(b"")
}

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    leaf_hash_with(&mut Vec::with_capacity(leaf.len() + 1), leaf)
}

/// The same, in a buffer that is kept from leaf to leaf.
pub(crate) fn leaf_hash_with(buffer: &mut Vec<u8>, leaf: &[u8]) -> Hash {
    buffer.clear();
    buffer.push(0);
    buffer.extend_from_slice(leaf);
    sha256(buffer)
}

/// The hash of a node: SHA-256 of a one byte and both hashes under it.
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    let mut bytes = [1; 65];
    let (_, hashes) = bytes.split_at_mut(1);
    let (one, two) = hashes.split_at_mut(32);
    one.copy_from_slice(&left.0);
    two.copy_from_slice(&right.0);
    sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the hasher that every log of certificates uses.
    #[test]
    fn known_answers() {
        let hex = |hash: Hash| hash.to_string();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(empty_root()), empty);
        let empty_leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex(leaf_hash(b"")), empty_leaf);
        let leaf = "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56";
        assert_eq!(hex(leaf_hash(b"L123456")), leaf);
    }

    #[test]
    fn a_leaf_that_looks_like_a_node_is_none() {
        let (one, two) = (leaf_hash(b"one"), leaf_hash(b"two"));
        let both = [one.0, two.0].concat();
        assert_ne!(leaf_hash(&both), node_hash(one, two));
    }

    #[test]
    fn hexadecimal_digits_have_one_form() {
        let hash = leaf_hash(b"x");
        assert_eq!(Hash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(hash.to_string().as_bytes(), hash.to_hex());
        let upper = hash.to_string().to_uppercase();
        assert_eq!(Hash::from_hex(upper.as_bytes()), None);
        assert_eq!(Hash::from_hex(&hash.to_hex()[..62]), None);
        assert_eq!(Hash::from_hex(&[hash.to_hex().as_slice(), b"00"].concat()), None);
    }
}
