//! Several gateways on one database: killed one at a time under load, they keep every promise.
//!
//! [`traffic`] sends events to all of a [`fleet`], some of them twice. A random replica is killed
//! (`SIGKILL`) and started again, many times; now and then one is only *stood* (`SIGSTOP`), loses its
//! leases to the others, and goes on as if nothing had been: what it then settles is stale.
//!
//! At each of these instants the leases that are held are noted in the database. A lease takes a
//! fence, and an attempt that is settled is a row; so `fence - attempts` of a delivery is how many of
//! its leases were lost. Each lost lease may have been one attempt, and so one delivery more. A lease
//! that is lost and was not held at one of those instants was lost for no reason.
//!
//! [`failover`] kills the database instead, [`ambiguous`] the answers to its commits, and [`outage`]
//! stops it.
//!
//! A lease lasts a minute. Where nobody has that long, leases that were noted and are still held a
//! moment later are ended by hand ([`Plan::hurries`]).

pub mod ambiguous;
pub mod failover;
pub mod fleet;
pub mod outage;
pub mod traffic;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use model::limits::ATTEMPTS_PER_ENDPOINT_MAX;

use crate::application::{Application, Reading};
use crate::clock::Chance;
use crate::crash;
use crate::deployment::Deliveries;
use crate::postgres::Cluster;
use fleet::{Fleet, deploy};
use traffic::{Sent, Traffic};

/// How long a kill waits for the traffic that it comes amid.
const TRAFFIC_PATIENCE: Duration = Duration::from_secs(120);

/// How long everything may take to be delivered at the end: more than a lease lasts.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(180);

/// How long a lease that was noted may still be its holder's, where nobody waits for its end.
const HURRY: Duration = Duration::from_millis(500);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// Gateways.
    pub replicas: usize,
    /// Distinct events; a tenth more requests repeat one.
    pub events: u64,
    /// Requests a second at most.
    pub per_second: f64,
    /// Kills, evenly spread over the events.
    pub kills: u32,
    /// Among them so many times one is only stood for a while.
    pub stands: u32,
    /// Repeats what is drawn.
    pub seed: u64,
    /// Whether leases are ended by hand.
    pub hurries: bool,
    /// A defect that the binary was built to have.
    pub sabotage: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// As of one gateway. Attempts in flight are leases that were lost.
    pub kept: crash::Findings,
    /// What the traffic saw.
    pub sent: Sent,
    /// What must not be in a database, and is.
    pub broken_rules: Vec<String>,
    /// Kills and stands that were carried out while events came.
    pub amid_traffic: u32,
}

impl Findings {
    /// Every broken promise, in words; empty when all were kept.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.kept.faults();
        faults.extend(self.broken_rules.iter().cloned());
        faults
    }
}

/// What must be 0 in the database of a gateway that is stopped and has delivered everything.
const RULES: [(&str, &str); 8] = [
    (
        "deliveries were completed twice",
        "SELECT count(*) FROM (SELECT FROM attempt WHERE outcome = 0
            GROUP BY delivery HAVING count(*) > 1) AS twice",
    ),
    (
        "deliveries have more or fewer attempts than were settled",
        "SELECT count(*) FROM delivery
         WHERE attempts <> (SELECT count(*) FROM attempt WHERE attempt.delivery = delivery.id)",
    ),
    (
        "deliveries have attempts without a lease",
        "SELECT count(*) FROM delivery WHERE attempts > fence",
    ),
    (
        "events have more than one delivery",
        "SELECT count(*) FROM (SELECT FROM delivery GROUP BY event HAVING count(*) > 1) AS twice",
    ),
    (
        "events have no delivery",
        "SELECT count(*) FROM event
         WHERE status = 0 AND NOT EXISTS (SELECT FROM delivery WHERE delivery.event = event.id)",
    ),
    (
        "dedup keys are of no event, or of several",
        "SELECT abs((SELECT count(*) FROM dedup) - (SELECT count(DISTINCT dedup_key) FROM event))
            + (SELECT count(*) - count(DISTINCT dedup_key) FROM event)",
    ),
    (
        "events have no audit entry, or several",
        "SELECT abs((SELECT count(*) FROM event)
            - (SELECT count(*) FROM audit_entry WHERE action = 0))",
    ),
    ("deliveries are still to be made", "SELECT count(*) FROM pending"),
];

/// What of these is broken.
///
/// # Errors
/// When the database cannot be asked.
pub fn broken_rules(cluster: &Cluster, database: &str) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for (what, sql) in RULES {
        let found = number(cluster, database, sql)?;
        if found > 0 {
            broken.push(format!("{found} {what}"));
        }
    }
    Ok(broken)
}

/// Leases that were noted, and what became of them.
const NOTED: &str = "CREATE TABLE IF NOT EXISTS noted (at integer, delivery uuid, fence bigint)";

/// Leases that were lost, of deliveries that are over.
const LOST: &str = "SELECT coalesce(sum(fence - attempts), 0) FROM delivery";

/// Of these the ones that nobody knows a reason for.
const LOST_FOR_NO_REASON: &str = "SELECT coalesce(sum(greatest(0, fence - attempts
        - (SELECT count(DISTINCT noted.fence) FROM noted WHERE noted.delivery = delivery.id))), 0)
    FROM delivery WHERE fence > attempts";

/// Ends leases that were noted and are still held.
pub(crate) const END_NOTED: &str = "UPDATE pending SET next_at = updated_at
    WHERE leased AND EXISTS (SELECT FROM noted
        WHERE noted.delivery = pending.delivery AND noted.fence = pending.fence)";

