//! Acknowledgements on PostgreSQL, with one gateway and with three, beside Express on the same
//! server; and on SQLite beside the bare receiver. All in turns, with the same load.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{REPLICAS, Stage};
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION, SOURCE_PATH};
use crate::load::{CONNECTIONS, Load, Pace};
use crate::peers::{self, Keeps, examine};
use crate::postgres::{Cluster, SERVING};
use crate::prove::acknowledgements::{BARE_CPU_US_MAX, bare};
use crate::prove::{Got, Proof, Tools, median, rounded};
use crate::replicas::fleet::{Fleet, deploy};
use crate::server::Server;
use tempfile::TempDir;

/// Servers that share the load, and what was measured of them.
struct Entrant {
    claim: &'static str,
    told: &'static str,
    targets: Vec<SocketAddr>,
    running: Running,
    database: Option<Rc<Cluster>>,
    requests: u64,
    failed: u64,
    seconds: f64,
    cpu: Duration,
    p99s_ms: Vec<f64>,
}

/// The processes, and what they need until they end.
enum Running {
    Fleet(Fleet),
    Alone { server: Server, _store: Option<TempDir> },
}

/// Everybody who is measured.
struct Field {
    one: Entrant,
    three: Entrant,
    express: Entrant,
    sqlite: Entrant,
    bare: Entrant,
    faults: Vec<String>,
}

