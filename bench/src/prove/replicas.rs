//! The topic `replicas`: several gateways on one PostgreSQL, and what they do when it fails.
//!
//! What is not a file of its own under `replicas/` is carried out by [`crate::replicas`], which the
//! test suite runs with smaller counts, too.

mod copy;
mod retention;
mod throughput;

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Got, Group, Proof, Tools, each, rounded};
use crate::clock::fresh_seed;
use crate::postgres::Cluster;
use crate::replicas::{self, Findings, Gateways, ambiguous, failover, outage};

/// Gateways of every claim but the throughput of one.
const REPLICAS: usize = 3;

const GROUPS: [Group<Stage>; 7] = [
    ("kills", kills),
    ("failover", failovers),
    ("ambiguous", commits),
    ("outage", outages),
    ("copy", copy::prove),
    ("retention", retention::prove),
    ("throughput", throughput::prove),
];

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let stage = Stage { tools: tools.clone(), cluster: OnceCell::new() };
    each(&GROUPS, &stage, tools.only.as_deref(), proof)
}

/// What the groups are measured with, and the server that most of them use, one after the other. Who
/// kills or stops one has one of its own.
struct Stage {
    tools: Tools,
    cluster: OnceCell<Rc<Cluster>>,
}

impl Stage {
    fn cluster(&self) -> Result<&Rc<Cluster>> {
        if let Some(cluster) = self.cluster.get() {
            return Ok(cluster);
        }
        let started = Rc::new(Cluster::start(&[])?);
        Ok(self.cluster.get_or_init(|| started))
    }

    /// Does something on the server to its end, and leaves it empty.
    fn on_cluster<T>(&self, measure: impl FnOnce(&Cluster) -> Result<T>) -> Result<T> {
        let cluster = self.cluster()?;
        let measured = measure(cluster);
        cluster.drop_databases()?;
        measured
    }
}

/// The gateways of a claim; whoever has no time ends lost leases by hand.
fn gateways(tools: &Tools) -> Gateways {
    Gateways {
        binary: tools.binary.clone(),
        replicas: REPLICAS,
        seed: fresh_seed(),
        hurries: tools.short,
    }
}

fn kills(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let tools = &stage.tools;
    let gateways = gateways(tools);
    let seed = gateways.seed;
    let (events, kills, stands) = if tools.short { (2_000, 4, 1) } else { (100_000, 20, 5) };
    let plan = replicas::Plan {
        gateways,
        events,
        per_second: if tools.short { 800.0 } else { f64::INFINITY },
        kills,
        stands,
        sabotage: None,
    };
    let run = stage.on_cluster(|cluster| plan.run(cluster));
    let got = run.with_context(|| format!("seed {seed}")).map(|found| {
        let told = format!(
            "seed {seed}: {} kills and {} stands of {} amid events, {} repeats acknowledged, \
             ready again within {} ms; {}",
            kills,
            stands,
            found.amid_traffic,
            found.sent.repeated,
            found.kept.ready_after_max.as_millis(),
            of_all(&found),
        );
        judged(&found, events, told)
    });
    proof.claim(
        "replicas killed under load: no acknowledged event lost, none twice, all delivered",
        "0 faults",
        got,
    )
}

fn failovers(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let tools = &stage.tools;
    let gateways = gateways(tools);
    let seed = gateways.seed;
    let plan = failover::Plan { gateways, rounds: if tools.short { 1 } else { 5 } };
    let outcome = plan.run().with_context(|| format!("seed {seed}"));
    let millis = |times: &[Duration]| times.iter().map(Duration::as_millis).collect::<Vec<_>>();
    let n = u64::from(plan.rounds);
    let (kept, pause) = match outcome {
        Ok(outcome) => {
            let told = format!("seed {seed}: {}", of_all(&outcome.found));
            let longest = outcome.pauses.iter().max().copied().unwrap_or_default();
            let detail = format!(
                "the longest without an acknowledgement; in each {:?}; the standby took writes \
                 {:?} after the kill",
                millis(&outcome.pauses),
                millis(&outcome.promoted_after),
            );
            let ok = !outcome.pauses.is_empty() && longest < Duration::from_secs(5);
            let pause = Got { got: json!(longest.as_millis()), ok, n, detail };
            (Ok(judged(&outcome.found, n, told)), Ok(pause))
        }
        Err(error) => (Err(anyhow::anyhow!("{error:#}")), Err(error)),
    };
    proof.claim(
        "the primary killed under load, a synchronous standby promoted: no acknowledged event lost",
        "0 faults",
        kept,
    )?;
    proof.claim("a failover's pause, ms", "<= 5000", pause)
}

