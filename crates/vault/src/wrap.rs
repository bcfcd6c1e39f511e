//! Data keys: wrapped under the root and bound to their owner.
//!
//! Layout of [`WrappedKey`] (101 bytes): suite `1` ‖ root version (8) ‖ nonce (12) ‖ key commitment
//! (32) ‖ wrapped key (32) ‖ tag (16). The wrapping key and the commitment are the two halves of
//! HKDF-SHA-256(root, nonce, "countersign wrapping key v1" ‖ context); the cipher is AES-256-GCM. The
//! context (suite, kind of owner, owner, data key id, root version; each with its length) is also the
//! additional data.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::context::{derive, encode};
use crate::seal::cipher;
use crate::{DataKey, KeyId, OpenError, RootKey};

const SUITE: u8 = 1;
const LABEL: &[u8] = b"countersign wrapping key v1";
const KEY_BYTES: usize = 32;

/// Whose key it is. A wrapped key opens for its own owner only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner<'a> {
    /// A person.
    Subject(&'a [u8; 16]),
    /// What is kept and forgotten together, such as a source's day.
    Bucket(&'a [u8; 16]),
    /// The gateway itself, for a purpose such as `index`.
    System(&'a str),
}

impl<'a> Owner<'a> {
    fn parts(self) -> (&'static [u8], &'a [u8]) {
        match self {
            Self::Subject(id) => (b"subject", id),
            Self::Bucket(id) => (b"bucket", id),
            Self::System(purpose) => (b"system", purpose.as_bytes()),
        }
    }
}

/// A data key under the root: safe to store.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl std::fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WrappedKey({} bytes)", self.0.len())
    }
}

impl WrappedKey {
    /// The stored form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the stored form. It is judged when it is unwrapped.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Wraps a data key for its owner. `nonce` is 12 fresh bytes of the system's generator.
pub fn wrap(root: &RootKey, key: &DataKey, owner: Owner<'_>, nonce: [u8; NONCE_LEN]) -> WrappedKey {
    let context = context(root, key.id(), owner);
    let derived = derive(&root.bytes, &nonce, LABEL, &context);
    let mut secret = Zeroizing::new(*key.bytes);
    let tag = cipher(&derived)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&context),
            secret.as_mut_slice(),
        )
        .expect("32 bytes are far below the 64 GiB that AES-GCM can seal");
    let parts: [&[u8]; 6] =
        [&[SUITE], &root.version(), &nonce, derived.commitment(), secret.as_slice(), tag.as_ref()];
    WrappedKey(parts.concat())
}

/// Unwraps the data key `id` of `owner`.
pub fn unwrap(
    root: &RootKey,
    wrapped: &WrappedKey,
    id: KeyId,
    owner: Owner<'_>,
) -> Result<DataKey, OpenError> {
    let (suite, rest) = wrapped.0.split_first().ok_or(OpenError::Truncated)?;
    if *suite != SUITE {
        return Err(OpenError::UnknownSuite);
    }
    let (version, rest) = rest.split_first_chunk::<8>().ok_or(OpenError::Truncated)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Truncated)?;
    let (commitment, ciphertext) = rest.split_first_chunk::<32>().ok_or(OpenError::Truncated)?;
    let sealed = <&[u8; KEY_BYTES + 16]>::try_from(ciphertext).map_err(|_| OpenError::Truncated)?;
    if *version != root.version() {
        return Err(OpenError::WrongRoot);
    }
    let context = context(root, id, owner);
    let derived = derive(&root.bytes, nonce, LABEL, &context);
    verify_slices_are_equal(derived.commitment(), commitment)
        .map_err(|_| OpenError::WrongKeyOrPlace)?;
    let mut secret = Zeroizing::new(*sealed);
    cipher(&derived)
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(&context),
            secret.as_mut_slice(),
        )
        .map_err(|_| OpenError::Changed)?;
    let bytes = secret.first_chunk::<KEY_BYTES>().expect("a key and its tag hold a key");
    Ok(DataKey::new(id, *bytes))
}