pub(super) fn prove(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let field = stage.cluster().and_then(|cluster| Field::measured(&stage.tools, cluster));
    let with = |judge: &dyn Fn(&Field) -> Got| match &field {
        Ok(field) => Ok(judge(field)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    for of in [
        (|field| &field.one) as fn(&Field) -> &Entrant,
        |field| &field.three,
        |field| &field.express,
        |field| &field.sqlite,
        |field| &field.bare,
    ] {
        let claim = field.as_ref().map_or("acknowledgements a second", |field| of(field).claim);
        proof.claim(claim, "0 failed", with(&|field| of(field).got()))?;
    }
    proof.claim(
        "one replica on PostgreSQL, beside Express with the provider's SDK on the same server",
        ">= 1",
        with(&|field| {
            let got = field.one.beside(&field.express, 1.0);
            let detail = format!("{}; {}", got.detail, field.faults.join("; "));
            Got { ok: got.ok && field.faults.is_empty(), detail, ..got }
        }),
    )?;
    proof.claim(
        "three replicas on PostgreSQL, beside Express with the provider's SDK on the same server",
        ">= 1",
        with(&|field| field.three.beside(&field.express, 1.0)),
    )?;
    // More processes on the same cores only cost: smaller batches, and more of everything by turns.
    // What three machines do is not measured here.
    proof.claim(
        "three replicas beside one, on the same cores as their database",
        ">= 0.5",
        with(&|field| field.three.beside(&field.one, 0.5)),
    )?;
    proof.claim(
        "SQLite beside the bare receiver in these runs",
        ">= 0.6",
        with(&|field| {
            let got = field.sqlite.beside(&field.bare, 0.6);
            Got { ok: got.ok && field.bare.cpu_us() <= BARE_CPU_US_MAX, ..got }
        }),
    )
}

impl Field {
    fn measured(tools: &Tools, cluster: &Rc<Cluster>) -> Result<Self> {
        let mut field = Self::start(tools, cluster)?;
        let (rounds, warm_up, measured) = if tools.short {
            (1, Duration::from_millis(200), Duration::from_secs(1))
        } else {
            (5, Duration::from_secs(1), Duration::from_secs(6))
        };
        for _ in 0..rounds {
            for entrant in [
                &mut field.one,
                &mut field.three,
                &mut field.express,
                &mut field.sqlite,
                &mut field.bare,
            ] {
                entrant.closed(warm_up, measured).with_context(|| entrant.claim)?;
                ensure!(entrant.requests > 0, "{}: none", entrant.claim);
            }
        }
        Ok(field)
    }

    fn start(tools: &Tools, cluster: &Rc<Cluster>) -> Result<Self> {
        let installed = tools.peers.as_deref().context("the peers are not installed")?;
        let fleet = |name: &str, count| -> Result<Fleet> {
            let url = cluster.socket_url(SERVING, name);
            let (binary, paused) = (&tools.binary, Deliveries::Paused);
            Fleet::start(deploy(&url, cluster, name, binary, NO_APPLICATION, paused)?, count)
        };
        let one = Entrant::of_fleet(
            fleet("one", 1)?,
            "PostgreSQL, one replica: acknowledgements a second, CPU us each",
            "fsync before 2xx; CPU with the database's",
        )
        .with_database(cluster);
        let three = Entrant::of_fleet(
            fleet("three", REPLICAS)?,
            "PostgreSQL, three replicas: acknowledgements a second, CPU us each",
            "fsync before 2xx; CPU of all with the database's",
        )
        .with_database(cluster);
        let express = peers::express_on(installed, Rc::clone(cluster))?;
        let faults = examine(express.address, &Keeps::Postgres(Rc::clone(cluster)))?;
        let express = Entrant::new(
            vec![express.address],
            Running::Alone { server: express.server, _store: None },
            "Express, PostgreSQL: acknowledgements a second, CPU us each",
            "fsync before 2xx, ten connections; one process; CPU with the database's",
        )
        .with_database(cluster);
        let sqlite = Deployment::new(&tools.binary, NO_APPLICATION, Deliveries::Paused)?;
        let sqlite = Entrant::of_fleet(
            Fleet::start(sqlite, 1)?,
            "SQLite: acknowledgements a second, CPU us each",
            "fsync before 2xx",
        );
        let folder = tempfile::tempdir()?;
        let (server, address) = bare(tools, folder.path())?;
        let bare = Entrant::new(
            vec![address],
            Running::Alone { server, _store: Some(folder) },
            "bare receiver: acknowledgements a second, CPU us each",
            "SQLite, fsync before 2xx",
        );
        Ok(Self { one, three, express, sqlite, bare, faults })
    }
}

impl Entrant {
    fn new(
        targets: Vec<SocketAddr>,
        running: Running,
        claim: &'static str,
        told: &'static str,
    ) -> Self {
        Self {
            claim,
            told,
            targets,
            running,
            database: None,
            requests: 0,
            failed: 0,
            seconds: 0.0,
            cpu: Duration::ZERO,
            p99s_ms: Vec::new(),
        }
    }

    fn of_fleet(fleet: Fleet, claim: &'static str, told: &'static str) -> Self {
        Self::new(fleet.targets(), Running::Fleet(fleet), claim, told)
    }

    fn with_database(self, cluster: &Rc<Cluster>) -> Self {
        Self { database: Some(Rc::clone(cluster)), ..self }
    }

    fn closed(&mut self, warm_up: Duration, measured: Duration) -> Result<()> {
        self.load(warm_up)?;
        let before = self.cpu_so_far()?;
        let outcomes = self.load(measured)?;
        self.cpu += self.cpu_so_far()?.saturating_sub(before);
        let mut latencies = crate::load::Latencies::default();
        let mut seconds: f64 = 0.0;
        for outcome in outcomes {
            self.requests += outcome.acknowledged();
            self.failed += outcome.failed();
            seconds = seconds.max(outcome.elapsed.as_secs_f64());
            latencies.merge(outcome.latencies);
        }
        self.seconds += seconds;
        self.p99s_ms.push(latencies.quantile_ms(990));
        Ok(())
    }

    /// The same connections for everybody, shared among the targets.
    fn load(&self, duration: Duration) -> Result<Vec<crate::load::Outcome>> {
        let connections = CONNECTIONS / self.targets.len().max(1);
        let loads: Vec<_> = self
            .targets
            .iter()
            .map(|target| {
                let load = Load::new(*target, SOURCE_PATH, Pace::Closed, duration);
                let load = Load { connections, ..load };
                std::thread::spawn(move || load.run())
            })
            .collect();
        loads.into_iter().map(|load| load.join().ok().context("a load's thread")?).collect()
    }

    fn cpu_so_far(&self) -> Result<Duration> {
        let servers = match &self.running {
            Running::Fleet(fleet) => fleet.servers().map(Server::cpu).sum::<Result<Duration>>()?,
            Running::Alone { server, .. } => server.cpu()?,
        };
        let database = self.database.as_ref().and_then(|cluster| cluster.server());
        Ok(servers + database.map(Server::cpu).transpose()?.unwrap_or_default())
    }

    fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    fn got(&self) -> Got {
        Got {
            got: json!([rounded(self.per_second()), rounded(self.cpu_us())]),
            ok: self.failed == 0,
            n: self.requests,
            detail: format!(
                "{}; p99 {:.2} ms; {} failed",
                self.told,
                median(self.p99s_ms.clone()),
                self.failed
            ),
        }
    }

    /// How many times the other's rate; whether that is enough, and nothing failed.
    fn beside(&self, other: &Self, enough: f64) -> Got {
        let got = self.per_second() / other.per_second();
        Got {
            got: rounded(got),
            ok: got >= enough && self.failed + other.failed == 0,
            n: self.requests,
            detail: format!("{:.0} and {:.0} a second", self.per_second(), other.per_second()),
        }
    }
}
