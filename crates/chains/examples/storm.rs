//! Storms of forks, lies and crashes, as the test of the same name has them: `storm RUNS`. Prints one JSON
//! line: how many there were, how many broke a promise, and what happened in them. `./prove orders` runs
//! it; a build with the feature `sabotage/planted` can be made to break promises.

#![expect(clippy::print_stdout, reason = "its answer")]
#![expect(clippy::inconsistent_digit_grouping, reason = "cents after the last underscore")]
#![expect(clippy::indexing_slicing, reason = "what is not there ends it")]

#[path = "../tests/storm/oracle.rs"]
mod oracle;
#[path = "../tests/storm/run.rs"]
mod run;
#[path = "../tests/storm/world.rs"]
mod world;

use std::collections::BTreeMap;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runs: u64 = std::env::args().nth(1).ok_or("say how many runs")?.parse()?;
    let half = |first: u64| {
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        let mut faults = Vec::new();
        for seed in (first..runs).step_by(2) {
            // A broken promise may end in a panic of the oracle, too.
            match std::panic::catch_unwind(|| run::storm(seed)) {
                Ok(Ok(run)) => {
                    for (what, times) in
                        run.kept.seen.into_iter().chain([("reorgs", run.world.reorgs)])
                    {
                        *seen.entry(what).or_default() += times;
                    }
                }
                Ok(Err(_)) | Err(_) => faults.push(seed),
            }
        }
        (seen, faults)
    };
    let (mut seen, mut faults): (BTreeMap<&str, u64>, Vec<u64>) = Default::default();
    std::thread::scope(|scope| {
        let workers = [scope.spawn(|| half(0)), scope.spawn(|| half(1))];
        for worker in workers {
            let (some, wrong) = worker.join().expect("what panics is caught");
            faults.extend(wrong);
            for (what, times) in some {
                *seen.entry(what).or_default() += times;
            }
        }
    });
    println!("{}", serde_json::json!({ "runs": runs, "faults": faults, "seen": seen }));
    Ok(())
}
