//! What words give away: values under keys that name a secret, keys of known shapes, credentials in
//! headers and URLs, private keys, and e-mail addresses.

mod address;
mod named;
mod shaped;

use crate::{Finding, Place};

/// Stands for any byte in [`STARTS`].
pub(crate) const ANY: u8 = 0;

/// The first four bytes, in lower case, of everything that is worth a look, in sixteen sets. The
/// pass knows sets only: it also stops at a mixture of two words of one set, which is no matter where
/// such a mixture is rare.
pub(crate) const STARTS: [&[[u8; 4]]; 16] = [
    // Keys whose values are looked at (`named`), and shapes (`shaped`).
    &[*b"cvv\0", *b"cvc\0", *b"cvn\0", *b"csc\0"],
    &[*b"secu", *b"secr"],
    &[*b"veri", *b"refr"],
    &[*b"pinb", *b"pin_", *b"pin-", *b"pass", *b"pwd\0"],
    &[*b"auth", *b"gith"],
    &[*b"api_", *b"api-", *b"apik"],
    &[*b"acce", *b"aiza"],
    &[*b"priv", *b"bear"],
    &[*b"clie", *b"glpa"],
    &[*b"sign", *b"begi"],
    &[*b"webh", *b"whse"],
    &[*b"sk_l", *b"sk_t", *b"rk_l", *b"rk_t", *b"ghp_", *b"gho_", *b"ghu_", *b"ghs_", *b"ghr_"],
    &[*b"akia", *b"asia", *b"cav2"],
    &[*b"xox\0", *b"eyj\0"],
    // Addresses (`address`).
    &[*b"\0\0\0@"],
    &[*b"\0%40"],
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
