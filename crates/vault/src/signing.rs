//! The seed of the key that signs the audit log's checkpoints.

use zeroize::Zeroizing;

use crate::DataKey;
use crate::context::derive;

/// The seed of an Ed25519 key that belongs to a data key of the gateway itself. Rotating the root
/// leaves it as it was.
pub fn signing_seed(key: &DataKey) -> Zeroizing<[u8; 32]> {
    let derived = derive(&key.bytes, &[], b"countersign audit signing key v1", &key.id().0);
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(derived.key());
    seed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyId;

    /// A log that was begun must go on under the same key.
    #[test]
    fn known_answer() {
        let seed = signing_seed(&DataKey::new(KeyId([1; 16]), [2; 32]));
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("signing/known_answer.hex").trim_end());
    }

    #[test]
    fn every_key_has_another_seed() {
        let of = |id, bytes| signing_seed(&DataKey::new(KeyId([id; 16]), [bytes; 32]));
        assert_ne!(of(1, 2), of(1, 3));
        assert_ne!(of(1, 2), of(2, 2));
    }
}
