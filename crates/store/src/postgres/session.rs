//! One transaction on one connection: statements without names, and what is learned in it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio_postgres::{Client, Row};

use super::bind::{Parameter, int8, uuid};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::names::Names;
use crate::command::{Answer, Command};
use crate::error::Kind;

/// A transaction that is idle for so long, because its client went away silently, is rolled back
/// and lets go of what it holds.
const IDLE_MS_MAX: u64 = 2_000;

/// A running transaction.
pub(super) struct Session<'c> {
    client: &'c Client,
    /// The number of this transaction in this process; spreads what would be one hot row.
    pub(super) number: u64,
    /// Whether to say that there is fresh work.
    pub(super) tells: bool,
    pub(super) names: &'c Mutex<Names>,
    learned: Mutex<Learned>,
}

/// What holds once the transaction is committed.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) names: HashMap<String, i32>,
    pub(super) endpoints: HashMap<String, i32>,
    /// Whether deliveries were added that somebody may lease.
    pub(super) work: bool,
}

impl<'c> Session<'c> {
    pub(super) fn new(
        client: &'c Client,
        number: u64,
        tells: bool,
        names: &'c Mutex<Names>,
    ) -> Self {
        Self { client, number, tells, names, learned: Mutex::default() }
    }

    /// Begins, and says whether the batch is new: else an earlier transaction with its id took
    /// effect. One that still runs is waited for.
    ///
    /// The statements that follow may be sent before this is answered: whatever fails here fails
    /// them too, since it leaves a transaction that is aborted or a connection that is closed.
    pub(super) async fn begin(&self, batch: Sixteen, statement_ms: u64) -> Result<bool> {
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {statement_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {IDLE_MS_MAX}"
        );
        let id = [uuid(&batch)];
        let (begun, inserted) = tokio::join!(
            biased;
            self.client.batch_execute(&begin),
            self.run(
                "INSERT INTO batch (id, at)
                 VALUES ($1, floor(extract(epoch FROM clock_timestamp()) * 1000))
                 ON CONFLICT DO NOTHING",
                &id,
            ),
        );
        begun?;
        Ok(inserted? == 1)
    }

    /// Commits, however long it takes: a commit that waits for a standby and runs into a timeout
    /// would be answered as made, although the standby does not have it.
    pub(super) async fn commit(&self) -> Result<()> {
        Ok(self.client.batch_execute("SET LOCAL statement_timeout = 0; COMMIT").await?)
    }

    /// The rows that a statement gives.
    pub(super) async fn rows(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        Ok(self.client.query_typed(sql, parameters).await?)
    }

    /// How many rows a statement changed.
    pub(super) async fn run(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
        Ok(self.client.execute_typed(sql, parameters).await?)
    }

