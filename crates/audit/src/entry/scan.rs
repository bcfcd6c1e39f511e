//! Reads leaves, without allocating: whether the bytes are canonical, and where each field is.

use super::{Change, Entry, EntryError, Value};
use crate::Commitment;
use crate::hash::Hash;
use crate::limits::{
    ACTOR_BYTES_MAX, CHANGES_MAX, CODE_BYTES_MAX, LEAF_BYTES_MAX, LEAVES_MAX, REQUEST_BYTES_MAX,
    RESOURCE_BYTES_MAX, TIME_MS_MAX, VALUE_BYTES_MAX,
};

type Result<T> = std::result::Result<T, EntryError>;

/// The fields of a leaf, where they are in it.
pub(crate) struct Fields<'a> {
    pub(crate) index: u64,
    time_ms: u64,
    action: Text<'a>,
    outcome: Text<'a>,
    actor: Text<'a>,
    resource: Text<'a>,
    changes: Scanner<'a>,
    request: Option<Text<'a>>,
    address: Option<Digits<'a>>,
    agent: Option<Digits<'a>>,
    note: Option<Digits<'a>>,
}

/// Reads a leaf. Every byte of it is looked at.
pub(crate) fn scan(leaf: &[u8]) -> Result<Fields<'_>> {
    if leaf.len() > LEAF_BYTES_MAX {
        return Err(EntryError::TooLong);
    }
    std::str::from_utf8(leaf).map_err(|_| EntryError::Text)?;
    let mut scanner = Scanner(leaf);
    scanner.literal(b"{\"v\":")?;
    if scanner.number(LEAVES_MAX)? != 1 {
        return Err(EntryError::Version);
    }
    scanner.literal(b",\"index\":")?;
    let index = scanner.number(LEAVES_MAX)?;
    scanner.literal(b",\"time\":")?;
    let time_ms = scanner.number(TIME_MS_MAX)?;
    scanner.literal(b",\"action\":")?;
    let action = scanner.code()?;
    scanner.literal(b",\"outcome\":")?;
    let outcome = scanner.code()?;
    scanner.literal(b",\"actor\":")?;
    let actor = scanner.text(1, ACTOR_BYTES_MAX)?;
    scanner.literal(b",\"resource\":")?;
    let resource = scanner.text(0, RESOURCE_BYTES_MAX)?;
    scanner.literal(b",\"changes\":[")?;
    let changes = scanner;
    scanner.changes(|_, _, _| Ok(()))?;
    scanner.literal(b",\"request\":")?;
    let request = scanner.nullable(|scanner| scanner.text(1, REQUEST_BYTES_MAX))?;
    scanner.literal(b",\"address\":")?;
    let address = scanner.nullable(Scanner::commitment)?;
    scanner.literal(b",\"agent\":")?;
    let agent = scanner.nullable(Scanner::commitment)?;
    scanner.literal(b",\"note\":")?;
    let note = scanner.nullable(Scanner::commitment)?;
    scanner.literal(b"}")?;
    scanner.end()?;
    Ok(Fields {
        index,
        time_ms,
        action,
        outcome,
        actor,
        resource,
        changes,
        request,
        address,
        agent,
        note,
    })
}

impl Fields<'_> {
    pub(super) fn to_entry(&self) -> Result<Entry> {
        let mut changes = Vec::new();
        let mut scanner = self.changes;
        scanner.changes(|name, before, after| {
            let (before, after) = (before.to_value()?, after.to_value()?);
            changes.push(Change { name: name.unescaped()?, before, after });
            Ok(())
        })?;
        Ok(Entry {
            time_ms: self.time_ms,
            action: self.action.unescaped()?,
            outcome: self.outcome.unescaped()?,
            actor: self.actor.unescaped()?,
            resource: self.resource.unescaped()?,
            changes,
            request: self.request.map(Text::unescaped).transpose()?,
            address: self.address.map(Digits::to_commitment).transpose()?,
            agent: self.agent.map(Digits::to_commitment).transpose()?,
            note: self.note.map(Digits::to_commitment).transpose()?,
        })
    }
}

/// A text as it stands in the leaf, escaped, between its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(&'a [u8]);

impl Text<'_> {
    /// The text that is meant.
    pub(crate) fn unescaped(self) -> Result<String> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            if *byte == b'\\' {
                let (meant, length) = escape(rest).ok_or(EntryError::Text)?;
                bytes.push(meant);
                rest = rest.get(length..).ok_or(EntryError::Text)?;
            } else {
                bytes.push(*byte);
            }
        }
        String::from_utf8(bytes).map_err(|_| EntryError::Text)
    }
}

/// The 64 hexadecimal digits of a commitment.
#[derive(Clone, Copy)]
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn to_commitment(self) -> Result<Commitment> {
        Hash::from_hex(self.0).map(Commitment).ok_or(EntryError::Text)
    }
}

/// A value of a change, where it is.
#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    Text(Text<'a>),
    Committed(Digits<'a>),
}

impl Found<'_> {
    fn to_value(self) -> Result<Value> {
        Ok(match self {
            Self::Nothing => Value::Nothing,
            Self::Text(text) => Value::Text(text.unescaped()?),
            Self::Committed(digits) => Value::Committed(digits.to_commitment()?),
        })
    }
}

