//! The writer: one thread that commits whatever waits in one transaction.
//!
//! A batch is tried without savepoints first, since commands hardly ever fail. If one does, all is
//! rolled back and the batch runs again with each command under a savepoint, so that only the one
//! that fails is undone. Answers go out after the commit returned.
//!
//! A failed fsync is never tried again: the writer answers with an error that says that nothing
//! more is known, and ends.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpoints;
use super::failure::Opening;
use super::room::Room;
use super::session::Session;
use crate::command::{Answer, Command, Job};
use crate::error::Kind;
use crate::transactions::{Ended, Name, Transactions};
use crate::{OpenError, StoreError};

/// The log is looked at after so many commands.
const LOG_CHECK_COMMANDS: usize = 256;

/// A batch that is smaller than this waits for more, if the last one was not small: a commit costs the
/// same time whatever it holds. As PostgreSQL does it (`commit_delay`, `commit_siblings`).
const GATHERED_COMMANDS: usize = 24;
const SMALL_COMMANDS: usize = 4;

/// How long it waits at a time, and how often.
const GATHERING: Duration = Duration::from_micros(250);
const GATHERINGS_MAX: usize = 2;

/// What kind of process the writer works for.
pub(super) enum Role {
    /// The gateway: it alone writes the log back. The lock lasts as long as the writer.
    Gateway { lock: File, checkpoints: Checkpoints },
    /// A command beside a gateway.
    Beside,
}

/// Where an answer goes.
type Reply = oneshot::Sender<Result<Answer, StoreError>>;

/// What the writer's thread needs.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) role: Role,
    pub(super) batch_commands_max: usize,
    pub(super) dedup_run_keys: usize,
    pub(super) poisoned: Arc<AtomicBool>,
    pub(super) room: Room,
    pub(super) transactions: Arc<Transactions>,
}

/// Starts the thread; fails if the statements cannot be prepared.
pub(super) fn start(writer: Writer) -> Result<JoinHandle<()>, Opening> {
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || writer.run(&ready))
        .map_err(|_| Opening(OpenError::Failed))?;
    is_ready.recv().map_err(|_| Opening(OpenError::Failed))??;
    Ok(thread)
}

impl Writer {
    fn run(mut self, ready: &SyncSender<Result<(), Opening>>) {
        let closers = self.serve(ready);
        if self.poisoned.load(Ordering::Acquire) {
            self.jobs.close();
            while let Ok(job) = self.jobs.try_recv() {
                let _ = job.answer.send(Err(StoreError::new(Kind::Poisoned)));
            }
        }
        // The file is closed and the lock given up before anybody hears that it is.
        let Self { connection, role, poisoned, .. } = self;
        if let Role::Gateway { checkpoints, lock } = role {
            checkpoints.finish(&connection, poisoned.load(Ordering::Acquire));
            drop((connection, lock));
        }
        for closer in closers {
            let _ = closer.send(Ok(Answer::Done));
        }
    }

    /// Serves until the queue ends or a commit's fate is unknown; gives whoever asked to close.
    fn serve(&mut self, ready: &SyncSender<Result<(), Opening>>) -> Vec<Reply> {
        let mut closers = Vec::new();
        let mut session = match Session::new(&self.connection, self.dedup_run_keys) {
            Ok(session) => session,
            Err(error) => {
                let _ = ready.send(Err(error.into()));
                return closers;
            }
        };
        if matches!(self.role, Role::Gateway { .. })
            && let Err(error) = session.load()
        {
            let _ = ready.send(Err(error.into()));
            return closers;
        }
        let _ = ready.send(Ok(()));

        let mut batch = Vec::with_capacity(self.batch_commands_max);
        let (mut unchecked, mut last) = (0, 0);
        while let Some(first) = self.jobs.blocking_recv() {
            batch.push(first);
            gather(&mut self.jobs, &mut batch, self.batch_commands_max, last > SMALL_COMMANDS);
            last = batch.len();
            for job in batch.extract_if(.., |job| matches!(job.command, Command::Close)) {
                closers.push(job.answer);
                self.jobs.close();
            }
            self.room.admit(&mut batch);
            unchecked += batch.len();
            let mut written =
                commit(&mut session, &mut batch, (&self.poisoned, &self.room, &self.transactions));
            if let (Ok(()), Role::Gateway { checkpoints, .. }) = (&written, &self.role) {
                written = session.keep_dedup_short();
                // Writing back can take room in the file, which the reserve is not for.
                let may_write_back = written.is_ok() && !self.room.is_full();
                if may_write_back && unchecked >= LOG_CHECK_COMMANDS {
                    unchecked = 0;
                    written = checkpoints.keep_log_short(&self.connection);
                }
            }
            if written.is_err_and(|error| error.is_poisoned())
                || self.poisoned.load(Ordering::Acquire)
            {
                self.poisoned.store(true, Ordering::Release);
                break;
            }
        }
        closers
    }
}

