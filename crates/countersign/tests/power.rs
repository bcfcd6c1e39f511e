//! Power cuts under load: nothing acknowledged is lost. `bench::power` says how, and what is compared.

use std::path::PathBuf;

use bench::power::{Findings, Plan};

/// Cuts at instants drawn from a seed, which a failure names; `CRASH_SEED` repeats it.
fn cut(lives: u32, cuts_per_life: u32, sabotage: Option<&'static str>) -> (u64, Findings) {
    #[expect(clippy::disallowed_methods, reason = "a failing run is repeated by its seed")]
    let given = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(bench::clock::fresh_seed);
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_countersign"));
    let plan = Plan { binary, lives, cuts_per_life, seed, connections: 16, sabotage };
    (seed, plan.run())
}

#[test]
#[ignore = "needs FUSE; `./test` runs it where there is one"]
fn after_a_power_cut_the_gateway_keeps_every_promise() {
    let (seed, findings) = cut(1, 4, None);
    assert!(findings.faults.is_empty(), "CRASH_SEED={seed}: {findings:?}");
    println!("{findings:?}, CRASH_SEED={seed}");
}

/// Without this, the test above could be green because its disk forgets nothing.
#[cfg(feature = "sabotage")]
#[test]
#[ignore = "needs FUSE; `./test` runs it where there is one"]
fn after_a_power_cut_a_store_that_does_not_sync_its_log_is_caught() {
    let (seed, findings) = cut(1, 3, Some("synchronous-normal"));
    assert!(findings.lost > 0, "CRASH_SEED={seed}: the defect was not noticed: {findings:?}");
}
