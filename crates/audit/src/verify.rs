//! Verifies an export, with nothing but the log's public key and, where there is one, a witness.
//!
//! Lines are read one after the other, and the tree is built anew from the entries: a checkpoint
//! holds if the root of all entries until there is the one that was signed. So whoever changes,
//! deletes, inserts or moves entries must also sign for them.
//!
//! What can be told, and how closely:
//!
//! - An entry that was edited, or whose kept hash was: exactly that entry.
//! - Entries that were deleted, repeated, inserted or moved: by their indices, those concerned.
//! - The same with indices and hashes made anew: that it happened between two checkpoints. The
//!   hashes of single entries are not signed, so nothing more can be known.
//! - Whoever has the signing key can sign another history, and whoever restores an old copy of the
//!   whole store has an older log that is true in itself. Both verify. Only checkpoints that were
//!   kept elsewhere show it: a [`Fork`](FaultKind::Fork), or that the log was
//!   [rolled back](FaultKind::RolledBack).

use std::io;

use sabotage::Defect;

use crate::checkpoint::Signed;
use crate::entry::scan;
use crate::export::{Header, Line, Read, read_line};
use crate::fault::{Fault, FaultKind, VerifyError};
use crate::hash::{Hash, leaf_hash_with};
use crate::note::VerifierKey;
use crate::tree::Frontier;
use crate::witness::{Seen, Witness};

/// Entries between two calls of the progress function.
const PROGRESS_ENTRIES: u64 = 8_192;

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries that were verified.
    pub entries: u64,
    /// Entries that the export must have.
    pub total: u64,
}

/// An export that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The first entry that it has.
    pub from: u64,
    /// How many leaves the log has.
    pub size: u64,
    /// The root that was signed for them.
    pub root: Hash,
    /// Checkpoints between the entries.
    pub checkpoints: u64,
    /// The witness's checkpoints that the log was held against.
    pub witnessed: u64,
    /// Those of before the first entry, which were not.
    pub skipped: u64,
}

impl Verified {
    /// The verdict as one JSON object.
    pub fn to_json(&self) -> String {
        let Self { from, size, root, checkpoints, witnessed, skipped } = self;
        format!(
            r#"{{"verdict":"ok","from":{from},"size":{size},"root":"{root}","checkpoints":{checkpoints},"witnessed":{witnessed},"skipped":{skipped}}}"#
        )
    }
}

/// Verifies an export: that it is whole, and what was signed; and that it is what the witness saw.
/// The first thing that is wrong ends it.
pub fn verify(
    export: &mut dyn io::BufRead,
    keys: &[VerifierKey],
    witness: &Witness,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, VerifyError> {
    let mut line = Vec::new();
    let header = match read_line(export, &mut line)? {
        Read::Whole => Header::parse(&line),
        Read::Nothing | Read::Cut | Read::TooLong => None,
    };
    let header = header.ok_or(Fault { kind: FaultKind::Malformed, line: 1, index: 0, until: 0 })?;
    let mut state = State::new(header, keys, witness)?;
    loop {
        match read_line(export, &mut line)? {
            Read::Nothing => break,
            Read::Whole => state.take(&line)?,
            Read::Cut => return Err(state.cut().into()),
            Read::TooLong => return Err(state.malformed().into()),
        }
        if state.entries() % PROGRESS_ENTRIES == 0 {
            progress(state.progress());
        }
    }
    let verified = state.end()?;
    progress(state.progress());
    Ok(verified)
}

/// What is known after so many lines.
struct State<'k> {
    keys: &'k [VerifierKey],
    head: Signed,
    from: u64,
    frontier: Frontier,
    line: u64,
    /// Until here the entries are those that were signed.
    good: u64,
    /// Whether a checkpoint of this very size holds.
    holds: bool,
    /// What the witness has of here and later, the nearest first.
    seen: &'k [Seen],
    /// Where the witness saw other entries, if it did. The log itself says whether they were
    /// changed since they were signed, or signed twice.
    suspect: Option<Seen>,
    checkpoints: u64,
    witnessed: u64,
    skipped: u64,
    buffer: Vec<u8>,
}

impl<'k> State<'k> {
    fn new(header: Header, keys: &'k [VerifierKey], witness: &'k Witness) -> Result<Self, Fault> {
        let from = header.frontier.size();
        let fault = |kind| Fault { kind, line: 1, index: from, until: from };
        let head = Signed::open(header.head.as_bytes(), keys)
            .map_err(|error| fault(FaultKind::of_checkpoint(error)))?;
        if head.size() < from {
            return Err(fault(FaultKind::CheckpointMisplaced));
        }
        let skipped = witness.seen.partition_point(|seen| seen.size < from);
        let mut state = Self {
            keys,
            head,
            from,
            frontier: header.frontier,
            line: 1,
            good: from,
            holds: false,
            seen: witness.seen.get(skipped..).unwrap_or_default(),
            suspect: None,
            checkpoints: 0,
            witnessed: 0,
            skipped: u64::try_from(skipped).unwrap_or(u64::MAX),
            buffer: Vec::new(),
        };
        state.compare()?;
        Ok(state)
    }

