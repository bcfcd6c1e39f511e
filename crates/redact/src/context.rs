//! What stands around a place: whether it is inside a word, and which key it stands under.

/// Bytes of a key that are read.
const KEY_BYTES_MAX: usize = 48;

/// Bytes between a key and its value.
const BETWEEN_BYTES_MAX: usize = 16;

/// What the key says of the number under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is a card.
    Card,
    /// It is a number of another kind.
    Other,
    /// Nothing.
    Nothing,
}

/// Words of keys under which a card is expected.
const CARD: [&str; 9] =
    ["card", "cards", "pan", "cc", "creditcard", "debitcard", "cardnumber", "cardno", "ccnumber"];

/// Words of keys whose numbers are of another kind. None of them is one under which people write
/// what they like, such as a reference or a description.
const OTHER: [&str; 64] = [
    "imei",
    "imeisv",
    "imsi",
    "iccid",
    "meid",
    "msisdn",
    "eid",
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "fax",
    "whatsapp",
    "timestamp",
    "ts",
    "time",
    "date",
    "created",
    "updated",
    "at",
    "expires",
    "expiry",
    "epoch",
    "ns",
    "us",
    "ms",
    "nonce",
    "tracking",
    "waybill",
    "shipment",
    "parcel",
    "ean",
    "gtin",
    "upc",
    "isbn",
    "issn",
    "barcode",
    "sku",
    "iban",
    "hash",
    "sha",
    "md5",
    "digest",
    "uuid",
    "guid",
    "amount",
    "balance",
    "wei",
    "satoshi",
    "satoshis",
    "lamports",
    "price",
    "total",
    "fee",
    "gas",
    "latitude",
    "longitude",
    "lat",
    "lon",
    "lng",
    "block",
    "height",
    "score",
];

/// What the key before this place says.
pub(crate) fn told(bytes: &[u8], at: usize) -> Told {
    let Some(before) = bytes.get(..at) else { return Told::Nothing };
    let between = |byte: &u8| {
        matches!(
            byte,
            b' ' | b'\t' | b'"' | b'\'' | b'\\' | b':' | b'=' | b'>' | b'[' | b'(' | b'#'
        )
    };
    let gap = before.iter().rev().take(BETWEEN_BYTES_MAX).take_while(|byte| between(byte)).count();
    let before = before.get(..before.len() - gap).unwrap_or_default();
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let length = before.iter().rev().take(KEY_BYTES_MAX).take_while(|byte| part(byte)).count();
    let key = before.get(before.len() - length..).unwrap_or_default();
    judge(&words(key))
}

fn judge(words: &[String]) -> Told {
    let one_of = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_id = matches!(words.last().map(String::as_str), Some("id" | "ids"));
    if one_of(&CARD) {
        Told::Card
    } else if is_id || one_of(&OTHER) {
        Told::Other
    } else {
        Told::Nothing
    }
}

/// `createdAt`, `created_at` and `created-at` are the same two words.
fn words(key: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for byte in key {
        let is_letter = byte.is_ascii_alphanumeric();
        if !is_letter || (byte.is_ascii_uppercase() && was_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| is_letter) {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        was_lower = byte.is_ascii_lowercase() || byte.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether what begins here continues a word. The last letter of an escape is none.
pub(crate) fn continues_word(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] => false,
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => false,
        [.., b'\\', b'u', a, b, c, d] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => {
            false
        }
        [.., b'm'] => !ends_colour(before),
        [.., last] => is_word(*last),
        [] => false,
    }
}

/// Whether what ends here is continued by a word.
pub(crate) fn continued(bytes: &[u8], end: usize) -> bool {
    bytes.get(end).is_some_and(|next| is_word(*next))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether the bytes end in a terminal's colour (`ESC [ 3 m`), which logs to a terminal are full of.
fn ends_colour(before: &[u8]) -> bool {
    let parameters = before.iter().rev().skip(1).take(12);
    let count = parameters.take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    let rest = before.get(..before.len().saturating_sub(1 + count)).unwrap_or_default();
    rest.ends_with(b"\x1b[")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(text: &str) -> Told {
        told(text.as_bytes(), text.len())
    }

    #[test]
    fn keys_are_read_in_every_spelling() {
        for key in
            ["{\"imei\":\"", "imei=", "IMEI: ", "deviceImei\\\":\\\"", "created_at: ", "Id=\""]
        {
            assert_eq!(under(key), Told::Other, "{key}");
        }
        for key in ["\"card\":{\"number\":\"x\",\"cardNumber\":\"", "card_id=", "pan>"] {
            assert_eq!(under(key), Told::Card, "{key}");
        }
        for key in ["", "reference=", "\"paid\":", "note: my number is "] {
            assert_eq!(under(key), Told::Nothing, "{key}");
        }
    }

    #[test]
    fn escapes_and_colours_end_a_word() {
        for text in ["\\n", "%3D", "\\u003d", "\x1b[0m", "\x1b[38;5;2m", " ", ""] {
            assert!(!continues_word(text.as_bytes(), text.len()), "{text:?}");
        }
        for text in ["n", "x_", "3", "[0m", "m"] {
            assert!(continues_word(text.as_bytes(), text.len()), "{text:?}");
        }
    }
}
