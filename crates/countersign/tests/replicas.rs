//! Several gateways on one PostgreSQL, as they are run: killed, they keep every promise together.
//! `bench::replicas` says how, and what is compared.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use bench::postgres::Cluster;
use bench::replicas::{Findings, Gateways, Plan, ambiguous, copy, failover, outage, retention};

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_countersign"))
}

/// Each test keeps a core busy with gateways and a server of its own: two run at a time, however many
/// threads there are.
fn turn() -> MutexGuard<'static, ()> {
    static TURNS: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];
    loop {
        for turn in &TURNS {
            match turn.try_lock() {
                Ok(turn) => return turn,
                Err(TryLockError::Poisoned(failed)) => return failed.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server of the test's own.
fn cluster() -> Cluster {
    Cluster::start(&[]).unwrap_or_else(|error| panic!("{error:#}"))
}

fn gateways(replicas: usize, seed: u64) -> Gateways {
    Gateways { binary: binary(), replicas, seed, hurries: true }
}

/// Kills and stands at instants drawn from a seed, which a failure names; `REPLICAS_SEED` repeats it.
fn kill_and_stand(change: impl FnOnce(Plan) -> Plan) -> (u64, Findings) {
    #[expect(clippy::disallowed_methods, reason = "a failing run is repeated by its seed")]
    let given = std::env::var("REPLICAS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(bench::clock::fresh_seed);
    let plan = Plan {
        gateways: gateways(3, seed),
        events: 2_500,
        per_second: 300.0,
        kills: 4,
        stands: 2,
        sabotage: None,
    };
    let found = change(plan)
        .run(&cluster())
        .unwrap_or_else(|error| panic!("REPLICAS_SEED={seed}: {error:#}"));
    (seed, found)
}

#[test]
fn replicas_killed_under_load_keep_every_promise_together() {
    let _turn = turn();
    let (seed, found) = kill_and_stand(|plan| plan);
    let faults = found.faults();
    assert!(faults.is_empty(), "REPLICAS_SEED={seed}: {faults:?}");
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

/// Without this, the test above could be green because it looks at nothing.
#[cfg(feature = "sabotage")]
#[test]
fn replicas_that_acknowledge_before_the_commit_are_caught() {
    let _turn = turn();
    let (seed, found) = kill_and_stand(|plan| Plan {
        events: 1_500,
        // As fast as they are answered, so that much waits for its commit.
        per_second: f64::INFINITY,
        stands: 0,
        sabotage: Some("ack-before-commit"),
        ..plan
    });
    assert!(!found.kept.lost.is_empty(), "REPLICAS_SEED={seed}: the defect was not noticed");
}

#[test]
fn a_primary_killed_under_load_loses_nothing_that_was_acknowledged() {
    let _turn = turn();
    let gateways = gateways(2, bench::clock::fresh_seed());
    let plan = failover::Plan { gateways, rounds: 1 };
    let outcome = plan.run().unwrap_or_else(|error| panic!("{error:#}"));
    let faults = outcome.found.faults();
    assert!(faults.is_empty(), "{faults:?}");
    println!(
        "{} acknowledged, promoted after {:?}, nothing acknowledged for {:?}",
        outcome.found.kept.acknowledged, outcome.promoted_after, outcome.pauses
    );
}

#[test]
fn commits_without_an_answer_are_neither_lost_nor_doubled() {
    let _turn = turn();
    let gateways = gateways(2, bench::clock::fresh_seed());
    let plan = ambiguous::Plan { gateways, cuts: 60 };
    let (found, cuts) = plan.run(&cluster()).unwrap_or_else(|error| panic!("{error:#}"));
    let faults = found.faults();
    assert!(faults.is_empty(), "{faults:?}");
    println!("{} acknowledged, {cuts} answers lost", found.kept.acknowledged);
}

#[test]
fn a_database_that_is_away_is_told_and_found_again() {
    let _turn = turn();
    let away = Duration::from_secs(2);
    let plan = outage::Plan { binary: binary(), replicas: 2, away };
    let seen = plan.run().unwrap_or_else(|error| panic!("{error:#}"));
    println!(
        "answered within {:?} while it was stopped and {:?} while it was locked; acknowledged \
         again after {:?} and {:?}",
        seen.stopped.refused_after_max,
        seen.locked.refused_after_max,
        seen.acknowledged_after,
        seen.unlocked_after
    );
    assert!(seen.told, "503 with Retry-After, and not ready");
    assert!(seen.stopped.acknowledged.is_empty() && seen.stopped.refused > 0);
    assert!(seen.locked.refused > 0);
}

#[test]
fn a_shop_moves_to_the_server_while_its_sender_notices_nothing_but_a_pause() {
    let _turn = turn();
    let gateways = gateways(1, bench::clock::fresh_seed());
    let plan = copy::Plan { gateways, events: 1_500, per_second: 100.0 };
    let outcome = plan.run(&cluster()).unwrap_or_else(|error| panic!("{error:#}"));
    let faults = outcome.found.faults();
    assert!(faults.is_empty(), "{faults:?}");
    println!(
        "{} acknowledged, {} rows copied in {:?}, {} compared in {:?}, nothing acknowledged for {:?}",
        outcome.found.kept.acknowledged,
        outcome.rows,
        outcome.copying,
        outcome.compared,
        outcome.finishing,
        outcome.found.sent.pause_max,
    );
}

#[test]
fn retention_under_load_deletes_what_is_old_and_nothing_else() {
    let _turn = turn();
    let plan = retention::Plan {
        binary: binary(),
        events: 2_000,
        per_second: 100.0,
        half: Duration::from_secs(2),
        longer: Duration::from_secs(60),
    };
    for seen in [plan.run_on_server(&cluster()), plan.run_on_file()] {
        let seen = seen.unwrap_or_else(|error| panic!("{error:#}"));
        // How long anybody waits, and whether one is refused for it, `./prove replicas` measures.
        println!("{} rows deleted in {:?}, {} refused", seen.deleted, seen.took, seen.failed);
        assert!(seen.is_whole, "only {} rows are deleted", seen.deleted);
        assert!(seen.before.count() > 0 && seen.during.count() > 0);
    }
}
