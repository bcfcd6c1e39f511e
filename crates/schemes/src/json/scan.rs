//! The one pass over the bytes of a JSON text.

use std::borrow::Cow;

use sabotage::Defect;

use super::{Kind, Node};
use crate::bounds::{JSON_DEPTH_MAX, JSON_NODES_MAX};
use crate::reason::Unreadable;

/// Up to so many names of an object are compared each with each, without sorting.
const NAMES_COMPARED_MAX: usize = 64;
/// A number this short, without an exponent, fits a double.
const DIGITS_SAFE_MAX: usize = 300;

pub(super) fn scan(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut scanner =
        Scanner { text, bytes: text.as_bytes(), at: 0, nodes: Vec::with_capacity(text.len() / 10) };
    scanner.skip_space();
    scanner.value(0)?;
    scanner.skip_space();
    if scanner.at != scanner.bytes.len() {
        return Err(Unreadable::NotJson);
    }
    Ok(scanner.nodes)
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Unreadable::NotJson)
        }
    }

    fn place(at: usize) -> Result<u32, Unreadable> {
        u32::try_from(at).map_err(|_| Unreadable::TooLong)
    }

    fn open(&mut self, kind: Kind) -> Result<usize, Unreadable> {
        if self.nodes.len() >= JSON_NODES_MAX {
            return Err(Unreadable::TooManyItems);
        }
        let index = self.nodes.len();
        self.nodes.push(Node { kind, start: Self::place(self.at)?, end: 0, next: 0 });
        Ok(index)
    }

    fn close(&mut self, index: usize) -> Result<(), Unreadable> {
        let (end, next) = (Self::place(self.at)?, Self::place(self.nodes.len())?);
        if let Some(node) = self.nodes.get_mut(index) {
            node.end = end;
            node.next = next;
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Unreadable> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Kind::True),
            Some(b'f') => self.word("false", Kind::False),
            Some(b'n') => self.word("null", Kind::Null),
            Some(b'N') if self.rest().starts_with(b"NaN") => Err(Unreadable::BadNumber),
            Some(b'I') if self.rest().starts_with(b"Infinity") => Err(Unreadable::BadNumber),
            _ => Err(Unreadable::NotJson),
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), Unreadable> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(Unreadable::NotJson);
        }
        let index = self.open(kind)?;
        self.at += word.len();
        self.close(index)
    }

    fn array(&mut self, depth: usize) -> Result<(), Unreadable> {
        if depth >= JSON_DEPTH_MAX {
            return Err(Unreadable::TooDeep);
        }
        let index = self.open(Kind::Array)?;
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(b']') {
            loop {
                self.skip_space();
                self.value(depth + 1)?;
                self.skip_space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b']')?;
        self.close(index)
    }

    fn object(&mut self, depth: usize) -> Result<(), Unreadable> {
        if depth >= JSON_DEPTH_MAX {
            return Err(Unreadable::TooDeep);
        }
        let index = self.open(Kind::Object)?;
        let mut names = 0;
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(b'}') {
            loop {
                self.skip_space();
                self.string()?;
                names += 1;
                self.skip_space();
                self.expect(b':')?;
                self.skip_space();
                self.value(depth + 1)?;
                self.skip_space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b'}')?;
        self.close(index)?;
        if names > 1 && !sabotage::on(Defect::DuplicateKeys) && self.repeats_a_name(index, names) {
            return Err(Unreadable::DuplicateKey);
        }
        Ok(())
    }

    fn repeats_a_name(&self, object: usize, count: usize) -> bool {
        if count > NAMES_COMPARED_MAX {
            let mut names: Vec<_> = self.names(object).collect();
            names.sort_unstable();
            return names.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
        }
        // A name is compared with the earlier ones only where one of them may be the same.
        let mut marks = 0_u128;
        for (seen, name) in self.names(object).enumerate() {
            let mark = 1 << (mark_of(&name) % u128::BITS);
            if marks & mark != 0 && self.names(object).take(seen).any(|other| other == name) {
                return true;
            }
            marks |= mark;
        }
        false
    }

    fn names(&self, object: usize) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let mut index = object + 1;
        std::iter::from_fn(move || {
            let name = self.nodes.get(index)?;
            let value = self.nodes.get(index + 1)?;
            index = usize::try_from(value.next).ok()?;
            let range = usize::try_from(name.start).ok()? + 1..usize::try_from(name.end).ok()? - 1;
            Some(match name.kind {
                Kind::EscapedText => Cow::Owned(unescape(self.text.get(range)?).into_bytes()),
                _ => Cow::Borrowed(self.bytes.get(range)?),
            })
        })
    }

    fn string(&mut self) -> Result<(), Unreadable> {
        let index = self.open(Kind::Text)?;
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Unreadable::NotJson),
            }
        }
        self.at += 1;
        if escaped && let Some(node) = self.nodes.get_mut(index) {
            node.kind = Kind::EscapedText;
        }
        self.close(index)
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        let escape = self.peek().ok_or(Unreadable::NotJson)?;
        self.at += 1;
        match escape {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.code_unit()? {
                0 => Err(Unreadable::NulByte),
                0xD800..0xDC00 => {
                    let second = self.rest().starts_with(b"\\u");
                    self.at += 2;
                    if second && matches!(self.code_unit()?, 0xDC00..0xE000) {
                        Ok(())
                    } else {
                        Err(Unreadable::NotUtf8)
                    }
                }
                0xDC00..0xE000 => Err(Unreadable::NotUtf8),
                _ => Ok(()),
            },
            _ => Err(Unreadable::NotJson),
        }
    }

    fn code_unit(&mut self) -> Result<u32, Unreadable> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Unreadable::NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, &digit| {
            let value = char::from(digit).to_digit(16).ok_or(Unreadable::NotJson)?;
            Ok(unit * 16 + value)
        })
    }

    fn number(&mut self) -> Result<(), Unreadable> {
        if self.rest().starts_with(b"-Infinity") {
            return Err(Unreadable::BadNumber);
        }
        let index = self.open(Kind::Number)?;
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if exponent || self.at - start > DIGITS_SAFE_MAX {
            let digits = self.text.get(start..self.at).unwrap_or_default();
            if !digits.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(Unreadable::BadNumber);
            }
        }
        self.close(index)
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Unreadable::NotJson) } else { Ok(()) }
    }
}

