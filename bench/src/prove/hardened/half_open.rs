//! The claim about half-open connections: good senders do not notice them.

use std::time::Duration;

use anyhow::Result;

use crate::deployment::SOURCE_PATH;
use crate::hostile::crowd::Crowd;
use crate::hostile::deployment;
use crate::load::{Load, Outcome, Pace};
use crate::prove::inbound::mebibytes;
use crate::prove::{Got, Proof, Tools, rounded};

const GOOD_CONNECTIONS: usize = 200;
const EVENTS_PER_SECOND: f64 = 200.0;

struct Measured {
    outcome: Outcome,
    resident_mib: f64,
    crowd: String,
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let size = if tools.short { 2_000 } else { 10_000 };
    let (late, resident) = match measure(tools, size) {
        Ok(measured) => (Ok(latency(&measured)), Ok(memory(&measured, size))),
        Err(error) => (Err(anyhow::anyhow!("{error:#}")), Err(error)),
    };
    proof.claim(
        "200 good senders beside half-open connections, p99, ms",
        "<= 250, none fails",
        late,
    )?;
    proof.claim("resident memory with half-open connections, MiB", "<= 400", resident)
}

fn measure(tools: &Tools, size: u64) -> Result<Measured> {
    let deployment = deployment(&tools.binary)?;
    // The load generator names the address that it sends to.
    deployment.configure(|text| text.replace("hosts = [", "hosts = [\"127.0.0.1\", "))?;
    let server = deployment.serve()?;
    let crowd = Crowd::gather(deployment.public, size)?;
    let (open, cut) = (crowd.open(), crowd.cut());
    let seconds = if tools.short { 3 } else { 20 };
    let load = Load {
        connections: GOOD_CONNECTIONS,
        ..Load::new(
            deployment.public,
            SOURCE_PATH,
            Pace::Open(EVENTS_PER_SECOND),
            Duration::from_secs(seconds),
        )
    };
    let outcome = load.run()?;
    let resident_mib = mebibytes(server.resident_bytes_max()?);
    let told = format!(
        "{open} half-open at the start, {} at the end, {} cut and back meanwhile",
        crowd.open(),
        crowd.cut() - cut
    );
    drop(crowd);
    server.stop()?;
    Ok(Measured { outcome, resident_mib, crowd: told })
}

fn latency(measured: &Measured) -> Got {
    let outcome = &measured.outcome;
    let p99 = outcome.latencies.quantile_ms(990);
    let detail = format!("{} failed; {}", outcome.failed(), measured.crowd);
    let ok = p99 <= 250.0 && outcome.failed() == 0;
    Got { got: rounded(p99), ok, n: outcome.acknowledged(), detail }
}

fn memory(measured: &Measured, size: u64) -> Got {
    let got = measured.resident_mib;
    let detail = format!("the most resident; {}", measured.crowd);
    Got { got: rounded(got), ok: got <= 400.0, n: size, detail }
}
