//! What is done to a log, by each way to tamper with it.

use super::{Log, ORIGIN, Random, Row, Tamper, Tampered, body, key, key_of};
use crate::checkpoint::Signed;
use crate::entry::{Body, quoted};
use crate::hash::{Hash, leaf_hash};
use crate::note::Note;

impl Tamper {
    /// Does it to a log of ten entries and two checkpoints at least, at a random place.
    pub fn apply(self, log: &Log, random: &mut Random) -> Tampered {
        let place = random.below(log.rows.len());
        let mut attack = Attack {
            log,
            changed: log.clone(),
            place,
            first: number(place),
            export: None,
            witness: log.witness(),
        };
        attack.entries(self, random);
        attack.end(self, random);
        attack.lines(self, random);
        attack.checkpoints(self, random);
        Tampered {
            tamper: self,
            export: attack.export.unwrap_or_else(|| attack.changed.export()),
            witness: attack.witness,
            first: attack.first,
        }
    }
}

/// A log while somebody is at it.
struct Attack<'a> {
    /// As it was.
    log: &'a Log,
    changed: Log,
    place: usize,
    first: u64,
    /// Where it is done to the lines of the export, and not in the store.
    export: Option<Vec<u8>>,
    witness: Vec<u8>,
}

impl Attack<'_> {
    /// In the store, to single entries.
    fn entries(&mut self, tamper: Tamper, random: &mut Random) {
        let (rows, place) = (&mut self.changed.rows, self.place);
        match tamper {
            Tamper::EditField => edit(row(rows, place), random),
            Tamper::EditHash => row(rows, place).hash.0[0] ^= 1 << random.below(8),
            Tamper::EditRehashed => {
                edit(row(rows, place), random);
                rehash(row(rows, place));
            }
            Tamper::EditGarbage => {
                row(rows, place).leaf.insert(1, b' ');
                rehash(row(rows, place));
            }
            Tamper::Delete => drop(rows.remove(place)),
            Tamper::DeleteRenumbered => {
                rows.remove(place);
                rows.push(forged(random));
                renumber(rows, place);
            }
            Tamper::Insert => {
                let copy = row(rows, place).clone();
                rows.insert(place, copy);
                self.first += 1;
            }
            Tamper::InsertRenumbered => {
                rows.insert(place, forged(random));
                rows.pop();
                renumber(rows, place);
            }
            Tamper::Swap | Tamper::SwapRenumbered => {
                let one = random.below(rows.len() - 1);
                let other = one + 1 + random.below(rows.len() - one - 1);
                rows.swap(one, other);
                if tamper == Tamper::SwapRenumbered {
                    renumber(rows, one);
                }
                self.first = number(one);
            }
            _ => {}
        }
    }

    /// In the store, to the last entries.
    fn end(&mut self, tamper: Tamper, random: &mut Random) {
        let (log, rows, place) = (self.log, &mut self.changed.rows, self.place);
        match tamper {
            Tamper::Append => {
                rows.push(forged(random));
                renumber(rows, log.rows.len());
                self.first = number(log.rows.len());
            }
            Tamper::ForgeSuffix => {
                forge(rows, place, random);
                renumber(rows, place);
            }
            Tamper::ForgeSuffixOtherKey => {
                forge(rows, place, random);
                self.changed = resealed(log, rows, 2);
                // The very first line is signed by nobody who is known.
                self.first = 0;
            }
            Tamper::ForgeSuffixStolenKey => {
                forge(rows, place, random);
                self.changed = resealed(log, rows, 1);
            }
            Tamper::RollBack => {
                let size = checkpoint_before_the_last(log, random);
                rows.truncate(index(size));
                self.changed.checkpoints.retain(|signed| signed.size() <= size);
                self.first = size;
            }
            Tamper::RollBackAndGrow | Tamper::Fork => {
                if tamper == Tamper::RollBackAndGrow {
                    self.first = checkpoint_before_the_last(log, random);
                }
                let branch = index(self.first);
                rows.truncate(branch);
                let count = log.rows.len() - branch + 1 + random.below(100);
                rows.extend((0..count).map(|_| forged(random)));
                self.changed = resealed(log, rows, 1);
            }
            _ => {}
        }
    }

    /// In the export, to the lines of entries, and to what the witness has.
    fn lines(&mut self, tamper: Tamper, random: &mut Random) {
        let before = || lines_until(self.log, self.place);
        match tamper {
            Tamper::Truncate => self.export = Some(before()),
            Tamper::Cut | Tamper::DeleteLine => {
                let mut lines = before();
                let rest = self.log.export().split_off(lines.len());
                let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
                if tamper == Tamper::Cut {
                    lines.extend(rest.into_iter().take(1 + random.below(line)));
                } else {
                    lines.extend(rest.into_iter().skip(line + 1));
                }
                self.export = Some(lines);
            }
            Tamper::EditWitness => {
                let note = random.below(self.log.checkpoints.len());
                self.witness = edit_note(&self.witness, note, random);
                self.first = 0;
            }
            _ => {}
        }
    }

    /// In the export, to a checkpoint between entries, or to the head.
    fn checkpoints(&mut self, tamper: Tamper, random: &mut Random) {
        let export = self.log.export();
        let mut lines: Vec<&[u8]> = export.split_inclusive(|byte| *byte == b'\n').collect();
        let is_checkpoint = |line: &&[u8]| line.starts_with(b"{\"checkpoint\"");
        let places = lines.iter().enumerate().filter(|(_, line)| is_checkpoint(line));
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        let chosen = random.below(places.len());
        let signed = self.log.checkpoints.get(chosen).expect("each has its line");
        let at = places.get(chosen).copied().expect("one of them");
        let line = lines.get(at).copied().unwrap_or_default();
        let changed;
        match tamper {
            Tamper::MoveCheckpoint => {
                lines.swap(at, at - 1);
                self.first = signed.size() - 1;
            }
            Tamper::ForkInside | Tamper::OtherLog => {
                changed = another(signed, tamper, random);
                lines.insert(at + random.below(2), &changed);
                // The last entry that it covers.
                self.first = signed.size() - u64::from(tamper == Tamper::ForkInside);
            }
            Tamper::EditSignature => {
                changed = edit_between(line, " ", "=", random);
                lines.splice(at..=at, [changed.as_slice()]);
                self.first = signed.size();
            }
            Tamper::EditCheckpoint => {
                changed = edit_between(line, ORIGIN, "=", random);
                lines.splice(at..=at, [changed.as_slice()]);
                self.first = signed.size();
            }
            Tamper::EditHead => {
                changed = edit_between(lines.first().unwrap_or(&line), ORIGIN, "=", random);
                lines.splice(..1, [changed.as_slice()]);
                self.first = 0;
            }
            _ => return,
        }
        self.export = Some(lines.concat());
    }
}

/// The line of another checkpoint of this size, or of another log, signed by the log's key.
fn another(signed: &Signed, tamper: Tamper, random: &mut Random) -> Vec<u8> {
    let mut other = signed.checkpoint().clone();
    if tamper == Tamper::ForkInside {
        other.root = Hash([random.byte(); 32]);
    } else {
        other.origin = "test.example/other".to_owned();
    }
    let note = Note::sign(other.to_string(), &[&key()]).expect("it is signed");
    format!("{{\"checkpoint\":{}}}\n", quoted(&note.to_string())).into_bytes()
}

/// The size of any checkpoint but the last.
fn checkpoint_before_the_last(log: &Log, random: &mut Random) -> u64 {
    let which = random.below(log.checkpoints.len() - 1);
    log.checkpoints.get(which).map_or(0, Signed::size)
}

fn number(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn row(rows: &mut [Row], place: usize) -> &mut Row {
    rows.get_mut(place).expect("a place in the log")
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

fn rehash(row: &mut Row) {
    row.hash = leaf_hash(&row.leaf);
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
