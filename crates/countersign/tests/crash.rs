//! `kill -9` under load, again and again: nothing acknowledged is lost, nothing is kept twice, and
//! everything is delivered. `bench::crash` says how, and what is compared.

use std::path::PathBuf;

use bench::crash::{Findings, Plan};

/// Twenty kills at instants drawn from a seed, which a failure names; `CRASH_SEED` repeats it.
fn kill_twenty_times(sabotage: Option<&'static str>) -> (u64, Findings) {
    #[expect(clippy::disallowed_methods, reason = "a failing run is repeated by its seed")]
    let given = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(bench::clock::fresh_seed);
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_countersign"));
    let plan = Plan { binary, rounds: 20, seed, connections: 16, sabotage };
    let findings = plan.run().unwrap_or_else(|error| panic!("CRASH_SEED={seed}: {error:#}"));
    (seed, findings)
}

#[test]
fn killed_twenty_times_the_gateway_keeps_every_promise() {
    let (seed, findings) = kill_twenty_times(None);
    let faults = findings.faults();
    assert!(faults.is_empty(), "CRASH_SEED={seed}: {faults:?}");
    println!(
        "{} acknowledged, {} second deliveries of {} in flight, CRASH_SEED={seed}",
        findings.acknowledged, findings.second_deliveries, findings.in_flight
    );
}

/// Without this, the test above could be green because it looks at nothing.
#[cfg(feature = "sabotage")]
#[test]
fn a_gateway_that_acknowledges_before_the_commit_is_caught() {
    let (seed, findings) = kill_twenty_times(Some("ack-before-commit"));
    assert!(!findings.lost.is_empty(), "CRASH_SEED={seed}: the defect was not noticed");
}
