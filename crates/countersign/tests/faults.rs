//! A machine that fails under a working gateway: what docs/faults.md says, shown on the binary.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bench::application::{Application, Reading};
use bench::deployment::{Deliveries, Deployment, SOURCE_PATH};
use bench::load::{Load, Pace};
use bench::stripe::{SECRET, Series, Signer};
use bench::{full, refused};

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_countersign"))
}

#[test]
fn a_full_disk_refuses_webhooks_keeps_what_is_owed_and_goes_by_itself() {
    let found = full::Plan { binary: binary(), cycles: 2 }.run();
    let found = found.unwrap_or_else(|error| panic!("{error:#}"));
    // How soon, `./prove hardened` measures.
    let faults = found.faults(10);
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
    assert!(application.wait_for(1, Duration::from_secs(30)).is_some(), "it delivers");
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

/// A gateway whose clock a file sets, while it runs.
struct Clocked {
    deployment: Deployment,
    file: tempfile::NamedTempFile,
}

impl Clocked {
    fn new(application: &Application) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let library = std::fs::read_dir("/usr/lib")
            .expect("libraries")
            .flatten()
            .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
            .find(|library| library.exists())
            .expect("libfaketime (Debian package faketime)");
        let mut deployment = Deployment::new(&binary(), &application.url(), Deliveries::Sent)
            .expect("a configuration");
        deployment.within = vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.path().display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        let clocked = Self { deployment, file };
        clocked.set(0);
        clocked
    }

    fn set(&self, seconds: i64) {
        std::fs::write(self.file.path(), format!("{seconds:+}\n")).expect("written");
    }

    /// Sends the n-th event of a series, signed so many seconds from the true time.
    fn send(&self, series: &Series, n: u64, signed_s: i64) -> u16 {
        let now_s = bench::clock::now_ms() / 1000;
        let body = series.body(n, now_s);
        let signature = Signer::new(SECRET).header(now_s + signed_s, &body);
        let length = body.len();
        let head = format!(
            "POST {SOURCE_PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\nstripe-signature: {signature}\r\n\
             content-length: {length}\r\n\r\n"
        );
        status(self.deployment.public, &[head.as_bytes(), &body].concat()).0
    }

    /// Waits until so many steps are counted: two of them within a second would be one.
    fn stepped(&self, times: u64) {
        let counted = format!("countersign_clock_steps_total {times}\n");
        let begun = std::time::Instant::now();
        while !self.get("/metrics").1.contains(&counted) {
            assert!(begun.elapsed() < Duration::from_secs(30), "never {counted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        status(self.deployment.admin, request.as_bytes())
    }
}

fn status(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.write_all(request).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer}")), answer)
}

#[test]
fn a_clock_that_is_set_makes_nothing_stale_pass_nothing_forgotten_and_nothing_wait() {
    const YEAR: i64 = 365 * 86_400;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let application = Application::start(listen, Reading::Document).expect("an application");
    let gateway = Clocked::new(&application);
    let server = gateway.deployment.serve().expect("it starts");
    let series = Series::fresh();
    let mut accepted = 0;
    for (n, step) in (0..).zip([0, YEAR, 0, -3600, 0]) {
        gateway.set(step);
        std::thread::sleep(Duration::from_millis(1200));
        gateway.stepped(n);
        assert_eq!(gateway.send(&series, 10 + n, step), 200, "fresh by its clock, {step} s off");
        accepted += 1;
        assert_eq!(gateway.send(&series, 10, step), 200, "a repeat, {step} s off");
        if step != 0 {
            assert_eq!(gateway.send(&series, 100 + n, 0), 401, "stale by its clock, {step} s off");
        }
        let delivered = application.wait_for(accepted, Duration::from_secs(30));
        assert!(delivered.is_some(), "a delivery waits, {step} s off");
        assert_eq!(gateway.get("/readyz").0, 200);
    }
    let metrics = gateway.get("/metrics").1;
    assert!(metrics.contains("countersign_clock_steps_total 4\n"), "{metrics}");
    server.stop().expect("it stops");
    let ledger = application.ledger();
    assert_eq!((ledger.distinct(), ledger.second()), (accepted, 0), "each once");
}

#[test]
fn a_port_that_is_taken_stops_the_start() {
    let deployment =
        Deployment::new(&binary(), "http://127.0.0.1:1/webhooks", Deliveries::Sent).expect("made");
    for (key, address) in [("public", deployment.public), ("admin", deployment.admin)] {
        let taken = std::net::TcpListener::bind(address).expect("it is free");
        let mut server = deployment.spawn().expect("the binary runs");
        let ended = server.ended_within(Duration::from_secs(20)).expect("the system says");
        drop(taken);
        assert_eq!(ended.and_then(|status| status.code()), Some(4), "{key}");
        let said = std::fs::read_to_string(deployment.log()).expect("its log");
        assert!(said.contains("[listen_failed]") && said.contains("fix: "), "{said}");
        assert!(said.contains(&format!("[server] {key}")), "{said}");
    }
    deployment.serve().expect("now they are free").stop().expect("it stops");
}
