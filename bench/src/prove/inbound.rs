//! The claims about the way in, in the order in which they are measured.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{Got, Proof, Tools, median, rounded};
use crate::application::{Application, Reading};
use crate::crash::Plan;
use crate::deployment::{Deliveries, Deployment, SOURCE_PATH};
use crate::load::{Load, Outcome, Pace};
use crate::server::{Server, free_address};

/// Nothing listens there: a paused endpoint is never dialled.
const NO_APPLICATION: &str = "http://127.0.0.1:9/webhooks";

/// Above this the baseline is not what it should be, and no ratio to it says anything.
const BARE_CPU_US_MAX: f64 = 45.0;

/// After the last acknowledgement, deliveries under way may take so long.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a rate is kept up before the next one is tried, to find the highest.
const RATES: [u32; 9] = [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000];

/// The counts of one run.
struct Counts {
    starts: u32,
    pairs: u32,
    warm_up: Duration,
    throughput: Duration,
    half_load: Duration,
    delivery: Duration,
    highest_rate: Duration,
    kills: u32,
}

impl Counts {
    fn of(tools: &Tools) -> Self {
        let seconds = Duration::from_secs;
        if tools.short {
            Self {
                starts: 3,
                pairs: 2,
                warm_up: Duration::from_millis(500),
                throughput: seconds(2),
                half_load: seconds(2),
                delivery: seconds(8),
                highest_rate: seconds(2),
                kills: 5,
            }
        } else {
            Self {
                starts: 15,
                pairs: 5,
                warm_up: seconds(2),
                throughput: seconds(8),
                half_load: seconds(8),
                delivery: seconds(60),
                highest_rate: seconds(15),
                kills: 100,
            }
        }
    }
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let counts = Counts::of(tools);
    starts(tools, &counts, proof)?;
    acknowledgements(tools, &counts, proof)?;
    deliveries(tools, &counts, proof)?;
    proof.claim(
        "kill -9 under load: no acknowledged event lost, none twice, all delivered",
        "0 faults",
        kills(tools, &counts),
    )
}

fn starts(tools: &Tools, counts: &Counts, proof: &mut Proof) -> Result<()> {
    let measured = (|| {
        let (mut ready, mut idle) = (Vec::new(), Vec::new());
        for n in 0..counts.starts {
            let deployment = Deployment::new(&tools.binary, NO_APPLICATION, Deliveries::Paused)?;
            let server = deployment.serve()?;
            ready.push(server.ready_after.as_secs_f64() * 1000.0);
            if n == 0 {
                std::thread::sleep(Duration::from_secs(1));
                idle.push(mebibytes(server.resident_bytes()?));
            }
            server.stop()?;
        }
        Ok::<_, anyhow::Error>((ready, median(idle)))
    })();
    let n = u64::from(counts.starts);
    let (ready, idle) = split(measured);
    proof.claim(
        "start to ready, empty store, ms",
        "<= 100",
        ready.map(|ready| {
            let most = ready.iter().copied().fold(0.0, f64::max);
            let got = median(ready);
            let detail =
                format!("median of {n} first starts, each making its store; most {most:.0}");
            Got { got: rounded(got), ok: got <= 100.0, n, detail }
        }),
    )?;
    proof.claim(
        "resident memory, idle, MiB",
        "<= 40",
        idle.map(|got| {
            let detail = "VmRSS one second after ready".into();
            Got { got: rounded(got), ok: got <= 40.0, n: 1, detail }
        }),
    )
}

/// One error for both halves of a measurement.
fn split<A, B>(both: Result<(A, B)>) -> (Result<A>, Result<B>) {
    match both {
        Ok((a, b)) => (Ok(a), Ok(b)),
        Err(error) => (Err(anyhow::anyhow!("{error:#}")), Err(error)),
    }
}

/// A server with what was measured of it so far.
struct Measured {
    server: Server,
    address: SocketAddr,
    requests: u64,
    failed: u64,
    seconds: f64,
    cpu: Duration,
    p99s_ms: Vec<f64>,
}

impl Measured {
    fn new(server: Server, address: SocketAddr) -> Self {
        Self {
            server,
            address,
            requests: 0,
            failed: 0,
            seconds: 0.0,
            cpu: Duration::ZERO,
            p99s_ms: Vec::new(),
        }
    }

    fn load(&self, pace: Pace, duration: Duration) -> Result<Outcome> {
        Load::new(self.address, SOURCE_PATH, pace, duration).run()
    }

