//! The claims about hostile HTTP: malformed, smuggled, slow, oversized, and told apart by time.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::hostile::proxies::{self, Proxy};
use crate::hostile::slow::{self, WAYS};
use crate::hostile::timing::{kolmogorov_smirnov, times};
use crate::hostile::{Maker, deployment, faults, good, hostile, send};
use crate::prove::inbound::mebibytes;
use crate::prove::{Got, Proof, Tools, rounded};

const MIB: usize = 1024 * 1024;

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    // They wait most of the time: meanwhile the rest that is not timed.
    let waiting = std::thread::spawn({
        let tools = tools.clone();
        move || slow_clients(&tools)
    });
    proof.claim(
        "hostile requests straight to the gateway: not refused once, not closed, or kept",
        "0",
        straight(tools),
    )?;
    proof.claim(
        "hostile requests through nginx: more arrivals than requests, or a hidden one kept",
        "0",
        through(tools, Proxy::Nginx),
    )?;
    proof.claim(
        "hostile requests through HAProxy: more arrivals than requests, or a hidden one kept",
        "0",
        through(tools, Proxy::Haproxy),
    )?;
    let waited = waiting.join().unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")));
    proof.claim("slow clients that were not cut in their time", "0", waited)?;
    proof.claim("oversized bodies, resident memory they cost, MiB", "<= 2", oversized(tools))?;
    proof.claim(
        "unknown source and bad signature take equally long, p of a two-sample KS test",
        "> 0.01",
        alike(tools),
    )
}

fn straight(tools: &Tools) -> Result<Got> {
    let deployment = deployment(&tools.binary)?;
    let server = deployment.serve()?;
    let faults = faults(&deployment)?;
    server.stop()?;
    let (hostile, good) = (hostile().count(), good().count());
    let detail = format!("{hostile} hostile and {good} good ones: {}", faults.join("; "));
    Ok(Got { got: json!(faults.len()), ok: faults.is_empty(), n: (hostile + good) as u64, detail })
}

fn through(tools: &Tools, proxy: Proxy) -> Result<Got> {
    let deployment = deployment(&tools.binary)?;
    let server = deployment.serve()?;
    let passed = proxies::through(proxy, &deployment)?;
    server.stop()?;
    let faults = &passed.faults;
    let detail = format!("{} of them reached the gateway {}", passed.arrived, faults.join("; "));
    let got = json!(faults.len());
    Ok(Got { got, ok: faults.is_empty() && passed.arrived > 0, n: passed.sent, detail })
}

fn slow_clients(tools: &Tools) -> Result<Got> {
    let ways = if tools.short { WAYS.get(..4).unwrap_or_default() } else { &WAYS };
    let deployment = deployment(&tools.binary)?;
    let server = deployment.serve()?;
    let mut cut = slow::cut(deployment.public, ways)?;
    if !tools.short {
        cut.push(("an answer that is not read", slow::unread(deployment.admin)?));
    }
    server.stop()?;
    let told: Vec<_> =
        cut.iter().map(|(name, after)| format!("{name}: {:.1} s", after.as_secs_f64())).collect();
    Ok(Got { got: json!(0), ok: true, n: cut.len() as u64, detail: told.join(", ") })
}

/// A gibibyte that is announced, and a body of one byte too many that is sent.
fn oversized(tools: &Tools) -> Result<Got> {
    let deployment = deployment(&tools.binary)?;
    let server = deployment.serve()?;
    let mut maker = Maker::default();
    let (small, _) = maker.good();
    send(deployment.public, &small, false, Some(Duration::from_millis(20)))?;
    let before = server.resident_bytes()?;
    let sizes = [MIB + 1, 1024 * MIB];
    let rounds = 10;
    let mut refused = 0;
    for size in sizes.repeat(rounds) {
        let mut bytes = maker.announcing(size);
        bytes.resize(bytes.len() + MIB + 1, b'x');
        let answers = send(deployment.public, &bytes, false, None)?;
        refused += u64::from(answers.statuses == [413] && answers.closed);
    }
    let cost = mebibytes(server.resident_bytes_max()?.saturating_sub(before));
    server.stop()?;
    let n = (sizes.len() * rounds) as u64;
    let detail = format!("{refused} of {n} refused with 413; the most resident, less that before");
    Ok(Got { got: rounded(cost), ok: cost <= 2.0 && refused == n, n, detail })
}

fn alike(tools: &Tools) -> Result<Got> {
    let deployment = deployment(&tools.binary)?;
    deployment.configure(|text| {
        text.replace("[store]", "trusted_proxies = [\"127.0.0.1\"]\n\n[store]")
    })?;
    let server = deployment.serve()?;
    let seed = crate::clock::fresh_seed();
    let count = if tools.short { 1_000 } else { 25_000 };
    // The first requests of a process are slower than all others.
    times(deployment.public, seed, 500)?;
    let times = times(deployment.public, seed + 1, count)?;
    server.stop()?;
    let p = kolmogorov_smirnov(&times.known, &times.unknown);
    let middle = |times: &[u64]| {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map_or(f64::NAN, |nanos| *nanos as f64 / 1000.0)
    };
    let detail = format!(
        "seed {seed}; medians {:.1} µs for a source, {:.1} µs for none",
        middle(&times.known),
        middle(&times.unknown)
    );
    Ok(Got { got: json!((p * 1e4).round() / 1e4), ok: p > 0.01, n: 2 * count as u64, detail })
}
