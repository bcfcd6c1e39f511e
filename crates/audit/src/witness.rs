//! Checkpoints that somebody else kept: what the log's own store cannot take back.

use std::io;

use crate::checkpoint::Signed;
use crate::export::{Read, read_line};
use crate::fault::{Fault, FaultKind, VerifyError};
use crate::hash::Hash;
use crate::limits::NOTE_BYTES_MAX;
use crate::note::VerifierKey;

/// Checkpoints kept elsewhere, by size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Witness {
    pub(crate) seen: Vec<Seen>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    /// Where its note begins.
    pub(crate) line: u64,
}

impl Witness {
    /// Reads signed notes, one after the other, in any order, with or without empty lines between.
    /// Each must be signed by one of the keys: one that was changed is a fault, as whoever can
    /// change them could hide something.
    pub fn read(reader: &mut dyn io::BufRead, keys: &[VerifierKey]) -> Result<Self, VerifyError> {
        let mut notes = Notes { reader, lines: 0, ahead: None };
        let mut seen = Vec::new();
        while let Some((line, note)) = notes.next()? {
            let signed = Signed::open(&note, keys).map_err(|error| {
                let kind = FaultKind::of_witness(error);
                Fault { kind, line, index: 0, until: 0 }
            })?;
            seen.push(Seen { size: signed.size(), root: signed.root(), line });
        }
        seen.sort_by_key(|seen| seen.size);
        Ok(Self { seen })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// Takes notes apart that follow each other: the text has no empty line, and every line after the
/// empty one is a signature.
struct Notes<'r> {
    reader: &'r mut dyn io::BufRead,
    lines: u64,
    /// A line that was read and belongs to the next note.
    ahead: Option<Vec<u8>>,
}

impl Notes<'_> {
    /// The next line, with its line end where it has one.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(line) = self.ahead.take() {
            return Ok(Some(line));
        }
        let mut line = Vec::new();
        let read = read_line(self.reader, &mut line)?;
        if read == Read::Whole {
            line.push(b'\n');
        }
        self.lines += u64::from(read != Read::Nothing);
        Ok((read != Read::Nothing).then_some(line))
    }

    /// The next note and where it begins. It may be none: then it does not open.
    fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut note = loop {
            match self.line()? {
                None => return Ok(None),
                Some(line) if line == b"\n" => {}
                Some(line) => break line,
            }
        };
        let start = self.lines;
        let mut is_signed = false;
        while let Some(line) = self.line()? {
            if is_signed && !line.starts_with("— ".as_bytes()) {
                self.ahead = Some(line);
                break;
            }
            is_signed |= line == b"\n";
            note.extend_from_slice(&line);
            if note.len() > NOTE_BYTES_MAX {
                break;
            }
        }
        Ok(Some((start, note)))
    }
}
