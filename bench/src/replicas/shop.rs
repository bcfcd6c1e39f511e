//! A fleet that takes webhooks and delivers them to an application, and what became of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use model::limits::ATTEMPTS_PER_ENDPOINT_MAX;

use super::fleet::{Fleet, deploy};
use super::traffic::Traffic;
use super::{END_NOTED, Findings, HURRY, NOTED, broken_rules, number};
use crate::application::{Application, Reading};
use crate::deployment::Deliveries;
use crate::postgres::Cluster;

/// How long everything may take to be delivered at the end: more than a lease lasts.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(600);

/// Leases that were lost, of deliveries that are over.
const LOST: &str = "SELECT coalesce(sum(fence - attempts), 0) FROM delivery";

/// Of these the ones that nobody knows a reason for.
const LOST_FOR_NO_REASON: &str = "SELECT coalesce(sum(greatest(0, fence - attempts
        - (SELECT count(DISTINCT noted.fence) FROM noted WHERE noted.delivery = delivery.id))), 0)
    FROM delivery WHERE fence > attempts";

/// The gateways of a plan.
#[derive(Debug, Clone)]
pub struct Gateways {
    /// Their binary.
    pub binary: PathBuf,
    /// How many there are.
    pub replicas: usize,
    /// Repeats what is drawn.
    pub seed: u64,
    /// Whether leases that were lost are ended by hand at the end.
    pub hurries: bool,
}

/// The fleet, the application that it delivers to, and the database that it keeps webhooks in.
pub(super) struct Shop {
    pub(super) application: Application,
    pub(super) fleet: Fleet,
    pub(super) database: &'static str,
    hurries: bool,
}

/// An application that reads what is delivered to it.
pub(super) fn application() -> Result<Application> {
    Application::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Reading::Document)
}

impl Gateways {
    /// Opens a shop of them over a new database of this name, which they reach by the URL.
    pub(super) fn open(
        &self,
        cluster: &Cluster,
        database: &'static str,
        url: &str,
        sabotage: Option<&'static str>,
    ) -> Result<Shop> {
        let application = application()?;
        let endpoint = application.url();
        let mut first = deploy(url, cluster, database, &self.binary, &endpoint, Deliveries::Sent)?;
        first.sabotage = sabotage;
        let fleet = Fleet::start(first, self.replicas)?;
        Ok(self.shop(application, fleet, database))
    }

    /// A shop of a fleet that is there.
    pub(super) fn shop(
        &self,
        application: Application,
        fleet: Fleet,
        database: &'static str,
    ) -> Shop {
        Shop { application, fleet, database, hurries: self.hurries }
    }
}

impl Shop {
    /// Traffic for its gateways, as fast as they answer, until it is stopped.
    pub(super) fn traffic(&self, seed: u64) -> Traffic {
        let connections = 8 * self.fleet.count();
        Traffic { seed, ..Traffic::endless(self.fleet.targets(), connections) }
    }

    /// Waits until everything is delivered, reads what is kept, stops the gateways, and compares.
    pub(super) fn conclude(mut self, cluster: &Cluster, mut found: Findings) -> Result<Findings> {
        if let Err(late) = self.delivered(cluster) {
            found.broken_rules.push(format!("not delivered in time: {late:#}"));
        }
        let database = self.database;
        let list = ["events", "list", "--all", "--json", "--limit", "1000000"];
        let rows = self.fleet.any()?.lines(&list)?;
        self.fleet.stop().context("after everything")?;
        let ledger = self.application.ledger();
        found.kept.compare(&found.sent.acknowledged, &rows, &ledger);
        found.kept.in_flight = number(cluster, database, LOST)?;
        found.broken_rules.extend(broken_rules(cluster, database)?);
        // Whoever loses the answer to a commit, or the database, may lose leases at any time.
        let unexplained = number(cluster, database, LOST_FOR_NO_REASON)?;
        if unexplained > 0 {
            found.broken_rules.push(format!("{unexplained} leases were lost for no reason"));
        }
        // Whoever kills a database, or stands a replica, may take the leases of all.
        let holders = found.amid_traffic.max(1) * u32::try_from(self.fleet.count())?;
        let held_max = u64::from(holders) * ATTEMPTS_PER_ENDPOINT_MAX as u64;
        if found.kept.in_flight > held_max {
            found.broken_rules.push(format!("more than {held_max} attempts were in flight"));
        }
        if ledger.unnamed > 0 {
            found.broken_rules.push(format!("{} deliveries had no webhook-id", ledger.unnamed));
        }
        Ok(found)
    }

    /// Waits until everything is delivered.
    fn delivered(&self, cluster: &Cluster) -> Result<()> {
        let start = Instant::now();
        cluster.query(self.database, NOTED)?;
        if self.hurries {
            std::thread::sleep(HURRY);
            cluster.query(self.database, END_NOTED)?;
        }
        while number(cluster, self.database, "SELECT count(*) FROM pending")? > 0 {
            ensure!(
                start.elapsed() < DELIVERY_PATIENCE,
                "left: {}",
                cluster.query(
                    self.database,
                    "SELECT state, leased, tries, count(*), min(next_at), max(next_at)
                     FROM pending GROUP BY 1, 2, 3",
                )?
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
