//! A database that is stopped, and one that is there and does nothing: webhooks are refused at once,
//! and taken again as soon as it is back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::fleet::{Fleet, deploy};
use super::traffic::{Flow, Sent, Traffic};
use crate::clock::now_ms;
use crate::deployment::{Deliveries, NO_APPLICATION, SOURCE_PATH};
use crate::load::signed_request;
use crate::postgres::{Cluster, SERVING};
use crate::stripe::{SECRET, Series, Signer};
use crate::wire::{Connection, get};

/// Acknowledgements after which a gateway is called well.
const WELL: u64 = 50;

/// How long it may take until it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A transaction that is under way when the server stops is not counted among what comes later.
const STOPPED: Duration = Duration::from_millis(200);

const DATABASE: &str = "outage";

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// Gateways.
    pub replicas: usize,
    /// How long the database is away, or does nothing.
    pub away: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// What was sent while the server was stopped.
    pub stopped: Sent,
    /// Whether every replica answered 503 with `Retry-After`, and was not ready.
    pub told: bool,
    /// From the start of the server until every replica was ready.
    pub ready_after: Duration,
    /// From the start of the server until something was acknowledged.
    pub acknowledged_after: Duration,
    /// What was sent while a table was locked.
    pub locked: Sent,
    /// From the end of the lock until something was acknowledged.
    pub unlocked_after: Duration,
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When a gateway or the database cannot be started, or does not recover.
    pub fn run(&self) -> Result<Seen> {
        let mut cluster = Cluster::start(&[])?;
        let url = cluster.url(SERVING, DATABASE);
        let (binary, paused) = (&self.binary, Deliveries::Paused);
        let first = deploy(&url, &cluster, DATABASE, binary, NO_APPLICATION, paused)?;
        let mut fleet = Fleet::start(first, self.replicas)?;
        let flow = self.flow(&fleet);
        ensure!(flow.wait_for(WELL, PATIENCE), "nothing was acknowledged");
        cluster.stop()?;
        // What was under way is answered in its own time, and nobody waits for it here.
        let under_way = std::thread::spawn(|| flow.stop());
        std::thread::sleep(STOPPED);
        let flow = self.flow(&fleet);
        std::thread::sleep(self.away);
        let told = fleet.deployments().try_fold(true, |told, replica| {
            anyhow::Ok(told && is_told(replica.public)? && !is_ready(replica.admin))
        })?;
        let stopped = flow.stop()?;

        let flow = self.flow(&fleet);
        let begun = Instant::now();
        cluster.run()?;
        ensure!(flow.wait_for(1, PATIENCE), "nothing is acknowledged again");
        let acknowledged_after = begun.elapsed();
        while !fleet.deployments().all(|replica| is_ready(replica.admin)) {
            ensure!(begun.elapsed() < PATIENCE, "not every replica is ready again");
            std::thread::sleep(Duration::from_millis(5));
        }
        let ready_after = begun.elapsed();
        ensure!(flow.wait_for(WELL, PATIENCE), "not well again");
        flow.stop()?;
        under_way.join().ok().context("the first traffic's thread")??;

        let (locked, unlocked_after) = self.lock(&fleet, &cluster)?;
        fleet.stop()?;
        Ok(Seen { stopped, told, ready_after, acknowledged_after, locked, unlocked_after })
    }

    /// Holds a table that every arrival is written to, so that every connection waits.
    fn lock(&self, fleet: &Fleet, cluster: &Cluster) -> Result<(Sent, Duration)> {
        let seconds = self.away.as_secs_f64();
        let mut session = cluster.session(
            DATABASE,
            &format!(
                "BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds})"
            ),
        )?;
        let is_held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
            AND relation = 'event'::regclass";
        let begun = Instant::now();
        while cluster.query(DATABASE, is_held)? != "1" {
            ensure!(begun.elapsed() < PATIENCE, "the table is not locked");
        }
        let flow = self.flow(fleet);
        session.ended_within(self.away + PATIENCE)?.context("the lock does not end")?;
        let unlocked = Instant::now();
        let so_far = flow.acknowledged();
        ensure!(flow.wait_for(so_far + 1, PATIENCE), "nothing is acknowledged again");
        let unlocked_after = unlocked.elapsed();
        Ok((flow.stop()?, unlocked_after))
    }

    fn flow(&self, fleet: &Fleet) -> Flow {
        let traffic = Traffic::endless(fleet.targets(), 32 * self.replicas);
        Traffic { repeated_percent: 0, ..traffic }.flow()
    }
}

/// Whether an event is answered 503 with `Retry-After`.
fn is_told(address: SocketAddr) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let head = format!("POST {SOURCE_PATH} HTTP/1.1\r\nhost: {address}\r\n");
        let body = Series::fresh().body(1, now_ms() / 1000);
        let request = signed_request(&head, &Signer::new(SECRET), &body);
        let mut connection = Connection::open(address).await?;
        let status = connection.exchange(&request).await?;
        let answer = String::from_utf8_lossy(connection.answer()).to_ascii_lowercase();
        Ok(status == 503 && answer.contains("\r\nretry-after: "))
    })
}

fn is_ready(admin: SocketAddr) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.is_ok_and(|runtime| {
        runtime.block_on(get(admin, "/readyz")).is_ok_and(crate::load::is_success)
    })
}
