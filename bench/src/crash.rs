//! Kills a gateway under load, again and again, and compares what it acknowledged with what it
//! kept and delivered.
//!
//! The load behaves as a provider does: an event that was not acknowledged is sent again, after the
//! restart too, so an event that was kept but whose acknowledgement died comes a second time and
//! must not become a second row. At each kill the store is asked which deliveries were under way:
//! those that the application has already seen may come once more, and nothing else may.
//!
//! `kill -9` says nothing about power cuts: the kernel still writes what the process handed it. What
//! it finds is an acknowledgement that was given before the commit. [`crate::power`] cuts the power.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::LocalSet;

use crate::application::{Application, Ledger, Reading};
use crate::clock::{Chance, now_ms};
use crate::deployment::{Deliveries, Deployment, SOURCE_PATH};
use crate::load::{is_success, signed_request};
use crate::server::Server;
use crate::stripe::{SECRET, Series, Signer};
use crate::wire::Connection;

/// The load of one round ends by itself after this, should the kill not end it.
const ROUND_MAX: Duration = Duration::from_secs(20);

/// How long a connection waits that was told to come back.
const REFUSED_WAIT: Duration = Duration::from_millis(50);

/// How long the deliveries of everything acknowledged may take after the last restart.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(60);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// Kills.
    pub rounds: u32,
    /// Repeats the instants of the kills.
    pub seed: u64,
    /// Connections that send events.
    pub connections: usize,
    /// A defect that the binary was built to have.
    pub sabotage: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Events answered 2xx.
    pub acknowledged: usize,
    /// Acknowledged and not in the store.
    pub lost: Vec<String>,
    /// Provider event ids with more than one row.
    pub duplicate_rows: Vec<String>,
    /// Delivered and not in the store.
    pub unkept: Vec<String>,
    /// Acknowledged and never delivered.
    pub undelivered: Vec<String>,
    /// Deliveries beyond the first of an event.
    pub second_deliveries: u64,
    /// Deliveries that the application got and the store did not learn of, summed over the kills.
    pub in_flight: u64,
    /// The most of them at one kill.
    pub in_flight_max: usize,
    /// Events that came under two `webhook-id`s, or the reverse.
    pub renamed: usize,
    /// What is wrong with the audit log.
    pub log_fault: Option<String>,
    /// What SQLite says about its file, when it is not `ok`.
    pub damage: Option<String>,
    /// The slowest restart.
    pub ready_after_max: Duration,
}

impl Findings {
    /// Every broken promise, in words; empty when all were kept.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut list = |what: &str, ids: &[String]| {
            if let Some(first) = ids.first() {
                faults.push(format!("{} {what}, such as {first}", ids.len()));
            }
        };
        list("acknowledged events lost", &self.lost);
        list("events with more than one row", &self.duplicate_rows);
        list("acknowledged events not delivered", &self.undelivered);
        list("delivered events not kept", &self.unkept);
        if self.second_deliveries > self.in_flight {
            faults.push(format!(
                "{} second deliveries, with {} attempts in flight at the kills",
                self.second_deliveries, self.in_flight
            ));
        }
        if self.in_flight_max > model::limits::ATTEMPTS_PER_ENDPOINT_MAX {
            faults.push(format!("{} attempts in flight at one kill", self.in_flight_max));
        }
        if self.renamed > 0 {
            faults.push(format!("{} deliveries changed their webhook-id", self.renamed));
        }
        if let Some(damage) = &self.damage {
            faults.push(format!("the store is damaged: {damage}"));
        }
        if let Some(fault) = &self.log_fault {
            faults.push(format!("the audit log does not verify: {fault}"));
        }
        if self.acknowledged == 0 {
            faults.push("nothing was acknowledged, so nothing was shown".into());
        }
        faults
    }
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When the gateway cannot be started or asked, which is a failure of its own.
    pub fn run(&self) -> Result<Findings> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let mut deployment = Deployment::new(&self.binary, &application.url(), Deliveries::Sent)?;
        deployment.sabotage = self.sabotage;

        let mut chance = Chance::new(self.seed);
        let mut provider = Provider::new(self.connections);
        let mut findings = Findings::default();
        for _ in 0..self.rounds {
            let before = application.ledger();
            let server = deployment.serve()?;
            findings.ready_after_max = findings.ready_after_max.max(server.ready_after);
            let alive = Duration::from_millis(chance.between(20, 500));
            let killer = std::thread::spawn(move || {
                std::thread::sleep(alive);
                server.kill();
            });
            provider.send_until_killed(deployment.public)?;
            killer.join().ok().context("the killer")?;
            let in_flight = in_flight(&deployment, &application, &before)?;
            findings.in_flight += u64::try_from(in_flight)?;
            findings.in_flight_max = findings.in_flight_max.max(in_flight);
        }

        let server = deployment.serve().context("after the last kill")?;
        findings.conclude(&deployment, &application, &provider, server)?;
        findings.damage = damage(&deployment.store())?;
        Ok(findings)
    }
}

