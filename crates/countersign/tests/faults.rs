//! A machine that fails under a working gateway: what docs/faults.md says, shown on the binary.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bench::application::{Application, Reading};
use bench::deployment::{Deliveries, Deployment, SOURCE_PATH};
use bench::load::{Load, Pace};
use bench::{full, refused};

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_countersign"))
}

#[test]
fn a_full_disk_refuses_webhooks_keeps_what_is_owed_and_goes_by_itself() {
    let found = full::Plan { binary: binary(), cycles: 2 }.run();
    let found = found.unwrap_or_else(|error| panic!("{error:#}"));
    let faults = found.faults();
    assert!(faults.is_empty(), "{faults:?}");
    println!(
        "{} acknowledged, {} refused within {:?}, taken again after {:?}",
        found.findings.acknowledged, found.refused, found.refused_after_max, found.taken_after_max
    );
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let application = Application::start(listen, Reading::Headers).expect("an application");
    let deployment =
        Deployment::new(&binary(), &application.url(), Deliveries::Sent).expect("a configuration");
    std::os::unix::fs::symlink("/dev/full", deployment.log()).expect("a link");
    let server = deployment.serve().expect("it starts");
    let load = Load {
        connections: 2,
        ..Load::new(deployment.public, "/in/nowhere", Pace::Closed, Duration::from_millis(200))
    };
    // Each refusal is a line of the log.
    assert!(load.run().expect("it answers").statuses.contains_key(&401));
    let load = Load { path: SOURCE_PATH.to_owned(), ..load };
    let outcome = load.run().expect("it answers");
    assert!(outcome.acknowledged() > 0 && outcome.failed() == 0, "{outcome:?}");
    assert!(application.wait_for(1, Duration::from_secs(10)).is_some(), "it delivers");
    server.stop().expect("it stops as it should");
}

#[test]
fn a_sync_that_fails_ends_the_process_and_is_never_tried_again() {
    let plan = refused::Plan {
        binary: binary(),
        fault: refused::SYNC,
        nth: vec![1, 3, 9],
        sabotage: None,
    };
    let found = plan.run().unwrap_or_else(|error| panic!("{error:#}"));
    let faults = found.faults();
    assert!(faults.is_empty(), "{faults:?}");
    assert!(found.ended > 0, "it never ended under load: {found:?}");
    println!(
        "{} acknowledged, {} syncs failed, {} starts refused, ended {} times",
        found.findings.acknowledged, found.injected, found.not_started, found.ended
    );
}

/// Without this, the test above could be green because no sync ever fails.
#[cfg(feature = "sabotage")]
#[test]
fn a_gateway_that_goes_on_after_a_failed_sync_is_caught() {
    let plan = refused::Plan {
        binary: binary(),
        fault: refused::SYNC,
        nth: vec![3],
        sabotage: Some("fsync-error-ignored"),
    };
    let found = plan.run().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(!found.wrong.is_empty(), "the defect was not noticed: {found:?}");
}
