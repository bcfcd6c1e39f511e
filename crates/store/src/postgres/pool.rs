//! Connections: few, long-lived, and given up together when the server may be away.
//!
//! A pool of a library would try each connection before it gives it out, or find out that the
//! server is away once for every one who asks. Here whoever finds out says so, everybody else fails
//! at once from then on, and one task finds out when it is back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::failure::{Class, Failure, unreachable};
use super::options::Target;

/// How long a server that was away may take for its first commit: it may wait for its standby.
const PROBE_MS_MAX: u64 = 5_000;

/// Before the server is tried again, at first and at most.
const BACKOFF_MS: (u64, u64) = (250, 1_000);

/// A connection.
pub(super) struct Connection {
    pub(super) client: Client,
    driver: AbortHandle,
    pub(super) generation: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server rolls back whatever was under way.
        self.driver.abort();
    }
}

/// The connections that nobody uses now, and whether there can be any.
pub(super) struct Pool {
    target: Target,
    idle: Mutex<Vec<Connection>>,
    /// Grows whenever connections may be gone that look as if they were there.
    generation: AtomicU64,
    away: AtomicBool,
    went_away: Notify,
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            away: AtomicBool::new(false),
            went_away: Notify::new(),
        }
    }

    /// Whether nobody gets a connection now.
    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    /// What was remembered of the server in an older one may no longer hold: another may have taken
    /// its place.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Gives a connection; fails at once while the server is away.
    pub(super) async fn acquire(&self) -> Result<Connection, Failure> {
        if self.is_away() {
            return Err(Failure::away("the server is away"));
        }
        while let Some(connection) = self.take_idle() {
            if self.is_good(&connection) {
                return Ok(connection);
            }
        }
        let connected = self.connect().await;
        if let Err(failure) = &connected
            && failure.class == Class::Lost
        {
            self.lose();
        }
        connected.map_err(|failure| Failure { class: Class::Away, ..failure })
    }

    /// Takes a connection back whose transaction is over.
    pub(super) fn give_back(&self, connection: Connection) {
        if self.is_good(&connection) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// One connection broke: the others may have, too.
    pub(super) fn distrust(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let gone = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(gone);
    }

    /// The server does not answer: nobody asks it any more until it does.
    pub(super) fn lose(&self) {
        self.distrust();
        if !self.away.swap(true, Ordering::AcqRel) {
            tracing::error!(
                "the store's server does not answer: webhooks are refused until it does"
            );
        }
        self.went_away.notify_one();
    }

    /// Tries a server that is away until it answers.
    pub(super) async fn reconnect(self: Arc<Self>, ended: CancellationToken) {
        while ended.run_until_cancelled(self.went_away.notified()).await.is_some() {
            let (mut wait_ms, longest_ms) = BACKOFF_MS;
            while self.is_away() {
                let pause = tokio::time::sleep(Duration::from_millis(wait_ms));
                if ended.run_until_cancelled(pause).await.is_none() {
                    return;
                }
                wait_ms = (wait_ms * 2).min(longest_ms);
                let Ok(connection) = self.connect().await else { continue };
                if !can_commit(&connection).await {
                    continue;
                }
                self.away.store(false, Ordering::Release);
                self.give_back(connection);
                tracing::info!("the store's server answers again");
            }
        }
    }

    /// Closes what nobody uses.
    pub(super) fn close(&self) {
        self.distrust();
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn is_good(&self, connection: &Connection) -> bool {
        !connection.client.is_closed() && connection.generation == self.generation()
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let generation = self.generation();
        let connecting = self.target.config.connect(self.target.tls.clone());
        match timeout(self.target.connect_within, connecting).await {
            Ok(Ok((client, driver))) => {
                let driver = tokio::spawn(async move {
                    // Whoever uses the connection hears of it, too.
                    let _ = driver.await;
                });
                Ok(Connection { client, driver: driver.abort_handle(), generation })
            }
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_) => Err(Failure::lost("no connection in time")),
        }
    }
}

/// Whether a commit is possible: a server that only answers is not back.
async fn can_commit(connection: &Connection) -> bool {
    let probe = connection.client.batch_execute(
        "INSERT INTO batch (id, at)
         VALUES (gen_random_uuid(), floor(extract(epoch FROM clock_timestamp()) * 1000))",
    );
    timeout(Duration::from_millis(PROBE_MS_MAX), probe).await.is_ok_and(|probed| probed.is_ok())
}
