//! From names to addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a test answers for a name.
pub type Script = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

/// Who is asked for the addresses of a name.
#[derive(Clone)]
pub enum Resolver {
    /// The system: its hosts file, then its name servers.
    System,
    /// A test, which plays the name server: it gets each question once.
    Scripted(Arc<Script>),
}

impl Resolver {
    /// Every address of a host. A literal address is its own.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            Self::Scripted(script) => {
                Ok(script(host).into_iter().map(|address| SocketAddr::new(address, port)).collect())
            }
        }
    }
}
