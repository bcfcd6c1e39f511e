//! A primary that is killed under load while a standby takes over: nothing acknowledged is lost.
//!
//! Gateways know both hosts and take the one that accepts writes. The standby is synchronous: it has
//! a commit on its disk before anybody hears of it. After each round the machine that died is
//! replaced by a new standby, and the parts change.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::shop::Shop;
use super::{Findings, Gateways, note_leases};
use crate::clock::Chance;
use crate::postgres::{Cluster, SERVING};

/// What must be acknowledged before the kill, and by the new primary after it.
const ACKNOWLEDGED: u64 = 200;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(60);

const DATABASE: &str = "failover";

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateways.
    pub gateways: Gateways,
    /// Primaries killed, one after the other.
    pub rounds: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// As of a fleet.
    pub found: Findings,
    /// Of each round, from the kill until the standby took writes.
    pub promoted_after: Vec<Duration>,
    /// Of each round, the longest time in which nothing was acknowledged.
    pub pauses: Vec<Duration>,
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When a gateway or a database cannot be started or asked, or the new primary is not found.
    pub fn run(&self) -> Result<Outcome> {
        let mut primary = Cluster::start(&[])?;
        let mut standby = primary.standby()?;
        let url = primary.url_with(&standby, SERVING, DATABASE);
        let shop = self.gateways.open(&primary, DATABASE, &url, None)?;
        let mut outcome = Outcome::default();
        let mut chance = Chance::new(self.gateways.seed);
        for round in 1..=self.rounds {
            fail_over(&shop, &mut primary, &standby, &mut chance, &mut outcome)?;
            let died = std::mem::replace(&mut primary, standby);
            let port = died.port();
            drop(died);
            // After the last round, too: what stands alone is not what is compared.
            standby = primary.standby_at(port)?;
            outcome.found.amid_traffic = round;
        }
        note_leases(&primary, DATABASE, self.rounds)?;
        outcome.found = shop.conclude(&primary, outcome.found)?;
        Ok(outcome)
    }
}

fn fail_over(
    shop: &Shop,
    primary: &mut Cluster,
    standby: &Cluster,
    chance: &mut Chance,
    outcome: &mut Outcome,
) -> Result<()> {
    let flow = shop.traffic(chance.bits()).flow();
    ensure!(flow.wait_for(ACKNOWLEDGED, PATIENCE), "no traffic before the kill");
    std::thread::sleep(Duration::from_millis(chance.between(0, 300)));
    let killed = Instant::now();
    primary.kill()?;
    standby.promote()?;
    outcome.promoted_after.push(killed.elapsed());
    let enough = flow.acknowledged() + ACKNOWLEDGED;
    ensure!(flow.wait_for(enough, PATIENCE), "no traffic after the kill");
    let sent = flow.stop()?;
    outcome.pauses.push(sent.pause_max);
    outcome.found.sent.take_in(sent);
    Ok(())
}
