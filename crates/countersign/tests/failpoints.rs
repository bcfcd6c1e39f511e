//! Every failpoint, under load: wherever the gateway fails or dies, it keeps its promises.
//! `bench::failpoints` says how, and what is compared.
#![cfg(feature = "sabotage")]

use std::path::PathBuf;
use std::sync::Mutex;

use bench::failpoints::{Found, Plan, Then};
use sabotage::Point;

/// Gateways that run at the same time.
const AT_ONCE: usize = 4;

fn fail(point: Point, sabotage: Option<&'static str>) -> Found {
    let (nth, then) = match point {
        Point::Committed => (25, Then::Ends),
        Point::Begin | Point::Commit => (25, Then::GoesOn),
        Point::Settle | Point::Attempted => (25, Then::GoesOn),
        Point::Seal | Point::DedupRun | Point::WriteBack => (2, Then::GoesOn),
        Point::Audit | Point::Sealed | Point::Recorded => (25, Then::Refuses),
    };
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_countersign"));
    let plan = Plan { binary, point: point.code(), nth, then, sabotage };
    plan.run().unwrap_or_else(|error| panic!("{}: {error:#}", point.code()))
}

#[test]
fn wherever_it_fails_or_dies_the_gateway_keeps_every_promise() {
    let left = Mutex::new(Point::ALL.iter());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("nobody panicked").next();
                    let Some(point) = next else { break };
                    let found = fail(*point, None);
                    let findings = &found.findings;
                    println!(
                        "{}: {} acknowledged, {} second deliveries of {} in flight",
                        point.code(),
                        findings.acknowledged,
                        findings.second_deliveries,
                        findings.in_flight
                    );
                    let faults = found.faults();
                    let faults = faults.iter().map(|fault| format!("{}: {fault}", point.code()));
                    wrong.lock().expect("nobody panicked").extend(faults);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_event_is_kept_without_its_audit_entry() {
    let faults = fail(Point::Audit, None).faults();
    assert!(faults.is_empty(), "{faults:?}");
}

/// Without this, the sweep could be green because it looks at nothing.
#[test]
fn a_gateway_that_acknowledges_before_a_commit_that_fails_is_caught() {
    let found = fail(Point::Commit, Some("ack-before-commit"));
    assert!(!found.findings.lost.is_empty(), "the defect was not noticed: {found:?}");
}