/// Takes whatever waits; under load, a little more.
fn gather(jobs: &mut mpsc::Receiver<Job>, batch: &mut Vec<Job>, most: usize, is_loaded: bool) {
    let gatherings = if is_loaded { GATHERINGS_MAX } else { 0 };
    for gathering in 0..=gatherings {
        while batch.len() < most {
            let Ok(job) = jobs.try_recv() else { break };
            batch.push(job);
        }
        if batch.len() >= GATHERED_COMMANDS.min(most) {
            return;
        }
        if gathering < gatherings {
            std::thread::sleep(GATHERING);
        }
    }
}

/// Runs and commits a batch, then answers. Fails if nothing of it was committed.
fn commit(
    session: &mut Session<'_>,
    batch: &mut Vec<Job>,
    (poisoned, room, transactions): (&AtomicBool, &Room, &Transactions),
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let answers = match session.run(batch) {
        Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
        Err(error) if error.is_full() && room.give_up() => {
            room.admit(batch);
            return commit(session, batch, (poisoned, room, transactions));
        }
        // Alone in its batch, it is the one that failed.
        Err(error) if batch.len() == 1 && !error.is_poisoned() => Ok(vec![Err(error)]),
        Err(error) if is_of_the_batch(&error) => Err(error),
        Err(_) => {
            count(transactions, batch, || Ended::Retried);
            session.run_guarded(batch)
        }
    };
    match answers {
        Ok(answers) => {
            let mut ended = answers.iter().map(|answer| match answer {
                Ok(_) => Ended::Committed,
                Err(_) => Ended::Failed,
            });
            count(transactions, batch, || ended.next().unwrap_or(Ended::Failed));
            for (job, answer) in batch.drain(..).zip(answers) {
                // Whoever asked may have gone; the command took effect all the same.
                let _ = job.answer.send(answer);
            }
            Ok(())
        }
        Err(error) => {
            if error.is_poisoned() {
                // Before anybody hears of it, so that whoever does finds it so.
                poisoned.store(true, Ordering::Release);
            }
            tracing::error!(
                code = error.code(),
                commands = batch.len(),
                "a batch was not committed"
            );
            count(transactions, batch, || Ended::Failed);
            for job in batch.drain(..) {
                let _ = job.answer.send(Err(error.clone()));
            }
            Err(error)
        }
    }
}

/// Counts what became of each command.
fn count(transactions: &Transactions, batch: &[Job], mut ended: impl FnMut() -> Ended) {
    for job in batch {
        let ended = ended();
        if let Some(name) = Name::of(&job.command) {
            transactions.count(name, ended, 1);
        }
    }
}

/// Whether the failure is the disk's and not a command's, so that trying again is of no use.
pub(super) fn is_of_the_batch(error: &StoreError) -> bool {
    matches!(error.kind(), Kind::Full | Kind::Busy | Kind::Corrupt | Kind::Poisoned | Kind::Io)
}

#[cfg(test)]
mod tests;