    fn closed(&mut self, counts: &Counts) -> Result<()> {
        self.load(Pace::Closed, counts.warm_up)?;
        let before = self.server.cpu()?;
        let outcome = self.load(Pace::Closed, counts.throughput)?;
        self.cpu += self.server.cpu()?.saturating_sub(before);
        self.requests += outcome.acknowledged();
        self.failed += outcome.failed();
        self.seconds += outcome.elapsed.as_secs_f64();
        Ok(())
    }

    fn open(&mut self, per_second: f64, duration: Duration) -> Result<()> {
        let outcome = self.load(Pace::Open(per_second), duration)?;
        self.failed += outcome.failed();
        self.p99s_ms.push(outcome.latencies.quantile_ms(990));
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

fn bare(tools: &Tools, folder: &tempfile::TempDir) -> Result<Measured> {
    let address = free_address()?;
    let mut command = Command::new(&tools.bench);
    command
        .args(["bare-receiver", "--listen", &address.to_string(), "--store"])
        .arg(folder.path().join("bare.db"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(Measured::new(Server::start(command, address, "/")?, address))
}

/// Gateway and bare receiver side by side, interleaved, the endpoint paused.
fn acknowledgements(tools: &Tools, counts: &Counts, proof: &mut Proof) -> Result<()> {
    let measured = (|| {
        let deployment = Deployment::new(&tools.binary, NO_APPLICATION, Deliveries::Paused)?;
        let folder = tempfile::tempdir()?;
        let mut ours = Measured::new(deployment.serve()?, deployment.public);
        let mut bare = bare(tools, &folder)?;
        for _ in 0..counts.pairs {
            ours.closed(counts)?;
            bare.closed(counts)?;
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

/// A rate that was offered, and what was left of it.
struct Kept {
    accepted: u64,
    failed: u64,
    backlog: u64,
}

fn deliveries(tools: &Tools, counts: &Counts, proof: &mut Proof) -> Result<()> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let application = Application::start(listen, Reading::Headers)?;
    let keep = |per_second: u32, duration: Duration| -> Result<Kept> {
        application.reset();
        let deployment = Deployment::new(&tools.binary, &application.url(), Deliveries::Sent)?;
        let server = deployment.serve()?;
        let pace = Pace::Open(per_second.into());
        let outcome = Load::new(deployment.public, SOURCE_PATH, pace, duration).run()?;
        let accepted = outcome.acknowledged();
        application.wait_for(usize::try_from(accepted)?, DRAIN);
        let backlog = accepted.saturating_sub(u64::try_from(application.distinct())?);
        server.kill();
        Ok(Kept { accepted, failed: outcome.failed(), backlog })
    };
    let seconds = counts.delivery.as_secs();
    let sustained = keep(1_000, counts.delivery).map(|kept| Got {
        got: json!(kept.backlog),
        ok: kept.backlog == 0 && kept.failed == 0 && kept.accepted > 0,
        n: kept.accepted,
        detail: format!("1000 a second for {seconds} s, {} failed; one second to end", kept.failed),
    });
    proof.claim("backlog after deliveries at 1,000 events a second", "0", sustained)?;

    let highest = (|| {
        let mut highest = 0;
        for rate in RATES {
            let kept = keep(rate, counts.highest_rate)?;
            let offered = f64::from(rate) * counts.highest_rate.as_secs_f64();
            if kept.backlog > 0 || kept.failed > 0 || (kept.accepted as f64) < offered * 0.99 {
                break;
            }
            highest = rate;
        }
        let seconds = counts.highest_rate.as_secs();
        Ok(Got {
            got: json!(highest),
            ok: highest >= 1_000,
            n: seconds,
            detail: format!("each rate for {seconds} s, the application on the same two cores"),
        })
    })();
    proof.claim("highest rate of deliveries kept, events a second", ">= 1000, stated", highest)
}

fn kills(tools: &Tools, counts: &Counts) -> Result<Got> {
    let seed = crate::clock::fresh_seed();
    let plan = Plan {
        binary: tools.binary.clone(),
        rounds: counts.kills,
        seed,
        connections: 8,
        sabotage: None,
    };
    let found = plan.run().with_context(|| format!("seed {seed}"))?;
    let faults = found.faults();
    let detail = format!(
        "seed {seed}: {} acknowledged, {} lost, {} rows twice, {} second deliveries of {} in \
         flight, ready again within {} ms{}{}",
        found.acknowledged,
        found.lost.len(),
        found.duplicate_rows.len(),
        found.second_deliveries,
        found.in_flight,
        found.ready_after_max.as_millis(),
        if faults.is_empty() { "" } else { ": " },
        faults.join("; "),
    );
    Ok(Got { got: json!(faults.len()), ok: faults.is_empty(), n: counts.kills.into(), detail })
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
