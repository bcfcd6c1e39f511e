//! Entries: who did what to what, when, and how it ended; as the exact bytes of a leaf.
//!
//! A leaf is one JSON object, always the same fields in the same order, without spaces:
//!
//! ```text
//! {"v":1,"index":7,"time":1767225600000,"action":"event.released","outcome":"done","actor":"ana",
//!  "resource":"evt_1","changes":[["status","held","accepted"]],"request":"req_1",
//!  "address":"64 hexadecimal digits","agent":null,"note":null}
//! ```
//!
//! (on one line). An entry has exactly one such text: numbers are plain integers, and strings are
//! escaped as RFC 8785 says, which is what `JSON.stringify` and Python's `json.dumps(…,
//! ensure_ascii=False, separators=(",", ":"))` write. Parsing takes nothing else.
//!
//! - `time` is in unix milliseconds. It may go backwards from one entry to the next, as clocks do.
//! - `action`, `outcome` and the name of a change are codes: `a-z 0-9 . _ -`.
//! - `actor`, `resource` and `request` are ids, never a person's name or address.
//! - A change is `[name, before, after]`; each value is a text, `null`, or
//!   `{"commitment":"64 hexadecimal digits"}`.
//! - `address` (network address), `agent` (user agent) and `note` (what a person wrote) are
//!   [commitments](crate::Commitment), since they are personal or may be.
//!
//! The index is the position in the log, and is given when the entry is sealed. What comes after it
//! is the entry's [`Body`], which can be written before.

mod scan;
#[cfg(test)]
pub(crate) mod tests;
mod write;

use std::fmt;

pub(crate) use scan::{Scanner, scan};
pub(crate) use write::quoted;

use crate::Commitment;
use crate::limits::LEAF_BYTES_MAX;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in unix milliseconds.
    pub time_ms: u64,
    /// What was done: a code.
    pub action: String,
    /// How it ended: a code.
    pub outcome: String,
    /// Who did it: an id.
    pub actor: String,
    /// On what: an id or a name.
    pub resource: String,
    /// What is different now.
    pub changes: Vec<Change>,
    /// The request that asked for it.
    pub request: Option<String>,
    /// From which network address.
    pub address: Option<Commitment>,
    /// With which user agent.
    pub agent: Option<Commitment>,
    /// What a person wrote about it.
    pub note: Option<Commitment>,
}

/// One thing that an entry changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name: a code.
    pub name: String,
    /// How it was.
    pub before: Value,
    /// How it is now.
    pub after: Value,
}

/// What something was or is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// It was not there, or is not there any more.
    Nothing,
    /// A text that is not personal.
    Text(String),
    /// Something personal.
    Committed(Commitment),
}

/// Why an entry cannot be written, or why bytes are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryError {
    /// A version of entries that is not known.
    Version,
    /// A field is missing, unknown, twice there, or in another place.
    Field,
    /// A number is not a plain integer, or too large.
    Number,
    /// A code is empty, too long, or has other characters.
    Code,
    /// A text is not UTF-8, or escaped in another way than the only one.
    Text,
    /// A text or the whole is too long, or there are too many changes.
    TooLong,
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "entries of this version are not known",
            Self::Field => "a field is missing, unknown, or out of its place",
            Self::Number => "a number is not a plain integer within bounds",
            Self::Code => "a code has 1 to 64 of a-z 0-9 . _ -",
            Self::Text => "a text is not UTF-8 or not escaped as it must be",
            Self::TooLong => "a text, or the whole, is too long",
        })
    }
}

impl std::error::Error for EntryError {}

impl Entry {
    /// Reads a leaf: its index and the entry. What is taken is written as the same bytes.
    pub fn parse(leaf: &[u8]) -> Result<(u64, Self), EntryError> {
        let fields = scan(leaf)?;
        Ok((fields.index, fields.to_entry()?))
    }
}

/// An entry as a store has it: what changed is text already.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// When, in unix milliseconds.
    pub time_ms: u64,
    /// What was done: a code.
    pub action: &'a str,
    /// How it ended: a code.
    pub outcome: &'a str,
    /// Who did it: an id.
    pub actor: &'a str,
    /// On what: an id or a name.
    pub resource: &'a str,
    /// What is different now, as [`Change::text`] writes it.
    pub changes: &'a str,
    /// The request that asked for it.
    pub request: Option<&'a str>,
    /// From which network address.
    pub address: Option<Commitment>,
    /// With which user agent.
    pub agent: Option<Commitment>,
    /// What a person wrote about it.
    pub note: Option<Commitment>,
}

impl Change {
    /// Changes as they stand in an entry.
    pub fn text(changes: &[Self]) -> String {
        write::changes(changes)
    }
}

/// An entry as bytes, without its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(Vec<u8>);

/// Room for what precedes a body in its leaf.
const BODY_BYTES_MAX: usize = LEAF_BYTES_MAX - 40;

impl Body {
    /// Writes an entry.
    pub fn of(entry: &Entry) -> Result<Self, EntryError> {
        Self::from_parts(&Parts {
            time_ms: entry.time_ms,
            action: &entry.action,
            outcome: &entry.outcome,
            actor: &entry.actor,
            resource: &entry.resource,
            changes: &Change::text(&entry.changes),
            request: entry.request.as_deref(),
            address: entry.address,
            agent: entry.agent,
            note: entry.note,
        })
    }

    /// Writes an entry from its parts.
    pub fn from_parts(parts: &Parts<'_>) -> Result<Self, EntryError> {
        Self::from_bytes(write::body(parts))
    }

    /// Takes bytes that a store has kept, if they are what [`of`](Self::of) writes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, EntryError> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(EntryError::TooLong);
        }
        let body = Self(bytes);
        scan(&body.leaf(0))?;
        Ok(body)
    }

    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The leaf at a place in the log.
    pub fn leaf(&self, index: u64) -> Vec<u8> {
        let mut leaf = format!("{{\"v\":1,\"index\":{index},").into_bytes();
        leaf.extend_from_slice(&self.0);
        leaf
    }
}
