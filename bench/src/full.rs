//! Fills the disk under a working gateway, again and again, and sees what it still does.
//!
//! While the disk is full every webhook is refused with 503 and a `Retry-After`, within a second;
//! the gateway is alive and not ready; an operator's command, which writes an audit entry, is still
//! done; and it starts on a full disk, also after a kill. When there is room again,
//! webhooks are taken again by themselves, within five seconds. Nothing acknowledged is lost, and
//! nothing is delivered twice but what was in flight at the kill.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::application::{Application, Reading};
use crate::clock::now_ms;
use crate::crash::{Findings, Provider, damage, in_flight};
use crate::deployment::{Deliveries, Deployment, SOURCE_PATH, STORE_FILE};
use crate::disk::Disk;
use crate::load::signed_request;
use crate::stripe::{SECRET, Series, Signer};

/// Bytes of the disk: the reserve, and a few times what one cycle writes.
const DISK_BYTES: u64 = 256 * 1024 * 1024;

/// What is left of it when a cycle begins to write.
const LEFT_BYTES: u64 = 1024 * 1024;

/// How long the load of a cycle runs into the full disk.
const LOAD: Duration = Duration::from_millis(200);

/// A disk that does not fill, or room that is not noticed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How soon a refusal must come, and how soon webhooks must be taken again.
pub const REFUSED_AFTER_MAX: Duration = Duration::from_secs(1);
/// See [`REFUSED_AFTER_MAX`].
pub const TAKEN_AFTER_MAX: Duration = Duration::from_secs(5);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// How often the disk fills.
    pub cycles: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// What became of the events.
    pub findings: Findings,
    /// Webhooks that were refused.
    pub refused: u64,
    /// The slowest of these answers.
    pub refused_after_max: Duration,
    /// From room on the disk to the next acknowledgement, the slowest.
    pub taken_after_max: Duration,
}

impl Found {
    /// Every broken promise, in words; a machine that is busy with other things may take so many times
    /// as long as is promised.
    pub fn faults(&self, times: u32) -> Vec<String> {
        let mut faults = self.findings.faults();
        if self.refused_after_max > REFUSED_AFTER_MAX * times {
            faults.push(format!("a refusal took {:?}", self.refused_after_max));
        }
        if self.taken_after_max > TAKEN_AFTER_MAX * times {
            faults.push(format!(
                "webhooks were taken {:?} after there was room",
                self.taken_after_max
            ));
        }
        if self.refused == 0 {
            faults.push("nothing was refused, so nothing was shown".into());
        }
        faults
    }
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When something cannot be done that must be possible on a full disk too, or no disk be made.
    pub fn run(&self) -> Result<Found> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let mut deployment = Deployment::new(&self.binary, &application.url(), Deliveries::Sent)?;
        let disk = Disk::over(&deployment.disk(), DISK_BYTES)?;
        deployment.within = disk.within();
        let mut provider = Provider::new(8);
        let mut found = Found::default();

        deployment.serve()?.stop()?;
        disk.fill_all_but(0)?;
        let mut server = deployment.serve_until("/healthz", &[]).context("without a block left")?;
        see_what_a_full_disk_leaves(&deployment)?;
        disk.empty()?;
        found.taken_after_max = until_taken(&deployment)?;
        for cycle in 0..self.cycles {
            disk.fill_all_but(LEFT_BYTES)?;
            send_until_refused(&mut provider, deployment.public)?;
            see_what_a_full_disk_leaves(&deployment)?;
            if cycle == 0 {
                let before = application.ledger();
                server.kill();
                found.findings.in_flight +=
                    u64::try_from(in_flight(&deployment, &application, &before)?)?;
                server = deployment.serve_until("/healthz", &[]).context("on a full disk")?;
                see_what_a_full_disk_leaves(&deployment)?;
            }
            disk.empty()?;
            found.taken_after_max = found.taken_after_max.max(until_taken(&deployment)?);
            provider.send_for(deployment.public, LOAD)?;
        }
        found.refused = provider.refused;
        found.refused_after_max = provider.refused_after_max;
        found.findings.conclude(&deployment, &application, &provider, server)?;
        // A copy, since SQLite cannot reach the disk from outside.
        let copy = tempfile::NamedTempFile::new()?;
        std::fs::copy(disk.path().join(STORE_FILE), copy.path())?;
        found.findings.damage = damage(copy.path())?;
        Ok(found)
    }
}

fn send_until_refused(provider: &mut Provider, target: SocketAddr) -> Result<()> {
    let (start, before) = (Instant::now(), provider.refused);
    while provider.refused == before {
        ensure!(start.elapsed() < PATIENCE, "the disk was filled and nothing was refused");
        provider.send_for(target, LOAD)?;
    }
    Ok(())
}

/// What must be so, and be possible, for as long as the disk is full.
fn see_what_a_full_disk_leaves(deployment: &Deployment) -> Result<()> {
    let answer = send_one(deployment.public)?;
    ensure!(answer.starts_with("HTTP/1.1 503 "), "a webhook was answered {answer}");
    ensure!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "no Retry-After: {answer}");
    let alive = get(deployment.admin, "/healthz")?;
    ensure!(alive.starts_with("HTTP/1.1 200 "), "/healthz: {alive}");
    let ready = get(deployment.admin, "/readyz")?;
    ensure!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("store_full"), "/readyz: {ready}");
    let metrics = get(deployment.admin, "/metrics")?;
    ensure!(metrics.contains("\ncountersign_store_full 1\n"), "/metrics: {metrics}");
    // Each writes an audit entry.
    for command in ["pause", "enable"] {
        deployment.lines(&[
            "endpoints",
            command,
            "app",
            "--reason",
            "the disk is full",
            "--json",
        ])?;
    }
    Ok(())
}

/// How long it takes until a webhook is acknowledged again.
fn until_taken(deployment: &Deployment) -> Result<Duration> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if send_one(deployment.public)?.starts_with("HTTP/1.1 200 ") {
            return Ok(start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("no webhook was taken within {PATIENCE:?} after there was room")
}

fn send_one(target: SocketAddr) -> Result<String> {
    let head = format!("POST {SOURCE_PATH} HTTP/1.1\r\nhost: {target}\r\nconnection: close\r\n");
    let body = Series::fresh().body(0, now_ms() / 1000);
    ask(target, &signed_request(&head, &Signer::new(SECRET), &body))
}

fn get(target: SocketAddr, path: &str) -> Result<String> {
    ask(target, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
}

fn ask(target: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowness_and_an_empty_run_are_faults() {
        let mut found = Found::default();
        found.findings.acknowledged = 1;
        assert_eq!(found.faults(1).len(), 1, "nothing was refused");
        found.refused = 1;
        assert!(found.faults(1).is_empty());
        found.refused_after_max = REFUSED_AFTER_MAX * 2;
        found.taken_after_max = TAKEN_AFTER_MAX * 2;
        assert_eq!(found.faults(1).len(), 2);
        assert!(found.faults(2).is_empty());
    }
}
