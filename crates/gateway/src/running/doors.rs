//! Listeners: their sockets, and who is let in through them.

use std::net::SocketAddr;

use ipnet::IpNet;
use model::limits;
use tokio::net::{TcpListener, TcpSocket};

use super::StartError;
use crate::Tls;
use crate::listener::Doors;

const ADMIN_CONNECTIONS_MAX: usize = 256;

/// What is shown by the public, the admin and the API listener.
pub(super) fn certificates(shown: [&Option<Tls>; 3]) -> Vec<(&'static str, Tls)> {
    let of = |(listener, tls): (_, &Option<Tls>)| Some((listener, tls.clone()?));
    ["public", "admin", "api"].into_iter().zip(shown).filter_map(of).collect()
}

/// Whoever sends webhooks.
pub(super) fn public(trusted: Vec<IpNet>, proxy_protocol: bool, tls: Option<Tls>) -> Doors {
    Doors {
        trusted,
        allowed: Vec::new(),
        proxy_protocol,
        tls,
        connections_max: limits::CONNECTIONS_MAX,
        per_address_max: limits::CONNECTIONS_PER_ADDRESS_MAX,
    }
}

/// Applications.
pub(super) fn api(trusted: Vec<IpNet>, tls: Option<Tls>) -> Doors {
    Doors {
        trusted,
        allowed: Vec::new(),
        proxy_protocol: false,
        tls,
        connections_max: limits::API_CONNECTIONS_MAX,
        per_address_max: limits::API_CONNECTIONS_MAX,
    }
}

/// Operators, and whoever watches the gateway.
pub(super) fn admin(allowed: Vec<IpNet>, tls: Option<Tls>) -> Doors {
    Doors {
        trusted: Vec::new(),
        allowed,
        proxy_protocol: false,
        tls,
        connections_max: ADMIN_CONNECTIONS_MAX,
        per_address_max: ADMIN_CONNECTIONS_MAX,
    }
}

pub(super) fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listening = socket.and_then(|socket| {
        // As the standard library does: a restart need not wait for old connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(limits::BACKLOG_MAX)
    });
    listening.map_err(|error| StartError::Listen { key, address, error })
}

pub(super) fn address_of(listener: &TcpListener, configured: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(configured)
}
