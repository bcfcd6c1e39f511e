//! The writer's state: prepared statements, and what it remembers of the file between commits.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Statement};
use sabotage::{Defect, Point};
use vault::KeyId;

use super::dedup::Dedup;
use super::failure::{Result, pass};
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
    /// What changed in memory cannot be undone key by key.
    pub(super) distrust_if_undone: bool,
    /// The number of the last state of the file that was looked at, by another's commits.
    version: Option<i64>,
    /// The highest sequence at the last commit.
    committed: i64,
    begin: Statement<'c>,
    data_version: Statement<'c>,
    last_sequence: Statement<'c>,
    commit: Statement<'c>,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection, dedup_run_keys: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            inserts: Inserts::new(connection)?,
            dedup: Dedup::new(connection, dedup_run_keys)?,
            names: Names::default(),
            keys: HashSet::new(),
            endpoints: HashMap::new(),
            sequence: 0,
            distrust_if_undone: false,
            version: None,
            committed: 0,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            data_version: connection.prepare("PRAGMA data_version")?,
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
            pass(Point::Commit)?;
            self.commit.execute([])?;
            pass(Point::Committed)?;
            Ok(done)
        });
        if result.is_ok() {
            self.committed = self.sequence;
            self.distrust_if_undone = false;
            self.dedup.committed(self.sequence);
        }
        result.map_err(|failure| {
            self.forget(0);
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
        pass(Point::Begin)?;
        self.begin.execute([])?;
        let version = self.data_version.query_row([], |row| row.get(0))?;
        if self.version != Some(version) {
            self.committed = self.last_sequence.query_row([], |row| row.get(0))?;
            self.dedup.refresh()?;
            self.version = Some(version);
        }
        self.sequence = self.committed;
        if self.keys.len() > KEYS_REMEMBERED_MAX {
            self.keys.clear();
        }
        Ok(())
    }

    /// Forgets what may have been rolled back; the dedup keys taken since the mark.
    fn forget(&mut self, mark: usize) {
        self.names = Names::default();
        self.keys.clear();
        self.endpoints.clear();
        self.dedup.undo_to(mark);
        if std::mem::take(&mut self.distrust_if_undone) {
            self.dedup.distrust();
        }
    }

    /// Reads the dedup keys now, so that the first record need not.
    pub(super) fn load(&mut self) -> std::result::Result<(), StoreError> {
        self.transaction(|session| session.dedup.load())
    }

    /// Writes dedup keys from memory as a run when there are enough of them.
    pub(super) fn keep_dedup_short(&mut self) -> std::result::Result<(), StoreError> {
        if !self.dedup.is_long() {
            return Ok(());
        }
        let run = self.transaction(|session| session.dedup.write_run(session.sequence))?;
        self.dedup.adopt(run, self.committed);
        Ok(())
    }

    /// Fails as a whole only when the batch must.
    fn execute_guarded(
        &mut self,
        command: &Command,
    ) -> Result<std::result::Result<Answer, StoreError>> {
        let (sequence, mark) = (self.sequence, self.dedup.mark());
        self.connection.execute_batch("SAVEPOINT command")?;
        match self.execute(command) {
            Ok(answer) => {
                self.connection.execute_batch("RELEASE command")?;
                Ok(Ok(answer))
            }
            Err(failure) if super::writer::is_of_the_batch(&failure.0) => Err(failure),
            Err(failure) => {
                self.forget(mark);
                self.sequence = sequence;
                self.connection.execute_batch("ROLLBACK TO command; RELEASE command")?;
                Ok(Err(failure.0))
            }
        }
    }

    /// What concerns operators, their sessions and what they approve.
    fn execute_of_operators(&mut self, command: &Command) -> Result<Answer> {
        match command {
            Command::AddOperator { operator, note } => {
                self.add_operator(operator, note).map(Answer::OperatorChanged)
            }
            Command::ChangeOperator { id, change, spares_last, note } => {
                self.change_operator(*id, change, *spares_last, note).map(Answer::OperatorChanged)
            }
            Command::OpenSession { session, note } => {
                self.open_session(session, note).map(Answer::SessionOpened)
            }
            Command::AskApproval { approval, note } => {
                self.ask_approval(approval, note).map(Answer::ApprovalJudged)
            }
            Command::DecideApproval { decision, note } => {
                self.decide_approval(decision, note).map(Answer::ApprovalJudged)
            }
            Command::UseApproval { wanted, note } => {
                self.use_approval(wanted, note).map(Answer::ApprovalJudged)
            }
            Command::NoteSessionUses(uses) => self.note_session_uses(uses).map(|()| Answer::Done),
            Command::EndSession { token_hash, note } => {
                self.end_session(*token_hash, note).map(Answer::Count)
            }
            Command::EndSessions { operator, note } => {
                self.end_sessions(*operator, note).map(Answer::Count)
            }
            Command::ForgetSessions { before } => self.forget_sessions(*before).map(Answer::Count),
            _ => Err(Kind::Internal.into()),
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
            Command::SetEndpointRest { endpoint, until } => {
                self.set_endpoint_rest(endpoint, *until).map(|()| Answer::Done)
            }
            Command::Release { event, note, deliveries } => {
                self.release(*event, note, deliveries).map(Answer::Changed)
            }
            Command::Deny { event, note } => self.deny(*event, note).map(Answer::Changed),
            Command::Redeliver { deliveries, note } => {
                self.redeliver(deliveries, note).map(Answer::Count)
            }
            Command::Sweep { now } => self.sweep(*now),
            Command::Retain(slice) => self.retain(slice).map(Answer::Sliced),
            Command::Probe => {
                self.connection
                    .prepare_cached("UPDATE counter SET probes = probes + 1")?
                    .execute([])?;
                Ok(Answer::Done)
            }
            Command::CreateApiKey { key, note } => {
                self.create_api_key(key, note).map(|()| Answer::Done)
            }
            Command::RollApiKey { old, new, note } => {
                self.roll_api_key(*old, new, note).map(Answer::ApiKeyChanged)
            }
            Command::RevokeApiKey { id, cause, note } => {
                self.revoke_api_key(*id, *cause, note).map(Answer::ApiKeyChanged)
            }
            Command::RevokeApiKeys { cause, note } => {
                self.revoke_api_keys(*cause, note).map(Answer::Count)
            }
            Command::NoteApiKeyUses(uses) => self.note_api_key_uses(uses).map(|()| Answer::Done),
            Command::AddOperator { .. }
            | Command::ChangeOperator { .. }
            | Command::OpenSession { .. }
            | Command::EndSession { .. }
            | Command::EndSessions { .. }
            | Command::ForgetSessions { .. }
            | Command::NoteSessionUses(_)
            | Command::AskApproval { .. }
            | Command::DecideApproval { .. }
            | Command::UseApproval { .. } => self.execute_of_operators(command),
            Command::AddBlock(block, note) => self.add_block(block, note).map(Answer::BlockChanged),
            Command::LiftBlock { id, note } => self.lift_block(*id, note).map(Answer::BlockChanged),
            Command::CreateOrder(order, note) => {
                self.create_order(order, note).map(Answer::OrderCreated)
            }
            Command::ChangeOrders(changes) => {
                self.change_orders(changes).map(Answer::OrdersChanged)
            }
            Command::TakeReceipt(new, deed) => {
                self.take_receipt(new, deed).map(Answer::ReceiptTaken)
            }
            Command::TakeUndecided(take) => self.take_undecided(take).map(Answer::Undecided),
            Command::PutOff(looked, later) => self.put_off(looked, *later).map(|()| Answer::Done),
            Command::TakeDuty(duty) => self.take_duty(duty).map(Answer::Duty),
            Command::ReleaseDuty { name, holder } => {
                self.release_duty(name, *holder).map(|()| Answer::Done)
            }
            Command::CountWindows { name, adds } => {
                self.count_windows(name, adds).map(Answer::Windows)
            }
            Command::AddSecret(new, note) => self.add_secret(new, note).map(Answer::SecretAdded),
            Command::RetireSecret(retire) => self.retire_secret(retire).map(Answer::SecretRetired),
            Command::SeeConfigured(seen) => self.see_configured(seen).map(|()| Answer::Done),
            Command::ProveSecret { id, at } => self.prove_secret(*id, *at).map(|()| Answer::Done),
            Command::Seal(seal) => self.seal(seal).map(Answer::Sealed),
            Command::MarkSink { name, size } => self.mark_sink(name, *size).map(|()| Answer::Done),
            Command::Deed(deed) => self.deed(deed).map(|()| Answer::Done),
            Command::ClaimRequest(claim) => self.claim_request(claim).map(Answer::Claimed),
            Command::KeepAnswer { key, holder, answer } => {
                self.keep_answer(*key, *holder, answer).map(|()| Answer::Done)
            }
            Command::GiveUpClaim { key, holder } => {
                self.give_up_claim(*key, *holder).map(|()| Answer::Done)
            }
            // Everything is in one file.
            Command::EnsurePartitions | Command::DropPartitions { .. } => Ok(Answer::Count(0)),
            // A file is copied as a file.
            Command::Copy(_) => Err(Kind::Internal.into()),
            Command::KeepReserve | Command::Close => Ok(Answer::Done),
        }
    }
}
