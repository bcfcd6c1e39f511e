//! Transactions: tried again where that is of use, and never guessed at.
//!
//! A transaction's first statement inserts its own id. When the connection is lost between the
//! commit and its answer, nobody knows whether it took effect. Then the same transaction is run
//! again under the same id: if the id is there already, the first run took effect, and what it
//! answered is the truth; one that still runs is waited for by that insertion. If it is not there,
//! the first run can take effect no more. What is not found out in time is answered as unknown.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sabotage::Defect;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout};

use super::codes::Sixteen;
use super::failure::{Class, Failure, Result};
use super::names::Names;
use super::pool::{Connection, Pool};
use super::session::Session;
use crate::command::{Answer, Command};
use crate::error::Kind;
use crate::transactions::{Ended, Name, Transactions};
use crate::{Record, Settle, StoreError};

/// How often a transaction is tried.
const TRIES_MAX: u32 = 5;

/// What a transaction may take beside one statement, milliseconds.
const SLACK_MS: u64 = 200;

/// How long a commit is waited for on its own connection once it is late, milliseconds.
const LATE_MS_MAX: u64 = 2_000;

/// How long it is tried to find out whether a commit took effect, milliseconds.
const DOUBT_MS_MAX: u64 = 5_000;

/// Between two tries at least and at most, milliseconds.
const PAUSE_MS: (u64, u64) = (5, 50);

/// What may take long, because nobody waits for it, milliseconds.
const UPKEEP_MS: u64 = 30_000;

/// What changes many rows at once, milliseconds.
const MANY_MS: u64 = 5_000;

/// After so many transactions the ids of those whose fate is known for long are forgotten.
const BATCHES_KEPT: u64 = 1_024;

/// What one transaction does.
pub(super) enum Work {
    Records(Vec<Record>),
    Settles(Vec<Settle>),
    One(Box<Command>),
}

impl Work {
    fn name(&self) -> Name {
        match self {
            Self::Records(_) => Name::Record,
            Self::Settles(_) => Name::Settle,
            Self::One(command) => Name::of(command).unwrap_or(Name::Probe),
        }
    }

    /// What a statement of it may take, where usually it may take so long.
    fn statement_ms(&self, usually_ms: u64) -> u64 {
        let Self::One(command) = self else { return usually_ms };
        match **command {
            Command::Sweep { .. }
            | Command::EnsurePartitions
            | Command::DropPartitions { .. }
            | Command::Copy(_) => usually_ms.max(UPKEEP_MS),
            Command::Redeliver { .. } | Command::Seal(_) => usually_ms.max(MANY_MS),
            _ => usually_ms,
        }
    }

    async fn run(&self, session: &Session<'_>) -> Result<Vec<Answer>> {
        match self {
            Self::Records(records) => {
                Ok(session.record(records).await?.into_iter().map(Answer::Recorded).collect())
            }
            Self::Settles(settles) => {
                Ok(session.settle(settles).await?.into_iter().map(Answer::Settled).collect())
            }
            Self::One(command) => Ok(vec![session.execute(command).await?]),
        }
    }
}

/// A place among those that write at once. It is given up when a commit is late, so that others are
/// answered meanwhile.
pub(super) type Place = Option<OwnedSemaphorePermit>;

/// Runs transactions.
pub(super) struct Runner {
    pub(super) pool: Arc<Pool>,
    pub(super) transactions: Transactions,
    /// Told whenever there may be something to lease.
    pub(super) fresh: Arc<Notify>,
    names: Mutex<Names>,
    batches: Batches,
    statement_ms: u64,
    tells: bool,
}

/// The ids of this process's transactions: bytes that nobody else has, and a number.
struct Batches {
    process: [u8; 10],
    next: AtomicU64,
}

impl Batches {
    fn id(&self, number: u64) -> Sixteen {
        let mut id = [0; 16];
        let (process, counter) = id.split_at_mut(self.process.len());
        process.copy_from_slice(&self.process);
        counter.copy_from_slice(number.to_be_bytes().split_at(2).1);
        Sixteen(id)
    }
}

impl Runner {
    pub(super) fn new(
        pool: Arc<Pool>,
        fresh: Arc<Notify>,
        process: [u8; 10],
        statement_ms: u64,
        tells: bool,
    ) -> Self {
        Self {
            pool,
            transactions: Transactions::default(),
            fresh,
            names: Mutex::default(),
            batches: Batches { process, next: AtomicU64::new(1) },
            statement_ms,
            tells,
        }
    }

    /// Runs and commits: all of it, or nothing. One answer to each part of the work.
    pub(super) async fn commit(
        &self,
        work: &Work,
        place: &mut Place,
    ) -> std::result::Result<Vec<Answer>, StoreError> {
        let name = work.name();
        let result = self.settled(work, name, place).await;
        let ended = if result.is_ok() { Ended::Committed } else { Ended::Failed };
        self.transactions.count(name, ended, 1);
        if let Err(error) = &result
            && (error.is_unavailable() || error.is_full() || error.is_corrupt())
        {
            tracing::error!(code = error.code(), %error, ?name, "a transaction was not committed");
        }
        result
    }

    async fn settled(
        &self,
        work: &Work,
        name: Name,
        place: &mut Place,
    ) -> std::result::Result<Vec<Answer>, StoreError> {
        let number = self.batches.next.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let limit = self.limit(work);
        let mut doubt: Option<Vec<Answer>> = None;
        for tries in 1.. {
            let failure = match self.attempt(work, number, place, &mut doubt).await {
                Ok(answers) => return Ok(answers),
                Err(failure) => failure,
            };
            let in_doubt = doubt.is_some();
            let again = match failure.class {
                _ if in_doubt => begun.elapsed() < Duration::from_millis(DOUBT_MS_MAX),
                Class::InTheWay | Class::Lost => tries < TRIES_MAX && begun.elapsed() < limit,
                Class::Own | Class::Away => false,
            };
            if !again {
                let unknown = || StoreError::with(Kind::CommitUnknown, name.text());
                return Err(if in_doubt { unknown() } else { failure.error });
            }
            self.transactions.count(name, Ended::Retried, 1);
            tokio::time::sleep(pause(number, tries)).await;
        }
        Err(StoreError::new(Kind::Internal))
    }

