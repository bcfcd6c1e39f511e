//! Lets the n-th system call of a gateway fail, for every n, and compares what it acknowledged with
//! what it kept.
//!
//! `strace` puts the error in the place of the call (`-e inject`). It counts in each thread for
//! itself, so one round can hold several faults. After each the gateway is started again on a disk
//! that works, and everything must be as after a kill: nothing acknowledged is lost. Where a sync
//! failed, the process must have ended by itself, with an error, and must not have synced again: the
//! kernel may have dropped what it could not write, and would say yes the second time. (The sync of
//! a folder is another matter: the gateway makes its own before it starts, and that one counts.)

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::application::{Application, Reading};
use crate::crash::{Findings, Provider, damage, in_flight};
use crate::deployment::{Deliveries, Deployment, STORE_FILE};

/// How long the load of a round runs, unless the gateway ends before.
const LOAD: Duration = Duration::from_millis(300);

/// How long a gateway whose sync failed may take to end.
const END: Duration = Duration::from_secs(5);

/// A call that fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The calls as strace knows them, such as `fsync,fdatasync`.
    pub calls: &'static str,
    /// The error, such as `EIO`.
    pub error: &'static str,
}

/// SQLite uses the one or the other, as it is built.
pub const SYNC: Fault = Fault { calls: "fsync,fdatasync", error: "EIO" };

/// What a disk may refuse.
pub const FAULTS: [Fault; 6] = [
    SYNC,
    Fault { calls: "fsync,fdatasync", error: "ENOSPC" },
    Fault { calls: "pwrite64", error: "EIO" },
    Fault { calls: "pwrite64", error: "ENOSPC" },
    Fault { calls: "ftruncate,openat", error: "EIO" },
    Fault { calls: "pread64", error: "EIO" },
];

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// What fails.
    pub fault: Fault,
    /// Which of the calls of a thread fails, one after the other.
    pub nth: Vec<u32>,
    /// A defect that the binary was built to have.
    pub sabotage: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// What became of the events.
    pub findings: Findings,
    /// Calls that were made to fail.
    pub injected: usize,
    /// Rounds in which the gateway did not start.
    pub not_started: u32,
    /// Rounds in which it ended by itself under load.
    pub ended: u32,
    /// What else was not as it should be, in words.
    pub wrong: Vec<String>,
}

impl Found {
    /// Every broken promise, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.findings.faults();
        faults.extend(self.wrong.iter().cloned());
        if self.injected == 0 {
            faults.push("no call was made to fail, so nothing was shown".into());
        }
        faults
    }
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When a gateway on a disk that works cannot be started or asked.
    pub fn run(&self) -> Result<Found> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let mut deployment = Deployment::new(&self.binary, &application.url(), Deliveries::Sent)?;
        deployment.sabotage = self.sabotage;
        let mut provider = Provider::new(8);
        let mut found = Found::default();
        // The store is made on a disk that works.
        deployment.serve()?.stop()?;
        for nth in &self.nth {
            let before = application.ledger();
            self.round(*nth, &deployment, &mut provider, &mut found)
                .with_context(|| format!("{:?}, call {nth}", self.fault))?;
            let came_twice = in_flight(&deployment, &application, &before)?;
            found.findings.in_flight += u64::try_from(came_twice)?;
        }
        // One that goes well, so that something is acknowledged even where no start succeeds.
        let server = deployment.serve().context("after the last fault")?;
        provider.send_for(deployment.public, LOAD)?;
        found.findings.conclude(&deployment, &application, &provider, server)?;
        found.findings.damage = damage(&deployment.store())?;
        Ok(found)
    }

    /// One start, one load, and the end.
    fn round(
        &self,
        nth: u32,
        deployment: &Deployment,
        provider: &mut Provider,
        found: &mut Found,
    ) -> Result<()> {
        let trace = tempfile::NamedTempFile::new()?;
        let Fault { calls, error } = self.fault;
        // -D: the gateway is our child, and strace ends with it.
        let under = ["strace", "-D", "-f", "-y", "--seccomp-bpf", "-qq", "-o"].map(str::to_owned);
        let mut under = under.to_vec();
        under.push(trace.path().display().to_string());
        under.extend(["-e".to_owned(), format!("trace={calls}")]);
        under.extend(["-e".to_owned(), format!("inject={calls}:error={error}:when={nth}")]);
        let started = deployment.serve_until("/healthz", &under);
        let is_sync = calls.contains("sync");
        match started {
            Err(error) => {
                let said = format!("{error:#}");
                ensure!(said.contains(" ended with exit status: "), "call {nth}: {said}");
                found.not_started += 1;
            }
            Ok(mut server) => {
                provider.send_for(deployment.public, LOAD)?;
                let failed = is_sync && sync_failed(&lines(&trace)?).is_some();
                let patience = if failed { END } else { Duration::ZERO };
                match server.ended_within(patience)? {
                    Some(status) if status.success() => {
                        found.wrong.push(format!("call {nth}: it ended as if all were well"));
                    }
                    Some(_) => found.ended += 1,
                    None if failed => {
                        found.wrong.push(format!("call {nth}: a sync failed and it went on"));
                    }
                    None => {}
                }
                server.kill();
            }
        }
        found.injected += injected(&trace)?;
        if is_sync && let Some(line) = synced_again(&trace)? {
            found.wrong.push(format!("call {nth}: it synced after a failure: {line}"));
        }
        Ok(())
    }
}

