//! Records: sealed under a key of their own and bound to where they live.
//!
//! Layout of [`Sealed`]: suite `1` (1 byte) ‖ salt (32) ‖ key commitment (32) ‖ ciphertext ‖ tag (16).
//! The record's key and the commitment are the two halves of
//! HKDF-SHA-256(data key, salt, "countersign record key v1" ‖ context). The cipher is AES-256-GCM
//! with a nonce of zeros, since a key made from a fresh 32-byte salt seals once. The context (suite,
//! table, column, row, subject, data key id; each with its length) is also the additional data.
//! Neither the root nor the version of a wrapping stands in it, so rewrapping touches no record.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use sabotage::Defect;
use zeroize::Zeroizing;

use crate::context::{Derived, derive, encode};
use crate::{DataKey, OpenError};

const SUITE: u8 = 1;
const LABEL: &[u8] = b"countersign record key v1";
const HEADER_BYTES: usize = 1 + 32 + 32;
const TAG_BYTES: usize = 16;

/// Where a record lives. Sealed bytes open in their own place only.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The kind of record, such as `event`.
    pub table: &'a str,
    /// The field, such as `facts`.
    pub column: &'a str,
    /// The record's id.
    pub row: &'a [u8],
    /// The person (or the retention bucket) whose key it is.
    pub subject: &'a [u8],
}

/// A sealed record: safe to store. The store takes nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The stored form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the stored form. It is judged when it is opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Seals a record for its place. `salt` is 32 fresh bytes of the system's generator, never reused.
pub fn seal(key: &DataKey, salt: [u8; 32], place: Place<'_>, plaintext: &[u8]) -> Sealed {
    let salt = if sabotage::on(Defect::OneSalt) { [0; 32] } else { salt };
    let context = context(key, place);
    let derived = derive(&key.bytes, &salt, LABEL, &context);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + plaintext.len() + TAG_BYTES);
    bytes.push(SUITE);
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(derived.commitment());
    bytes.extend_from_slice(plaintext);
    let (_, ciphertext) = bytes.split_at_mut(HEADER_BYTES);
    let tag = cipher(&derived)
        .seal_in_place_separate_tag(nonce(), Aad::from(&context), ciphertext)
        .expect("a body is far below the 64 GiB that AES-GCM can seal");
    bytes.extend_from_slice(tag.as_ref());
    Sealed(bytes)
}

/// Opens a record in its place.
pub fn open(
    key: &DataKey,
    place: Place<'_>,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (suite, rest) = sealed.0.split_first().ok_or(OpenError::Truncated)?;
    if *suite != SUITE {
        return Err(OpenError::UnknownSuite);
    }
    let (salt, rest) = rest.split_first_chunk::<32>().ok_or(OpenError::Truncated)?;
    let (commitment, ciphertext) = rest.split_first_chunk::<32>().ok_or(OpenError::Truncated)?;
    if ciphertext.len() < TAG_BYTES {
        return Err(OpenError::Truncated);
    }
    let context = context(key, place);
    let derived = derive(&key.bytes, salt, LABEL, &context);
    let committed = verify_slices_are_equal(derived.commitment(), commitment).is_ok();
    if !committed && !sabotage::on(Defect::CommitmentIgnored) {
        return Err(OpenError::WrongKeyOrPlace);
    }
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let opened = cipher(&derived)
        .open_in_place(nonce(), Aad::from(&context), &mut plaintext)
        .map_err(|_| OpenError::Changed)?
        .len();
    plaintext.truncate(opened);
    Ok(plaintext)
}

fn context(key: &DataKey, place: Place<'_>) -> Vec<u8> {
    encode(&[
        &[SUITE],
        place.table.as_bytes(),
        place.column.as_bytes(),
        if sabotage::on(Defect::RowNotBound) { &[] } else { place.row },
        place.subject,
        &key.id().0,
    ])
}

pub(crate) fn cipher(derived: &Derived) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, derived.key()).expect("AES-256 takes 32 bytes");
    LessSafeKey::new(key)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests;
