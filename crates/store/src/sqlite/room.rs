//! Room on the disk: a reserve beside the store, given up when the disk is full.
//!
//! Whatever fills the disk, what is owed must still be written: attempts in flight are settled, and
//! a person can release, deny and redeliver, with the audit entry of it. So the reserve is a file of
//! real blocks. When a commit finds the disk full, the file is removed and the commit is made again
//! without what would only take more room; that is refused from then on, until there is room for
//! the file again and it stands. The file is the state: whoever removes it has the same effect.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::open::{MODE, beside, folder};
use crate::StoreError;
use crate::command::{Answer, Command, Job};
use crate::error::Kind;

/// Bytes written at a time: more than file systems compress together.
const SLICE_BYTES: usize = 1024 * 1024;

/// The reserve of one store.
pub(super) struct Room {
    reserve: PathBuf,
    /// None at all when 0.
    reserve_bytes: u64,
    full: Arc<AtomicBool>,
}

impl Room {
    /// The reserve of the store at this path.
    pub(super) fn new(store: &Path, reserve_bytes: u64) -> Self {
        Self { reserve: beside(store, ".reserve"), reserve_bytes, full: Arc::default() }
    }

    /// Whether the disk is full, as it is now at any time.
    pub(super) fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

    /// Whether the disk is full now.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Sees that the reserve stands, or makes it. Where it cannot, the disk counts as full.
    pub(super) fn keep(&self) {
        let stands = self.reserve_bytes == 0 || self.stands() || self.make();
        let was_full = self.full.swap(!stands, Ordering::AcqRel);
        if was_full && stands {
            tracing::info!("there is room on the disk again: webhooks are taken");
        } else if !was_full && !stands {
            tracing::error!(
                reserve_bytes = self.reserve_bytes,
                "no room for the reserve of the store: webhooks are refused until there is"
            );
        }
    }

    /// The disk is full: gives the reserve up. Whether a commit of what is owed is worth a try.
    pub(super) fn give_up(&self) -> bool {
        if self.reserve_bytes == 0 {
            return false;
        }
        let freed = fs::remove_file(&self.reserve).is_ok();
        let first = !self.full.swap(true, Ordering::AcqRel);
        if first {
            tracing::error!(
                "the disk is full: webhooks are refused and nothing is delivered until there is \
                 room; the reserve is given up, so that what is in flight can be settled"
            );
        }
        freed || first
    }

    /// Answers what needs no commit, and refuses what only takes more room while there is none.
    pub(super) fn admit(&self, batch: &mut Vec<Job>) {
        for job in batch.extract_if(.., |job| matches!(job.command, Command::KeepReserve)) {
            self.keep();
            let _ = job.answer.send(Ok(Answer::Done));
        }
        if self.is_full() {
            for job in batch.extract_if(.., |job| !is_owed(&job.command)) {
                let _ = job.answer.send(Err(StoreError::new(Kind::Full)));
            }
        }
    }

    fn stands(&self) -> bool {
        fs::metadata(&self.reserve).is_ok_and(|found| found.len() == self.reserve_bytes)
    }

    /// Makes the file where a quarter more than it needs is free, so that it is not the last straw.
    fn make(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(folder(&self.reserve)) else { return false };
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let made =
            free_bytes >= self.reserve_bytes + self.reserve_bytes / 4 && self.write().is_ok();
        if !made {
            let _ = fs::remove_file(&self.reserve);
        }
        made
    }

    /// Noise, since file systems that compress keep nothing for zeros.
    fn write(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(MODE)
            .open(&self.reserve)?;
        let noise = noise();
        let mut left = self.reserve_bytes;
        while left > 0 {
            let slice = noise.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(&noise);
            file.write_all(slice)?;
            left -= slice.len() as u64;
        }
        file.sync_all()
    }
}

/// Bytes without a pattern that a compressor would find (Marsaglia's xorshift64).
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = vec![0; SLICE_BYTES];
    for word in noise.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    noise
}

