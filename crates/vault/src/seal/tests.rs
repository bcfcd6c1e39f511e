//! Sealed records open in their own place, under their own key, unchanged; and nowhere else.

use super::*;
use crate::KeyId;
use proptest::prelude::*;

const COUNTING: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

const PLACE: Place<'static> =
    Place { table: "event", column: "facts", row: b"row 1", subject: b"subject 1" };

fn key() -> DataKey {
    DataKey::new(KeyId([7; 16]), [42; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn refused(key: &DataKey, place: Place<'_>, bytes: &[u8], expected: OpenError) {
    let opened = open(key, place, &Sealed::from_bytes(bytes.to_vec()));
    assert_eq!(opened.expect_err("must not open"), expected);
}

/// The layout can never change silently: what was sealed by any version must open.
#[test]
fn known_answer() {
    let sealed = seal(&key(), COUNTING, PLACE, b"a webhook's facts");
    assert_eq!(hex(sealed.as_bytes()), include_str!("known_answer.hex").trim_end());
    assert_eq!(open(&key(), PLACE, &sealed).expect("opens").as_slice(), b"a webhook's facts");
}

#[test]
fn the_empty_record_opens() {
    let sealed = seal(&key(), [1; 32], PLACE, b"");
    assert_eq!(sealed.as_bytes().len(), HEADER_BYTES + TAG_BYTES);
    assert!(open(&key(), PLACE, &sealed).expect("opens").is_empty());
}

#[test]
fn another_place_or_key_does_not_open() {
    let sealed = seal(&key(), [1; 32], PLACE, b"facts");
    let bytes = sealed.as_bytes();
    for place in [
        Place { row: b"row 2", ..PLACE },
        Place { row: b"", ..PLACE },
        Place { column: "body", ..PLACE },
        Place { table: "body", ..PLACE },
        Place { subject: b"subject 2", ..PLACE },
        // The same bytes, divided otherwise.
        Place { table: "eventf", column: "acts", ..PLACE },
        Place { row: b"row 1subject 1", subject: b"", ..PLACE },
    ] {
        refused(&key(), place, bytes, OpenError::WrongKeyOrPlace);
    }
    let other_bytes = DataKey::new(KeyId([7; 16]), [43; 32]);
    let other_id = DataKey::new(KeyId([8; 16]), [42; 32]);
    refused(&other_bytes, PLACE, bytes, OpenError::WrongKeyOrPlace);
    refused(&other_id, PLACE, bytes, OpenError::WrongKeyOrPlace);
}

#[test]
fn every_truncation_is_refused() {
    let sealed = seal(&key(), [1; 32], PLACE, b"facts");
    let bytes = sealed.as_bytes();
    for length in 0..bytes.len() {
        let expected = if length < HEADER_BYTES + TAG_BYTES {
            OpenError::Truncated
        } else {
            OpenError::Changed
        };
        refused(&key(), PLACE, &bytes[..length], expected);
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    refused(&key(), PLACE, &longer, OpenError::Changed);
}

#[test]
fn bytes_that_were_never_sealed_are_refused() {
    for length in 0..=64 {
        refused(&key(), PLACE, &vec![SUITE; length], OpenError::Truncated);
    }
    for length in 1..=64 {
        refused(&key(), PLACE, &vec![0; length], OpenError::UnknownSuite);
    }
}

#[test]
fn every_bit_flip_is_refused() {
    let sealed = seal(&key(), [1; 32], PLACE, b"the facts of an event");
    for place in 0..sealed.as_bytes().len() * 8 {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[place / 8] ^= 1 << (place % 8);
        let expected = match place / 8 {
            0 => OpenError::UnknownSuite,
            1..HEADER_BYTES => OpenError::WrongKeyOrPlace,
            _ => OpenError::Changed,
        };
        refused(&key(), PLACE, &bytes, expected);
    }
}

#[test]
fn equal_records_look_different_under_another_salt() {
    let one = seal(&key(), [1; 32], PLACE, b"facts");
    let two = seal(&key(), [2; 32], PLACE, b"facts");
    assert_ne!(one.as_bytes()[33..], two.as_bytes()[33..]);
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        secret: [u8; 32], salt: [u8; 32], id: [u8; 16],
        row in prop::collection::vec(any::<u8>(), 0..40),
        subject in prop::collection::vec(any::<u8>(), 0..40),
        plaintext in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let key = DataKey::new(KeyId(id), secret);
        let place = Place { table: "body", column: "bytes", row: &row, subject: &subject };
        let sealed = seal(&key, salt, place, &plaintext);
        let opened = open(&key, place, &sealed).expect("opens");
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
    }

    #[test]
    fn what_was_changed_anywhere_does_not(
        plaintext in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, by in 1_u8..,
    ) {
        let sealed = seal(&key(), [3; 32], PLACE, &plaintext);
        let mut bytes = sealed.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(open(&key(), PLACE, &Sealed::from_bytes(bytes)).is_err());
    }

    #[test]
    fn any_bytes_are_opened_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = open(&key(), PLACE, &Sealed::from_bytes(bytes));
    }
}
