//! Lines of commands: whatever waits of one kind is committed in one transaction.
//!
//! Records wait in one line and attempts in another, so that each is batched; everything else is a
//! transaction of its own. A line has places, and as many transactions at once; while all are taken,
//! the next batch grows. If a batch fails for a reason of one of its commands, its halves are
//! committed one after the other, and so on, until only the one that fails is left.
//!
//! A line stalls when all its places are taken and none is given back for a while: a lock, a slow
//! disk, a pooler without connections. Whoever waits is then told so, and whoever asks is, until a
//! transaction ends; what is under way may still take effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::transaction::{Place, Runner, Work};
use crate::StoreError;
use crate::command::{Answer, Command, Job};
use crate::error::Kind;

/// Events in one transaction: what one takes more than that, others wait for.
const EVENTS_MAX: usize = 1_024;

/// Bytes of bodies in one transaction.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A line, as it is served.
pub(super) struct Line {
    pub(super) jobs: mpsc::Receiver<Job>,
    /// Transactions at once.
    pub(super) places: usize,
    /// Commands in one transaction.
    pub(super) batch_max: usize,
    /// Where those who wait would rather ask again later than wait for long.
    pub(super) stalls: Option<Stalls>,
    /// How many of those that come next were told that it stalls: they are not done any more.
    pub(super) told: usize,
}

/// When a line stalls, and whom that is told.
pub(super) struct Stalls {
    /// How long all places may be taken.
    pub(super) after: Duration,
    pub(super) told: watch::Sender<bool>,
}

impl Line {
    /// Serves until nobody can ask any more and nobody waits.
    pub(super) async fn serve(mut self, runner: Arc<Runner>, tasks: TaskTracker) {
        let places = Arc::new(Semaphore::new(self.places));
        let stalled = Arc::new(AtomicBool::new(false));
        while let Ok(place) = self.place(&places, &stalled).await {
            // After a stall the places are tried with as little as possible, until one commits: what
            // waits for the same lock again would all be in one transaction, and wait for its end.
            let most = if stalled.load(Ordering::Relaxed) { 1 } else { self.batch_max };
            let Some(batch) = self.next_batch(most).await else { return };
            let (runner, stalled) = (Arc::clone(&runner), Arc::clone(&stalled));
            tasks.spawn(async move {
                if commit(&runner, batch, Some(place)).await {
                    stalled.store(false, Ordering::Relaxed);
                }
            });
        }
    }

    /// Waits for a place; tells of it when that takes long.
    async fn place(
        &mut self,
        places: &Arc<Semaphore>,
        stalled: &AtomicBool,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let Some(stalls) = &self.stalls else { return Arc::clone(places).acquire_owned().await };
        if let Ok(place) = timeout(stalls.after, Arc::clone(places).acquire_owned()).await {
            return place;
        }
        if !stalled.swap(true, Ordering::Relaxed) {
            tracing::warn!("the store does not keep up: webhooks are refused until it does");
        }
        stalls.told.send_replace(true);
        let place = Arc::clone(places).acquire_owned().await;
        // Nobody asks while it stalls, so whoever waits now was told.
        self.told = self.jobs.len();
        stalls.told.send_replace(false);
        place
    }

    async fn next_batch(&mut self, most: usize) -> Option<Vec<Job>> {
        let first = loop {
            let job = self.jobs.recv().await?;
            if !self.is_given_up(&job) {
                break job;
            }
        };
        let (mut events, mut bytes) = weight(&first.command);
        let mut batch = vec![first];
        while batch.len() < most && events < EVENTS_MAX && bytes < BODY_BYTES_MAX {
            let Ok(job) = self.jobs.try_recv() else { break };
            if self.is_given_up(&job) {
                continue;
            }
            let more = weight(&job.command);
            (events, bytes) = (events + more.0, bytes + more.1);
            batch.push(job);
        }
        Some(batch)
    }

    /// Whether whoever asked was told that it is not done. What nobody told takes effect, even if
    /// nobody waits for it any more.
    fn is_given_up(&mut self, job: &Job) -> bool {
        let was_there = self.told > 0;
        self.told = self.told.saturating_sub(1);
        was_there && job.answer.is_closed()
    }
}

/// How many events a command brings, and bytes of its body.
fn weight(command: &Command) -> (usize, usize) {
    match command {
        Command::Record(record) => (record.events.len(), record.body.sealed.as_bytes().len()),
        _ => (0, 0),
    }
}

/// Commits a batch, in parts if it must be, and answers. Says whether anything was committed.
async fn commit(runner: &Runner, batch: Vec<Job>, mut place: Place) -> bool {
    let mut any = false;
    let mut parts = vec![batch];
    while let Some(mut part) = parts.pop() {
        let work = work_of(&mut part);
        let committed = runner.commit(&work, &mut place).await;
        match committed {
            Ok(answers) => {
                any = true;
                for (job, answer) in part.into_iter().zip(answers) {
                    // Whoever asked may have gone; the command took effect all the same.
                    let _ = job.answer.send(Ok(answer));
                }
            }
            Err(error) if part.len() > 1 && is_of_one(&error) => {
                give_back(work, &mut part);
                let later = part.split_off(part.len() / 2);
                // The one that came first is committed first.
                parts.extend([later, part]);
            }
            Err(error) => {
                for job in part {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }
    any
}

/// Takes the commands of a batch as the work of one transaction.
fn work_of(batch: &mut [Job]) -> Work {
    let mut records = Vec::new();
    let mut settles = Vec::new();
    let mut other = Command::Probe;
    for job in batch {
        match std::mem::replace(&mut job.command, Command::Probe) {
            Command::Record(record) => records.push(record),
            Command::Settle(settle) => settles.push(settle),
            command => other = command,
        }
    }
    if !records.is_empty() {
        Work::Records(records)
    } else if !settles.is_empty() {
        Work::Settles(settles)
    } else {
        Work::One(Box::new(other))
    }
}

/// Gives the commands back to those who asked, in their order.
fn give_back(work: Work, batch: &mut [Job]) {
    let commands: Vec<Command> = match work {
        Work::Records(records) => records.into_iter().map(Command::Record).collect(),
        Work::Settles(settles) => settles.into_iter().map(Command::Settle).collect(),
        Work::One(command) => vec![*command],
    };
    for (job, command) in batch.iter_mut().zip(commands) {
        job.command = command;
    }
}

/// Whether it is one command of the batch that fails, so that the others may succeed without it.
fn is_of_one(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        Kind::UnknownKey
            | Kind::NotDeliverable
            | Kind::TooManyDeliveries
            | Kind::Constraint
            | Kind::Corrupt
            | Kind::Ordered
            | Kind::Internal
    )
}

/// The answer of a command that needs no transaction.
pub(super) fn at_once(command: &Command) -> Option<Answer> {
    match command {
        // A server has its own disk: there is no reserve to keep here.
        Command::KeepReserve => Some(Answer::Done),
        _ => None,
    }
}
