//! Hostile HTTP, straight to a running gateway: every case is refused with the status that
//! `docs/http.md` says, once, and its connection ends; nothing of it is kept.

use std::path::Path;

use bench::hostile::{deployment, faults};

#[test]
fn every_hostile_request_is_refused_once_and_nothing_of_it_is_kept() {
    let deployment = deployment(Path::new(env!("CARGO_BIN_EXE_countersign"))).expect("a folder");
    let server = deployment.serve().expect("it starts");
    let faults = faults(&deployment).expect("it is asked");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    server.stop().expect("it stops");
}