impl Findings {
    /// Waits for the deliveries of a gateway that is well again, stops it, and compares.
    pub(crate) fn conclude(
        &mut self,
        deployment: &Deployment,
        application: &Application,
        provider: &Provider,
        server: Server,
    ) -> Result<()> {
        let rows =
            deployment.lines(&["events", "list", "--all", "--json", "--limit", "1000000"])?;
        let kept = provider_ids(&rows);
        wait_for_deliveries(application, |id| kept.contains_key(id), &provider.acknowledged);
        server.stop()?;
        self.log_fault = log_fault(deployment)?;
        self.compare(&provider.acknowledged, &rows, &application.ledger());
        Ok(())
    }

    pub(crate) fn compare(
        &mut self,
        acknowledged: &[String],
        rows: &[serde_json::Value],
        ledger: &Ledger,
    ) {
        let kept = provider_ids(rows);
        let delivered = ledger.provider_ids();
        let missing_in = |known: &dyn Fn(&str) -> bool| {
            acknowledged.iter().filter(|id| !known(id.as_str())).cloned().collect::<Vec<_>>()
        };
        self.acknowledged = acknowledged.len();
        self.lost = missing_in(&|id| kept.contains_key(id));
        self.undelivered = missing_in(&|id| delivered.contains(id));
        let unkept = delivered.iter().filter(|id| !kept.contains_key(**id));
        self.unkept = unkept.map(|id| (*id).to_owned()).collect();
        self.duplicate_rows =
            kept.iter().filter(|(_, rows)| **rows > 1).map(|(id, _)| (*id).to_owned()).collect();
        self.second_deliveries = ledger.second();
        self.renamed = ledger.renamed();
    }
}

/// The provider's event ids in the store, with the number of their rows. Repeated and refused
/// arrivals are listed too, and are not rows of an event.
pub(crate) fn provider_ids(rows: &[serde_json::Value]) -> HashMap<&str, u32> {
    let mut kept = HashMap::new();
    for row in rows {
        let is_event = !matches!(row["status"].as_str(), Some("duplicate" | "refused"));
        if let Some(id) = row["provider_event_id"].as_str().filter(|_| is_event) {
            *kept.entry(id).or_default() += 1;
        }
    }
    kept
}