/// Whether it is written even into the reserve. It is little, and what it settles was begun before.
fn is_owed(command: &Command) -> bool {
    match command {
        Command::AddKey(_)
        | Command::Settle(_)
        | Command::SetEndpointState { .. }
        | Command::SetEndpointRest { .. }
        | Command::Release { .. }
        | Command::Deny { .. }
        | Command::Redeliver { .. }
        | Command::CreateApiKey { .. }
        | Command::AddBlock(..)
        | Command::LiftBlock { .. }
        | Command::RollApiKey { .. }
        | Command::RevokeApiKey { .. }
        | Command::RevokeApiKeys { .. }
        | Command::AddOperator { .. }
        | Command::ChangeOperator { .. }
        | Command::AskApproval { .. }
        | Command::DecideApproval { .. }
        | Command::UseApproval { .. }
        | Command::OpenSession { .. }
        | Command::EndSession { .. }
        | Command::EndSessions { .. }
        | Command::ReleaseDuty { .. }
        | Command::Deed(_)
        | Command::AddSecret(..)
        | Command::RetireSecret(_)
        | Command::SeeConfigured(_)
        | Command::ProveSecret { .. }
        | Command::KeepAnswer { .. }
        | Command::GiveUpClaim { .. }
        | Command::EnsurePartitions
        | Command::KeepReserve
        | Command::Close => true,
        Command::Record(_)
        | Command::CreateOrder(..)
        | Command::ChangeOrders(_)
        | Command::TakeReceipt(..)
        | Command::TakeUndecided(_)
        | Command::PutOff(..)
        | Command::Tally(_)
        | Command::Lease(_)
        | Command::Sweep { .. }
        | Command::Retain(_)
        | Command::ForgetSessions { .. }
        | Command::NoteApiKeyUses(_)
        | Command::NoteSessionUses(_)
        | Command::TakeDuty(_)
        | Command::Seal(_)
        | Command::MarkSink { .. }
        | Command::CountWindows { .. }
        | Command::ClaimRequest(_)
        | Command::DropPartitions { .. }
        | Command::Copy(_)
        | Command::Probe => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 100_005;

    fn room(folder: &tempfile::TempDir, reserve_bytes: u64) -> Room {
        Room::new(&folder.path().join("store.db"), reserve_bytes)
    }

    #[test]
    fn the_reserve_is_the_state() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder, BYTES);
        room.keep();
        assert!(!room.is_full() && room.stands());
        assert_eq!(room.reserve, folder.path().join("store.db.reserve"));

        assert!(room.give_up(), "there was something to give");
        assert!(room.is_full() && !room.reserve.exists());
        assert!(!room.give_up(), "there is nothing more");

        room.keep();
        assert!(!room.is_full() && room.stands());
        // A half that a crash left does not count.
        fs::write(&room.reserve, "half").expect("written");
        assert!(!room.stands());
        room.keep();
        assert!(room.stands());
    }

    #[test]
    fn its_blocks_are_real_and_its_bytes_do_not_compress() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder, BYTES);
        room.keep();
        let blocks = fs::metadata(&room.reserve).expect("it is there").blocks();
        assert!(blocks * 512 >= BYTES, "{blocks} blocks");
        let bytes = fs::read(&room.reserve).expect("it can be read");
        let mut slices: Vec<&[u8]> = bytes.chunks(4096).collect();
        slices.sort_unstable();
        slices.dedup();
        assert_eq!(slices.len(), bytes.len().div_ceil(4096), "no slice occurs twice");
    }

    #[test]
    fn a_reserve_that_has_no_room_is_not_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder, u64::MAX / 2);
        room.keep();
        assert!(room.is_full() && !room.reserve.exists());
    }

    #[test]
    fn without_a_reserve_nothing_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder, 0);
        room.keep();
        assert!(!room.is_full() && !room.reserve.exists());
        assert!(!room.give_up());
        assert!(!room.is_full());
    }
}
