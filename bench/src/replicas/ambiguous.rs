//! Commits whose answer is lost: a proxy before the server cuts connections after the `COMMIT`.
//!
//! Nobody but the server knows whether such a commit took effect. The gateway has to find out, or to
//! answer 503; whatever it does, nothing may be lost, and nothing be there twice.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Findings, Gateways, note_leases};
use crate::clock::Chance;
use crate::postgres::{Cluster, SERVING};
use crate::proxy::{Cut, Proxy};

/// How long all the cuts may take.
const PATIENCE: Duration = Duration::from_secs(600);

const DATABASE: &str = "ambiguous";

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateways.
    pub gateways: Gateways,
    /// Commits whose answer is lost.
    pub cuts: u64,
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
    pub fn run(&self, cluster: &Cluster) -> Result<(Findings, u64)> {
        let proxying =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let proxy = proxying.block_on(Proxy::start(cluster.socket(), one_in_four))?;
        let url = format!("postgres://{SERVING}@127.0.0.1:{}/{DATABASE}", proxy.port());
        let shop = self.gateways.open(cluster, DATABASE, &url, None)?;
        let flow = shop.traffic(self.gateways.seed).flow();
        let start = Instant::now();
        while proxy.cuts() < self.cuts {
            ensure!(start.elapsed() < PATIENCE, "{} cuts in all that time", proxy.cuts());
            std::thread::sleep(Duration::from_millis(5));
        }
        let found = Findings { sent: flow.stop()?, ..Findings::default() };
        note_leases(cluster, DATABASE, 0)?;
        Ok((shop.conclude(cluster, found)?, proxy.cuts()))
    }
}
