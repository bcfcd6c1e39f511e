//! Lets a gateway fail, and die, at one place of its code under load, and compares what it
//! acknowledged with what it kept, audited and delivered.
//!
//! The places are failpoints, compiled into builds with planted defects only (`docs/testing.md`).
//! The gateway is started to fail, then to die, then as it is; the provider sends again what was not
//! acknowledged, so what was kept all the same comes twice.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::application::{Application, Reading};
use crate::crash::{Findings, Provider, damage, in_flight};
use crate::deployment::{Deliveries, Deployment};

/// How long the load of a round runs before it is looked whether the place was reached.
const LOAD: Duration = Duration::from_millis(200);

/// How long the load goes on until the place is reached.
const REACHED: Duration = Duration::from_secs(60);

/// How long a gateway may take to end.
const END: Duration = Duration::from_secs(30);

/// The signal of a process that aborts (POSIX).
const SIGABRT: i32 = 6;

/// The exit code of a gateway that does not know what its disk holds (`docs/faults.md`).
const POISONED: i32 = 4;

/// What a failure at a place leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// A webhook is refused at least, and the gateway goes on.
    Refuses,
    /// The gateway goes on.
    GoesOn,
    /// The process ends.
    Ends,
}

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary, built to have failpoints.
    pub binary: PathBuf,
    /// The place.
    pub point: &'static str,
    /// Which time it fails there, from 1.
    pub nth: u32,
    /// What that must lead to.
    pub then: Then,
    /// A defect that it has as well.
    pub sabotage: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// What became of the events.
    pub findings: Findings,
    /// What else was not as it should be, in words.
    pub wrong: Vec<String>,
}

impl Found {
    /// Every broken promise, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.findings.faults();
        faults.extend(self.wrong.iter().cloned());
        faults
    }
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When a gateway cannot be started or asked.
    pub fn run(&self) -> Result<Found> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let mut deployment = Deployment::new(&self.binary, &application.url(), Deliveries::Sent)?;
        deployment.sabotage = self.sabotage;
        let mut provider = Provider::new(8);
        let mut found = Found::default();
        for kills in [false, true] {
            let before = application.ledger();
            self.round(kills, &deployment, &mut provider, &mut found)?;
            let in_flight = in_flight(&deployment, &application, &before)?;
            found.findings.in_flight += u64::try_from(in_flight)?;
            if kills {
                found.findings.in_flight_max = in_flight;
            }
        }
        let server = deployment.serve().context("after the failures")?;
        provider.send_for(deployment.public, LOAD)?;
        found.findings.conclude(&deployment, &application, &provider, server)?;
        found.findings.damage = damage(&deployment.store())?;
        let unaudited = unaudited(&deployment.store())?;
        if unaudited > 0 {
            found.wrong.push(format!("{unaudited} events without an audit entry"));
        }
        Ok(found)
    }

    /// One start, load until the place is reached, and the end.
    fn round(
        &self,
        kills: bool,
        deployment: &Deployment,
        provider: &mut Provider,
        found: &mut Found,
    ) -> Result<()> {
        let Self { point, nth, .. } = self;
        let way = if kills { "kill" } else { "error" };
        let chosen = format!("{point}:{way}:{nth}");
        let under = ["env".to_owned(), format!("COUNTERSIGN_FAILPOINT={chosen}")];
        let mut server = deployment.serve_until("/healthz", &under)?;
        let refused_before = provider.refused;
        let start = Instant::now();
        while !is_reached(&deployment.log(), point)? && start.elapsed() < REACHED {
            provider.send_for(deployment.public, LOAD)?;
        }
        if !is_reached(&deployment.log(), point)? {
            found.wrong.push(format!("{chosen}: never reached"));
        }
        let ends = kills || self.then == Then::Ends;
        let ended = server.ended_within(if ends { END } else { Duration::ZERO })?;
        server.kill();
        if !self.is_right(kills, ended) {
            found.wrong.push(format!("{chosen}: the process ended so: {ended:?}"));
        }
        if !kills && self.then == Then::Refuses && provider.refused == refused_before {
            found.wrong.push(format!("{chosen}: no webhook was refused"));
        }
        Ok(())
    }

    fn is_right(&self, kills: bool, ended: Option<ExitStatus>) -> bool {
        match (kills, self.then) {
            (true, _) => ended.is_some_and(|status| status.signal() == Some(SIGABRT)),
            (false, Then::Ends) => ended.is_some_and(|status| status.code() == Some(POISONED)),
            (false, _) => ended.is_none(),
        }
    }
}

/// Whether a gateway said in its log that it came to a failpoint and failed.
fn is_reached(log: &Path, point: &str) -> Result<bool> {
    let said = std::fs::read_to_string(log)?;
    Ok(said.lines().any(|line| line.strip_prefix("failpoint ") == Some(point)))
}

/// Events whose arrival has no entry in the audit log.
fn unaudited(store: &Path) -> Result<i64> {
    let count = "SELECT count(*) FROM event WHERE arrival NOT IN
        (SELECT resource FROM audit_entry WHERE action = 0)";
    Ok(rusqlite::Connection::open(store)?.query_row(count, (), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_its_entry_is_counted() {
        let store = tempfile::NamedTempFile::new().unwrap();
        let database = rusqlite::Connection::open(store.path()).unwrap();
        database
            .execute_batch(
                "CREATE TABLE event (arrival BLOB);
                 CREATE TABLE audit_entry (action INTEGER, resource BLOB);
                 INSERT INTO event VALUES (x'01'), (x'02'), (x'02'), (x'03');
                 INSERT INTO audit_entry VALUES (0, x'01'), (0, x'02'), (5, x'03');",
            )
            .unwrap();
        assert_eq!(unaudited(store.path()).unwrap(), 1);
    }

    #[test]
    fn each_way_to_end_is_told_apart() {
        let plan =
            |then| Plan { binary: PathBuf::new(), point: "audit", nth: 1, then, sabotage: None };
        let (aborted, poisoned) = (ExitStatus::from_raw(SIGABRT), ExitStatus::from_raw(4 << 8));
        for (kills, then, right) in [
            (true, Then::GoesOn, Some(aborted)),
            (true, Then::Ends, Some(aborted)),
            (false, Then::Ends, Some(poisoned)),
            (false, Then::GoesOn, None),
            (false, Then::Refuses, None),
        ] {
            for ended in [Some(aborted), Some(poisoned), None] {
                assert_eq!(plan(then).is_right(kills, ended), ended == right, "{then:?} {ended:?}");
            }
        }
    }

    #[test]
    fn what_a_gateway_logs_shows_that_the_place_was_reached() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "{\"a\":\"failpoint audit\"}\nfailpoint commit\n").unwrap();
        assert!(is_reached(log.path(), "commit").unwrap());
        assert!(!is_reached(log.path(), "audit").unwrap());
    }
}