/// What follows a backslash: the byte that is meant, and how many stand for it. One way for each.
fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    Some(match rest.first()? {
        b'"' => (b'"', 1),
        b'\\' => (b'\\', 1),
        b'b' => (8, 1),
        b't' => (b'\t', 1),
        b'n' => (b'\n', 1),
        b'f' => (12, 1),
        b'r' => (b'\r', 1),
        b'u' => {
            let [b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] = rest else { return None };
            let low = match low {
                b'0'..=b'9' => low - b'0',
                b'a'..=b'f' => low - b'a' + 10,
                _ => return None,
            };
            let byte = (high - b'0') << 4 | low;
            // These have a shorter form.
            let is_short = matches!(byte, 8 | b'\t' | b'\n' | 12 | b'\r');
            return (!is_short).then_some((byte, 5));
        }
        _ => return None,
    })
}

/// What is left to be read. The whole was found to be UTF-8.
#[derive(Clone, Copy)]
pub(crate) struct Scanner<'a>(pub(crate) &'a [u8]);

impl<'a> Scanner<'a> {
    /// Exactly these bytes. Their number is known when this is compiled, so no function compares.
    pub(crate) fn literal<const N: usize>(&mut self, literal: &[u8; N]) -> Result<()> {
        match self.0.split_first_chunk() {
            Some((found, rest)) if found == literal => self.0 = rest,
            _ => return Err(EntryError::Field),
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(EntryError::Field) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(EntryError::Field)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A plain integer: no sign, no leading zero.
    pub(crate) fn number(&mut self, max: u64) -> Result<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_plain = matches!((digits, self.0.first()), (1, _) | (2..=16, Some(b'1'..=b'9')));
        if !is_plain {
            return Err(EntryError::Number);
        }
        let text = self.take(digits)?;
        let number = text.iter().fold(0, |number, byte| number * 10 + u64::from(byte - b'0'));
        if number > max { Err(EntryError::Number) } else { Ok(number) }
    }

    fn code(&mut self) -> Result<Text<'a>> {
        let is_code = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        self.literal(b"\"")?;
        let length = self.0.iter().take_while(|byte| is_code(byte)).count();
        if length == 0 || length > CODE_BYTES_MAX {
            return Err(EntryError::Code);
        }
        let code = self.take(length)?;
        self.literal(b"\"").map_err(|_| EntryError::Code)?;
        Ok(Text(code))
    }

    /// A string of so many bytes, as they are meant, at least and at most.
    pub(crate) fn text(&mut self, bytes_min: usize, bytes_max: usize) -> Result<Text<'a>> {
        self.literal(b"\"")?;
        let start = self.0;
        let (mut raw, mut meant) = (0, 0);
        loop {
            let rest = start.get(raw..).unwrap_or_default();
            let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let plain = rest.iter().position(is_special).ok_or(EntryError::Text)?;
            (raw, meant) = (raw + plain, meant + plain);
            match rest.get(plain..) {
                Some([b'"', ..]) => break,
                Some([b'\\', after @ ..]) => {
                    let (_, length) = escape(after).ok_or(EntryError::Text)?;
                    (raw, meant) = (raw + 1 + length, meant + 1);
                }
                _ => return Err(EntryError::Text),
            }
        }
        if meant > bytes_max {
            return Err(EntryError::TooLong);
        }
        if meant < bytes_min {
            return Err(EntryError::Text);
        }
        let text = Text(self.take(raw)?);
        self.literal(b"\"")?;
        Ok(text)
    }

    fn nullable<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.literal(b"null").is_ok() { Ok(None) } else { read(self).map(Some) }
    }

    pub(crate) fn hash(&mut self) -> Result<Hash> {
        self.literal(b"\"")?;
        let hash = Hash::from_hex(self.take(64)?).ok_or(EntryError::Text)?;
        self.literal(b"\"")?;
        Ok(hash)
    }

    fn commitment(&mut self) -> Result<Digits<'a>> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        self.literal(b"\"")?;
        let digits = self.take(64)?;
        // Without an early end, so that many are looked at at once.
        if !digits.iter().fold(true, |all, byte| all & is_digit(byte)) {
            return Err(EntryError::Text);
        }
        self.literal(b"\"")?;
        Ok(Digits(digits))
    }

    fn value(&mut self) -> Result<Found<'a>> {
        if self.literal(b"null").is_ok() {
            return Ok(Found::Nothing);
        }
        if self.literal(b"{\"commitment\":").is_ok() {
            let digits = self.commitment()?;
            self.literal(b"}")?;
            return Ok(Found::Committed(digits));
        }
        self.text(0, VALUE_BYTES_MAX).map(Found::Text)
    }

    /// What stands behind the opening bracket, to the closing one.
    fn changes(
        &mut self,
        mut found: impl FnMut(Text<'a>, Found<'a>, Found<'a>) -> Result<()>,
    ) -> Result<()> {
        if self.literal(b"]").is_ok() {
            return Ok(());
        }
        for _ in 0..CHANGES_MAX {
            self.literal(b"[")?;
            let name = self.code()?;
            self.literal(b",")?;
            let before = self.value()?;
            self.literal(b",")?;
            let after = self.value()?;
            self.literal(b"]")?;
            found(name, before, after)?;
            if self.literal(b"]").is_ok() {
                return Ok(());
            }
            self.literal(b",")?;
        }
        Err(EntryError::TooLong)
    }
}
