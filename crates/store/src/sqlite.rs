//! The embedded backend: one SQLite file, one writer thread, a few readers.

mod api_keys;
mod approvals;
mod audit;
mod blocks;
mod chains;
mod checkpoint;
mod codes;
mod dedup;
mod desk;
mod duty;
mod export;
mod failure;
mod idempotency;
mod keys;
mod lease;
mod log;
mod names;
mod open;
mod operators;
mod order_limits;
mod orders;
mod read;
mod receipts;
mod record;
mod retain;
mod room;
mod secrets;
mod session;
mod settle;
mod tally;
mod undecided;
mod window;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::command::{Answer, Command, Job};
use crate::error::Kind;
use crate::transactions::Transactions;
use crate::{OpenError, Options, StoreError, TransactionCount};
use failure::{Failure, Opening};
use room::Room;

/// Connections that read beside the writer, and those of them that lists may take: a list may walk far,
/// and whoever only looks for a key must not wait for it.
const READERS: usize = 4;
const LISTERS: usize = 2;

/// The embedded backend.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    /// None once it is being dropped, so that the writer sees the end of its queue.
    queue: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    poisoned: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    readers: Mutex<Vec<Connection>>,
    free_readers: Arc<Semaphore>,
    free_listers: Semaphore,
    transactions: Arc<Transactions>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has answered nobody: its callers saw the closed channel.
            let _ = writer.join();
        }
    }
}

impl Sqlite {
    pub(crate) fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_gateway(path, options).map_err(|opening| opening.0)
    }

    pub(crate) fn open_beside(path: &Path) -> Result<Self, OpenError> {
        Self::open_command(path).map_err(|opening| opening.0)
    }

    fn open_gateway(path: &Path, options: Options) -> Result<Self, Opening> {
        let lock = open::lock(path)?;
        let room = Room::new(path, options.reserve_bytes);
        let connection = match open::prepare(path, options.synchronous) {
            Err(Opening(OpenError::Full)) if room.give_up() => {
                open::prepare(path, options.synchronous)?
            }
            prepared => prepared?,
        };
        room.keep();
        let poisoned = Arc::new(AtomicBool::new(false));
        let beside = open::connect_writer(path, options.synchronous)?;
        let checkpoints = checkpoint::Checkpoints::start(beside, Arc::clone(&poisoned))?;
        let role = writer::Role::Gateway { lock, checkpoints };
        Self::start(path, options, connection, role, (poisoned, room))
    }

    fn open_command(path: &Path) -> Result<Self, Opening> {
        open::see_file(path)?;
        let options = Options::default();
        let connection = open::connect_writer(path, options.synchronous)?;
        open::check_schema(&connection)?;
        let poisoned = Arc::new(AtomicBool::new(false));
        let room = Room::new(path, options.reserve_bytes);
        Self::start(path, options, connection, writer::Role::Beside, (poisoned, room))
    }

    fn start(
        path: &Path,
        options: Options,
        connection: Connection,
        role: writer::Role,
        (poisoned, room): (Arc<AtomicBool>, Room),
    ) -> Result<Self, Opening> {
        let readers =
            (0..READERS).map(|_| open::connect_reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (queue, jobs) = mpsc::channel(options.queue_commands_max.max(1));
        let full = room.full();
        let transactions = Arc::<Transactions>::default();
        let writer = writer::start(writer::Writer {
            connection,
            jobs,
            role,
            batch_commands_max: options.batch_commands_max.max(1),
            dedup_run_keys: options.dedup_run_keys.max(1),
            poisoned: Arc::clone(&poisoned),
            room,
            transactions: Arc::clone(&transactions),
        })?;
        Ok(Self(Arc::new(Inner {
            queue: Some(queue),
            writer: Some(writer),
            poisoned,
            full,
            readers: Mutex::new(readers),
            free_readers: Arc::new(Semaphore::new(READERS)),
            free_listers: Semaphore::new(LISTERS),
            transactions,
        })))
    }

    pub(crate) fn poisoned(&self) -> bool {
        self.0.poisoned.load(Ordering::Acquire)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Acquire)
    }

    pub(crate) fn transactions(&self) -> Vec<TransactionCount> {
        self.0.transactions.all()
    }

    /// Asks the writer, waiting for a place in its queue.
    pub(crate) async fn ask(&self, command: Command) -> Result<Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.0.queue.as_ref().ok_or_else(|| StoreError::new(Kind::Closed))?;
        queue.send(Job { command, answer }).await.map_err(|_| self.gone())?;
        answered.await.map_err(|_| self.gone())?
    }

    /// Asks the writer, or fails at once when its queue is full.
    pub(crate) async fn ask_unless_full(&self, command: Command) -> Result<Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.0.queue.as_ref().ok_or_else(|| StoreError::new(Kind::Closed))?;
        queue.try_send(Job { command, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::new(Kind::Overloaded),
            mpsc::error::TrySendError::Closed(_) => self.gone(),
        })?;
        answered.await.map_err(|_| self.gone())?
    }

    fn gone(&self) -> StoreError {
        StoreError::new(if self.poisoned() { Kind::Poisoned } else { Kind::Closed })
    }

    /// Runs a read that may take long, beside few others of its kind.
    async fn list<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.0.free_listers.acquire().await;
        let _place = place.map_err(|_| StoreError::new(Kind::Closed))?;
        self.read(read).await
    }

    /// Runs a read on a connection of its own, away from the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        let free = Arc::clone(&inner.free_readers)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::new(Kind::Closed))?;
        // The task gives the connection back itself: whoever waits for it may go away meanwhile.
        let result = tokio::task::spawn_blocking(move || {
            let take = || inner.readers.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = take().pop();
            let result = connection.as_ref().map(read);
            take().extend(connection);
            drop(free);
            result
        })
        .await
        .map_err(|_| StoreError::with(Kind::Internal, "a read panicked"))?
        .ok_or_else(|| StoreError::with(Kind::Internal, "no reader is left"))?;
        result.map_err(|failure| failure.0)
    }
}
