//! Cuts the power under a gateway's load, again and again, and compares what it acknowledged with
//! what the disk still holds.
//!
//! The gateway keeps its store on a disk that forgets ([`crate::forgetful`]). At an instant it is
//! killed, and what it had not synced is thrown away or torn. Then it starts again on what is left,
//! and everything must be as after a kill: nothing acknowledged is lost, nothing is kept twice, all
//! is delivered. A *life* is a new store and several cuts; its first cuts come while the store is
//! made and just after, when even the names of its files are not synced yet.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::application::{Application, Ledger, Reading};
use crate::clock::Chance;
use crate::crash::{self, Provider, damage, in_flight, provider_ids};
use crate::deployment::{Deliveries, Deployment, STORE_FILE};
use crate::forgetful::mount::Mounted;
use crate::forgetful::{Cut, Disk};
use crate::server::Server;

/// How long a cut waits for what it is to come after.
const PATIENCE: Duration = Duration::from_secs(8);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// New stores.
    pub lives: u32,
    /// Power cuts in the life of each.
    pub cuts_per_life: u32,
    /// Repeats the instants of the cuts and what they leave. The n-th life has this plus n.
    pub seed: u64,
    /// Connections that send events.
    pub connections: usize,
    /// A defect that the binary was built to have.
    pub sabotage: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Power cuts.
    pub cuts: u32,
    /// Of them, those that kept some of what was not synced.
    pub torn: u32,
    /// Of them, those that came while the log was being written back.
    pub in_write_back: u32,
    /// Events answered 2xx.
    pub acknowledged: usize,
    /// Acknowledged and not in the store.
    pub lost: usize,
    /// Stores that SQLite calls damaged.
    pub damaged: u32,
    /// Every broken promise, with the seed of the life.
    pub faults: Vec<String>,
    /// The slowest start after a cut.
    pub ready_after_max: Duration,
}

/// When the power goes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the process was started, whether or not it is ready; nothing is sent.
    Birth(Duration),
    /// So long after the first acknowledgement since the start.
    Load(Duration),
    /// So long after the log began to be written back.
    WriteBack(Duration),
}

impl Plan {
    /// Carries it out. A life that cannot go on is a broken promise.
    pub fn run(&self) -> Findings {
        let mut findings = Findings::default();
        for n in 0..self.lives {
            let seed = self.seed.wrapping_add(n.into());
            let mut faults = match Life::new(self, seed).and_then(|life| life.live(&mut findings)) {
                Ok(faults) => faults,
                Err(error) => vec![format!("{error:#}")],
            };
            faults.iter_mut().for_each(|fault| fault.insert_str(0, &format!("life {seed}: ")));
            findings.faults.append(&mut faults);
        }
        findings
    }
}

/// A store from its first start on, with everything around it.
struct Life<'p> {
    plan: &'p Plan,
    chance: Chance,
    application: Application,
    deployment: Deployment,
    provider: Provider,
    disk: Disk,
    /// What the application had when the gateway was started last.
    before: Ledger,
    promises: crash::Findings,
}

impl<'p> Life<'p> {
    fn new(plan: &'p Plan, seed: u64) -> Result<Self> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let mut deployment = Deployment::new(&plan.binary, &application.url(), Deliveries::Sent)?;
        deployment.sabotage = plan.sabotage;
        Ok(Self {
            plan,
            chance: Chance::new(seed),
            application,
            deployment,
            provider: Provider::new(plan.connections),
            disk: Disk::default(),
            before: Ledger::default(),
            promises: crash::Findings::default(),
        })
    }

    /// All cuts, and the comparison at the end; gives the broken promises.
    fn live(mut self, findings: &mut Findings) -> Result<Vec<String>> {
        for n in 0..self.plan.cuts_per_life {
            let moment = Moment::draw(n, &mut self.chance);
            self.cut(moment, findings).with_context(|| format!("cut {n}, {moment:?}"))?;
        }
        let kept = self.end(findings).context("after the last cut")?;
        self.promises.compare(&self.provider.acknowledged, &kept, &self.application.ledger());
        findings.acknowledged += self.promises.acknowledged;
        findings.lost += self.promises.lost.len();
        Ok(self.promises.faults())
    }

    /// One start and one cut.
    fn cut(&mut self, moment: Moment, findings: &mut Findings) -> Result<()> {
        let mounted = self.mount()?;
        match moment {
            Moment::Birth(age) => {
                let server = self.deployment.spawn()?;
                std::thread::sleep(age);
                server.kill();
            }
            Moment::Load(_) | Moment::WriteBack(_) => {
                let server = self.serve(findings)?;
                let acknowledged = self.provider.count.clone();
                let before = acknowledged.load(Ordering::Relaxed);
                let signs = Signs { is_unsynced: mounted.watch(), acknowledged, before };
                let killer = std::thread::spawn(move || {
                    signs.wait(moment);
                    server.kill();
                });
                self.provider.send_until_killed(self.deployment.public)?;
                killer.join().ok().context("the killer")?;
            }
        }
        let disk = mounted.unmount()?;
        findings.cuts += 1;
        findings.in_write_back += u32::from(disk.is_unsynced(OsStr::new(STORE_FILE)));
        self.disk = disk.after(&mut match self.chance.between(0, 2) {
            0 => Cut::Nothing,
            _ => {
                findings.torn += 1;
                Cut::Torn(Chance::new(self.chance.bits()))
            }
        });
        self.examine(findings)
    }

