//! The store's interface: named transactions and reads, whatever the backend.

use std::path::Path;

use model::{DeliveryId, EventId, Timestamp};
use vault::KeyId;

use crate::command::{Answer, Command};
use crate::error::Kind;
use crate::sqlite::Sqlite;
use crate::{
    AttemptRow, Changed, Counts, DeliveryQuery, DeliveryRow, EndpointState, EntryRow, EventQuery,
    EventRow, KeyKind, LeaseRequest, Leased, NewDelivery, NewKey, Note, OpenError, Record,
    Recorded, SealedRow, Settle, Settled, StoreError, StoredKey, Tally, TallyRow,
};

/// Deliveries set going again in one transaction: keeps the writer below 50 ms.
const REDELIVERED_AT_ONCE_MAX: usize = 1000;

/// When a commit counts as made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// When it is on the disk. The only one that keeps what was acknowledged.
    Full,
    /// When the operating system has it: a power cut loses commits. It exists so that the crash
    /// tests can show that they would notice.
    DangerNormal,
}

/// How the writer works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When a commit counts as made.
    pub synchronous: Synchronous,
    /// Commands in one transaction.
    pub batch_commands_max: usize,
    /// Commands that may wait; more records are refused as overload.
    pub queue_commands_max: usize,
    /// Dedup keys kept in memory before they are written as a run.
    pub dedup_run_keys: usize,
    /// Kept free on the disk, so that what was begun can be settled when it is full; 0 is none.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            batch_commands_max: model::limits::BATCH_COMMANDS_MAX,
            queue_commands_max: model::limits::QUEUE_COMMANDS_MAX,
            dedup_run_keys: model::limits::DEDUP_RUN_KEYS,
            reserve_bytes: model::limits::RESERVE_BYTES,
        }
    }
}

/// The store. Cheap to clone; the last clone that is dropped waits for the writer to finish.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file on this machine.
    Sqlite(Sqlite),
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

    fn sqlite(&self) -> &Sqlite {
        let Self::Sqlite(sqlite) = self;
        sqlite
    }

    /// Finishes what waits, writes back the log and closes. Later commands fail.
    pub async fn close(&self) {
        let _ = self.wait(Command::Close).await;
    }

    /// Whether a commit failed in a way that leaves unknown what is durable. The process must end:
    /// the next start finds out.
    pub fn poisoned(&self) -> bool {
        self.sqlite().poisoned()
    }

    /// Whether the disk is full: arrivals are refused and nothing is leased until there is room for
    /// the reserve again, while what was begun is settled and people's commands are done.
    pub fn is_full(&self) -> bool {
        self.sqlite().is_full()
    }

    /// Sees that the reserve stands, or makes it, which ends [`Store::is_full`]. Call it every second.
    pub async fn keep_reserve(&self) -> Result<(), StoreError> {
        self.done(Command::KeepReserve).await
    }

    /// Keeps an authentic arrival. Resolves when the commit is durable; fails at once when too much
    /// waits already.
    pub async fn record(&self, record: Record) -> Result<Recorded, StoreError> {
        match self.sqlite().ask_unless_full(Command::Record(record)).await? {
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
        self.sqlite().key_of(kind, owner).await
    }

    /// A data key by its id.
    pub async fn data_key(&self, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
        self.sqlite().key(id).await
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
        self.sqlite().due(now).await
    }

    /// Leases deliveries that are due, fresh work and retries each with a share of their own.
    pub async fn lease(&self, request: LeaseRequest) -> Result<Vec<Leased>, StoreError> {
        match self.wait(Command::Lease(request)).await? {
            Answer::Claims(claims) => self.sqlite().leased(claims).await,
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
        self.sqlite().endpoint_rests().await
    }

    /// Every endpoint that was ever delivered to or changed: its state, and since when.
    pub async fn endpoint_states(
        &self,
    ) -> Result<Vec<(String, EndpointState, Timestamp)>, StoreError> {
        self.sqlite().endpoint_states().await
    }

    /// Events, newest last.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<EventRow>, StoreError> {
        self.sqlite().events(query).await
    }

    /// One event.
    pub async fn event(&self, id: EventId) -> Result<Option<EventRow>, StoreError> {
        self.sqlite().event(id).await
    }

    /// Refused and duplicate arrivals, newest last.
    pub async fn tallies(&self, query: EventQuery) -> Result<Vec<TallyRow>, StoreError> {
        self.sqlite().tallies(query).await
    }

    /// The body of the arrival that brought an event.
    pub async fn body(&self, event: EventId) -> Result<Option<SealedRow>, StoreError> {
        self.sqlite().body(event).await
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
        self.sqlite().deliveries(query).await
    }

    /// The attempts of a delivery, newest last.
    pub async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRow>, StoreError> {
        self.sqlite().attempts(delivery).await
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
            match self.wait(command).await? {
                Answer::Count(count) => redelivered += count,
                _ => return Err(unexpected()),
            }
        }
        Ok(redelivered)
    }

    /// How much there is of what.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.sqlite().counts().await
    }

    /// Audit entries after a sequence number, oldest first, at most `limit`.
    pub async fn entries(&self, after: i64, limit: usize) -> Result<Vec<EntryRow>, StoreError> {
        self.sqlite().entries(after, limit).await
    }

    /// Forgets dedup keys older than [`model::limits::DEDUP_DAYS`], which no longer count; says how
    /// many. Does its work once a day, at most a day further each time whatever the clock says, in slices between which others get their turn.
    pub async fn forget(&self, now: Timestamp) -> Result<usize, StoreError> {
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

    /// Commits something of no meaning: fails if nothing can be made durable now.
    pub async fn writable(&self) -> Result<(), StoreError> {
        self.done(Command::Probe).await
    }

    async fn wait(&self, command: Command) -> Result<Answer, StoreError> {
        self.sqlite().ask(command).await
    }

    async fn done(&self, command: Command) -> Result<(), StoreError> {
        match self.wait(command).await? {
            Answer::Done => Ok(()),
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
