//! What is old enough is deleted under a steady load, from PostgreSQL and from SQLite.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::Stage;
use crate::prove::{Got, Proof, rounded};
use crate::replicas::retention::{Plan, Seen};

/// Events a second.
const PER_SECOND: f64 = 1_000.0;

/// What a whole week may cost whoever waits, in milliseconds: everybody waits while it is dropped.
const P99_MS_MAX: f64 = 50.0;

/// What a slice of a file may cost: the writer is never held for longer.
const HELD_MS_MAX: f64 = 50.0;

pub(super) fn prove(stage: &Stage, proof: &mut Proof) -> Result<()> {
    let tools = &stage.tools;
    let plan = |half: Duration| Plan {
        binary: tools.binary.clone(),
        events: if tools.short { 20_000 } else { 1_000_000 },
        per_second: PER_SECOND,
        half: if tools.short { Duration::from_secs(1) } else { half },
        longer: Duration::ZERO,
    };
    // Slices take longer than partitions do.
    let (server, file) = (plan(Duration::from_secs(15)), plan(Duration::from_secs(60)));
    proof.claim(
        "PostgreSQL: p99 of acknowledgements before and while five weeks of events are dropped, ms",
        "<= 50 or twice that of before, all dropped, none refused",
        stage.on_cluster(|cluster| server.run_on_server(cluster)).map(|seen| {
            let got = judged(&seen, |before, during| during <= P99_MS_MAX.max(2.0 * before));
            Got { ok: got.ok && seen.is_whole, ..got }
        }),
    )?;
    proof.claim(
        "SQLite: p99 of acknowledgements before and while five weeks of events are deleted, ms",
        "<= twice that of before and 50, none refused",
        file.run_on_file()
            .map(|seen| judged(&seen, |before, during| during <= 2.0 * before + HELD_MS_MAX)),
    )
}

fn judged(seen: &Seen, is_little: impl Fn(f64, f64) -> bool) -> Got {
    let (before, during) = (seen.before.quantile_ms(990), seen.during.quantile_ms(990));
    Got {
        got: json!([rounded(before), rounded(during)]),
        ok: seen.deleted > 0 && seen.failed == 0 && is_little(before, during),
        n: seen.stored,
        detail: format!(
            "{} rows deleted in {:.2} s{}; {PER_SECOND} events a second came, {} of them meanwhile: {:.2} \
             times the p99 of before, at most {:.2} ms (before: {:.2}); {} not acknowledged",
            seen.deleted,
            seen.took.as_secs_f64(),
            if seen.is_whole { "" } else { ", and not all of the old ones yet" },
            seen.during.count(),
            during / before,
            seen.during.quantile_ms(1000),
            seen.before.quantile_ms(1000),
            seen.failed,
        ),
    }
}