/// A number from the database.
pub(crate) fn number(cluster: &Cluster, database: &str, sql: &str) -> Result<u64> {
    Ok(cluster.query(database, sql)?.parse()?)
}

/// Notes which leases are held.
pub(crate) fn note_leases(cluster: &Cluster, database: &str, at: u32) -> Result<()> {
    let note = format!("INSERT INTO noted SELECT {at}, delivery, fence FROM pending WHERE leased");
    cluster.query(database, &format!("{NOTED}; {note}")).map(drop)
}

impl Plan {
    /// The database that it is carried out in.
    const DATABASE: &str = "kills";

    /// Carries it out.
    ///
    /// # Errors
    /// When a gateway or the database cannot be started or asked, which is a failure of its own.
    pub fn run(&self) -> Result<Findings> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let cluster = Cluster::start(&[])?;
        let mut first =
            deploy(&cluster, Self::DATABASE, &self.binary, &application.url(), Deliveries::Sent)?;
        first.sabotage = self.sabotage;
        let mut fleet = Fleet::start(first, self.replicas)?;
        let mut findings = Findings::default();
        findings.sent = self.kill_amid_traffic(&mut fleet, &cluster, &mut findings)?;

        if findings.amid_traffic < self.kills + self.stands {
            let amid = findings.amid_traffic;
            findings.broken_rules.push(format!("only {amid} of the kills came amid events"));
        }
        let patience = DELIVERY_PATIENCE.as_millis();
        if let Err(late) = delivered(&cluster, Self::DATABASE, self.hurries) {
            findings.broken_rules.push(format!("not delivered within {patience} ms: {late:#}"));
        }
        findings.conclude(&mut fleet, &application, &cluster, Self::DATABASE)
    }

    fn kill_amid_traffic(
        &self,
        fleet: &mut Fleet,
        cluster: &Cluster,
        findings: &mut Findings,
    ) -> Result<Sent> {
        let mut chance = Chance::new(self.seed);
        let flow = Traffic {
            targets: fleet.targets(),
            connections: 8 * self.replicas,
            events: self.events,
            repeated_percent: 10,
            per_second: self.per_second,
            seed: chance.bits(),
        }
        .flow();
        let (instants, mut stands) = (self.kills + self.stands, self.stands);
        for at in 1..=instants {
            let amid = self.events * u64::from(at) / u64::from(instants + 1);
            ensure!(flow.wait_for(amid, TRAFFIC_PATIENCE), "the traffic stands still");
            std::thread::sleep(Duration::from_millis(chance.between(0, 50)));
            findings.amid_traffic += u32::from(flow.acknowledged() < self.events);
            let place = usize::try_from(chance.between(0, fleet.count() as u64))?;
            if chance.between(0, u64::from(instants - at) + 1) < u64::from(stands) {
                stands -= 1;
                fleet.server(place)?.signal("STOP")?;
                let stood = note_leases(cluster, Self::DATABASE, at).and_then(|()| {
                    std::thread::sleep(HURRY);
                    cluster.query(Self::DATABASE, END_NOTED)?;
                    std::thread::sleep(HURRY);
                    Ok(())
                });
                fleet.server(place)?.signal("CONT")?;
                stood?;
            } else {
                fleet.kill(place);
                note_leases(cluster, Self::DATABASE, at)?;
                std::thread::sleep(Duration::from_millis(chance.between(0, 200)));
                let ready_after = fleet.start_again(place)?;
                findings.kept.ready_after_max = findings.kept.ready_after_max.max(ready_after);
            }
        }
        flow.end()
    }
}

/// Waits until everything is delivered.
pub(crate) fn delivered(cluster: &Cluster, database: &str, hurries: bool) -> Result<()> {
    let start = std::time::Instant::now();
    cluster.query(database, NOTED)?;
    if hurries {
        std::thread::sleep(HURRY);
        cluster.query(database, END_NOTED)?;
    }
    while number(cluster, database, "SELECT count(*) FROM pending")? > 0 {
        ensure!(
            start.elapsed() < DELIVERY_PATIENCE,
            "left: {}",
            cluster.query(
                database,
                "SELECT state, leased, tries, count(*), min(next_at), max(next_at)
                 FROM pending GROUP BY 1, 2, 3",
            )?
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Findings {
    /// Reads what is kept, stops the gateways, and compares.
    fn conclude(
        mut self,
        fleet: &mut Fleet,
        application: &Application,
        cluster: &Cluster,
        database: &str,
    ) -> Result<Self> {
        let list = ["events", "list", "--all", "--json", "--limit", "1000000"];
        let rows = fleet.any()?.lines(&list)?;
        fleet.stop().context("after everything")?;
        self.kept.compare(&self.sent.acknowledged, &rows, &application.ledger());
        self.kept.in_flight = number(cluster, database, LOST)?;
        self.broken_rules.extend(broken_rules(cluster, database)?);
        // Whoever loses the answer to a commit, or the database, may lose leases at any time.
        let unexplained = number(cluster, database, LOST_FOR_NO_REASON)?;
        if unexplained > 0 {
            self.broken_rules.push(format!("{unexplained} leases were lost for no reason"));
        }
        // Whoever kills a database, or stands a replica, may take the leases of all.
        let holders = self.amid_traffic.max(1) * u32::try_from(fleet.count())?;
        let held_max = u64::from(holders) * ATTEMPTS_PER_ENDPOINT_MAX as u64;
        if self.kept.in_flight > held_max {
            self.broken_rules.push(format!("more than {held_max} attempts were in flight"));
        }
        let unnamed = application.ledger().unnamed;
        if unnamed > 0 {
            self.broken_rules.push(format!("{unnamed} deliveries had no webhook-id"));
        }
        Ok(self)
    }
}