    /// Starts once more and lets it finish; gives the rows of the store.
    fn end(&mut self, findings: &mut Findings) -> Result<Vec<serde_json::Value>> {
        let mounted = self.mount()?;
        let server = self.serve(findings)?;
        let list = ["events", "list", "--all", "--json", "--limit", "1000000"];
        let rows = self.deployment.lines(&list)?;
        let kept = provider_ids(&rows);
        let is_kept = |id: &str| kept.contains_key(id);
        crash::wait_for_deliveries(&self.application, is_kept, &self.provider.acknowledged);
        server.stop()?;
        self.disk = mounted.unmount()?;
        self.examine(findings)?;
        Ok(rows)
    }

    /// Mounts what is left, and asks the store which deliveries were under way at the cut.
    fn mount(&mut self) -> Result<Mounted> {
        let mounted = Mounted::new(std::mem::take(&mut self.disk), &self.deployment.disk())?;
        // Nothing promises that there is a store yet, and the comparison sees one that is gone.
        if let Ok(in_flight) = in_flight(&self.deployment, &self.application, &self.before) {
            self.promises.in_flight += u64::try_from(in_flight)?;
            self.promises.in_flight_max = self.promises.in_flight_max.max(in_flight);
        }
        self.before = self.application.ledger();
        Ok(mounted)
    }

    fn serve(&self, findings: &mut Findings) -> Result<Server> {
        let server = self.deployment.serve()?;
        findings.ready_after_max = findings.ready_after_max.max(server.ready_after);
        Ok(server)
    }

    /// Has SQLite check a copy, so that what the gateway finds is what the cut left.
    fn examine(&mut self, findings: &mut Findings) -> Result<()> {
        let folder = tempfile::tempdir()?;
        self.disk.save(folder.path())?;
        if let Some(damage) = damage(&folder.path().join(STORE_FILE))? {
            findings.damaged += 1;
            self.promises.damage = Some(damage);
        }
        Ok(())
    }
}

impl Moment {
    /// The n-th of a life: first while the store is made, then just after, then at any time.
    fn draw(n: u32, chance: &mut Chance) -> Self {
        // Some machines take twenty times as long to make a store as others.
        let birth_ms = 30 << chance.between(0, 5);
        let mut within = |ms: u64| Duration::from_micros(chance.between(0, ms * 1000));
        match n {
            0 => Self::Birth(within(birth_ms)),
            1 => Self::Load(within(20)),
            n if n % 2 == 0 => Self::Load(within(700)),
            _ => Self::WriteBack(within(50)),
        }
    }
}

/// What can be seen of a gateway from another thread.
struct Signs<F> {
    is_unsynced: F,
    acknowledged: Arc<AtomicUsize>,
    before: usize,
}

impl<F: Fn(&OsStr) -> bool> Signs<F> {
    fn wait(&self, moment: Moment) {
        let start = Instant::now();
        let (after, has_come): (_, &dyn Fn() -> bool) = match moment {
            Moment::Birth(after) => (after, &|| true),
            Moment::Load(after) => (after, &|| self.count() > self.before),
            Moment::WriteBack(after) => (after, &|| (self.is_unsynced)(OsStr::new(STORE_FILE))),
        };
        while !has_come() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(after);
    }

    fn count(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_begins_with_the_cuts_of_a_new_store() {
        let mut chance = Chance::new(1);
        let moments: Vec<_> = (0..6).map(|n| Moment::draw(n, &mut chance)).collect();
        assert!(matches!(
            moments.as_slice(),
            [
                Moment::Birth(_),
                Moment::Load(_),
                Moment::Load(_),
                Moment::WriteBack(_),
                Moment::Load(_),
                Moment::WriteBack(_)
            ]
        ));
    }

    #[test]
    fn a_life_that_cannot_begin_is_a_broken_promise() {
        let binary = PathBuf::from("/nowhere");
        let plan =
            Plan { binary, lives: 2, cuts_per_life: 2, seed: 7, connections: 1, sabotage: None };
        let findings = plan.run();
        assert_eq!((findings.faults.len(), findings.cuts), (2, 0));
        assert!(findings.faults[1].starts_with("life 8: cut 0"), "{:?}", findings.faults);
    }
}