    /// One try. What is in doubt when it fails is what it answered before its commit.
    async fn attempt(
        &self,
        work: &Work,
        number: u64,
        place: &mut Place,
        doubt: &mut Option<Vec<Answer>>,
    ) -> Result<Vec<Answer>> {
        let connection = self.pool.acquire().await?;
        self.names().trust_only(connection.generation);
        let session = Session::new(&connection.client, number, self.tells, &self.names);
        let (begun, ran) = self.run(work, number, &session).await?;
        let answers = match (begun, ran) {
            (Ok(true), ran) => {
                // An earlier try can take effect no more.
                *doubt = None;
                ran
            }
            // It did.
            (Ok(false), _) => match doubt.take() {
                Some(answers) => {
                    self.give_up(connection, Failure::from(Kind::Internal)).await;
                    return Ok(answers);
                }
                None => Err(Failure::from(Kind::Internal)),
            },
            (Err(failure), _) => Err(failure),
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(failure) => return Err(self.give_up(connection, failure).await),
        };
        match self.commit_within(work, &session, place).await {
            Ok(()) => {
                let learned = session.learned();
                if learned.work {
                    self.fresh.notify_one();
                }
                self.names().learn(learned, connection.generation);
                self.pool.give_back(connection);
                Ok(answers)
            }
            Err(failure) if failure.class == Class::Lost => {
                *doubt = Some(answers);
                drop(place.take());
                Err(self.give_up(connection, failure).await)
            }
            // The server says that it was rolled back.
            Err(failure) => Err(self.give_up(connection, failure).await),
        }
    }

    /// Begins and runs, in as few round trips as the work needs. Says whether it is new, and what it
    /// answers; fails when the server does not answer in time.
    async fn run(
        &self,
        work: &Work,
        number: u64,
        session: &Session<'_>,
    ) -> Result<(Result<bool>, Result<Vec<Answer>>)> {
        let statement_ms = work.statement_ms(self.statement_ms);
        let running = async {
            let ran = tokio::join!(
                biased;
                session.begin(self.batches.id(number), statement_ms),
                work.run(session),
            );
            if ran.1.is_ok() && number.is_multiple_of(BATCHES_KEPT) {
                session.forget_batches(self.batches.id(0), self.batches.id(number)).await?;
            }
            Ok(ran)
        };
        match timeout(self.limit(work), running).await {
            Ok(ran) => ran,
            Err(_) => {
                // The server would have given up the statement before.
                self.pool.lose();
                Err(Failure::away("no answer in time"))
            }
        }
    }

    /// Commits. One that is late is waited for a while longer, and nobody waits for it.
    async fn commit_within(
        &self,
        work: &Work,
        session: &Session<'_>,
        place: &mut Place,
    ) -> Result<()> {
        let is_batch = matches!(work, Work::Records(records) if records.len() > 1);
        if is_batch && sabotage::on(Defect::BatchDropped) {
            return session.run("ROLLBACK", &[]).await.map(drop);
        }
        let mut commit = pin!(session.commit());
        if let Ok(committed) = timeout(self.limit(work), &mut commit).await {
            return committed;
        }
        self.pool.lose();
        drop(place.take());
        let late = timeout(Duration::from_millis(LATE_MS_MAX), commit).await;
        late.unwrap_or_else(|_| Err(Failure::lost("no answer to a commit")))
    }

    fn limit(&self, work: &Work) -> Duration {
        Duration::from_millis(work.statement_ms(self.statement_ms) + SLACK_MS)
    }

    /// Rolls back, so that the connection can be used again, or closes it.
    async fn give_up(&self, connection: Connection, failure: Failure) -> Failure {
        if failure.class == Class::Lost || connection.client.is_closed() {
            self.pool.distrust();
            return failure;
        }
        let rolled_back = connection.client.batch_execute("ROLLBACK");
        if timeout(Duration::from_millis(SLACK_MS), rolled_back).await.is_ok_and(|ok| ok.is_ok()) {
            self.pool.give_back(connection);
        }
        failure
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Before the next try: longer each time, and not as long as another's.
fn pause(number: u64, tries: u32) -> Duration {
    let (shortest, longest) = PAUSE_MS;
    // SplitMix64: spreads the numbers over all bits.
    let mut bits = number.wrapping_mul(31).wrapping_add(u64::from(tries));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let up_to = (shortest << tries.min(8)).min(longest);
    Duration::from_millis(shortest + bits % up_to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_numbered_in_order_and_by_process() {
        let of = |process: u8| Batches { process: [process; 10], next: AtomicU64::new(0) };
        assert!(of(1).id(1) < of(1).id(2));
        assert!(of(1).id(255) < of(1).id(256));
        assert!(of(1).id(u64::MAX >> 16) < of(2).id(0));
        assert_ne!(of(1).id(7), of(2).id(7));
    }

    #[test]
    fn pauses_are_bounded_and_differ() {
        let pauses: std::collections::HashSet<_> =
            (0..20).flat_map(|number| (1..5).map(move |tries| pause(number, tries))).collect();
        assert!(pauses.len() > 10);
        let longest = Duration::from_millis(PAUSE_MS.0 + PAUSE_MS.1);
        assert!(pauses.iter().all(|pause| *pause < longest));
    }
}
