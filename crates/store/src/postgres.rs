//! PostgreSQL: any number of replicas on one server, or on one behind a pooler.
//!
//! Nothing here needs a session: every statement is without a name and its settings end with its
//! transaction, so a pooler may give each transaction another connection. (What listens for work
//! does need one, and has a connection of its own.)

mod api_keys;
mod approvals;
mod audit;
mod bind;
mod blocks;
mod chains;
mod codes;
mod dedup;
mod desk;
mod duty;
mod facts;
mod failure;
mod grants;
mod idempotency;
mod import;
mod keys;
mod lease;
mod listen;
mod log;
mod migrate;
mod names;
mod open;
mod operators;
mod options;
mod order_limits;
mod orders;
mod partitions;
mod pool;
mod read;
mod receipts;
mod record;
mod secrets;
mod session;
mod settle;
mod tally;
mod transaction;
mod undecided;
mod window;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command::{Answer, Command, Job};
use crate::error::Kind;
use crate::{OpenError, StoreError, TransactionCount};
use bind::{Owned, Parameter};
use failure::{Class, Failure, Result};
use pool::Pool;
use transaction::Runner;
use writer::{Line, Stalls};

pub use facts::ServerWarning;
pub use migrate::MigrationName;
pub(crate) use migrate::{apply, plan};
pub use options::PostgresOptions;

/// What a list may take, milliseconds: nobody's webhook waits for it.
const LIST_MS: u64 = 10_000;

/// What reading may take beside its statement, milliseconds.
const SLACK_MS: u64 = 200;

/// Connections that write arrivals at once, at most: more only wait for the same log.
const RECORD_PLACES_MAX: usize = 4;

/// The backend of many replicas.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    /// None once it is closed, so that those who serve see the end of their line.
    lines: Mutex<Option<Lines>>,
    runner: Arc<Runner>,
    fresh: Arc<Notify>,
    readers: Arc<Semaphore>,
    /// Whether records wait for transactions that do not end.
    stalls: watch::Receiver<bool>,
    tasks: TaskTracker,
    ended: CancellationToken,
    statement_ms: u64,
}

/// Where commands wait.
struct Lines {
    records: mpsc::Sender<Job>,
    settles: mpsc::Sender<Job>,
    others: mpsc::Sender<Job>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What waits in the lines is still done.
        self.ended.cancel();
    }
}

impl Postgres {
    pub(crate) async fn connect(options: &PostgresOptions) -> std::result::Result<Self, OpenError> {
        let opened = open::open(options).await?;
        let fresh = Arc::new(Notify::new());
        let pool = Arc::new(Pool::new(opened.target));
        let statement_ms = options.statement_timeout_ms.max(1);
        let runner = Arc::new(Runner::new(
            Arc::clone(&pool),
            Arc::clone(&fresh),
            opened.process,
            statement_ms,
            opened.listened.is_some(),
        ));
        let ended = CancellationToken::new();
        tokio::spawn(pool.reconnect(ended.clone()));
        if let Some(listened) = opened.listened {
            tokio::spawn(listen::listen(listened, Arc::clone(&fresh), ended.clone()));
        }
        let connections = options.connections_max.max(4);
        let (readers, others) = (connections / 4, connections / 4);
        let records = (connections - readers - others - 1).min(RECORD_PLACES_MAX);
        let tasks = TaskTracker::new();
        let batch_max = options.batch_commands_max.max(1);
        let (told, stalls) = watch::channel(false);
        let stall = Duration::from_millis(options.stall_ms);
        let line = |places, batch_max, stalls| {
            let (queue, jobs) = mpsc::channel(options.queue_commands_max.max(1));
            let line = Line { jobs, places, batch_max, stalls, told: 0 };
            tasks.spawn(line.serve(Arc::clone(&runner), tasks.clone()));
            queue
        };
        let lines = Lines {
            records: line(records, batch_max, Some(Stalls { after: stall, told })),
            settles: line(1, batch_max, None),
            others: line(others, 1, None),
        };
        Ok(Self(Arc::new(Inner {
            lines: Mutex::new(Some(lines)),
            runner,
            fresh,
            readers: Arc::new(Semaphore::new(readers)),
            stalls,
            tasks,
            ended,
            statement_ms,
        })))
    }

    /// Finishes what waits and closes every connection.
    pub(crate) async fn close(&self) {
        drop(self.lines().take());
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.ended.cancel();
        self.0.runner.pool.close();
    }

    pub(crate) fn transactions(&self) -> Vec<TransactionCount> {
        self.0.runner.transactions.all()
    }

    /// Waits until there may be fresh work. What is told while nobody waits is not lost.
    pub(crate) async fn fresh_work(&self) {
        self.0.fresh.notified().await;
    }

