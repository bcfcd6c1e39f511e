//! Every parser of bytes from outside, under bytes that nobody meant.
//!
//! A target is a plain function that takes bytes and panics when something is wrong: not only when
//! a parser crashes, but when its *oracle* disagrees, such as a changed request that verifies, or a
//! body that two readers read in two ways. `docs/testing.md` says how they are run.

pub mod input;
pub mod mutate;
pub mod targets;

use std::path::PathBuf;

/// A function that must not panic, whatever it is given.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder under `fuzz/corpus`.
    pub name: &'static str,
    /// What it does with the bytes.
    pub run: fn(&[u8]),
}

/// Where the seeds of a target are kept.
pub fn corpus_folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The seeds of a target, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn seeds(target: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let entries = std::fs::read_dir(corpus_folder(target))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(std::fs::read).collect()
}
