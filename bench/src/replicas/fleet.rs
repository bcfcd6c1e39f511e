//! Several gateways of one deployment on one database.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::deployment::{Deliveries, Deployment};
use crate::postgres::{Cluster, OWNER, SERVING};
use crate::server::Server;

/// Gateways with one configuration, each with its ports. They stop when dropped.
#[derive(Debug)]
pub struct Fleet {
    replicas: Vec<(Deployment, Option<Server>)>,
}

/// A database of this name with the schema of this version, and a deployment over it that does not
/// run yet and reaches it by the URL.
///
/// # Errors
/// When it cannot be made.
pub fn deploy(
    url: &str,
    cluster: &Cluster,
    name: &str,
    binary: &Path,
    endpoint_url: &str,
    deliveries: Deliveries,
) -> Result<Deployment> {
    cluster.make_database(name)?;
    let deployment = Deployment::with_store(binary, endpoint_url, deliveries, url)?;
    deployment.migrate(&cluster.url(OWNER, name), SERVING)?;
    Ok(deployment)
}

impl Fleet {
    /// Starts so many replicas of a deployment, all at once.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn start(first: Deployment, count: usize) -> Result<Self> {
        let mut deployments = Vec::new();
        for _ in 1..count {
            deployments.push(first.replica()?);
        }
        deployments.push(first);
        let servers: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> =
                deployments.iter().map(|one| scope.spawn(|| one.serve())).collect();
            starting.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let mut replicas = Vec::new();
        for (deployment, server) in deployments.into_iter().zip(servers) {
            replicas.push((deployment, Some(server.ok().context("a starting thread")??)));
        }
        Ok(Self { replicas })
    }

    /// How many there are, whether or not they run.
    pub fn count(&self) -> usize {
        self.replicas.len()
    }

    /// Where they take webhooks.
    pub fn targets(&self) -> Vec<SocketAddr> {
        self.replicas.iter().map(|(deployment, _)| deployment.public).collect()
    }

    /// The deployments.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.replicas.iter().map(|(deployment, _)| deployment)
    }

    /// Those that run.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.replicas.iter().filter_map(|(_, server)| server.as_ref())
    }

    /// Any of the deployments, to run commands beside it.
    ///
    /// # Errors
    /// When there is none.
    pub fn any(&self) -> Result<&Deployment> {
        self.deployments().next().context("no replica")
    }

    /// Kills one (`SIGKILL`).
    pub fn kill(&mut self, place: usize) {
        if let Some(server) = self.replicas.get_mut(place).and_then(|(_, server)| server.take()) {
            server.kill();
        }
    }

    /// Starts one that was killed, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn start_again(&mut self, place: usize) -> Result<std::time::Duration> {
        let (deployment, running) = self.replicas.get_mut(place).context("no such replica")?;
        let server = deployment.serve()?;
        let ready_after = server.ready_after;
        *running = Some(server);
        Ok(ready_after)
    }

    /// One that runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn server(&self, place: usize) -> Result<&Server> {
        self.replicas.get(place).and_then(|(_, server)| server.as_ref()).context("it does not run")
    }

    /// Asks each to stop, and waits until all have.
    ///
    /// # Errors
    /// When one does not, or not with success.
    pub fn stop(&mut self) -> Result<()> {
        let running: Vec<Server> =
            self.replicas.iter_mut().filter_map(|(_, server)| server.take()).collect();
        for server in &running {
            server.signal("TERM")?;
        }
        running.into_iter().try_for_each(Server::stopped)
    }
}
