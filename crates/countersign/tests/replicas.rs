//! Several gateways on one PostgreSQL, as they are run: killed, they keep every promise together.
//! `bench::replicas` says how, and what is compared.

use std::path::PathBuf;

use bench::replicas::Plan;

#[test]
fn replicas_killed_under_load_keep_every_promise_together() {
    #[expect(clippy::disallowed_methods, reason = "a failing run is repeated by its seed")]
    let given = std::env::var("REPLICAS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(bench::clock::fresh_seed);
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_countersign"));
    let plan = Plan {
        binary,
        replicas: 3,
        events: 3_000,
        per_second: 400.0,
        kills: 6,
        stood_percent: 34,
        seed,
        hurries: true,
        sabotage: None,
    };
    let found = plan.run().unwrap_or_else(|error| panic!("REPLICAS_SEED={seed}: {error:#}"));
    let faults = found.faults();
    assert!(faults.is_empty(), "REPLICAS_SEED={seed}: {faults:?}");
    assert_eq!(found.amid_traffic, 6, "REPLICAS_SEED={seed}");
    println!(
        "{} acknowledged in {:?}, {} repeated, {} second deliveries of {} leases lost, \
         REPLICAS_SEED={seed}",
        found.kept.acknowledged,
        found.sent.elapsed,
        found.sent.repeated,
        found.kept.second_deliveries,
        found.kept.in_flight
    );
}