/// Waits until everything acknowledged and kept was delivered, or the patience is at its end.
pub(crate) fn wait_for_deliveries(
    application: &Application,
    is_kept: impl Fn(&str) -> bool,
    acknowledged: &[String],
) {
    let start = Instant::now();
    while start.elapsed() < DELIVERY_PATIENCE {
        let ledger = application.ledger();
        let delivered = ledger.provider_ids();
        if acknowledged.iter().all(|id| !is_kept(id) || delivered.contains(id.as_str())) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Deliveries that the application got since `before` and that the store still calls pending.
pub(crate) fn in_flight(
    deployment: &Deployment,
    application: &Application,
    before: &Ledger,
) -> Result<usize> {
    let pending = deployment.lines(&[
        "deliveries",
        "list",
        "--status",
        "pending",
        "--json",
        "--limit",
        "1000000",
    ])?;
    // Only now: what the kill left in a socket may have reached the application a moment later.
    let after = application.ledger();
    let came = |event: &str| after.deliveries.get(event) > before.deliveries.get(event);
    Ok(pending.iter().filter_map(|row| row["event"].as_str()).filter(|event| came(event)).count())
}

/// What is wrong with the audit log of a gateway that has stopped: it must verify, and every entry have
/// its place.
fn log_fault(deployment: &Deployment) -> Result<Option<String>> {
    // What stands in a mount namespace of its own cannot be opened from here.
    if deployment.within.is_empty() {
        let store = rusqlite::Connection::open(deployment.store())?;
        let sql = "SELECT count(*) FROM audit_entry WHERE sequence > (SELECT last FROM audit_head)";
        let waiting: i64 = store.query_row(sql, (), |row| row.get(0))?;
        if waiting > 0 {
            return Ok(Some(format!("{waiting} entries have no place after the gateway stopped")));
        }
    }
    let verified = deployment.run(&["audit", "verify", "--json"], &[])?;
    let said = [verified.stdout, verified.stderr].concat();
    Ok((!verified.status.success()).then(|| String::from_utf8_lossy(&said).trim().to_owned()))
}

pub(crate) fn damage(store: &Path) -> Result<Option<String>> {
    let database = rusqlite::Connection::open(store)?;
    let said: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    Ok(Some(said).filter(|said| said != "ok"))
}

/// Sends events over several connections and remembers which were acknowledged.
pub(crate) struct Provider {
    connections: usize,
    series: Series,
    next: u64,
    unacknowledged: Vec<u64>,
    pub(crate) acknowledged: Vec<String>,
    /// How many there are, for another thread.
    pub(crate) count: Arc<AtomicUsize>,
    /// Other answers, and the longest that one of them took.
    pub(crate) refused: u64,
    pub(crate) refused_after_max: Duration,
}

impl Provider {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            connections,
            series: Series::fresh(),
            next: 0,
            unacknowledged: Vec::new(),
            acknowledged: Vec::new(),
            count: Arc::default(),
            refused: 0,
            refused_after_max: Duration::ZERO,
        }
    }

    /// Sends until every connection is broken; the unacknowledged of before go first.
    pub(crate) fn send_until_killed(&mut self, target: SocketAddr) -> Result<()> {
        self.send_for(target, ROUND_MAX)
    }

    /// The same, for at most so long.
    pub(crate) fn send_for(&mut self, target: SocketAddr, at_most: Duration) -> Result<()> {
        let round = Rc::new(Round {
            signer: Signer::new(SECRET),
            series: self.series.clone(),
            head: format!("POST {SOURCE_PATH} HTTP/1.1\r\nhost: {target}\r\n"),
            next: Cell::new(self.next),
            again: RefCell::new(std::mem::take(&mut self.unacknowledged)),
            unacknowledged: RefCell::default(),
            acknowledged: RefCell::default(),
            count: self.count.clone(),
            refused: Cell::default(),
            refused_after_max: Cell::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let senders = (0..self.connections)
                .map(|_| tokio::task::spawn_local(round.clone().send_all(target, at_most)))
                .collect::<Vec<_>>();
            for sender in senders {
                sender.await.context("a connection's task")?;
            }
            anyhow::Ok(())
        })?;
        self.next = round.next.get();
        self.unacknowledged = round.unacknowledged.take();
        self.unacknowledged.append(&mut round.again.borrow_mut());
        self.acknowledged.append(&mut round.acknowledged.borrow_mut());
        self.refused += round.refused.get();
        self.refused_after_max = self.refused_after_max.max(round.refused_after_max.get());
        Ok(())
    }
}

