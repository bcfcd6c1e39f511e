//! Writes the body of an entry.

use std::fmt::{self, Write as _};

use super::{Change, Parts, Value};
use crate::Commitment;

/// The body, whatever is in the parts: what may not be there is found when it is read back.
pub(super) fn body(parts: &Parts<'_>) -> Vec<u8> {
    let mut text = String::with_capacity(256 + parts.changes.len());
    write(&mut text, parts).expect("a string takes everything");
    text.into_bytes()
}

/// Changes as they stand in the body.
pub(super) fn changes(changes: &[Change]) -> String {
    let mut text = String::from("[");
    for (place, Change { name, before, after }) in changes.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(text, "{comma}[{},{before},{after}]", Quoted(name))
            .expect("a string takes everything");
    }
    text.push(']');
    text
}

fn write(out: &mut String, parts: &Parts<'_>) -> fmt::Result {
    write!(out, "\"time\":{}", parts.time_ms)?;
    for (name, text) in [
        ("action", parts.action),
        ("outcome", parts.outcome),
        ("actor", parts.actor),
        ("resource", parts.resource),
    ] {
        write!(out, ",\"{name}\":{}", Quoted(text))?;
    }
    write!(out, ",\"changes\":{},\"request\":", parts.changes)?;
    match parts.request {
        Some(request) => write!(out, "{}", Quoted(request))?,
        None => out.push_str("null"),
    }
    let commitments = [("address", parts.address), ("agent", parts.agent), ("note", parts.note)];
    for (name, commitment) in commitments {
        match commitment {
            Some(Commitment(hash)) => write!(out, ",\"{name}\":\"{hash}\"")?,
            None => write!(out, ",\"{name}\":null")?,
        }
    }
    out.write_char('}')
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("null"),
            Self::Text(text) => fmt::Display::fmt(&Quoted(text), f),
            Self::Committed(Commitment(hash)) => write!(f, "{{\"commitment\":\"{hash}\"}}"),
        }
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Quoted(text).to_string()
}

/// A JSON string, escaped as RFC 8785 says: only what must be.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for piece in self.0.split_inclusive(must_be_escaped) {
            let mut chars = piece.chars();
            match chars.next_back().filter(|last| must_be_escaped(*last)) {
                Some(last) => {
                    f.write_str(chars.as_str())?;
                    escape(f, last)?;
                }
                None => f.write_str(piece)?,
            }
        }
        f.write_char('"')
    }
}

fn must_be_escaped(char: char) -> bool {
    matches!(char, '"' | '\\' | '\0'..='\u{1f}')
}

fn escape(f: &mut fmt::Formatter<'_>, char: char) -> fmt::Result {
    match char {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\u{8}' => f.write_str("\\b"),
        '\t' => f.write_str("\\t"),
        '\n' => f.write_str("\\n"),
        '\u{c}' => f.write_str("\\f"),
        '\r' => f.write_str("\\r"),
        control => write!(f, "\\u{:04x}", u32::from(control)),
    }
}
