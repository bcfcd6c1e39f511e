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
//! stops it. [`copy`] moves a shop to one while it receives, and [`retention`] deletes what is old.
//!
//! A lease lasts a minute. Where nobody has that long, leases that were noted and are still held a
//! moment later are ended by hand ([`Gateways::hurries`]).

pub mod ambiguous;
pub mod copy;
pub mod failover;
pub mod fleet;
pub mod outage;
pub mod retention;
mod shop;
pub mod traffic;

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::clock::Chance;
use crate::crash;
use crate::postgres::{Cluster, SERVING};
pub use shop::Gateways;
use shop::Shop;
use traffic::{Sent, Traffic};

/// How long a kill waits for the traffic that it comes amid.
const TRAFFIC_PATIENCE: Duration = Duration::from_secs(120);

/// How long a lease that was noted may still be its holder's, where nobody waits for its end.
const HURRY: Duration = Duration::from_millis(500);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateways.
    pub gateways: Gateways,
    /// Distinct events; a tenth more requests repeat one.
    pub events: u64,
    /// Requests a second at most.
    pub per_second: f64,
    /// Kills, evenly spread over the events.
    pub kills: u32,
    /// Among them so many times one is only stood for a while.
    pub stands: u32,
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
    let numbers = RULES.map(|(_, sql)| format!("({sql})")).join(", ");
    let answer = cluster.query(database, &format!("SELECT {numbers}"))?;
    let found: Vec<u64> = answer.split('|').map(str::parse).collect::<Result<_, _>>()?;
    ensure!(found.len() == RULES.len(), "{answer}");
    let broken = RULES.iter().zip(found).filter(|(_, found)| *found > 0);
    Ok(broken.map(|((what, _), found)| format!("{found} {what}")).collect())
}

/// Leases that were noted, and what became of them.
const NOTED: &str = "CREATE TABLE IF NOT EXISTS noted (at integer, delivery uuid, fence bigint)";

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
    pub fn run(&self, cluster: &Cluster) -> Result<Findings> {
        let url = cluster.url(SERVING, Self::DATABASE);
        let mut shop = self.gateways.open(cluster, Self::DATABASE, &url, self.sabotage)?;
        let mut findings = Findings::default();
        findings.sent = self.kill_amid_traffic(&mut shop, cluster, &mut findings)?;
        if findings.amid_traffic < self.kills + self.stands {
            let amid = findings.amid_traffic;
            findings.broken_rules.push(format!("only {amid} of the kills came amid events"));
        }
        shop.conclude(cluster, findings)
    }

    fn kill_amid_traffic(
        &self,
        shop: &mut Shop,
        cluster: &Cluster,
        findings: &mut Findings,
    ) -> Result<Sent> {
        let mut chance = Chance::new(self.gateways.seed);
        let (events, per_second) = (self.events, self.per_second);
        let flow = Traffic { events, per_second, ..shop.traffic(chance.bits()) }.flow();
        let fleet = &mut shop.fleet;
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
                // What the server was still doing for the one that died is over by now.
                note_leases(cluster, Self::DATABASE, at)?;
                findings.kept.ready_after_max = findings.kept.ready_after_max.max(ready_after);
            }
        }
        flow.end()
    }
}
