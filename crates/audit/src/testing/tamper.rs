//! What somebody may do to a log, and what must come of it.

use super::{Log, ORIGIN, Random, Row, body, key, key_of};
use crate::checkpoint::Signed;
use crate::entry::{Body, quoted};
use crate::fault::{Fault, FaultKind};
use crate::hash::{Hash, leaf_hash};
use crate::note::Note;

macro_rules! tampers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A way to tamper with a log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Tamper { $($(#[$doc])* $variant,)* }

        impl Tamper {
            /// Every way.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

tampers! {
    /// A field of an entry is another one; the kept hash stays.
    EditField = "edit a field",
    /// The kept hash is another one.
    EditHash = "edit a hash",
    /// An entry is another one, and its hash with it.
    EditRehashed = "edit an entry and its hash",
    /// What is no entry stands in place of one, with the right hash.
    EditGarbage = "replace an entry by other bytes",
    /// An entry is gone.
    Delete = "delete",
    /// A line of the export is gone.
    DeleteLine = "delete a line",
    /// An entry is gone, and those after it are renumbered and hashed anew.
    DeleteRenumbered = "delete and renumber",
    /// An entry stands there a second time.
    Insert = "insert a copy",
    /// An entry is added, and those after it are renumbered and hashed anew.
    InsertRenumbered = "insert and renumber",
    /// Two entries have changed places.
    Swap = "swap",
    /// Two entries have changed places, indices and hashes.
    SwapRenumbered = "swap and renumber",
    /// The last entries are gone.
    Truncate = "truncate",
    /// The file ends within a line.
    Cut = "cut within a line",
    /// An entry is added at the end.
    Append = "append",
    /// The last entries are others, hashed anew; nothing is signed.
    ForgeSuffix = "forge a consistent suffix",
    /// The same, signed by a key of the same name.
    ForgeSuffixOtherKey = "forge a suffix under another key",
    /// The same, signed by the log's own key.
    ForgeSuffixStolenKey = "forge a suffix with the stolen key",
    /// An older copy of the whole.
    RollBack = "roll the whole back",
    /// An older copy of the whole, which went on.
    RollBackAndGrow = "roll back and go on",
    /// A checkpoint says something else.
    EditCheckpoint = "edit a checkpoint",
    /// The signature of a checkpoint is another one.
    EditSignature = "edit a signature",
    /// A checkpoint stands elsewhere.
    MoveCheckpoint = "move a checkpoint",
    /// The head says something else.
    EditHead = "edit the head",
    /// A checkpoint is of another history, signed by the log's own key.
    ForkInside = "sign a fork inside",
    /// Another history is signed by the log's own key, and shown.
    Fork = "sign a fork",
    /// A checkpoint of another log.
    OtherLog = "take another log's checkpoint",
    /// What the witness has was changed.
    EditWitness = "edit what the witness has",
}

/// A log after somebody was at it.
#[derive(Debug, Clone)]
pub struct Tampered {
    /// What was done.
    pub tamper: Tamper,
    /// The export.
    pub export: Vec<u8>,
    /// What the witness has.
    pub witness: Vec<u8>,
    /// The first entry that is not what it was; for checkpoints the size.
    pub first: u64,
}

impl Tamper {
    /// What must be found: without a witness, and with one. `None`: nothing can be.
    pub fn faults(self) -> (Option<&'static [FaultKind]>, &'static [FaultKind]) {
        use FaultKind::{
            CheckpointFork, CheckpointMisplaced, CheckpointOrigin, CheckpointSignature,
            CheckpointUnsigned, Fork, Gap, LeafChanged, LeafMalformed, Repeated, RolledBack,
            RootMismatch, Truncated, Uncovered, WitnessSignature,
        };
        let alone: &[FaultKind] = match self {
            Self::EditField | Self::EditHash => &[LeafChanged],
            Self::EditRehashed
            | Self::DeleteRenumbered
            | Self::InsertRenumbered
            | Self::SwapRenumbered
            | Self::ForgeSuffix => &[RootMismatch],
            Self::EditGarbage => &[LeafMalformed],
            // Where the end or a checkpoint follows, there is no entry to see the gap by.
            Self::Delete => &[Gap, Truncated],
            Self::DeleteLine => &[Gap, CheckpointMisplaced],
            // Where the other one holds already, it is told that both were signed.
            Self::ForkInside => &[RootMismatch, CheckpointFork],
            Self::Insert => &[Repeated, Uncovered],
            Self::Swap => &[Gap],
            Self::Truncate | Self::Cut => &[Truncated],
            Self::Append => &[Uncovered],
            Self::ForgeSuffixOtherKey => &[CheckpointUnsigned],
            Self::EditCheckpoint | Self::EditSignature | Self::EditHead => &[CheckpointSignature],
            Self::MoveCheckpoint => &[CheckpointMisplaced],
            Self::OtherLog => &[CheckpointOrigin],
            Self::ForgeSuffixStolenKey | Self::Fork | Self::RollBackAndGrow => {
                return (None, &[Fork]);
            }
            Self::RollBack => return (None, &[RolledBack]),
            Self::EditWitness => return (None, &[WitnessSignature]),
        };
        (Some(alone), alone)
    }

    /// Does it to a log of ten entries at least, at a random place.
    pub fn apply(self, log: &Log, random: &mut Random) -> Tampered {
        let mut changed = log.clone();
        let place = random.below(log.rows.len());
        let mut tampered = Tampered {
            tamper: self,
            export: Vec::new(),
            witness: log.witness(),
            first: number(place),
        };
        match self {
            Self::EditField => edit(row(&mut changed, place), random),
            Self::EditHash => row(&mut changed, place).hash.0[0] ^= 1 << random.below(8),
            Self::EditRehashed => {
                edit(row(&mut changed, place), random);
                rehash(&mut changed.rows);
            }
            Self::EditGarbage => {
                row(&mut changed, place).leaf.insert(1, b' ');
                rehash(&mut changed.rows);
            }
            Self::Delete => drop(changed.rows.remove(place)),
            Self::DeleteLine => {
                let mut lines = lines_until(&changed, place);
                let rest = log.export().split_off(lines.len());
                let line = rest.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                lines.extend(rest.into_iter().skip(line));
                tampered.export = lines;
            }
            Self::DeleteRenumbered => {
                changed.rows.remove(place);
                changed.rows.push(forged(random));
                renumber(&mut changed.rows, place);
            }
            Self::Insert => {
                let copy = row(&mut changed, place).clone();
                changed.rows.insert(place, copy);
                tampered.first += 1;
            }
            Self::InsertRenumbered => {
                changed.rows.insert(place, forged(random));
                changed.rows.pop();
                renumber(&mut changed.rows, place);
            }
            Self::Swap | Self::SwapRenumbered => {
                let one = random.below(log.rows.len() - 1);
                let other = one + 1 + random.below(log.rows.len() - one - 1);
                changed.rows.swap(one, other);
                if self == Self::SwapRenumbered {
                    renumber(&mut changed.rows, one);
                }
                tampered.first = number(one);
            }
            Self::Truncate => tampered.export = lines_until(&changed, place),
            Self::Cut => {
                let mut lines = lines_until(&changed, place);
                let rest = log.export().split_off(lines.len());
                let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
                lines.extend(rest.into_iter().take(1 + random.below(line)));
                tampered.export = lines;
            }
            Self::Append => {
                changed.rows.push(forged(random));
                renumber(&mut changed.rows, log.rows.len());
                tampered.first = number(log.rows.len());
            }
            Self::ForgeSuffix => {
                forge(&mut changed.rows, place, random);
                renumber(&mut changed.rows, place);
            }
            Self::ForgeSuffixOtherKey => {
                forge(&mut changed.rows, place, random);
                changed = resealed(log, &changed.rows, 2);
                // The very first line is signed by nobody who is known.
                tampered.first = 0;
            }
            Self::ForgeSuffixStolenKey => {
                forge(&mut changed.rows, place, random);
                changed = resealed(log, &changed.rows, 1);
            }
            Self::RollBack => {
                // To a moment when a checkpoint had just been signed.
                let kept = random.below(log.checkpoints.len() - 1);
                changed.checkpoints.truncate(kept + 1);
                let size = changed.checkpoints.last().map_or(0, Signed::size);
                changed.rows.truncate(index(size));
                tampered.first = size;
            }
            Self::RollBackAndGrow | Self::Fork => {
                let kept = log.checkpoints.get(random.below(log.checkpoints.len() - 1));
                let branch = match self {
                    Self::Fork => place,
                    _ => index(kept.map_or(0, Signed::size)),
                };
                let count = log.rows.len() - branch + 1 + random.below(100);
                changed.rows.truncate(branch);
                changed.rows.extend((0..count).map(|_| forged(random)));
                changed = resealed(log, &changed.rows, 1);
                tampered.first = number(branch);
            }
            Self::EditCheckpoint
            | Self::EditSignature
            | Self::EditHead
            | Self::MoveCheckpoint
            | Self::ForkInside
            | Self::OtherLog => at_a_checkpoint(self, log, random, &mut tampered),
            Self::EditWitness => {
                let note = random.below(log.checkpoints.len());
                tampered.witness = edit_note(&tampered.witness, note, random);
                tampered.first = 0;
            }
        }
        if tampered.export.is_empty() {
            tampered.export = changed.export();
        }
        tampered
    }
}

impl Tampered {
    /// Whether this is what had to be found, and where.
    pub fn is_found_by(&self, fault: &Fault, with_witness: bool) -> bool {
        let (alone, witnessed) = self.tamper.faults();
        let kinds = if with_witness { witnessed } else { alone.unwrap_or_default() };
        let Fault { index, until, .. } = *fault;
        let is_here = if index == until {
            self.first.abs_diff(index) <= 1
        } else {
            (index..until).contains(&self.first)
        };
        kinds.contains(&fault.kind) && is_here
    }
}

fn number(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn row(log: &mut Log, place: usize) -> &mut Row {
    log.rows.get_mut(place).expect("a place in the log")
}

fn forged(random: &mut Random) -> Row {
    let leaf = body(random.next() % 1000, random).leaf(0);
    Row { hash: leaf_hash(&leaf), leaf }
}

fn forge(rows: &mut [Row], place: usize, random: &mut Random) {
    rows.iter_mut().skip(place).for_each(|row| *row = forged(random));
}

/// Another digit, so that it is an entry still.
fn edit(row: &mut Row, random: &mut Random) {
    let start = row.leaf.windows(7).position(|window| window == b"\"time\":").unwrap_or(0);
    let digits: Vec<usize> = (start..row.leaf.len())
        .filter(|at| row.leaf.get(*at).is_some_and(|byte| matches!(byte, b'1'..=b'8')))
        .collect();
    let at = digits.get(random.below(digits.len())).copied().unwrap_or(0);
    row.leaf.iter_mut().skip(at).take(1).for_each(|byte| *byte += 1);
}

fn rehash(rows: &mut [Row]) {
    rows.iter_mut().for_each(|row| row.hash = leaf_hash(&row.leaf));
}

/// The body of a leaf, without its index.
fn body_of(leaf: &[u8]) -> Body {
    let start = leaf.windows(7).position(|window| window == b"\"time\":").unwrap_or(0);
    let bytes = leaf.get(start..).unwrap_or_default().to_vec();
    Body::from_bytes(bytes).expect("it was an entry")
}

fn renumber(rows: &mut [Row], from: usize) {
    for (place, row) in rows.iter_mut().enumerate().skip(from) {
        row.leaf = body_of(&row.leaf).leaf(number(place));
        row.hash = leaf_hash(&row.leaf);
    }
}

/// The log of these rows, with checkpoints as close as the original's.
fn resealed(log: &Log, rows: &[Row], seed: u8) -> Log {
    let every = log.checkpoints.first().map_or(0, Signed::size);
    Log::seal(rows.iter().map(|row| body_of(&row.leaf)), every, &key_of(seed))
}

/// The export until the entry at a place, which is left out.
fn lines_until(log: &Log, place: usize) -> Vec<u8> {
    let export = log.export();
    let mut entries = 0;
    let kept = export.split_inclusive(|byte| *byte == b'\n').take_while(|line| {
        entries += usize::from(line.starts_with(b"{\"leaf\""));
        entries <= place
    });
    kept.flatten().copied().collect()
}

/// Does something to a checkpoint between the entries, or to the head.
fn at_a_checkpoint(tamper: Tamper, log: &Log, random: &mut Random, tampered: &mut Tampered) {
    let export = log.export();
    let mut lines: Vec<Vec<u8>> =
        export.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let is_checkpoint = |line: &Vec<u8>| line.starts_with(b"{\"checkpoint\"");
    let places = lines.iter().enumerate().filter(|(_, line)| is_checkpoint(line));
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    let chosen = random.below(places.len());
    let signed = log.checkpoints.get(chosen).expect("each has its line");
    let mut at = places.get(chosen).copied().expect("one of them");
    tampered.first = signed.size();
    if tamper == Tamper::EditHead {
        (at, tampered.first) = (0, 0);
    }
    if matches!(tamper, Tamper::MoveCheckpoint | Tamper::ForkInside) {
        // The last entry that it covers.
        tampered.first -= 1;
    }
    let line = lines.remove(at);
    match tamper {
        Tamper::MoveCheckpoint => lines.insert(at - 1, line),
        Tamper::ForkInside | Tamper::OtherLog => {
            let mut other = signed.checkpoint().clone();
            if tamper == Tamper::ForkInside {
                other.root = Hash([random.byte(); 32]);
            } else {
                other.origin = "test.example/other".to_owned();
            }
            let note = Note::sign(other.to_string(), &[&key()]).expect("it is signed");
            let other = format!("{{\"checkpoint\":{}}}\n", quoted(&note.to_string()));
            lines.insert(at, line);
            lines.insert(at + random.below(2), other.into_bytes());
        }
        Tamper::EditSignature => lines.insert(at, edit_between(&line, " ", "=", random)),
        _ => lines.insert(at, edit_between(&line, ORIGIN, "=", random)),
    }
    tampered.export = lines.concat();
}

/// Changes a character somewhere between two texts, the second one after the first, or behind the
/// id of a key, which the eight characters after the first text hold.
fn edit_between(line: &[u8], start: &str, end: &str, random: &mut Random) -> Vec<u8> {
    let text = String::from_utf8_lossy(line).into_owned();
    // In a signature line the second space is the one before the signature.
    let start = if start == " " {
        text.rfind(' ').map_or(0, |at| at + 9)
    } else {
        text.find(start).map_or(0, |at| at + start.len())
    };
    let rest = text.get(start..).unwrap_or_default();
    let end = start + rest.find(end).unwrap_or(rest.len());
    let changeable: Vec<usize> = text
        .char_indices()
        .filter(|(at, char)| (start..end - 1).contains(at) && matches!(char, '0'..='8' | 'A'..='Y'))
        .map(|(at, _)| at)
        .collect();
    let at = changeable.get(random.below(changeable.len())).copied().unwrap_or(0);
    let mut bytes = text.into_bytes();
    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte += 1);
    bytes
}

/// Changes one of several notes.
fn edit_note(notes: &[u8], which: usize, random: &mut Random) -> Vec<u8> {
    let text = String::from_utf8_lossy(notes).into_owned();
    let (head, tail) = text
        .match_indices(&format!("{ORIGIN}\n"))
        .nth(which)
        .map_or((text.as_str(), ""), |(at, _)| text.split_at(at));
    [head.as_bytes(), &edit_between(tail.as_bytes(), ORIGIN, "=", random)].concat()
}
