//! A disk that forgets: what was written and not synced may be gone after a power cut.
//!
//! `kill -9` says nothing about fsync, since the kernel still writes what the process handed it.
//! This disk lives in memory and keeps two states of each file and of its one folder: what readers
//! see, and what was synced. A *cut* gives the disk that the next start finds. It promises no more
//! than POSIX does: `fsync` makes a file's bytes and length stable but not its name, and `fsync` of
//! the folder makes names stable.
//!
//! [`mount::Mounted`] serves it to other processes as a file system.

pub mod mount;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use crate::clock::Chance;

/// What a disk writes as a whole. A cut keeps any of the unsynced sectors.
const SECTOR_BYTES: usize = 512;

/// A file of a disk, for as long as the disk is not cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(usize);

/// The disk: one folder of files.
#[derive(Debug, Default)]
pub struct Disk {
    files: Vec<File>,
    names: Names,
    stable_names: Names,
    /// In their order; each takes effect as a whole.
    unsynced_names: Vec<Vec<(OsString, Option<FileId>)>>,
}

type Names = BTreeMap<OsString, FileId>;

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    stable: Vec<u8>,
    /// In their order.
    unsynced: Vec<Change>,
    mode: u16,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// How much a cut leaves of what was not synced.
#[derive(Debug)]
pub enum Cut {
    /// Nothing.
    Nothing,
    /// Any of its sectors, and its names up to some instant.
    Torn(Chance),
}

impl Disk {
    /// What the next start finds.
    pub fn after(self, cut: &mut Cut) -> Self {
        let mut names = self.stable_names;
        for change in self.unsynced_names.into_iter().take_while(|_| cut.keeps(8)) {
            rename(&mut names, &change);
        }
        let mut files: Vec<Option<File>> = self.files.into_iter().map(Some).collect();
        let mut left = Self::default();
        for (name, id) in names {
            let Some(file) = files.get_mut(id.0).and_then(Option::take) else { continue };
            left.names.insert(name, FileId(left.files.len()));
            left.files.push(file.after(cut));
        }
        left.stable_names = left.names.clone();
        left
    }

    /// Whether a file has changes that a cut would take.
    pub fn is_unsynced(&self, name: &OsStr) -> bool {
        let file = self.find(name).and_then(|id| self.files.get(id.0));
        file.is_some_and(|file| !file.unsynced.is_empty())
    }

    /// Copies what readers see into a folder of a lasting disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        for (name, id) in &self.names {
            let bytes = self.files.get(id.0).map(|file| file.bytes.as_slice());
            std::fs::write(folder.join(name), bytes.unwrap_or_default())?;
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = (&OsStr, FileId)> {
        self.names.iter().map(|(name, id)| (name.as_os_str(), *id))
    }

    fn find(&self, name: &OsStr) -> Option<FileId> {
        self.names.get(name).copied()
    }

    fn create(&mut self, name: &OsStr, mode: u16) -> FileId {
        let id = FileId(self.files.len());
        self.files.push(File { mode, ..File::default() });
        self.change_names(vec![(name.to_owned(), Some(id))]);
        id
    }

    /// Whether there was such a name. Whoever has the file open keeps it.
    fn remove(&mut self, name: &OsStr) -> bool {
        let found = self.names.contains_key(name);
        if found {
            self.change_names(vec![(name.to_owned(), None)]);
        }
        found
    }

    /// Whether there was such a name.
    fn rename(&mut self, from: &OsStr, to: &OsStr) -> bool {
        let Some(id) = self.find(from) else { return false };
        self.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(id))]);
        true
    }

    fn change_names(&mut self, change: Vec<(OsString, Option<FileId>)>) {
        rename(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    fn sync_names(&mut self) {
        self.unsynced_names.clear();
        self.stable_names = self.names.clone();
    }

    fn file(&self, id: FileId) -> Option<&File> {
        self.files.get(id.0)
    }

    fn file_mut(&mut self, id: FileId) -> Option<&mut File> {
        self.files.get_mut(id.0)
    }
}

fn rename(names: &mut Names, change: &[(OsString, Option<FileId>)]) {
    for (name, id) in change {
        match id {
            Some(id) => names.insert(name.clone(), *id),
            None => names.remove(name),
        };
    }
}

impl File {
    fn read(&self, at: usize, length: usize) -> &[u8] {
        let end = at.saturating_add(length).min(self.bytes.len());
        self.bytes.get(at..end).unwrap_or_default()
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.stable);
        }
    }

    fn after(self, cut: &mut Cut) -> Self {
        let mut stable = self.stable;
        let likely = cut.draw(9);
        for change in self.unsynced {
            match change {
                Change::Resize(_) if cut.keeps(likely) => change.apply(&mut stable),
                Change::Resize(_) => {}
                Change::Write { at, bytes } => {
                    for (at, sector) in sectors(at, &bytes) {
                        if cut.keeps(likely) {
                            write(&mut stable, at, sector);
                        }
                    }
                }
            }
        }
        Self { bytes: stable.clone(), stable, unsynced: Vec::new(), mode: self.mode }
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(to, *at, bytes),
            Self::Resize(length) => to.resize(*length, 0),
        }
    }
}

/// What lies between the old end and a write beyond it is zeros.
fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at.saturating_add(bytes.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    if let Some(place) = to.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

/// The parts of a write that lie in one sector each, with where they begin.
fn sectors(at: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - at % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let rest = rest.chunks(SECTOR_BYTES).zip(0..);
    let rest = rest.map(move |(sector, n)| (at + first + n * SECTOR_BYTES, sector));
    std::iter::once((at, head)).chain(rest)
}

impl Cut {
    fn draw(&mut self, below: u64) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Torn(chance) => chance.between(0, below),
        }
    }

    /// Whether one change stays, which so many of eight do.
    fn keeps(&mut self, of_eight: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Torn(chance) => chance.between(0, 8) < of_eight,
        }
    }
}

#[cfg(test)]
mod tests;
