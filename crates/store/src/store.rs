//! The store's interface: named transactions and reads, whatever the backend.

mod api_keys;
mod approvals;
mod blocks;
mod operators;
mod orders;
mod receipts;
mod undecided;

use std::path::Path;

use audit::tree::TileId;
use model::{DeliveryId, EventId, SecretId, Timestamp};
use vault::KeyId;

use crate::command::{Answer, Command};
use crate::duty::Duty;
use crate::error::Kind;
use crate::postgres::{self, Postgres};
use crate::retention::{DAY_MS, Slice};
use crate::secret::{Configured, NewSecret, Retire, SecretAdded, SecretRetired, SecretRow};
use crate::sqlite::Sqlite;
use crate::{
    AttemptRow, Changed, CheckpointRow, Claimed, Counts, Deed, DeliveryQuery, DeliveryRow,
    EndpointState, EntryRow, EventQuery, EventRow, IdempotencyClaim, KeyKind, LeaseRequest, Leased,
    LogHead, LogTile, MigrationName, NewDelivery, NewKey, Note, OpenError, Options, PartitionClass,
    PostgresOptions, Record, Recorded, Removed, Retention, Seal, SealedRow, ServerWarning, Settle,
    Settled, StoreError, StoredKey, Tally, TallyRow, TransactionCount, WindowAdd, WindowCounts,
};

/// Deliveries set going again in one transaction: keeps the writer below 50 ms.
const REDELIVERED_AT_ONCE_MAX: usize = 1000;

/// The store. Cheap to clone; the last clone that is dropped waits for the writer to finish.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file on this machine.
    Sqlite(Sqlite),
    /// A server that any number of replicas share.
    Postgres(Postgres),
}

/// Asks the backend.
macro_rules! on {
    ($store:expr, $backend:ident => $answer:expr) => {
        match $store {
            Store::Sqlite($backend) => $answer,
            Store::Postgres($backend) => $answer,
        }
    };
}

