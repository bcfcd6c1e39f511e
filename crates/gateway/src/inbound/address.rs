//! Who sent it: the peer, or the right-most address that a trusted proxy did not add itself.
//!
//! The peer is the socket's, or the one that a PROXY header names in its place.
//! `X-Forwarded-For` is believed only when that peer is a trusted proxy. Its lines are joined and
//! walked from the right; the first address that is no trusted proxy is the sender. What stands
//! further left was written by that sender and proves nothing.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;
use sabotage::Defect;

use crate::listener::Peer;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The sender's address.
pub(crate) fn source_address(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut sender = peer.address;
    if !peer.is_trusted && !sabotage::on(Defect::ForwardedBelieved) {
        return sender;
    }
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        let Ok(text) = line.to_str() else { return sender };
        for hop in text.rsplit(',') {
            let Some(address) = hop_address(hop.trim()) else { return sender };
            sender = address;
            if !is_trusted(sender) {
                return sender;
            }
        }
    }
    sender
}

/// An address as proxies write it: bare, with a port, or IPv6 in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    let address = bare.unwrap_or(hop);
    let parsed = address.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    parsed.or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().expect("a header value"));
        }
        let trusted =
            ["10.0.0.0/8".parse().expect("a range"), "fd00::/8".parse().expect("a range")];
        let address: IpAddr = peer.parse().expect("an address");
        let is_trusted = trusted.iter().any(|range: &IpNet| range.contains(&address));
        let peer = Peer { address, is_trusted, is_encrypted: false };
        let expected: IpAddr = expected.parse().expect("an address");
        assert_eq!(source_address(peer, &headers, &trusted), expected, "{forwarded:?}");
    }

    #[test]
    fn a_stranger_cannot_name_its_address() {
        check("192.0.2.1", &["203.0.113.9"], "192.0.2.1");
        check("192.0.2.1", &["10.0.0.1", "203.0.113.9"], "192.0.2.1");
    }

    #[test]
    fn the_rightmost_untrusted_hop_is_the_sender() {
        check("10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["1.2.3.4, 203.0.113.9, 10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["1.2.3.4", "203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["203.0.113.9, 1.2.3.4", "10.0.0.2"], "1.2.3.4");
        check("fd00::1", &["[2001:db8::7]:4711"], "2001:db8::7");
        check("10.0.0.1", &["203.0.113.9:80"], "203.0.113.9");
    }

    #[test]
    fn garbage_ends_the_walk() {
        check("10.0.0.1", &["unknown"], "10.0.0.1");
        check("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &[""], "10.0.0.1");
        check("10.0.0.1", &[], "10.0.0.1");
    }
}
