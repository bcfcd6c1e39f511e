//! A reorg storm: a simulated chain forks at random, nodes lag, lie and go away, answers come twice
//! and out of order, and the process crashes before and after every write.
//!
//! *A failure* is an order that is paid without the confirmations that all of its value at risk
//! needs, a payment that counts and is not in the chain, a state that says otherwise than the facts
//! that were kept, or an end at which the two do not agree on every cent. *No failure* is an order
//! that waits while nodes disagree.

#![expect(clippy::inconsistent_digit_grouping, reason = "cents after the last underscore")]
#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod oracle;
mod run;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;

use run::storm;

/// Fewer in a debug build, which is slow.
const RUNS: u64 = if cfg!(debug_assertions) { 40 } else { 1_000 };

#[test]
fn no_order_is_paid_without_confirmations_and_none_stays_paid_without_its_payment() {
    let given = std::env::var_os("STORM_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seeds = given.map_or(0..RUNS, |seed: u64| seed..seed + 1);
    let left = Mutex::new(seeds);
    let seen: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let runs = || {
        loop {
            let next = left.lock().ok().and_then(|mut left| left.next());
            let Some(seed) = next else { return };
            let run = storm(seed).unwrap_or_else(|fault| panic!("STORM_SEED={seed}: {fault}"));
            let mut seen = seen.lock().expect("nobody panics while counting");
            for (what, times) in run.kept.seen.into_iter().chain([("reorgs", run.world.reorgs)]) {
                *seen.entry(what).or_default() += times;
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(runs), scope.spawn(runs)];
        workers.into_iter().for_each(|worker| worker.join().expect("the seed is named above"));
    });
    let seen = seen.into_inner().expect("nobody panics while counting");
    println!("{seen:?}");
    if given.is_none() {
        // A storm in which this did not happen would prove nothing.
        let wanted = ["paid", "reversed", "final", "conflicted", "dropped", "unaccounted", "seen"];
        let more = ["counted, then orphaned", "orphaned, then restored", "nodes_away"];
        let holds = ["nodes_disagree", "nodes_behind", "reorgs"];
        for what in wanted.into_iter().chain(more).chain(holds) {
            assert!(
                seen.get(what).is_some_and(|times| *times >= RUNS.div_ceil(100)),
                "too few: {what}: {seen:?}"
            );
        }
    }
}
