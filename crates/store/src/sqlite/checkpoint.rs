//! Writing the log back into the file, beside the writer.
//!
//! A commit must not wait for what earlier ones left to write back. So a thread with a connection of
//! its own writes back what the log holds while the writer goes on, again and again until little is
//! left; that little the writer does itself between two commits, since only when nothing is left does
//! the log start anew. (SQLite before 3.51.3 could damage the file when two connections did this; ours
//! is newer, and the crash and power-cut tests run through it.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use sabotage::Point;

use super::failure::{Failure, Opening, pass};
use super::open;
use crate::{OpenError, StoreError};

/// The log is written back when it holds more pages than this (16 MiB). The file keeps its length,
/// so that most commits need not grow it.
const LOG_PAGES: i64 = 4096;

/// What is left of the log when the writer finishes it (1 MiB).
const REST_PAGES: i64 = 256;

/// Readers can keep the log from being started anew. When it holds more pages than this, the writer
/// waits a moment for them.
const LOG_PAGES_MAX: i64 = 32 * LOG_PAGES;

/// How long it waits then.
const LOG_WAIT: Duration = Duration::from_millis(100);

/// The pages of a log, and how many of them are written back.
#[derive(Clone, Copy)]
struct Log {
    pages: i64,
    done: i64,
}

/// The thread that writes back.
pub(super) struct Checkpoints {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts the thread. When an fsync fails there, it sets `poisoned` and ends.
    pub(super) fn start(
        connection: Connection,
        poisoned: Arc<AtomicBool>,
    ) -> Result<Self, Opening> {
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-log".to_owned())
            .spawn(move || {
                if write_back_when_woken(&connection, &woken).is_err_and(|e| e.is_poisoned()) {
                    poisoned.store(true, Ordering::Release);
                }
            })
            .map_err(|_| Opening(OpenError::Failed))?;
        Ok(Self { wake, thread })
    }

    /// Has a long log written back; finishes one of which little is left. To be called by the writer
    /// between two commits.
    pub(super) fn keep_log_short(&self, writer: &Connection) -> Result<(), StoreError> {
        let log = checkpoint(writer, "NOOP")?;
        let long = if sabotage::aims_at(Point::WriteBack) { REST_PAGES } else { LOG_PAGES };
        if log.pages > LOG_PAGES_MAX {
            let wait = |time| writer.busy_timeout(time).map_err(|error| Failure::from(error).0);
            wait(LOG_WAIT)?;
            let restarted = checkpoint(writer, "RESTART");
            wait(open::BUSY)?;
            restarted?;
        } else if log.pages > long && log.pages - log.done <= REST_PAGES {
            checkpoint(writer, "PASSIVE")?;
        } else if log.pages > long
            && let Err(TrySendError::Disconnected(())) = self.wake.try_send(())
        {
            checkpoint(writer, "PASSIVE")?;
        }
        Ok(())
    }

    /// Ends the thread and empties the log, unless nobody knows what is in it.
    pub(super) fn finish(self, writer: &Connection, poisoned: bool) {
        drop(self.wake);
        let _ = self.thread.join();
        if !poisoned {
            // What is not written back now is read from the log by the next start.
            let _ = checkpoint(writer, "TRUNCATE");
        }
    }
}

/// Writes back whenever it is woken. Ends with the writer, or when an fsync fails.
fn write_back_when_woken(connection: &Connection, woken: &Receiver<()>) -> Result<(), StoreError> {
    while woken.recv().is_ok() {
        match write_back(connection) {
            Err(error) if error.is_poisoned() => return Err(error),
            // A full disk or a lock may be gone when it is woken again.
            Err(_) | Ok(()) => {}
        }
    }
    Ok(())
}

/// Writes back until little is left.
fn write_back(connection: &Connection) -> Result<(), StoreError> {
    let mut before = -1;
    loop {
        let log = checkpoint(connection, "PASSIVE")?;
        // A reader of an older state lets nothing more be written back for now.
        if log.pages - log.done <= REST_PAGES || log.done <= before {
            return Ok(());
        }
        before = log.done;
    }
}

/// Writes back what this mode allows.
fn checkpoint(connection: &Connection, mode: &str) -> Result<Log, StoreError> {
    if mode != "NOOP" {
        pass(Point::WriteBack).map_err(|failure| failure.0)?;
    }
    connection
        .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok(Log { pages: row.get(1)?, done: row.get(2)? })
        })
        .map_err(|error| Failure::from(error).0)
}
