//! Commits whose answer is lost: a proxy before the server cuts connections after the `COMMIT`.
//!
//! Nobody but the server knows whether such a commit took effect. The gateway has to find out, or to
//! answer 503; whatever it does, nothing may be lost, and nothing be there twice.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::fleet::{Fleet, deploy_at};
use super::traffic::Traffic;
use super::{Findings, delivered, note_leases};
use crate::application::{Application, Reading};
use crate::clock::Chance;
use crate::deployment::Deliveries;
use crate::postgres::{Cluster, SERVING};
use crate::proxy::{Cut, Proxy};

/// How long all the cuts may take.
const PATIENCE: Duration = Duration::from_secs(600);

const DATABASE: &str = "ambiguous";

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// Gateways.
    pub replicas: usize,
    /// Commits whose answer is lost.
    pub cuts: u64,
    /// Repeats what is drawn.
    pub seed: u64,
    /// Whether leases that were lost are ended by hand at the end.
    pub hurries: bool,
}

/// One in four: half of these when the server has answered, half when it may have heard.
fn one_in_four(commit: u64) -> Cut {
    match Chance::new(commit).between(0, 8) {
        0 => Cut::After,
        1 => Cut::During,
        _ => Cut::Not,
    }
}

impl Plan {
    /// Carries it out; what was found, and how many answers were lost.
    ///
    /// # Errors
    /// When a gateway or the database cannot be started or asked.
    pub fn run(&self) -> Result<(Findings, u64)> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let application = Application::start(listen, Reading::Document)?;
        let cluster = Cluster::start(&[])?;
        let proxying =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let proxy = proxying.block_on(Proxy::start(cluster.socket(), one_in_four))?;
        let url = format!("postgres://{SERVING}@127.0.0.1:{}/{DATABASE}", proxy.port());
        let (endpoint, binary) = (application.url(), &self.binary);
        let first = deploy_at(&url, &cluster, DATABASE, binary, &endpoint, Deliveries::Sent)?;
        let mut fleet = Fleet::start(first, self.replicas)?;
        let flow = Traffic {
            targets: fleet.targets(),
            connections: 8 * self.replicas,
            events: u64::MAX,
            repeated_percent: 10,
            per_second: f64::INFINITY,
            seed: self.seed,
        }
        .flow();
        let start = Instant::now();
        while proxy.cuts() < self.cuts {
            ensure!(start.elapsed() < PATIENCE, "{} cuts in all that time", proxy.cuts());
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut findings = Findings { sent: flow.stop()?, ..Findings::default() };
        note_leases(&cluster, DATABASE, 0)?;
        if let Err(late) = delivered(&cluster, DATABASE, self.hurries) {
            findings.broken_rules.push(format!("not delivered in time: {late:#}"));
        }
        let cuts = proxy.cuts();
        Ok((findings.conclude(&mut fleet, &application, &cluster, DATABASE)?, cuts))
    }
}
