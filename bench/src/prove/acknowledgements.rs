//! Acknowledgements with the endpoint paused, beside the bare receiver: rate, CPU, latency, memory.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::inbound::{Counts, mebibytes};
use super::{Got, Proof, Tools, median, rounded};
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION, SOURCE_PATH};
use crate::load::{Load, Outcome, Pace};
use crate::postgres::Cluster;
use crate::server::{Server, free_address};

/// Above this the baseline is not what it should be, and no ratio to it says anything.
pub(super) const BARE_CPU_US_MAX: f64 = 45.0;

/// The file of the bare receiver's store.
pub(super) const BARE_STORE: &str = "bare.db";

/// A server with what was measured of it so far.
pub(super) struct Measured {
    server: Server,
    /// The database of one that has it in a process of its own.
    database: Option<Rc<Cluster>>,
    address: SocketAddr,
    requests: u64,
    failed: u64,
    seconds: f64,
    cpu: Duration,
    p99s_ms: Vec<f64>,
}

impl Measured {
    pub(super) fn new(server: Server, address: SocketAddr) -> Self {
        Self {
            server,
            database: None,
            address,
            requests: 0,
            failed: 0,
            seconds: 0.0,
            cpu: Duration::ZERO,
            p99s_ms: Vec::new(),
        }
    }

    pub(super) fn with_database(self, database: Option<Rc<Cluster>>) -> Self {
        Self { database, ..self }
    }

    fn load(&self, pace: Pace, duration: Duration) -> Result<Outcome> {
        Load::new(self.address, SOURCE_PATH, pace, duration).run()
    }

    pub(super) fn closed(&mut self, warm_up: Duration, measured: Duration) -> Result<()> {
        self.load(Pace::Closed, warm_up)?;
        let before = self.cpu_so_far()?;
        let outcome = self.load(Pace::Closed, measured)?;
        self.cpu += self.cpu_so_far()?.saturating_sub(before);
        self.requests += outcome.acknowledged();
        self.failed += outcome.failed();
        self.seconds += outcome.elapsed.as_secs_f64();
        Ok(())
    }

    fn cpu_so_far(&self) -> Result<Duration> {
        let database = self.database.as_ref().and_then(|cluster| cluster.server());
        let database = database.map(Server::cpu).transpose()?;
        Ok(self.server.cpu()? + database.unwrap_or_default())
    }

    fn open(&mut self, per_second: f64, duration: Duration) -> Result<()> {
        let outcome = self.load(Pace::Open(per_second), duration)?;
        self.failed += outcome.failed();
        self.p99s_ms.push(outcome.latencies.quantile_ms(990));
        Ok(())
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    pub(super) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// The bare receiver, with its store in the folder.
pub(super) fn bare(tools: &Tools, folder: &Path) -> Result<(Server, SocketAddr)> {
    let address = free_address()?;
    let mut command = Command::new(&tools.bench);
    command
        .args(["bare-receiver", "--listen", &address.to_string(), "--store"])
        .arg(folder.join(BARE_STORE))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok((Server::start(command, address, "/")?, address))
}

/// Gateway and bare receiver side by side, interleaved, the endpoint paused.
pub(super) fn prove(tools: &Tools, counts: &Counts, proof: &mut Proof) -> Result<()> {
    let measured = (|| {
        let deployment = Deployment::new(&tools.binary, NO_APPLICATION, Deliveries::Paused)?;
        let folder = tempfile::tempdir()?;
        let mut ours = Measured::new(deployment.serve()?, deployment.public);
        let (server, address) = bare(tools, folder.path())?;
        let mut bare = Measured::new(server, address);
        for _ in 0..counts.pairs {
            ours.closed(counts.warm_up, counts.throughput)?;
            bare.closed(counts.warm_up, counts.throughput)?;
        }
        let half = ours.per_second() / 2.0;
        for _ in 0..counts.pairs {
            ours.open(half, counts.half_load)?;
            bare.open(half, counts.half_load)?;
        }
        ensure!(ours.requests > 0 && bare.requests > 0, "nothing was acknowledged");
        let resident = mebibytes(ours.server.resident_bytes_max()?);
        Ok::<_, anyhow::Error>((ours, bare, resident, half))
    })();
    let with = |judge: &dyn Fn(&Measured, &Measured, f64, f64) -> Got| match &measured {
        Ok((ours, bare, resident, half)) => Ok(judge(ours, bare, *resident, *half)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    let fair = |bare: &Measured| bare.cpu_us() <= BARE_CPU_US_MAX && bare.failed == 0;

    proof.claim(
        "the bare receiver is a fair baseline: CPU us a request",
        "<= 45",
        with(&|_, bare, _, _| Got {
            got: rounded(bare.cpu_us()),
            ok: fair(bare),
            n: bare.requests,
            detail: format!("{:.0} durable acknowledgements a second", bare.per_second()),
        }),
    )?;
    proof.claim(
        "durable acknowledgements a second, beside the bare receiver",
        ">= 0.6",
        with(&|ours, bare, _, _| {
            let got = ours.per_second() / bare.per_second();
            let ok = got >= 0.6 && fair(bare) && ours.failed == 0;
            let (our_rate, bare_rate) = (ours.per_second(), bare.per_second());
            let failed = ours.failed;
            let detail = format!("{our_rate:.0} and {bare_rate:.0} a second, {failed} failed");
            Got { got: rounded(got), ok, n: ours.requests, detail }
        }),
    )?;
    proof.claim(
        "CPU us a request, beside the bare receiver",
        "<= 1.67",
        with(&|ours, bare, _, _| {
            let got = ours.cpu_us() / bare.cpu_us();
            let detail = format!("{:.1} and {:.1} us", ours.cpu_us(), bare.cpu_us());
            Got { got: rounded(got), ok: got <= 1.67 && fair(bare), n: ours.requests, detail }
        }),
    )?;
    proof.claim(
        "p99 of acknowledgements at half load, beside the bare receiver",
        "<= 2",
        with(&|ours, bare, _, half| {
            let (our_ms, bare_ms) = (median(ours.p99s_ms.clone()), median(bare.p99s_ms.clone()));
            let got = our_ms / bare_ms;
            let n = (half * counts.half_load.as_secs_f64()).round();
            let detail = format!(
                "{our_ms:.2} and {bare_ms:.2} ms, medians of {} runs at {half:.0} a second, \
                 {n:.0} requests each",
                ours.p99s_ms.len(),
            );
            Got { got: rounded(got), ok: got <= 2.0 && fair(bare), n: counts.pairs.into(), detail }
        }),
    )?;
    proof.claim(
        "resident memory under that load, MiB",
        "<= 150",
        with(&|ours, _, resident, _| Got {
            got: rounded(resident),
            ok: resident <= 150.0,
            n: ours.requests,
            detail: "VmHWM, the most so far".into(),
        }),
    )
}