    /// Asks, waiting for a place in the line.
    pub(crate) async fn ask(&self, command: Command) -> std::result::Result<Answer, StoreError> {
        let line = self.line(&command)?;
        if let Some(answer) = writer::at_once(&command) {
            return Ok(answer);
        }
        let (answer, answered) = oneshot::channel();
        line.send(Job { command, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Asks, or fails at once when the line is full or stalls, and as soon as it does. What is not
    /// answered in time may take effect all the same: whether a commit did is found out for longer.
    pub(crate) async fn ask_unless_full(
        &self,
        command: Command,
    ) -> std::result::Result<Answer, StoreError> {
        let line = self.line(&command)?;
        let overloaded = || StoreError::new(Kind::Overloaded);
        let mut stalls = self.0.stalls.clone();
        if *stalls.borrow_and_update() {
            return Err(overloaded());
        }
        let (answer, answered) = oneshot::channel();
        line.try_send(Job { command, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        tokio::select! {
            biased;
            answer = answered => answer.map_err(|_| closed())?,
            Ok(_) = stalls.wait_for(|stalls| *stalls) => Err(overloaded()),
            () = tokio::time::sleep(Duration::from_millis(self.0.statement_ms + SLACK_MS)) => {
                Err(StoreError::with(Kind::Unavailable, "no answer in time"))
            }
        }
    }

    /// Where a command waits; nowhere while the server is away.
    fn line(&self, command: &Command) -> std::result::Result<mpsc::Sender<Job>, StoreError> {
        let lines = self.lines();
        let lines = lines.as_ref().ok_or_else(closed)?;
        if self.0.runner.pool.is_away() && !matches!(command, Command::KeepReserve) {
            return Err(StoreError::with(Kind::Unavailable, "the server is away"));
        }
        Ok(match command {
            Command::Record(_) => &lines.records,
            Command::Settle(_) => &lines.settles,
            _ => &lines.others,
        }
        .clone())
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Option<Lines>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what somebody waits for.
    async fn look(
        &self,
        sql: &str,
        parameters: Vec<Owned>,
    ) -> std::result::Result<Vec<Row>, StoreError> {
        self.read(self.0.statement_ms, sql, parameters).await
    }

    /// Reads what may take longer.
    async fn list(
        &self,
        sql: &str,
        parameters: Vec<Owned>,
    ) -> std::result::Result<Vec<Row>, StoreError> {
        self.read(self.0.statement_ms.max(LIST_MS), sql, parameters).await
    }

    /// Reads in a task of its own, so that whoever goes away takes no connection along.
    async fn read(
        &self,
        statement_ms: u64,
        sql: &str,
        parameters: Vec<Owned>,
    ) -> std::result::Result<Vec<Row>, StoreError> {
        if self.lines().is_none() {
            return Err(closed());
        }
        let runner = Arc::clone(&self.0.runner);
        let readers = Arc::clone(&self.0.readers);
        let wait = Duration::from_millis(self.0.statement_ms + SLACK_MS);
        let sql = sql.to_owned();
        let reading = self.0.tasks.spawn(async move {
            let place = timeout(wait, readers.acquire_owned()).await;
            let Ok(Ok(_place)) = place else { return Err(Failure::away("too many read")) };
            match read_once(&runner.pool, statement_ms, &sql, &parameters).await {
                Err(failure) if failure.class == Class::Lost => {
                    read_once(&runner.pool, statement_ms, &sql, &parameters).await
                }
                read => read,
            }
        });
        let read =
            reading.await.map_err(|_| StoreError::with(Kind::Internal, "a read panicked"))?;
        read.map_err(|failure| failure.error)
    }
}

/// Reads in a transaction of its own, in one round trip.
async fn read_once(
    pool: &Pool,
    statement_ms: u64,
    sql: &str,
    parameters: &[Owned],
) -> Result<Vec<Row>> {
    let connection = pool.acquire().await?;
    let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {statement_ms}");
    let parameters: Vec<Parameter<'_>> = parameters.iter().map(Owned::borrow).collect();
    let client = &connection.client;
    let reading = async {
        tokio::join!(
            biased;
            client.batch_execute(&begin),
            client.query_typed(sql, &parameters),
            client.batch_execute("COMMIT"),
        )
    };
    let limit = Duration::from_millis(statement_ms + SLACK_MS);
    let Ok((begun, rows, ended)) = timeout(limit, reading).await else {
        pool.lose();
        return Err(Failure::away("no answer in time"));
    };
    if let Err(failure) = begun.and(ended).map_err(Failure::from) {
        pool.distrust();
        return Err(failure);
    }
    pool.give_back(connection);
    Ok(rows?)
}

fn closed() -> StoreError {
    StoreError::new(Kind::Closed)
}
