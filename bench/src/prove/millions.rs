//! The same with many events stored: the rate of acknowledgements, and the start.

use anyhow::{Context as _, Result};

use super::acknowledgements::Measured;
use super::inbound::Counts;
use super::{Got, Proof, Tools, median, rounded};
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION};
use crate::preload::{DAYS, Fill};

/// Of the stored events, one in so many has a delivery that was made.
const EVENTS_PER_DELIVERY: u64 = 10;

/// Starts of the gateway on the filled store.
const STARTS: u32 = 5;

struct Found {
    ready_ms: Vec<f64>,
    empty: Measured,
    filled: Measured,
    gibibytes: f64,
}

pub(super) fn prove(tools: &Tools, counts: &Counts, proof: &mut Proof) -> Result<()> {
    let found = measure(tools, counts);
    let with = |judge: &dyn Fn(&Found) -> Got| match &found {
        Ok(found) => Ok(judge(found)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    let stored = tools.stored_events;
    proof.claim(
        "start to ready, 10 million events stored, ms",
        "<= 1000",
        with(&|found| {
            let got = median(found.ready_ms.clone());
            let most = found.ready_ms.iter().copied().fold(0.0, f64::max);
            let gibibytes = found.gibibytes;
            let detail =
                format!("median of {STARTS} starts, most {most:.0}; {gibibytes:.1} GiB on disk");
            Got { got: rounded(got), ok: got <= 1000.0, n: stored, detail }
        }),
    )?;
    proof.claim(
        "durable acknowledgements a second with 10 million events stored, beside an empty store",
        ">= 0.8",
        with(&|found| {
            let (filled, empty) = (found.filled.per_second(), found.empty.per_second());
            let got = filled / empty;
            let failed = found.filled.failed() + found.empty.failed();
            let (filled_us, empty_us) = (found.filled.cpu_us(), found.empty.cpu_us());
            let detail = format!(
                "{filled:.0} and {empty:.0} a second, {filled_us:.1} and {empty_us:.1} us of CPU a \
                 request, {failed} failed"
            );
            Got { got: rounded(got), ok: got >= 0.8 && failed == 0, n: stored, detail }
        }),
    )
}

fn measure(tools: &Tools, counts: &Counts) -> Result<Found> {
    let make = || Deployment::new(&tools.binary, NO_APPLICATION, Deliveries::Paused);
    let (empty, filled) = (make()?, make()?);
    let fill = Fill {
        events: tools.stored_events,
        delivered: tools.stored_events / EVENTS_PER_DELIVERY,
        days: DAYS,
    };
    fill.run(&filled.store(), filled.root_key()).context("filling the store")?;
    let bytes = std::fs::metadata(filled.store())?.len();

    let mut ready_ms = Vec::new();
    for _ in 0..STARTS {
        let server = filled.serve()?;
        ready_ms.push(server.ready_after.as_secs_f64() * 1000.0);
        server.stop()?;
    }
    let mut found = Found {
        ready_ms,
        empty: Measured::new(empty.serve()?, empty.public),
        filled: Measured::new(filled.serve()?, filled.public),
        gibibytes: bytes as f64 / f64::from(1 << 30),
    };
    for _ in 0..counts.pairs {
        found.empty.closed(counts.warm_up, counts.throughput)?;
        found.filled.closed(counts.warm_up, counts.throughput)?;
    }
    Ok(found)
}
