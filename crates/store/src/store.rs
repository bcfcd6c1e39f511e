//! The store's interface: named transactions and reads, whatever the backend.

mod api_keys;
mod approvals;
mod blocks;
mod log;
mod operators;
mod orders;
mod receipts;
mod replicas;
mod retention;
mod secrets;
mod undecided;

use std::path::Path;

use model::{DeliveryId, EventId, Timestamp};
use vault::KeyId;

use crate::command::{Answer, Command};
use crate::error::Kind;
use crate::postgres::{self, Postgres};
use crate::sqlite::Sqlite;
use crate::{
    AttemptRow, Changed, Counts, DeliveryQuery, DeliveryRow, EndpointState, EventQuery, EventRow,
    KeyKind, LeaseRequest, Leased, MigrationName, NewDelivery, NewKey, Note, OpenError, Options,
    PostgresOptions, Record, Recorded, SealedRow, ServerWarning, Settle, Settled, StoreError,
    StoredKey, Tally, TallyRow, TransactionCount,
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
use on;

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

    /// Commits something of no meaning: fails if nothing can be made durable now.
    pub async fn writable(&self) -> Result<(), StoreError> {
        self.done(Command::Probe).await
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