    fn size(&self) -> u64 {
        self.frontier.size()
    }

    fn entries(&self) -> u64 {
        self.size() - self.from
    }

    fn progress(&self) -> Progress {
        Progress { entries: self.entries(), total: self.head.size() - self.from }
    }

    fn fault(&self, kind: FaultKind, index: u64, until: u64) -> Fault {
        Fault { kind, line: self.line, index, until }
    }

    /// A fault of the entry that should stand here.
    fn here(&self, kind: FaultKind) -> Fault {
        self.fault(kind, self.size(), self.size() + 1)
    }

    /// A fault before the entry that should stand here.
    fn before(&self, kind: FaultKind) -> Fault {
        self.fault(kind, self.size(), self.size())
    }

    fn malformed(&mut self) -> Fault {
        self.line += 1;
        self.here(FaultKind::Malformed)
    }

    fn cut(&mut self) -> Fault {
        self.line += 1;
        self.fault(FaultKind::Truncated, self.size(), self.head.size().max(self.size()))
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        match Line::parse(line) {
            Some(Line::Entry { hash, leaf }) => {
                self.line += 1;
                self.entry(hash, leaf)
            }
            Some(Line::Checkpoint(note)) => {
                self.line += 1;
                self.checkpoint(&note)
            }
            None => Err(self.malformed()),
        }
    }

    fn entry(&mut self, kept: &[u8], leaf: &[u8]) -> Result<(), Fault> {
        let place = self.size();
        if place == self.head.size() {
            return Err(self.here(FaultKind::Uncovered));
        }
        let hash = leaf_hash_with(&mut self.buffer, leaf);
        if hash.to_hex() != kept {
            return Err(self.here(FaultKind::LeafChanged));
        }
        let index = scan(leaf).map_err(|_| self.here(FaultKind::LeafMalformed))?.index;
        if index > place {
            return Err(self.fault(FaultKind::Gap, place, index));
        }
        if index < place {
            return Err(self.fault(FaultKind::Repeated, index, place + 1));
        }
        self.frontier.append(hash, |_, _| ());
        self.holds = false;
        self.compare()
    }

    /// Holds the entries until here against the witness and the head, where they are of here.
    fn compare(&mut self) -> Result<(), Fault> {
        let size = self.size();
        let count = self.seen.partition_point(|seen| seen.size <= size);
        if let Some((here, later)) = self.seen.split_at_checked(count).filter(|_| count > 0) {
            self.seen = later;
            self.witnessed += u64::try_from(count).unwrap_or(u64::MAX);
            let root = self.frontier.root();
            match here.iter().find(|seen| seen.root != root) {
                Some(other) => self.suspect = self.suspect.or(Some(*other)),
                None => self.hold(),
            }
        }
        if size == self.head.size() {
            self.signed(self.head.root()).map_err(|fault| Fault { line: 1, ..fault })?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, note: &str) -> Result<(), Fault> {
        let signed = Signed::open(note.as_bytes(), self.keys)
            .map_err(|error| self.before(FaultKind::of_checkpoint(error)))?;
        let (size, here) = (signed.size(), self.size());
        if size != here {
            let kind = FaultKind::CheckpointMisplaced;
            return Err(self.fault(kind, size.min(here), size.max(here)));
        }
        self.checkpoints += 1;
        self.signed(signed.root())
    }

    /// The entries until here must have this root.
    fn signed(&mut self, root: Hash) -> Result<(), Fault> {
        if root == self.frontier.root() || sabotage::on(Defect::RootIgnored) {
            self.hold();
            return Ok(());
        }
        if self.holds {
            return Err(self.before(FaultKind::CheckpointFork));
        }
        // The witness may have seen the change closer to where it is.
        let until = self.suspect.map_or(self.size(), |seen| seen.size);
        Err(self.fault(FaultKind::RootMismatch, self.good, until))
    }

    fn hold(&mut self) {
        self.holds = true;
        if self.suspect.is_none() {
            self.good = self.size();
        }
    }

    fn end(&mut self) -> Result<Verified, Fault> {
        let size = self.size();
        if size < self.head.size() {
            return Err(self.fault(FaultKind::Truncated, size, self.head.size()));
        }
        if let Some(seen) = self.suspect {
            let (kind, line) = (FaultKind::Fork, seen.line);
            return Err(Fault { kind, line, index: self.good, until: seen.size });
        }
        if let Some(seen) = self.seen.last() {
            let (kind, line) = (FaultKind::RolledBack, seen.line);
            return Err(Fault { kind, line, index: size, until: seen.size });
        }
        Ok(Verified {
            from: self.from,
            size,
            root: self.head.root(),
            checkpoints: self.checkpoints,
            witnessed: self.witnessed,
            skipped: self.skipped,
        })
    }
}
