//! One character at a time, however it is spelled: as it is, as a JSON escape, or URL-encoded.

/// What a character means to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A decimal digit of any script.
    Digit(u8),
    /// A space that may stand between groups of digits.
    Space,
    /// A dash or dot that may stand between groups of digits.
    Tight,
    /// A letter: digits next to it are part of a word.
    Letter,
    /// Anything else.
    Other,
}

/// The zero of every run of ten decimal digits (Unicode 15, category Nd).
const ZEROS: [u32; 68] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6,
    0x0D66, 0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80,
    0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60,
    0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0,
    0x1E950, 0x1FBF0,
];

/// The unit at a place and how many bytes spell it; at least one.
pub(crate) fn at(bytes: &[u8], place: usize) -> (Unit, usize) {
    let Some(rest) = bytes.get(place..) else { return (Unit::Other, 1) };
    match rest {
        [byte @ b'0'..=b'9', ..] => (Unit::Digit(byte - b'0'), 1),
        [b' ' | b'\t' | b'+', ..] => (Unit::Space, 1),
        [b'-' | b'.', ..] => (Unit::Tight, 1),
        [byte, ..] if byte.is_ascii_alphabetic() => (Unit::Letter, 1),
        [b'\\', ..] => escaped(rest),
        [b'%', ..] => url_encoded(rest).unwrap_or((Unit::Other, 1)),
        [0x80..=0xff, ..] => plain(rest).unwrap_or((Unit::Other, 1)),
        _ => (Unit::Other, 1),
    }
}

/// What a character is.
pub(crate) fn of(character: char) -> Unit {
    match character {
        ' ' | '\t' | '+' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200d}' => Unit::Space,
        '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}' => Unit::Space,
        '-' | '.' | '\u{ad}' | '\u{b7}' | '\u{2010}'..='\u{2015}' | '\u{2022}' => Unit::Tight,
        '\u{2024}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '\u{ff0e}' => Unit::Tight,
        letter if letter.is_ascii_alphabetic() => Unit::Letter,
        other => digit(u32::from(other)).map_or(Unit::Other, Unit::Digit),
    }
}

fn digit(code: u32) -> Option<u8> {
    let after = ZEROS.partition_point(|zero| *zero <= code);
    let zero = ZEROS.get(after.checked_sub(1)?)?;
    u8::try_from(code - zero).ok().filter(|value| *value < 10)
}

fn plain(rest: &[u8]) -> Option<(Unit, usize)> {
    let length = encoded_length(*rest.first()?)?;
    let text = std::str::from_utf8(rest.get(..length)?).ok()?;
    Some((of(text.chars().next()?), length))
}

/// `\u0034`, with as many backslashes as the text was put into JSON; else an escape of two bytes.
fn escaped(rest: &[u8]) -> (Unit, usize) {
    let slashes = rest.iter().take(8).take_while(|byte| **byte == b'\\').count();
    let spelled = match rest.get(slashes..) {
        Some([b'u', a, b, c, d, ..]) => hex(*a, *b).zip(hex(*c, *d)),
        _ => None,
    };
    if let Some((high, low)) = spelled {
        let character = char::from_u32(u32::from(high) << 8 | u32::from(low));
        return (character.map_or(Unit::Other, of), slashes + 5);
    }
    match rest.get(slashes) {
        Some(b'n' | b'r' | b't' | b'b' | b'f' | b'"' | b'/') => (Unit::Other, slashes + 1),
        _ => (Unit::Other, slashes),
    }
}

/// `%34`, and `%EF%BC%94` for what takes more bytes (RFC 3986, 2.1).
fn url_encoded(rest: &[u8]) -> Option<(Unit, usize)> {
    let first = percent(rest, 0)?;
    if first.is_ascii() {
        return Some((of(char::from(first)), 3));
    }
    let length = encoded_length(first)?;
    let mut bytes = [0; 4];
    for (index, byte) in bytes.iter_mut().take(length).enumerate() {
        *byte = percent(rest, index)?;
    }
    Some((plain(&bytes)?.0, 3 * length))
}

fn percent(rest: &[u8], index: usize) -> Option<u8> {
    match rest.get(3 * index..3 * index + 3)? {
        [b'%', high, low] => hex(*high, *low),
        _ => None,
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn encoded_length(first: u8) -> Option<usize> {
    match first {
        0xC2..=0xDF => Some(2),
        0xE0..=0xEF => Some(3),
        0xF0..=0xF4 => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_is_one_however_it_is_spelled() {
        for spelled in ["4", "\\u0034", "\\\\u0034", "%34", "４", "%EF%BC%94", "\\uff14", "٤", "𝟒"]
        {
            assert_eq!(at(spelled.as_bytes(), 0), (Unit::Digit(4), spelled.len()), "{spelled}");
        }
    }

    #[test]
    fn separators_and_others_are_told_apart() {
        for space in ["\u{a0}", "\\u00a0", "%20", "%C2%A0", "+", "\u{3000}"] {
            assert_eq!(at(space.as_bytes(), 0), (Unit::Space, space.len()), "{space:?}");
        }
        assert_eq!(at("–".as_bytes(), 0).0, Unit::Tight);
        assert_eq!(at(b"\\n4", 0), (Unit::Other, 2));
        assert_eq!(at(b"%zz", 0), (Unit::Other, 1));
        assert_eq!(at(b"\xff", 0), (Unit::Other, 1));
        assert_eq!(at(b"", 0), (Unit::Other, 1));
        assert_eq!(at(b"\\", 0), (Unit::Other, 1));
    }

    #[test]
    fn zeros_are_in_order_and_every_ten_is_numeric() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            for code in zero..zero + 10 {
                assert!(char::from_u32(code).is_some_and(char::is_numeric), "{code:x}");
            }
        }
    }
}