fn lines(trace: &tempfile::NamedTempFile) -> Result<Vec<String>> {
    Ok(std::fs::read_to_string(trace.path())?.lines().map(str::to_owned).collect())
}

fn injected(trace: &tempfile::NamedTempFile) -> Result<usize> {
    Ok(lines(trace)?.iter().filter(|line| line.contains("(INJECTED)")).count())
}

/// The first sync of the store's file or its log that failed.
fn sync_failed(lines: &[String]) -> Option<usize> {
    lines.iter().position(|line| line.contains("(INJECTED)") && line.contains(STORE_FILE))
}

/// A sync that the same thread made after one that failed.
fn synced_again(trace: &tempfile::NamedTempFile) -> Result<Option<String>> {
    let lines = lines(trace)?;
    let Some(failed) = sync_failed(&lines).and_then(|at| lines.get(at..)) else { return Ok(None) };
    let thread = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let first = failed.first().and_then(|line| thread(line));
    Ok(failed.iter().skip(1).find(|line| line.contains("sync(") && thread(line) == first).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn trace(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_trace_is_read() {
        let (done, failed) = ("= 0", "= -1 EIO (Input/output error) (INJECTED)");
        let (log, folder) = ("9</disk/countersign.db-wal>", "11</disk>");
        let good = trace(&format!(
            "7 fdatasync({log}) {done}\n8 fdatasync({folder}) {failed}\n8 fdatasync({log}) {done}\n\
             8 fdatasync({log}) {failed}\n7 fdatasync({log}) {done}\n8 +++ exited with 4 +++\n"
        ));
        assert_eq!(injected(&good).unwrap(), 2);
        assert_eq!(synced_again(&good).unwrap(), None);
        let again = format!("8 fsync({log}) {done}");
        let bad = trace(&format!("8 fsync({log}) {failed}\n{again}\n"));
        assert_eq!(synced_again(&bad).unwrap(), Some(again));
        assert_eq!(injected(&trace("")).unwrap(), 0);
    }

    #[test]
    fn nothing_injected_shows_nothing() {
        let mut found = Found::default();
        found.findings.acknowledged = 1;
        assert_eq!(found.faults().len(), 1);
        found.injected = 1;
        assert!(found.faults().is_empty());
        found.wrong.push("it went on".into());
        assert_eq!(found.faults(), ["it went on"]);
    }
}
