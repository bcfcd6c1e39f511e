//! Blind indexes: keyed hashes to find a sealed value by, without opening anything.

use aws_lc_rs::hmac;

use crate::DataKey;
use crate::context::derive;

/// The key of blind indexes. Rotating the root leaves it, and so every index, as it was.
#[derive(Clone)]
pub struct IndexKey(hmac::Key);

impl IndexKey {
    /// The index key that belongs to a data key of the gateway itself.
    pub fn new(key: &DataKey) -> Self {
        let derived = derive(&key.bytes, &[], b"countersign index key v1", &key.id().0);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.key()))
    }

    /// HMAC-SHA-256 over the purpose and the parts, each with its length, cut to 16 bytes. The same
    /// parts for another purpose give another index.
    pub fn index(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        *mac.sign().as_ref().first_chunk().expect("a SHA-256 MAC has 32 bytes")
    }
}

impl std::fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyId;

    fn key(byte: u8) -> IndexKey {
        IndexKey::new(&DataKey::new(KeyId([1; 16]), [byte; 32]))
    }

    #[test]
    fn known_answer() {
        let index = key(1).index("dedup", &[b"stripe", b"evt_1"]);
        let hex: String = index.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("index/known_answer.hex").trim_end());
    }

    #[test]
    fn another_key_purpose_or_division_gives_another_index() {
        let base = key(1).index("dedup", &[b"stripe", b"evt_1"]);
        assert_eq!(base, key(1).index("dedup", &[b"stripe", b"evt_1"]));
        for other in [
            key(2).index("dedup", &[b"stripe", b"evt_1"]),
            key(1).index("order", &[b"stripe", b"evt_1"]),
            key(1).index("dedup", &[b"stripe", b"evt_2"]),
            key(1).index("dedup", &[b"stripeevt_1"]),
            key(1).index("dedup", &[b"stripee", b"vt_1"]),
            key(1).index("dedup", &[b"stripe", b"evt_1", b""]),
            key(1).index("", &[b"dedup", b"stripe", b"evt_1"]),
        ] {
            assert_ne!(base, other);
        }
    }
}