    /// Notes what holds once the transaction is committed.
    pub(super) fn learn(&self, learn: impl FnOnce(&mut Learned)) {
        learn(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn learned(self) -> Learned {
        self.learned.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// There are deliveries that somebody may lease: says so to whoever listens, when the
    /// transaction is committed.
    pub(super) async fn tell_work(&self) -> Result<()> {
        self.learn(|learned| learned.work = true);
        if self.tells {
            self.rows("SELECT pg_notify('countersign_work', '')", &[]).await?;
        }
        Ok(())
    }

    /// Forgets batches of this process whose fate is known for long.
    pub(super) async fn forget_batches(&self, first: Sixteen, until: Sixteen) -> Result<u64> {
        self.run(
            "DELETE FROM batch WHERE id >= $1 AND id < $2
                AND at < floor(extract(epoch FROM clock_timestamp()) * 1000) - 60000",
            &[uuid(&first), uuid(&until)],
        )
        .await
    }

    /// What concerns operators, their sessions and what they approve.
    async fn execute_of_operators(&self, command: &Command) -> Result<Answer> {
        match command {
            Command::AddOperator { operator, note } => {
                self.add_operator(operator, note).await.map(Answer::OperatorChanged)
            }
            Command::ChangeOperator { id, change, spares_last, note } => {
                let changed = self.change_operator(*id, change, *spares_last, note).await;
                changed.map(Answer::OperatorChanged)
            }
            Command::OpenSession { session, note } => {
                self.open_session(session, note).await.map(Answer::SessionOpened)
            }
            Command::AskApproval { approval, note } => {
                self.ask_approval(approval, note).await.map(Answer::ApprovalJudged)
            }
            Command::DecideApproval { decision, note } => {
                self.decide_approval(decision, note).await.map(Answer::ApprovalJudged)
            }
            Command::UseApproval { wanted, note } => {
                self.use_approval(wanted, note).await.map(Answer::ApprovalJudged)
            }
            Command::NoteSessionUses(uses) => {
                self.note_session_uses(uses).await.map(|()| Answer::Done)
            }
            Command::EndSession { token_hash, note } => {
                self.end_session(*token_hash, note).await.map(Answer::Count)
            }
            Command::EndSessions { operator, note } => {
                self.end_sessions(*operator, note).await.map(Answer::Count)
            }
            Command::ForgetSessions { before } => {
                self.forget_sessions(*before).await.map(Answer::Count)
            }
            _ => Err(Kind::Internal.into()),
        }
    }

    /// Does what a command asks for that is about what is to be paid.
    async fn execute_of_orders(&self, command: &Command) -> Result<Answer> {
        match command {
            Command::AddBlock(block, note) => {
                self.add_block(block, note).await.map(Answer::BlockChanged)
            }
            Command::LiftBlock { id, note } => {
                self.lift_block(*id, note).await.map(Answer::BlockChanged)
            }
            Command::CreateOrder(order, note) => {
                self.create_order(order, note).await.map(Answer::OrderCreated)
            }
            Command::ChangeOrders(changes) => {
                self.change_orders(changes).await.map(Answer::OrdersChanged)
            }
            Command::TakeReceipt(new, deed) => {
                self.take_receipt(new, deed).await.map(Answer::ReceiptTaken)
            }
            Command::TakeUndecided(take) => self.take_undecided(take).await.map(Answer::Undecided),
            Command::PutOff(looked, later) => {
                self.put_off(looked, *later).await.map(|()| Answer::Done)
            }
            _ => Err(Kind::Internal.into()),
        }
    }

    /// Does what one command asks for, by itself.
    pub(super) async fn execute(&self, command: &Command) -> Result<Answer> {
        match command {
            Command::Tally(tallies) => self.tally(tallies).await.map(|()| Answer::Done),
            Command::AddKey(key) => self.add_key(key).await.map(Answer::Key),
            Command::Lease(request) => self.lease(request).await.map(Answer::Leased),
            Command::SetEndpointState { endpoint, state, note } => {
                self.set_endpoint_state(endpoint, *state, note).await.map(|()| Answer::Done)
            }
            Command::SetEndpointRest { endpoint, until } => {
                self.set_endpoint_rest(endpoint, *until).await.map(|()| Answer::Done)
            }
            Command::Release { event, note, deliveries } => {
                self.release(*event, note, deliveries).await.map(Answer::Changed)
            }
            Command::Deny { event, note } => self.deny(*event, note).await.map(Answer::Changed),
            Command::Redeliver { deliveries, note } => {
                self.redeliver(deliveries, note).await.map(Answer::Count)
            }
            Command::Sweep { now } => self.sweep(*now).await,
            Command::CreateApiKey { key, note } => {
                self.create_api_key(key, note).await.map(|()| Answer::Done)
            }
            Command::RollApiKey { old, new, note } => {
                self.roll_api_key(*old, new, note).await.map(Answer::ApiKeyChanged)
            }
            Command::RevokeApiKey { id, cause, note } => {
                self.revoke_api_key(*id, *cause, note).await.map(Answer::ApiKeyChanged)
            }
            Command::RevokeApiKeys { cause, note } => {
                self.revoke_api_keys(*cause, note).await.map(Answer::Count)
            }
            Command::NoteApiKeyUses(uses) => {
                self.note_api_key_uses(uses).await.map(|()| Answer::Done)
            }
            Command::AddOperator { .. }
            | Command::ChangeOperator { .. }
            | Command::OpenSession { .. }
            | Command::EndSession { .. }
            | Command::EndSessions { .. }
            | Command::ForgetSessions { .. }
            | Command::NoteSessionUses(_)
            | Command::AskApproval { .. }
            | Command::DecideApproval { .. }
            | Command::UseApproval { .. } => self.execute_of_operators(command).await,
            Command::AddBlock(..)
            | Command::LiftBlock { .. }
            | Command::CreateOrder(..)
            | Command::ChangeOrders(_)
            | Command::TakeReceipt(..)
            | Command::TakeUndecided(_)
            | Command::PutOff(..) => self.execute_of_orders(command).await,
            Command::TakeDuty(duty) => self.take_duty(duty).await.map(Answer::Duty),
            Command::ReleaseDuty { name, holder } => {
                self.release_duty(name, *holder).await.map(|()| Answer::Done)
            }
            Command::CountWindows { name, adds } => {
                self.count_windows(name, adds).await.map(Answer::Windows)
            }
            Command::ClaimRequest(claim) => self.claim_request(claim).await.map(Answer::Claimed),
            Command::KeepAnswer { key, holder, answer } => {
                self.keep_answer(*key, *holder, answer).await.map(|()| Answer::Done)
            }
            Command::GiveUpClaim { key, holder } => {
                self.give_up_claim(*key, *holder).await.map(|()| Answer::Done)
            }
            Command::EnsurePartitions => self.ensure_partitions().await.map(Answer::Count),
            Command::DropPartitions { class, before } => {
                self.drop_partitions(*class, *before).await.map(Answer::Count)
            }
            Command::AddSecret(new, note) => {
                self.add_secret(new, note).await.map(Answer::SecretAdded)
            }
            Command::RetireSecret(retire) => {
                self.retire_secret(retire).await.map(Answer::SecretRetired)
            }
            Command::SeeConfigured(seen) => self.see_configured(seen).await.map(|()| Answer::Done),
            Command::ProveSecret { id, at } => {
                self.prove_secret(*id, *at).await.map(|()| Answer::Done)
            }
            Command::Seal(seal) => self.seal(seal).await.map(Answer::Sealed),
            Command::MarkSink { name, size } => {
                self.mark_sink(name, *size).await.map(|()| Answer::Done)
            }
            Command::Deed(deed) => self.deed(deed).await.map(|()| Answer::Done),
            Command::Copy(command) => self.copy(command).await,
            // The batch's own row is the change.
            Command::Probe | Command::KeepReserve | Command::Close => Ok(Answer::Done),
            // Partitions are dropped instead.
            Command::Record(_) | Command::Settle(_) | Command::Retain(_) => {
                Err(Failure::from(crate::error::Kind::Internal))
            }
        }
    }

    /// Numbers of a sequence, growing.
    pub(super) async fn numbers(&self, sequence: &str, count: usize) -> Result<Vec<i64>> {
        let count = super::bind::count(count);
        let sql = format!("SELECT nextval('{sequence}') FROM generate_series(1, $1)");
        let rows = self.rows(&sql, &[int8(&count)]).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }
}

/// A column of a row, or what is stored is not what it should be.
pub(super) fn column<'r, T>(row: &'r Row, place: usize) -> Result<T>
where
    T: tokio_postgres::types::FromSql<'r>,
{
    row.try_get(place).map_err(Failure::corrupt)
}
