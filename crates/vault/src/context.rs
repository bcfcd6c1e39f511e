//! Length-prefixed encoding and key derivation: what sealing, wrapping and indexing share.

use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// A derived key and the commitment that says which key it was derived from.
pub(crate) struct Derived(Zeroizing<[u8; 64]>);

impl Derived {
    /// The AES-256 key.
    pub(crate) fn key(&self) -> &[u8] {
        self.0.first_chunk::<32>().expect("64 bytes hold 32")
    }

    /// Differs for every other secret, salt and context, and says nothing about the key.
    pub(crate) fn commitment(&self) -> &[u8] {
        self.0.last_chunk::<32>().expect("64 bytes hold 32")
    }
}

/// HKDF-SHA-256 (RFC 5869) of a secret, to 64 bytes: a key and its commitment.
pub(crate) fn derive(secret: &[u8; 32], salt: &[u8], label: &[u8], context: &[u8]) -> Derived {
    let mut out = Zeroizing::new([0; 64]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[label, context], Length(64))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("64 bytes are within HKDF's limit of 255 blocks");
    Derived(out)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Joins parts, each after its length in eight bytes, so that no two lists give the same bytes.
pub(crate) fn encode(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn other_parts_encode_otherwise(
            a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
            b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
        ) {
            let encoded = |parts: &[Vec<u8>]| encode(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(encoded(&a) == encoded(&b), a == b);
        }
    }

    #[test]
    fn the_key_and_its_commitment_differ() {
        let derived = derive(&[1; 32], &[2; 32], b"label", b"context");
        assert_ne!(derived.key(), derived.commitment());
    }
}
