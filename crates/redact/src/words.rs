//! What words give away: values under keys that name a secret, keys of known shapes, credentials in
//! headers and URLs, private keys, and e-mail addresses.

mod address;
mod named;
mod shaped;

use crate::{Finding, Place};

/// Stands for any byte in [`STARTS`].
pub(crate) const ANY: u8 = 0;

/// The first four bytes, in lower case, of everything that is worth a look.
pub(crate) const STARTS: [[u8; 4]; 44] = [
    // Keys whose values are looked at: `named`.
    *b"cvv\0",
    *b"cvc\0",
    *b"cvn\0",
    *b"csc\0",
    *b"cav2",
    *b"secu",
    *b"veri",
    *b"pinb",
    *b"pin_",
    *b"pin-",
    *b"pass",
    *b"pwd\0",
    *b"auth",
    *b"api_",
    *b"api-",
    *b"apik",
    *b"acce",
    *b"refr",
    *b"priv",
    *b"clie",
    *b"secr",
    *b"sign",
    *b"webh",
    // Shapes: `shaped`.
    *b"bear",
    *b"begi",
    *b"sk_l",
    *b"sk_t",
    *b"rk_l",
    *b"rk_t",
    *b"whse",
    *b"akia",
    *b"asia",
    *b"ghp_",
    *b"gho_",
    *b"ghu_",
    *b"ghs_",
    *b"ghr_",
    *b"gith",
    *b"glpa",
    *b"xox\0",
    *b"aiza",
    *b"eyj\0",
    // Addresses: `address`.
    *b"\0\0\0@",
    *b"\0%40",
];

/// Looks closely at a word whose fourth byte stands here.
pub(crate) fn look(bytes: &[u8], fourth: usize, place: Place) -> Option<Finding> {
    let start = fourth.checked_sub(3)?;
    let first: [u8; 4] = bytes.get(start..=fourth)?.try_into().ok()?;
    match &first.map(|byte| byte.to_ascii_lowercase()) {
        [.., b'@'] => address::find(bytes, fourth..fourth + 1, place),
        [_, b'%', b'4', b'0'] => address::find(bytes, fourth - 2..fourth + 1, place),
        b"bear" => shaped::bearer(bytes, start),
        b"begi" => shaped::private_key(bytes, start),
        [b'e', b'y', b'j', _] => shaped::signed_token(bytes, start, place),
        b"sk_l"
        | b"sk_t"
        | b"rk_l"
        | b"rk_t"
        | b"whse"
        | b"akia"
        | b"asia"
        | b"gith"
        | b"glpa"
        | b"aiza"
        | [b'g', b'h', _, b'_']
        | [b'x', b'o', b'x', _] => shaped::key(bytes, start),
        _ => named::find(bytes, start, place),
    }
}
