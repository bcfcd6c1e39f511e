//! Making commits durable, beside the writer.
//!
//! An fsync takes about as long as the statements of a batch. If `COMMIT` did it, the writer would
//! stand still meanwhile; so a commit only writes the log, and a thread of its own syncs it, once for
//! all that was committed so far. Nobody is answered before: an answer waits for a sync that began
//! after its commit. The writer goes on with the next batch, which it commits when the thread is
//! free, so that nothing is synced more often than it would be otherwise.
//!
//! SQLite's part stays as it is: what is written back is synced in the log first
//! (<https://www.sqlite.org/pragma.html#pragma_synchronous>, NORMAL), and after a power cut the log is
//! read up to the first frame whose checksum does not fit, which is behind the last sync.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use sabotage::Defect;
use tokio::sync::oneshot;

use super::failure::Opening;
use crate::command::Answer;
use crate::error::Kind;
use crate::{OpenError, StoreError};

/// Where an answer goes.
pub(super) type Reply = oneshot::Sender<Result<Answer, StoreError>>;

/// An answer that is given once what it says is durable.
pub(super) type Due = (Reply, Result<Answer, StoreError>);

/// What syncs; an error means that nobody knows what is durable.
type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The thread that syncs.
pub(super) struct Syncs {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: Vec<Due>,
    syncing: bool,
    ended: bool,
}

/// Syncs the log at this path, which the first commit has made.
pub(super) fn of_log(path: PathBuf) -> Sync {
    let mut log = None;
    Box::new(move || {
        let log = match &mut log {
            Some(log) => log,
            none => none.insert(File::open(&path)?),
        };
        log.sync_data()
    })
}

/// Syncs, unless that has failed before: the next sync would succeed, without what that one lost.
fn durable(sync: &mut Sync, poisoned: &AtomicBool) -> Result<(), StoreError> {
    if poisoned.load(Ordering::Acquire) {
        return Err(StoreError::new(Kind::Poisoned));
    }
    let Err(error) = sync() else { return Ok(()) };
    if sabotage::on(Defect::FsyncErrorIgnored) {
        return Err(StoreError::with(Kind::Io, error));
    }
    poisoned.store(true, Ordering::Release);
    Err(StoreError::with(Kind::Poisoned, error))
}

/// Syncs nothing: what is answered may be lost.
pub(super) fn of_nothing() -> Sync {
    Box::new(|| Ok(()))
}

impl Syncs {
    /// Starts the thread. When a sync fails, it sets `poisoned` before anybody hears of it.
    pub(super) fn start(mut sync: Sync, poisoned: Arc<AtomicBool>) -> Result<Self, Opening> {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-sync".to_owned())
            .spawn(move || {
                while let Some(due) = of_thread.next() {
                    let failed = durable(&mut sync, &poisoned).err();
                    if let Some(error) = &failed {
                        tracing::error!(%error, commands = due.len(), "a commit may not be durable");
                    }
                    for (reply, answer) in due {
                        let answer = failed.clone().map_or(answer, Err);
                        // Whoever asked may have gone; the command took effect all the same.
                        let _ = reply.send(answer);
                    }
                    of_thread.synced();
                }
            })
            .map_err(|_| Opening(OpenError::Failed))?;
        Ok(Self { shared, thread })
    }

    /// Answers these after the next sync.
    pub(super) fn answer(&self, due: Vec<Due>) {
        self.shared.state().due.extend(due);
        self.shared.changed.notify_all();
    }

    /// Whether a sync would begin at once.
    pub(super) fn is_free(&self) -> bool {
        self.shared.state().is_free()
    }

    /// Waits until one would.
    pub(super) fn wait(&self) {
        let state = self.shared.state();
        let waited = self.shared.changed.wait_while(state, |state| !state.is_free());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Answers whoever waits, and ends.
    pub(super) fn finish(self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
        let _ = self.thread.join();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be answered next; none when there will be nothing any more.
    fn next(&self) -> Option<Vec<Due>> {
        let waited = self
            .changed
            .wait_while(self.state(), |state| state.due.is_empty() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = waited;
        if state.due.is_empty() {
            return None;
        }
        state.syncing = true;
        Some(std::mem::take(&mut state.due))
    }

    fn synced(&self) {
        self.state().syncing = false;
        self.changed.notify_all();
    }
}

impl State {
    fn is_free(&self) -> bool {
        self.due.is_empty() && !self.syncing
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A sync that waits until it is let go, and then ends so.
    fn held() -> (Sync, Sender<io::Result<()>>, Receiver<()>) {
        let (let_go, ends) = channel();
        let (began, begun) = channel();
        let sync = Box::new(move || {
            began.send(()).expect("the test listens");
            ends.recv().expect("the test goes on")
        });
        (sync, let_go, begun)
    }

    fn asked() -> (Due, oneshot::Receiver<Result<Answer, StoreError>>) {
        let (reply, answered) = oneshot::channel();
        ((reply, Ok(Answer::Done)), answered)
    }

    #[test]
    fn nobody_is_answered_before_a_sync_that_began_after_the_commit() {
        let poisoned = Arc::<AtomicBool>::default();
        let (sync, let_go, begun) = held();
        let syncs = Syncs::start(sync, poisoned).map_err(|opening| opening.0).expect("a thread");
        assert!(syncs.is_free());
        let (first, mut of_first) = asked();
        syncs.answer(vec![first]);
        begun.recv().expect("it syncs");
        assert!(!syncs.is_free() && of_first.try_recv().is_err());
        // This one was committed while the sync ran, which may not hold it.
        let (second, mut of_second) = asked();
        syncs.answer(vec![second]);
        let_go.send(Ok(())).expect("it waits");
        begun.recv().expect("it syncs again");
        assert!(of_first.try_recv().expect("an answer").is_ok());
        assert!(of_second.try_recv().is_err());
        let_go.send(Ok(())).expect("it waits");
        syncs.wait();
        assert!(of_second.try_recv().expect("an answer").is_ok());
        syncs.finish();
    }

    #[test]
    fn after_a_sync_that_failed_nothing_is_durable_any_more() {
        let poisoned = Arc::<AtomicBool>::default();
        let (sync, let_go, _begun) = held();
        let syncs = Syncs::start(sync, Arc::clone(&poisoned)).map_err(|opening| opening.0);
        let syncs = syncs.expect("a thread");
        let (first, mut of_first) = asked();
        syncs.answer(vec![first]);
        let_go.send(Err(io::Error::other("a disk"))).expect("it waits");
        syncs.wait();
        assert!(of_first.try_recv().expect("an answer").is_err_and(|error| error.is_poisoned()));
        assert!(poisoned.load(Ordering::Acquire));
        // It is not tried again: the kernel may have dropped what it could not write.
        let (second, mut of_second) = asked();
        syncs.answer(vec![second]);
        syncs.finish();
        assert!(of_second.try_recv().expect("an answer").is_err_and(|error| error.is_poisoned()));
    }
}