/// How many bytes stand before a quote, a backslash or a control character, if there is one.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return index * 8 + stops.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// The high bit of the first byte of eight that is not plain. Later bytes may be wrong: what is
/// subtracted borrows from the byte after one that is below it.
fn stops(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 0xFF;
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (equal(b'"') | equal(b'\\') | below(word, 0x20)) & (EACH << 7)
}

/// The same for equal names, and mostly another for others: from their ends and their length.
fn mark_of(name: &[u8]) -> u32 {
    let end = |byte: Option<&u8>| byte.copied().map_or(0, u32::from);
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    length.wrapping_mul(7) ^ end(name.first()).wrapping_mul(3) ^ end(name.last()).wrapping_mul(5)
}

/// Resolves the escapes of a text that the scanner has accepted.
pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let (char, after) = resolve(escape);
        out.extend(char);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The character that an escape means, and the text after it.
fn resolve(escape: &str) -> (Option<char>, &str) {
    let mut chars = escape.chars();
    let char = match chars.next() {
        Some('b') => Some('\u{8}'),
        Some('f') => Some('\u{c}'),
        Some('n') => Some('\n'),
        Some('r') => Some('\r'),
        Some('t') => Some('\t'),
        Some('u') => {
            let unit = |at: usize| {
                escape.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok())
            };
            let first = unit(1).unwrap_or_default();
            let pair = (0xD800..0xDC00).contains(&first);
            let code = if pair {
                let second = unit(7).unwrap_or_default();
                0x10000 + ((first & 0x3FF) << 10) + (second & 0x3FF)
            } else {
                first
            };
            let after = escape.get(if pair { 11 } else { 5 }..).unwrap_or_default();
            return (char::from_u32(code), after);
        }
        other => other,
    };
    (char, chars.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_bytes_end_where_the_first_other_stands(
            bytes in prop::collection::vec(
                prop_oneof![8 => Just(b'a'), 1 => any::<u8>(), 1 => Just(b'!'), 1 => Just(b'"'), 1 => 0x1e..0x23_u8],
                0..40,
            )
        ) {
            let stops = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let first = bytes.iter().position(stops).unwrap_or(bytes.len());
            prop_assert_eq!(plain_bytes(&bytes), first);
        }
    }
}
