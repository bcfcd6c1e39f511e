//! A disk of a given size, which can be filled and emptied.
//!
//! A tmpfs over a folder, in a mount namespace of its own, which a process holds that ends with us: whatever
//! happens to a measurement, no mount is left. Its files are reached through `/proc`; commands that
//! work on them enter the namespace, since SQLite would follow the link in `/proc` to nowhere. Works
//! for root and, where user namespaces are allowed, for everybody else.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Mounts, says so, and holds the mount until its standard input ends.
const HOLD: &str = r#"mount -t tmpfs -o size="$1" none "$0" && echo held && exec cat"#;

/// A mounted disk. It is gone when this is dropped.
#[derive(Debug)]
pub struct Disk {
    holder: Child,
    path: PathBuf,
}

impl Disk {
    /// Mounts an empty one of so many bytes over a folder.
    ///
    /// # Errors
    /// When this user may not mount, not even in a namespace of its own.
    pub fn over(folder: &Path, bytes: u64) -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--mount", "--map-root-user", "--propagation", "private", "sh", "-c", HOLD])
            .arg(folder)
            .arg(bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare (util-linux)")?;
        let mut said = String::new();
        if let Some(output) = &mut holder.stdout {
            BufReader::new(output).read_line(&mut said)?;
        }
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), folder.display()));
        let disk = Self { holder, path };
        ensure!(said == "held\n", "cannot mount a tmpfs, not even in a namespace of our own");
        Ok(disk)
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What to run a command under, so that it sees the disk over the folder.
    pub fn within(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        let enter = ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", &holder];
        enter.map(str::to_owned).to_vec()
    }

    /// Fills it up to its last block, then frees so many bytes.
    ///
    /// # Errors
    /// When something else than the end of the room is met.
    pub fn fill_all_but(&self, bytes: u64) -> Result<()> {
        let mut filler = File::create(self.filler())?;
        let slice = vec![0; 64 * 1024];
        let mut written: u64 = 0;
        loop {
            match filler.write(&slice) {
                Ok(0) => break,
                Ok(more) => written += u64::try_from(more)?,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
        filler.set_len(written.saturating_sub(bytes))?;
        Ok(())
    }

    /// Frees what [`Disk::fill_all_but`] took.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn empty(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("cannot empty the disk")
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_when_it_is_and_gone_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::over(folder.path(), 1024 * 1024).unwrap();
        let file = disk.path().join("file");
        disk.fill_all_but(0).unwrap();
        let error = fs::write(&file, [1; 100_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        disk.empty().unwrap();
        disk.fill_all_but(200_000).unwrap();
        fs::write(&file, [1; 100_000]).unwrap();
        let path = disk.path().to_owned();
        drop(disk);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