impl Store {
    /// Opens the store for a gateway: takes the instance lock, makes or migrates the file, ends the
    /// leases that a crash left, and starts the writer.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Sqlite::open(path, options).map(Self::Sqlite)
    }

    /// Opens the store for a command beside a running gateway: no lock, no migration, its own
    /// writer.
    pub fn open_beside(path: &Path) -> Result<Self, OpenError> {
        Sqlite::open_beside(path).map(Self::Sqlite)
    }

    /// Opens the store of a server, for a gateway or for a command beside it: there is no lock to
    /// take, and nothing is migrated.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, OpenError> {
        Postgres::connect(options).await.map(Self::Postgres)
    }

    /// The migrations that a server's store lacks. Its user must be the owner of the schema, or may
    /// only read.
    pub async fn migrate_plan(options: &PostgresOptions) -> Result<Vec<MigrationName>, OpenError> {
        postgres::plan(options).await
    }

    /// Applies the migrations that a server's store lacks, all or none, and gives the serving role
    /// exactly the rights that it needs; says which were applied. Of two that do so at once, one
    /// waits for the other. The user must be the owner of the schema.
    pub async fn migrate_apply(
        options: &PostgresOptions,
        serving_role: Option<&str>,
    ) -> Result<Vec<MigrationName>, OpenError> {
        postgres::apply(options, serving_role).await
    }

    /// Whether other gateways may work on it at the same time.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Whether the store is the target of a copy that is not finished: no gateway should work on it.
    pub async fn is_half_copied(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(false),
            Self::Postgres(postgres) => postgres.is_half_copied().await,
        }
    }

    /// Finishes what waits, writes back the log and closes. Later commands fail.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(_) => {
                let _ = self.wait(Command::Close).await;
            }
            Self::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Whether a commit failed in a way that leaves unknown what is durable. The process must end:
    /// the next start finds out.
    ///
    /// A server keeps its own log: if it is in doubt, it ends itself, and is away until it is not.
    pub fn poisoned(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.poisoned(),
            Self::Postgres(_) => false,
        }
    }

    /// Whether the disk is full: arrivals are refused and nothing is leased until there is room for
    /// the reserve again, while what was begun is settled and people's commands are done.
    ///
    /// A server has its own disk: when that is full, each command says so.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_full(),
            Self::Postgres(_) => false,
        }
    }

    /// Sees that the reserve stands, or makes it, which ends [`Store::is_full`]. Call it every second.
    pub async fn keep_reserve(&self) -> Result<(), StoreError> {
        self.done(Command::KeepReserve).await
    }

    /// Keeps an authentic arrival. Resolves when the commit is durable; fails at once when too much
    /// waits already.
    pub async fn record(&self, record: Record) -> Result<Recorded, StoreError> {
        match on!(self, backend => backend.ask_unless_full(Command::Record(record)).await)? {
            Answer::Recorded(recorded) => Ok(recorded),
            _ => Err(unexpected()),
        }
    }

    /// Counts refused and duplicate arrivals.
    pub async fn tally(&self, tallies: Vec<Tally>) -> Result<(), StoreError> {
        self.done(Command::Tally(tallies)).await
    }

    /// The newest data key of an owner.
    pub async fn data_keys(
        &self,
        kind: KeyKind,
        owner: [u8; 16],
    ) -> Result<Option<StoredKey>, StoreError> {
        on!(self, backend => backend.key_of(kind, owner).await)
    }

    /// A data key by its id.
    pub async fn data_key(&self, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
        on!(self, backend => backend.key(id).await)
    }

    /// Adds a data key unless its owner has one, and gives the one that stands.
    pub async fn add_key(&self, key: NewKey) -> Result<StoredKey, StoreError> {
        match self.wait(Command::AddKey(key)).await? {
            Answer::Key(key) => Ok(key),
            _ => Err(unexpected()),
        }
    }

    /// Whether any delivery to an active endpoint may be due. A hint: what waits behind its order
    /// key is only found out by leasing.
    pub async fn due(&self, now: Timestamp) -> Result<bool, StoreError> {
        on!(self, backend => backend.due(now).await)
    }

    /// Leases deliveries that are due, fresh work and retries each with a share of their own.
    pub async fn lease(&self, request: LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        match self.wait(Command::Lease(request)).await? {
            Answer::Leased(leased) => Ok(leased),
            Answer::Claims(claims) => match self {
                Self::Sqlite(sqlite) => sqlite.leased(claims).await,
                Self::Postgres(_) => Err(unexpected()),
            },
            _ => Err(unexpected()),
        }
    }

    /// Keeps an attempt and sets what comes next, in one transaction.
    pub async fn settle(&self, settle: Settle) -> Result<Settled, StoreError> {
        match self.wait(Command::Settle(settle)).await? {
            Answer::Settled(settled) => Ok(settled),
            _ => Err(unexpected()),
        }
    }

    /// Pauses, resumes or disables an endpoint.
    pub async fn set_endpoint_state(
        &self,
        endpoint: &str,
        state: EndpointState,
        note: Note,
    ) -> Result<(), StoreError> {
        self.done(Command::SetEndpointState { endpoint: endpoint.to_owned(), state, note }).await
    }

    /// Notes until when an endpoint that keeps failing is left alone. A start forgets it.
    pub async fn set_endpoint_rest(
        &self,
        endpoint: &str,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.done(Command::SetEndpointRest { endpoint: endpoint.to_owned(), until }).await
    }

    /// The endpoints that are left alone because they keep failing, and until when.
    pub async fn endpoint_rests(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        on!(self, backend => backend.endpoint_rests().await)
    }

    /// Every endpoint that was ever delivered to or changed: its state, and since when.
    pub async fn endpoint_states(
        &self,
    ) -> Result<Vec<(String, EndpointState, Timestamp)>, StoreError> {
        on!(self, backend => backend.endpoint_states().await)
    }

    /// Events, newest last.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<EventRow>, StoreError> {
        on!(self, backend => backend.events(query).await)
    }

    /// One event.
    pub async fn event(&self, id: EventId) -> Result<Option<EventRow>, StoreError> {
        on!(self, backend => backend.event(id).await)
    }

    /// Refused and duplicate arrivals, newest last.
    pub async fn tallies(&self, query: EventQuery) -> Result<Vec<TallyRow>, StoreError> {
        on!(self, backend => backend.tallies(query).await)
    }

    /// The body of the arrival that brought an event.
    pub async fn body(&self, event: EventId) -> Result<Option<SealedRow>, StoreError> {
        on!(self, backend => backend.body(event).await)
    }

    /// Accepts a held event by a person's word and plans its deliveries.
    pub async fn release(
        &self,
        event: EventId,
        note: Note,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Changed, StoreError> {
        self.changed(Command::Release { event, note, deliveries }).await
    }

    /// Denies a held event by a person's word.
    pub async fn deny(&self, event: EventId, note: Note) -> Result<Changed, StoreError> {
        self.changed(Command::Deny { event, note }).await
    }

    /// Deliveries, newest last.
    pub async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRow>, StoreError> {
        on!(self, backend => backend.deliveries(query).await)
    }

    /// The attempts of a delivery, newest last.
    pub async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRow>, StoreError> {
        on!(self, backend => backend.attempts(delivery).await)
    }

    /// Sets delivered and dead deliveries going again with all their attempts; says how many.
    pub async fn redeliver(
        &self,
        deliveries: Vec<DeliveryId>,
        note: Note,
    ) -> Result<usize, StoreError> {
        let mut redelivered = 0;
        for slice in deliveries.chunks(REDELIVERED_AT_ONCE_MAX) {
            let command = Command::Redeliver { deliveries: slice.to_vec(), note: note.clone() };
            redelivered += self.count(command).await?;
        }
        Ok(redelivered)
    }

    /// How much there is of what.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        on!(self, backend => backend.counts().await)
    }

    /// Audit entries after a sequence number, oldest first, at most `limit`.
    pub async fn entries(&self, after: i64, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        on!(self, backend => backend.entries(after, limit).await)
    }

    /// Writes an audit entry about what leaves no other trace in the store, and must not happen without
    /// one: call it before.
    pub async fn audit(&self, deed: Deed) -> Result<(), StoreError> {
        self.done(Command::Deed(deed)).await
    }

    /// Every secret of a source or endpoint there is or was, the oldest first.
    pub async fn secrets(&self) -> Result<Vec<SecretRow>, StoreError> {
        on!(self, backend => backend.secrets().await)
    }

    /// Keeps a secret; with an overlap, those of its owner that were added before end.
    pub async fn add_secret(&self, new: NewSecret, note: Note) -> Result<SecretAdded, StoreError> {
        match self.wait(Command::AddSecret(new, note)).await? {
            Answer::SecretAdded(added) => Ok(added),
            _ => Err(unexpected()),
        }
    }

    /// Retires a secret that was added, unless messages would be lost by it. With force only the last
    /// one stays.
    pub async fn retire_secret(
        &self,
        id: SecretId,
        force: bool,
        note: Note,
    ) -> Result<SecretRetired, StoreError> {
        match self.wait(Command::RetireSecret(Retire { id, force, note })).await? {
            Answer::SecretRetired(retired) => Ok(retired),
            _ => Err(unexpected()),
        }
    }

    /// Notes which secrets stand in the configuration of a source or endpoint now.
    pub async fn see_configured(&self, seen: Configured) -> Result<(), StoreError> {
        self.done(Command::SeeConfigured(seen)).await
    }

    /// Notes that a real message was verified with a secret.
    pub async fn prove_secret(&self, id: SecretId, at: Timestamp) -> Result<(), StoreError> {
        self.done(Command::ProveSecret { id, at }).await
    }

    /// How far the audit log has come.
    pub async fn log_head(&self) -> Result<LogHead, StoreError> {
        on!(self, backend => backend.log_head().await)
    }

    /// Entries that have no place in the log yet, in the order of their sequence, at most `limit`.
    pub async fn waiting_entries(&self, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        on!(self, backend => backend.waiting_entries(limit).await)
    }

    /// Those of these entries that are there, in this order.
    pub async fn entries_of(&self, sequences: Vec<i64>) -> Result<Vec<EntryRow>, StoreError> {
        on!(self, backend => backend.entries_of(sequences).await)
    }

    /// Gives entries their place in the log, with the tiles and the checkpoint over them. False, and
    /// nothing happened, if the log has another size than whoever seals believes.
    pub async fn seal(&self, seal: Seal) -> Result<bool, StoreError> {
        match self.wait(Command::Seal(seal)).await? {
            Answer::Sealed(sealed) => Ok(sealed),
            _ => Err(unexpected()),
        }
    }

    /// Until where a sink has got entries; nothing for one that has had none.
    pub async fn sink_mark(&self, name: &str) -> Result<Option<u64>, StoreError> {
        on!(self, backend => backend.sink_mark(name.to_owned()).await)
    }

    /// Notes until where a sink has got entries. It never goes back.
    pub async fn mark_sink(&self, name: &str, size: u64) -> Result<(), StoreError> {
        self.done(Command::MarkSink { name: name.to_owned(), size }).await
    }

    /// Those of these tiles that are there, in any order.
    pub async fn log_tiles(&self, tiles: Vec<TileId>) -> Result<Vec<LogTile>, StoreError> {
        on!(self, backend => backend.log_tiles(tiles).await)
    }

    /// Checkpoints that cover more than so many entries, the smallest first: the last one of each
    /// minute.
    pub async fn checkpoints(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<CheckpointRow>, StoreError> {
        on!(self, backend => backend.checkpoints(after, limit).await)
    }

    /// Forgets dedup keys older than [`model::limits::DEDUP_DAYS`], which no longer count; says how
    /// many. Does its work once a day, at most a day further each time whatever the clock says, in slices between which others get their turn.
    pub async fn forget(&self, now: Timestamp) -> Result<usize, StoreError> {
        if matches!(self, Self::Postgres(_))
            && let Err(error) = self.ensure_partitions().await
        {
            // There is a partition for whatever has none; it is only harder to forget.
            tracing::warn!(code = error.code(), "partitions of the next weeks could not be made");
        }
        let mut all = 0;
        loop {
            match self.wait(Command::Sweep { now }).await? {
                Answer::Swept { forgotten, more } => {
                    all += forgotten;
                    if !more {
                        return Ok(all);
                    }
                }
                _ => return Err(unexpected()),
            }
        }
    }

    /// Deletes what is older than it is to be kept, and what no pending delivery needs. Of a server
    /// whole partitions are dropped; of a file rows go in slices between which others get their
    /// turn. Sessions of operators go a day after they were over, whatever is configured.
    pub async fn retain(
        &self,
        now: Timestamp,
        retention: Retention,
    ) -> Result<Removed, StoreError> {
        // What goes wrong with them keeps nothing else from going.
        let sessions = self.forget_sessions(now).await;
        let mut removed = Removed::default();
        for class in [
            PartitionClass::Attempt,
            PartitionClass::Delivery,
            PartitionClass::Body,
            PartitionClass::Event,
        ] {
            let Some(days) = retention.days(class) else { continue };
            if matches!(self, Self::Postgres(_)) {
                let before = now.plus_millis(-i64::from(days) * DAY_MS);
                removed.partitions += self.drop_partitions(class, before).await?;
                continue;
            }
            let of_class = match class {
                PartitionClass::Event => &mut removed.events,
                PartitionClass::Body => &mut removed.bodies,
                PartitionClass::Delivery => &mut removed.deliveries,
                // They go with their deliveries.
                PartitionClass::Attempt => continue,
            };
            let mut after = Some(0);
            while let Some(from) = after {
                let slice = Slice { class, days, now, after: from };
                let Answer::Sliced(sliced) = self.wait(Command::Retain(slice)).await? else {
                    return Err(unexpected());
                };
                *of_class += sliced.removed;
                after = sliced.after;
            }
        }
        removed.sessions = sessions?;
        Ok(removed)
    }

    /// Commits something of no meaning: fails if nothing can be made durable now.
    pub async fn writable(&self) -> Result<(), StoreError> {
        self.done(Command::Probe).await
    }

    /// Whether a duty is this holder's, now and until then: where nobody else has the store, always; else
    /// as [`Store::take_duty`] says.
    ///
    /// # Errors
    /// The store fails.
    pub async fn has_duty(
        &self,
        name: &str,
        holder: [u8; 16],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        if !self.is_shared() {
            return Ok(true);
        }
        Ok(self.take_duty(name, holder, now, until).await?.is_some())
    }

    /// Takes a duty that one replica has for all: one that nobody has, one whose lease is over, or
    /// one's own again. Gives its fence, or nothing while another has it.
    pub async fn take_duty(
        &self,
        name: &str,
        holder: [u8; 16],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let duty = Duty { name: name.to_owned(), holder, now, until };
        match self.wait(Command::TakeDuty(duty)).await? {
            Answer::Duty(fence) => Ok(fence),
            _ => Err(unexpected()),
        }
    }

    /// Gives up a duty, if it is this holder's.
    pub async fn release_duty(&self, name: &str, holder: [u8; 16]) -> Result<(), StoreError> {
        self.done(Command::ReleaseDuty { name: name.to_owned(), holder }).await
    }

    /// Claims a request that takes effect once, before its effect; else says what became of it.
    pub async fn claim_request(&self, claim: IdempotencyClaim) -> Result<Claimed, StoreError> {
        match self.wait(Command::ClaimRequest(claim)).await? {
            Answer::Claimed(claimed) => Ok(claimed),
            _ => Err(unexpected()),
        }
    }

    /// Keeps the answer to a request, for whoever asks again with the same key.
    pub async fn keep_answer(
        &self,
        key: [u8; 16],
        holder: [u8; 16],
        answer: SealedRow,
    ) -> Result<(), StoreError> {
        self.done(Command::KeepAnswer { key, holder, answer }).await
    }

    /// Gives up the claim of a request of which nothing was done.
    pub async fn give_up_claim(&self, key: [u8; 16], holder: [u8; 16]) -> Result<(), StoreError> {
        self.done(Command::GiveUpClaim { key, holder }).await
    }

    /// Adds to the counts of sliding windows and gives them, in the order in which they are asked
    /// for: what all replicas have counted.
    pub async fn count_windows(
        &self,
        name: &str,
        adds: Vec<WindowAdd>,
    ) -> Result<Vec<WindowCounts>, StoreError> {
        if adds.is_empty() {
            return Ok(Vec::new());
        }
        match self.wait(Command::CountWindows { name: name.to_owned(), adds }).await? {
            Answer::Windows(counts) => Ok(counts),
            _ => Err(unexpected()),
        }
    }

    /// Makes the partitions of the next weeks; says how many were missing. [`Store::forget`] does
    /// it, too. A file has none.
    pub async fn ensure_partitions(&self) -> Result<usize, StoreError> {
        self.count(Command::EnsurePartitions).await
    }

    /// Drops the partitions of a class that end before a time; says how many. What is younger than
    /// the class's floor and what a pending delivery needs is kept. A file has none.
    pub async fn drop_partitions(
        &self,
        class: PartitionClass,
        before: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut all = 0;
        // One in a transaction: everybody waits for it.
        loop {
            match self.count(Command::DropPartitions { class, before }).await? {
                0 => return Ok(all),
                dropped => all += dropped,
            }
        }
    }

    /// Waits until there may be fresh work, as far as this store hears of it: what this process
    /// recorded on a server, and what others did where it listens. It only wakes: who relies on it
    /// alone misses what it does not hear of.
    pub async fn fresh_work(&self) {
        match self {
            Self::Sqlite(_) => std::future::pending().await,
            Self::Postgres(postgres) => postgres.fresh_work().await,
        }
    }

    /// How the transactions ended since the start, by name.
    pub fn transactions(&self) -> Vec<TransactionCount> {
        on!(self, backend => backend.transactions())
    }

    /// What an operator should know about the server. A file has none.
    pub async fn server_facts(&self, now: Timestamp) -> Result<Vec<ServerWarning>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres(postgres) => postgres.server_facts(now).await,
        }
    }

    async fn wait(&self, command: Command) -> Result<Answer, StoreError> {
        on!(self, backend => backend.ask(command).await)
    }

    async fn done(&self, command: Command) -> Result<(), StoreError> {
        match self.wait(command).await? {
            Answer::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn count(&self, command: Command) -> Result<usize, StoreError> {
        match self.wait(command).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }

    async fn changed(&self, command: Command) -> Result<Changed, StoreError> {
        match self.wait(command).await? {
            Answer::Changed(changed) => Ok(changed),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> StoreError {
    StoreError::with(Kind::Internal, "the writer gave another command's answer")
}
