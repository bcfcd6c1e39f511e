//! Cursors: where a page ended, sealed with a keyed hash over the list and the reach of the key, so
//! that one made by another list or under another reach is no cursor.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Reach;

use crate::keys::KeyRing;

const NUMBER_BYTES: usize = 8;

/// The cursor of what comes after a number.
pub(super) fn made(keys: &KeyRing, route: &str, reach: &Reach, number: i64) -> String {
    let number = number.to_be_bytes();
    let seal = seal(keys, route, reach, number);
    URL_SAFE_NO_PAD.encode([number.as_slice(), &seal].concat())
}

/// The number in a cursor, if it was made by this list under this reach.
pub(super) fn read(keys: &KeyRing, route: &str, reach: &Reach, text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (number, found) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    let expected = seal(keys, route, reach, *number);
    verify_slices_are_equal(&expected, found).ok()?;
    Some(i64::from_be_bytes(*number))
}

fn seal(keys: &KeyRing, route: &str, reach: &Reach, number: [u8; NUMBER_BYTES]) -> [u8; 16] {
    keys.index("api.cursor", &[route.as_bytes(), &bytes_of(reach), &number])
}

/// A reach as bytes: equal for equal ones only, since no name holds the bytes between them.
fn bytes_of(reach: &Reach) -> Vec<u8> {
    let mut bytes = Vec::new();
    for names in [&reach.sources, &reach.providers] {
        bytes.push(u8::from(names.is_some()));
        for name in names.iter().flatten() {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        bytes.push(0xff);
    }
    bytes.extend(reach.customer.iter().flatten());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Option<std::collections::BTreeSet<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn each_reach_has_bytes_of_its_own() {
        let of = |sources, providers, customer| bytes_of(&Reach { sources, providers, customer });
        let all = [
            of(None, None, None),
            of(names(&[]), None, None),
            of(None, names(&[]), None),
            of(names(&["a"]), None, None),
            of(None, names(&["a"]), None),
            of(names(&["a", "b"]), None, None),
            of(names(&["ab"]), None, None),
            of(names(&["a"]), names(&["b"]), None),
            of(None, None, Some([1; 16])),
            of(names(&["a"]), None, Some([1; 16])),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
    }
}
