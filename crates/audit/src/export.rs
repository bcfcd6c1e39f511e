//! Exports: a log, or its end, as lines that can be verified far from it.
//!
//! Each line is a JSON object and ends with a line end. The first one is the header, with the
//! newest checkpoint, the **head**; then comes every entry that the head covers, and none that it
//! does not. Earlier checkpoints may stand between entries, each after the last one that it covers:
//! the closer they are, the closer it can be said where entries were changed.
//!
//! ```text
//! {"audit_export":1,"from":0,"frontier":[],"head":"origin\n2\n…\n\n— origin …\n"}
//! {"leaf":"64 hexadecimal digits","entry":{"v":1,"index":0,…}}
//! {"leaf":"64 hexadecimal digits","entry":{"v":1,"index":1,…}}
//! {"checkpoint":"origin\n2\n…\n\n— origin …\n"}
//! ```
//!
//! `leaf` is the hash as the store kept it beside the entry, not one that was made for the export:
//! where the two differ, one of them was changed. What `entry` holds are the bytes of the leaf.
//! An export that begins at a later entry has `from` and the frontier of the tree before it, which
//! needs no signature of its own: with another one no root would be right.

use std::io::{self, Write};

use crate::entry::{EntryError, Scanner, quoted};
use crate::hash::Hash;
use crate::limits::{LEAVES_MAX, LINE_BYTES_MAX, NOTE_BYTES_MAX};
use crate::tree::Frontier;

const HEADER: &[u8; 25] = b"{\"audit_export\":1,\"from\":";
const LEAF: &[u8] = b"{\"leaf\":\"";
const ENTRY: &[u8] = b"\",\"entry\":";
const CHECKPOINT: &[u8; 14] = b"{\"checkpoint\":";

/// Writes an export.
#[derive(Debug)]
pub struct Exporter<W> {
    out: W,
}

impl<W: Write> Exporter<W> {
    /// Begins after the leaves that `frontier` covers, with the note of the newest checkpoint.
    pub fn begin(mut out: W, head: &str, frontier: &Frontier) -> io::Result<Self> {
        let hashes: Vec<String> =
            frontier.hashes().iter().map(|hash| format!("\"{hash}\"")).collect();
        out.write_all(HEADER)?;
        let (from, hashes) = (frontier.size(), hashes.join(","));
        writeln!(out, "{from},\"frontier\":[{hashes}],\"head\":{}}}", quoted(head))?;
        Ok(Self { out })
    }

    /// The next entry: its leaf, and the hash that was kept of it.
    pub fn entry(&mut self, hash: Hash, leaf: &[u8]) -> io::Result<()> {
        for part in [LEAF, &hash.to_hex(), ENTRY, leaf, b"}\n"] {
            self.out.write_all(part)?;
        }
        Ok(())
    }

    /// The note of a checkpoint that covers the entries until here.
    pub fn checkpoint(&mut self, note: &str) -> io::Result<()> {
        self.out.write_all(CHECKPOINT)?;
        writeln!(self.out, "{}}}", quoted(note))
    }

    /// Gives back what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// What the first line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) frontier: Frontier,
    pub(crate) head: String,
}

impl Header {
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        std::str::from_utf8(line).ok()?;
        Self::read(line).ok()?
    }

    fn read(line: &[u8]) -> Result<Option<Self>, EntryError> {
        let mut scanner = Scanner(line);
        scanner.literal(HEADER)?;
        let from = scanner.number(LEAVES_MAX)?;
        scanner.literal(b",\"frontier\":[")?;
        let mut hashes = Vec::new();
        while scanner.literal(b"]").is_err() {
            if !hashes.is_empty() {
                scanner.literal(b",")?;
            }
            hashes.push(scanner.hash()?);
        }
        scanner.literal(b",\"head\":")?;
        let head = scanner.text(0, NOTE_BYTES_MAX)?.unescaped()?;
        scanner.literal(b"}")?;
        scanner.end()?;
        Ok(Frontier::from_hashes(from, hashes).ok().map(|frontier| Self { frontier, head }))
    }
}

/// Any other line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// An entry; the hash as it was written, in hexadecimal digits or not.
    Entry { hash: &'a [u8], leaf: &'a [u8] },
    /// A note.
    Checkpoint(String),
}

impl<'a> Line<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let Some(rest) = line.strip_prefix(LEAF) else {
            return Self::checkpoint(line).ok();
        };
        let (hash, rest) = rest.split_at_checked(64)?;
        let leaf = rest.strip_prefix(ENTRY)?.strip_suffix(b"}")?;
        Some(Self::Entry { hash, leaf })
    }

    fn checkpoint(line: &[u8]) -> Result<Self, EntryError> {
        std::str::from_utf8(line).map_err(|_| EntryError::Text)?;
        let mut scanner = Scanner(line);
        scanner.literal(CHECKPOINT)?;
        let note = scanner.text(0, NOTE_BYTES_MAX)?.unescaped()?;
        scanner.literal(b"}")?;
        scanner.end()?;
        Ok(Self::Checkpoint(note))
    }
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// There is no line.
    Nothing,
    /// With a line end, which is taken away.
    Whole,
    /// With the end of what there is.
    Cut,
    /// It is longer than any line may be.
    TooLong,
}

/// Reads a line into a buffer that is kept from line to line.
pub(crate) fn read_line(reader: &mut dyn io::BufRead, line: &mut Vec<u8>) -> io::Result<Read> {
    line.clear();
    let bytes_max = LINE_BYTES_MAX as u64 + 1;
    io::BufRead::read_until(&mut io::Read::take(reader, bytes_max), b'\n', line)?;
    Ok(match line.pop() {
        None => Read::Nothing,
        Some(b'\n') => Read::Whole,
        Some(_) if line.len() >= LINE_BYTES_MAX => Read::TooLong,
        Some(last) => {
            line.push(last);
            Read::Cut
        }
    })
}
