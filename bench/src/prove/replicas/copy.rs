//! A shop moves from SQLite to PostgreSQL while it receives.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Stage, gateways, judged, of_all};
use crate::prove::{Got, Proof, rounded};
use crate::replicas::Gateways;
use crate::replicas::copy::{Outcome, Plan};

/// Events a second that come meanwhile.
const PER_SECOND: f64 = 200.0;

/// How fast rows have to come, so that a shop can overtake what it receives: each event is six.
const ROWS_PER_SECOND_MIN: f64 = 10.0 * PER_SECOND;

/// For how long nothing may be acknowledged while a shop of the full count moves.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);

pub(super) fn prove(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let tools = &stage.tools;
    let gateways = Gateways { replicas: 1, ..gateways(tools) };
    let seed = gateways.seed;
    let events = if tools.short { 5_000 } else { 200_000 };
    let plan = Plan { gateways, events, per_second: PER_SECOND };
    let outcome =
        stage.on_cluster(|cluster| plan.run(cluster)).with_context(|| format!("seed {seed}"));
    let with = |judge: &dyn Fn(&Outcome) -> Got| match &outcome {
        Ok(outcome) => Ok(judge(outcome)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    proof.claim(
        "a shop moved from SQLite to PostgreSQL while it receives, the copy interrupted once: both \
         sides the same, no acknowledged event lost, none twice, all delivered",
        "0 faults",
        with(&|outcome| {
            let told = format!(
                "seed {seed}: {events} events before the copy; {} rows the same on both sides; {}",
                outcome.compared,
                of_all(&outcome.found)
            );
            judged(&outcome.found, outcome.found.kept.acknowledged as u64, told)
        }),
    )?;
    proof.claim(
        "store copy beside a gateway that receives, rows a second",
        ">= 2000, ten for each event that comes",
        with(&|outcome| {
            let got = outcome.rows as f64 / outcome.copying.as_secs_f64();
            let detail = format!(
                "in {:.1} s, interrupted after {} rows; {PER_SECOND} events a second came",
                outcome.copying.as_secs_f64(),
                outcome.rows_before
            );
            Got { got: rounded(got), ok: got >= ROWS_PER_SECOND_MIN, n: outcome.rows, detail }
        }),
    )?;
    proof.claim(
        "the switch-over: nothing is acknowledged, ms",
        "<= 60000",
        with(&|outcome| {
            let longest = outcome.found.sent.pause_max;
            let detail = format!(
                "one gateway stopped, the copy finished within {} ms, {} rows read on both sides, \
                 the other started",
                outcome.finishing.as_millis(),
                outcome.compared
            );
            let ok = longest <= STANDSTILL_MAX;
            Got { got: json!(longest.as_millis()), ok, n: outcome.compared, detail }
        }),
    )
}