fn commits(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let tools = &stage.tools;
    let gateways = gateways(tools);
    let seed = gateways.seed;
    let plan = ambiguous::Plan { gateways, cuts: if tools.short { 60 } else { 1_000 } };
    let run = stage.on_cluster(|cluster| plan.run(cluster));
    let got = run.with_context(|| format!("seed {seed}")).map(|(found, cuts)| {
        judged(&found, cuts, format!("seed {seed}: {cuts} answers lost, {}", of_all(&found)))
    });
    proof.claim("commits whose answer is lost: none lost, none doubled", "0 faults", got)
}

/// What a stopped database may cost whoever asks, and one whose tables are locked.
const STOPPED_MAX: Duration = Duration::from_secs(1);
const LOCKED_MAX: Duration = Duration::from_millis(100);

fn outages(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let tools = &stage.tools;
    let away = Duration::from_secs(if tools.short { 1 } else { 10 });
    let plan = outage::Plan { binary: tools.binary.clone(), replicas: REPLICAS, away };
    let seen = plan.run();
    let with = |judge: &dyn Fn(&outage::Seen) -> Got| match &seen {
        Ok(seen) => Ok(judge(seen)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    proof.claim(
        "the database stopped: every webhook is answered 503 with Retry-After, ms",
        "<= 1000, and /readyz is red",
        with(&|seen| {
            let (sent, longest) = (&seen.stopped, seen.stopped.refused_after_max);
            let none = sent.acknowledged.is_empty() && sent.broken == 0 && sent.refused > 0;
            Got {
                got: json!(longest.as_millis()),
                ok: seen.told && none && longest <= STOPPED_MAX,
                n: sent.refused,
                detail: format!("the slowest answer in {} s", away.as_secs()),
            }
        }),
    )?;
    proof.claim(
        "the database started again: until an acknowledgement, ms",
        "<= 5000",
        with(&|seen| Got {
            got: json!(seen.acknowledged_after.as_millis()),
            ok: seen.ready_after < Duration::from_secs(5),
            n: 1,
            detail: format!(
                "from the start of the server, its recovery included; every replica is ready after \
                 {} ms",
                seen.ready_after.as_millis()
            ),
        }),
    )?;
    proof.claim(
        "every connection waits for a lock: webhooks are refused, ms",
        "<= 100, none unanswered",
        with(&|seen| {
            let (sent, longest) = (&seen.locked, seen.locked.refused_after_max);
            Got {
                got: json!(longest.as_millis()),
                ok: sent.refused > 0 && sent.broken == 0 && longest <= LOCKED_MAX,
                n: sent.refused,
                detail: format!(
                    "the slowest 503 of {} s; acknowledged again {} ms after the lock",
                    away.as_secs(),
                    seen.unlocked_after.as_millis()
                ),
            }
        }),
    )
}

fn judged(found: &Findings, n: u64, mut detail: String) -> Got {
    let faults = found.faults();
    if !faults.is_empty() {
        detail = format!("{detail}: {}", faults.join("; "));
    }
    Got { got: json!(faults.len()), ok: faults.is_empty(), n, detail }
}

/// What was found, in numbers.
fn of_all(found: &Findings) -> String {
    let (kept, sent) = (&found.kept, &found.sent);
    format!(
        "{} acknowledged at {} a second, {} refused, {} unanswered, {} lost, {} rows twice, {} second \
         deliveries of {} leases lost",
        kept.acknowledged,
        rounded(kept.acknowledged as f64 / sent.elapsed.as_secs_f64()),
        sent.refused,
        sent.broken,
        kept.lost.len(),
        kept.duplicate_rows.len(),
        kept.second_deliveries,
        kept.in_flight,
    )
}
