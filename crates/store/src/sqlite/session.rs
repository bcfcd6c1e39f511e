//! The writer's state: prepared statements, and what it remembers of the file between commits.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Statement};
use sabotage::Defect;
use vault::KeyId;

use super::dedup::Dedup;
use super::failure::Result;
use super::names::Names;
use super::record::Inserts;
use crate::StoreError;
use crate::command::{Answer, Command, Job};
use crate::error::Kind;

/// Data keys remembered as kept, so that each record need not look.
const KEYS_REMEMBERED_MAX: usize = 10_000;

/// One writing connection and what is known of its file.
///
/// Everything remembered is true of the last commit and of the running transaction. It is forgotten
/// whenever anything is rolled back.
pub(super) struct Session<'c> {
    pub(super) connection: &'c Connection,
    pub(super) inserts: Inserts<'c>,
    pub(super) dedup: Dedup<'c>,
    pub(super) names: Names,
    pub(super) keys: HashSet<KeyId>,
    pub(super) endpoints: HashMap<String, i64>,
    /// The highest sequence of any event so far. True while a transaction runs.
    pub(super) sequence: i64,
    begin: Statement<'c>,
    last_sequence: Statement<'c>,
    commit: Statement<'c>,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            inserts: Inserts::new(connection)?,
            dedup: Dedup::new(connection)?,
            names: Names::default(),
            keys: HashSet::new(),
            endpoints: HashMap::new(),
            sequence: 0,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            last_sequence: connection.prepare(
                "SELECT max(sequence_floor, coalesce((SELECT max(sequence) FROM event), 0))
                 FROM counter",
            )?,
            commit: connection.prepare("COMMIT")?,
        })
    }

    /// Runs and commits a batch: all of it, or nothing.
    pub(super) fn run(&mut self, batch: &[Job]) -> std::result::Result<Vec<Answer>, StoreError> {
        self.transaction(|session| batch.iter().map(|job| session.execute(&job.command)).collect())
    }

    /// Runs a batch with each command under a savepoint, and commits those that succeed.
    pub(super) fn run_guarded(
        &mut self,
        batch: &[Job],
    ) -> std::result::Result<Vec<std::result::Result<Answer, StoreError>>, StoreError> {
        self.transaction(|session| {
            batch.iter().map(|job| session.execute_guarded(&job.command)).collect()
        })
    }

    fn transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> std::result::Result<T, StoreError> {
        let result = self.begin().and_then(|()| {
            let before = self.sequence;
            let done = body(self)?;
            if sabotage::on(Defect::BatchDropped) && self.sequence > before + 1 {
                self.connection.execute_batch("ROLLBACK")?;
                return Ok(done);
            }
            self.commit.execute([])?;
            Ok(done)
        });
        result.map_err(|failure| {
            self.forget();
            // Some failures have ended the transaction by themselves.
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                return StoreError::with(Kind::Poisoned, error);
            }
            failure.0
        })
    }

    fn begin(&mut self) -> Result<()> {
        self.begin.execute([])?;
        self.sequence = self.last_sequence.query_row([], |row| row.get(0))?;
        if self.keys.len() > KEYS_REMEMBERED_MAX {
            self.keys.clear();
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.names = Names::default();
        self.keys.clear();
        self.endpoints.clear();
    }

    /// Fails as a whole only when the batch must.
    fn execute_guarded(
        &mut self,
        command: &Command,
    ) -> Result<std::result::Result<Answer, StoreError>> {
        let sequence = self.sequence;
        self.connection.execute_batch("SAVEPOINT command")?;
        match self.execute(command) {
            Ok(answer) => {
                self.connection.execute_batch("RELEASE command")?;
                Ok(Ok(answer))
            }
            Err(failure) if super::writer::is_of_the_batch(&failure.0) => Err(failure),
            Err(failure) => {
                self.forget();
                self.sequence = sequence;
                self.connection.execute_batch("ROLLBACK TO command; RELEASE command")?;
                Ok(Err(failure.0))
            }
        }
    }

    fn execute(&mut self, command: &Command) -> Result<Answer> {
        match command {
            Command::Record(record) => self.record(record).map(Answer::Recorded),
            Command::Tally(tallies) => self.tally(tallies).map(|()| Answer::Done),
            Command::AddKey(key) => self.add_key(key).map(Answer::Key),
            Command::Lease(request) => self.lease(request).map(Answer::Claims),
            Command::Settle(settle) => self.settle(settle).map(Answer::Settled),
            Command::SetEndpointState { endpoint, state, note } => {
                self.set_endpoint_state(endpoint, *state, note).map(|()| Answer::Done)
            }
            Command::Release { event, note, deliveries } => {
                self.release(*event, note, deliveries).map(Answer::Changed)
            }
            Command::Deny { event, note } => self.deny(*event, note).map(Answer::Changed),
            Command::Redeliver { deliveries, note } => {
                self.redeliver(deliveries, note).map(Answer::Count)
            }
            Command::Sweep { now, after } => self.sweep(*now, *after),
            Command::Probe => {
                self.connection
                    .prepare_cached("UPDATE counter SET probes = probes + 1")?
                    .execute([])?;
                Ok(Answer::Done)
            }
            Command::Close => Ok(Answer::Done),
        }
    }
}