fn context(root: &RootKey, id: KeyId, owner: Owner<'_>) -> Vec<u8> {
    let (kind, owner) = owner.parts();
    encode(&[&[SUITE], kind, owner, &id.0, &root.version()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: KeyId = KeyId([7; 16]);
    const OWNER: Owner<'static> = Owner::Bucket(&[9; 16]);

    const COUNTING: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
        \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

    fn root() -> RootKey {
        RootKey::generate(COUNTING)
    }

    fn wrapped() -> WrappedKey {
        wrap(&root(), &DataKey::new(ID, [42; 32]), OWNER, [5; 12])
    }

    #[track_caller]
    fn refused(root: &RootKey, bytes: &[u8], id: KeyId, owner: Owner<'_>, expected: OpenError) {
        let opened = unwrap(root, &WrappedKey::from_bytes(bytes.to_vec()), id, owner);
        assert_eq!(opened.expect_err("must not unwrap"), expected);
    }

    /// The layout can never change silently: what was wrapped by any version must open.
    #[test]
    fn known_answer() {
        let hex: String = wrapped().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("wrap/known_answer.hex").trim_end());
        let key = unwrap(&root(), &wrapped(), ID, OWNER).expect("its own");
        assert_eq!(*key.bytes, [42; 32]);
        assert_eq!(key.id(), ID);
    }

    #[test]
    fn another_owner_key_or_root_does_not_unwrap() {
        let wrapped = wrapped();
        let bytes = wrapped.as_bytes();
        for owner in [
            Owner::Bucket(&[8; 16]),
            Owner::Subject(&[9; 16]),
            Owner::System("index"),
            Owner::System("\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t"),
        ] {
            refused(&root(), bytes, ID, owner, OpenError::WrongKeyOrPlace);
        }
        refused(&root(), bytes, KeyId([8; 16]), OWNER, OpenError::WrongKeyOrPlace);
        refused(&RootKey::generate([1; 32]), bytes, ID, OWNER, OpenError::WrongRoot);
        // Another root's version written over this one's is found out by the commitment.
        let other = RootKey::generate([1; 32]);
        let mut forged = bytes.to_vec();
        forged[1..9].copy_from_slice(&other.version());
        refused(&other, &forged, ID, OWNER, OpenError::WrongKeyOrPlace);
    }

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let wrapped = wrapped();
        let bytes = wrapped.as_bytes();
        for length in 0..bytes.len() {
            refused(&root(), &bytes[..length], ID, OWNER, OpenError::Truncated);
        }
        refused(&root(), &[bytes, &[0]].concat(), ID, OWNER, OpenError::Truncated);
    }

    #[test]
    fn every_bit_flip_is_refused() {
        let wrapped = wrapped();
        for place in 0..wrapped.as_bytes().len() * 8 {
            let mut bytes = wrapped.as_bytes().to_vec();
            bytes[place / 8] ^= 1 << (place % 8);
            let expected = match place / 8 {
                0 => OpenError::UnknownSuite,
                1..9 => OpenError::WrongRoot,
                9..53 => OpenError::WrongKeyOrPlace,
                _ => OpenError::Changed,
            };
            refused(&root(), &bytes, ID, OWNER, expected);
        }
    }

    #[test]
    fn rewrapping_touches_no_record() {
        let place =
            crate::Place { table: "body", column: "bytes", row: b"1", subject: b"somebody" };
        let sealed = crate::seal(&DataKey::new(ID, [42; 32]), [1; 32], place, b"body");
        let new_root = RootKey::generate([1; 32]);
        let key = unwrap(&root(), &wrapped(), ID, OWNER).expect("old root");
        let rewrapped = wrap(&new_root, &key, OWNER, [6; 12]);
        let key = unwrap(&new_root, &rewrapped, ID, OWNER).expect("new root");
        assert_eq!(crate::open(&key, place, &sealed).expect("opens").as_slice(), b"body");
    }

    proptest! {
        #[test]
        fn what_is_wrapped_unwraps(root: [u8; 32], secret: [u8; 32], nonce: [u8; 12], purpose in ".{0,40}") {
            let root = RootKey::generate(root);
            let owner = Owner::System(&purpose);
            let wrapped = wrap(&root, &DataKey::new(ID, secret), owner, nonce);
            prop_assert_eq!(*unwrap(&root, &wrapped, ID, owner).expect("unwraps").bytes, secret);
        }

        #[test]
        fn any_bytes_are_unwrapped_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
            let _ = unwrap(&root(), &WrappedKey::from_bytes(bytes), ID, OWNER);
        }
    }
}
