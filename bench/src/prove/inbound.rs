//! The claims about the way in, in the order in which they are measured.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    Got, Group, Proof, Tools, acknowledgements, deliveries, each, median, millions, rounded,
};
use crate::crash::Plan;
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION};

/// The counts of one run.
pub(super) struct Counts {
    pub(super) starts: u32,
    pub(super) pairs: u32,
    pub(super) warm_up: Duration,
    pub(super) throughput: Duration,
    pub(super) half_load: Duration,
    pub(super) delivery: Duration,
    pub(super) highest_rate: Duration,
    pub(super) kills: u32,
}

impl Counts {
    pub(super) fn of(tools: &Tools) -> Self {
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

const GROUPS: [Group; 6] = [
    ("starts", |tools, proof| starts(tools, &Counts::of(tools), proof)),
    ("acknowledgements", |tools, proof| acknowledgements::prove(tools, &Counts::of(tools), proof)),
    ("deliveries", |tools, proof| deliveries::prove(tools, &Counts::of(tools), proof)),
    ("kills", killed),
    ("stored", stored),
    ("build", built),
];

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    each(&GROUPS, tools, tools.only.as_deref(), proof)
}

fn killed(tools: &Tools, proof: &mut Proof) -> Result<()> {
    proof.claim(
        "kill -9 under load: no acknowledged event lost, none twice, all delivered",
        "0 faults",
        kills(tools, &Counts::of(tools)),
    )
}

/// Filling the store takes longer than a short run has.
fn stored(tools: &Tools, proof: &mut Proof) -> Result<()> {
    if tools.short { Ok(()) } else { millions::prove(tools, &Counts::of(tools), proof) }
}

fn built(tools: &Tools, proof: &mut Proof) -> Result<()> {
    if tools.short {
        return Ok(());
    }
    proof.claim("clean release build, s", "<= 300", clean_build())
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

fn kills(tools: &Tools, counts: &Counts) -> Result<Got> {
    let seed = crate::clock::fresh_seed();
    let plan = Plan {
        binary: tools.binary.clone(),
        rounds: counts.kills,
        seed,
        connections: 16,
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

/// Everything from nothing, into a folder of its own.
fn clean_build() -> Result<Got> {
    let folder = tempfile::tempdir()?;
    let start = Instant::now();
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", "countersign", "--target-dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo ended with {status}");
    let got = start.elapsed().as_secs_f64();
    let detail = "cargo build --release, nothing built before".into();
    Ok(Got { got: rounded(got), ok: got <= 300.0, n: 1, detail })
}

pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