struct Round {
    signer: Signer,
    series: Series,
    head: String,
    next: Cell<u64>,
    again: RefCell<Vec<u64>>,
    unacknowledged: RefCell<Vec<u64>>,
    acknowledged: RefCell<Vec<String>>,
    count: Arc<AtomicUsize>,
    refused: Cell<u64>,
    refused_after_max: Cell<Duration>,
}

impl Round {
    async fn send_all(self: Rc<Self>, target: SocketAddr, at_most: Duration) {
        let start = Instant::now();
        let Ok(mut connection) = Connection::open(target).await else { return };
        while start.elapsed() < at_most {
            let again = self.again.borrow_mut().pop();
            let n = again.unwrap_or_else(|| self.next.replace(self.next.get() + 1));
            let body = self.series.body(n, now_ms() / 1000);
            let request = signed_request(&self.head, &self.signer, &body);
            let sent = Instant::now();
            match connection.exchange(&request).await {
                Ok(status) if is_success(status) => {
                    self.acknowledged.borrow_mut().push(self.series.id(n));
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {
                    self.unacknowledged.borrow_mut().push(n);
                    self.refused.set(self.refused.get() + 1);
                    self.refused_after_max.set(self.refused_after_max.get().max(sent.elapsed()));
                    // As a provider: not at once.
                    tokio::time::sleep(REFUSED_WAIT).await;
                }
                Err(_) => {
                    self.unacknowledged.borrow_mut().push(n);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compare(
        acknowledged: &[&str],
        rows: &[(&str, &str)],
        delivered: &[(&str, &str)],
    ) -> Findings {
        let acknowledged: Vec<_> = acknowledged.iter().map(|id| (*id).to_owned()).collect();
        let rows: Vec<_> = rows
            .iter()
            .map(|(id, status)| json!({"provider_event_id": id, "status": status}))
            .collect();
        let mut ledger = Ledger::default();
        for (webhook_id, provider_id) in delivered {
            ledger.note(Some(webhook_id), Some((*provider_id).to_owned()));
        }
        let mut findings = Findings::default();
        findings.compare(&acknowledged, &rows, &ledger);
        findings
    }

    #[test]
    fn kept_promises_have_no_faults() {
        let findings = compare(
            &["evt_1", "evt_2"],
            &[("evt_1", "accepted"), ("evt_2", "accepted"), ("evt_2", "duplicate")],
            &[("a", "evt_1"), ("b", "evt_2")],
        );
        assert_eq!(findings.faults(), [""; 0]);
    }

    #[test]
    fn each_broken_promise_is_a_fault() {
        let whole = [("a", "evt_1")];
        let row = [("evt_1", "accepted")];
        let cases = [
            (compare(&["evt_1", "evt_2"], &row, &[("a", "evt_1"), ("b", "evt_2")]), "lost"),
            (compare(&["evt_1"], &[row[0], row[0]], &whole), "more than one row"),
            (compare(&["evt_1"], &row, &[]), "not delivered"),
            (compare(&["evt_1"], &row, &[whole[0], ("b", "evt_2")]), "not kept"),
            (compare(&["evt_1"], &row, &[whole[0], whole[0]]), "second deliveries"),
            (compare(&["evt_1"], &row, &[whole[0], ("b", "evt_1")]), "changed their webhook-id"),
            (compare(&["evt_1"], &row, &[whole[0], ("a", "evt_2")]), "changed their webhook-id"),
            (compare(&[], &[], &[]), "nothing was acknowledged"),
        ];
        for (findings, expected) in cases {
            let faults = findings.faults();
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}: {expected}");
        }
    }

    #[test]
    fn damage_and_a_flood_of_attempts_are_faults() {
        let mut findings = compare(&["evt_1"], &[("evt_1", "accepted")], &[("a", "evt_1")]);
        findings.damage = Some("row 3 missing from index".into());
        findings.in_flight_max = model::limits::ATTEMPTS_PER_ENDPOINT_MAX + 1;
        assert_eq!(findings.faults().len(), 2);
    }
}
