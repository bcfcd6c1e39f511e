//! Listeners, host names and networks.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::document::{At, Texts};
use super::problem::{Found, Refusal};
use super::reference::Resolver;

const NETWORK_FIX: &str = "write a network with its prefix length, such as 203.0.113.0/24 or \
                           2001:db8::/32, or one address, such as 203.0.113.7";

/// The address of a listener, or its default.
pub(super) fn listener(
    written: Option<&At<String>>,
    default: SocketAddr,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<SocketAddr> {
    let Some(written) = written else { return Some(default) };
    let text = resolver.text(written, found)?;
    let address = text.parse().ok();
    if address.is_none() {
        let message = "this is not an address and a port";
        let fix = "write ADDRESS:PORT with a numeric address, such as 127.0.0.1:8480 or [::1]:8480";
        found.add(Refusal::BadListener, &written.place, message, fix);
    }
    address
}

/// Whether both listeners cannot be bound at once. Port 0 is another port each time.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (any || one.ip() == other.ip())
}

/// Host names as they stand in a `Host` header, without a port.
pub(super) fn hosts(
    written: Option<&Texts>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Vec<String> {
    let mut hosts = Vec::new();
    for item in written.into_iter().flat_map(|list| &list.value) {
        let Some(text) = resolver.text(item, found) else { continue };
        let name = text.to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        let is_v6 = name.parse::<std::net::Ipv6Addr>().is_ok();
        if !name.is_empty() && name.len() <= 253 && (name.bytes().all(plain) || is_v6) {
            hosts.push(name);
        } else {
            let message = "this is not a host name";
            let fix = "write the name alone, such as hooks.example.com: no scheme, port or path";
            found.add(Refusal::BadHost, &item.place, message, fix);
        }
    }
    hosts
}

/// Networks in CIDR form, or single addresses.
pub(super) fn networks(
    written: Option<&Texts>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for item in written.into_iter().flat_map(|list| &list.value) {
        let Some(text) = resolver.text(item, found) else { continue };
        match network(&text) {
            Ok(network) => networks.push(network),
            Err(refusal) => {
                let message = match refusal {
                    Refusal::NetworkAsHost => "a network is written as if it were one host",
                    Refusal::HostBitsSet => "the address has bits beyond its prefix length",
                    Refusal::NetworkIsEverything => "this network holds every address",
                    _ => "this is neither an address nor a network",
                };
                let fix = match refusal {
                    Refusal::NetworkIsEverything => "name the networks that are meant",
                    Refusal::HostBitsSet => {
                        "write the first address of the network before the prefix length, such \
                         as 203.0.113.0/24, or give one address /32 (IPv6: /128)"
                    }
                    _ => NETWORK_FIX,
                };
                found.add(refusal, &item.place, message, fix);
            }
        }
    }
    networks
}

fn network(text: &str) -> Result<IpNet, Refusal> {
    if text.contains('/') {
        let network: IpNet = text.parse().map_err(|_| Refusal::BadNetwork)?;
        refuse_mapped(network.addr())?;
        if network.prefix_len() == 0 {
            return Err(Refusal::NetworkIsEverything);
        }
        return if network == network.trunc() { Ok(network) } else { Err(Refusal::HostBitsSet) };
    }
    let address: IpAddr = text.parse().map_err(|_| Refusal::BadNetwork)?;
    refuse_mapped(address)?;
    let ends_in_zeros = match address {
        IpAddr::V4(v4) => v4.octets().last() == Some(&0),
        IpAddr::V6(v6) => v6.to_bits().trailing_zeros() >= 64,
    };
    if ends_in_zeros { Err(Refusal::NetworkAsHost) } else { Ok(IpNet::from(address)) }
}

/// An IPv4 address inside IPv6 would never match: senders are compared in their IPv4 form.
fn refuse_mapped(address: IpAddr) -> Result<(), Refusal> {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(Refusal::BadNetwork),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, Refusal> {
        network(text).map(|network| network.to_string())
    }

    #[test]
    fn networks_and_single_addresses_are_read() {
        assert_eq!(check("203.0.113.0/24"), Ok("203.0.113.0/24".into()));
        assert_eq!(check("203.0.113.7"), Ok("203.0.113.7/32".into()));
        assert_eq!(check("203.0.113.7/32"), Ok("203.0.113.7/32".into()));
        assert_eq!(check("203.0.113.0/32"), Ok("203.0.113.0/32".into()));
        assert_eq!(check("2001:db8::/32"), Ok("2001:db8::/32".into()));
        assert_eq!(check("::1"), Ok("::1/128".into()));
    }

    #[test]
    fn a_network_written_as_a_host_is_refused() {
        for text in ["203.0.113.0", "10.0.0.0", "0.0.0.0", "2001:db8::", "::"] {
            assert_eq!(check(text), Err(Refusal::NetworkAsHost), "{text}");
        }
    }

    #[test]
    fn an_address_inside_of_a_network_is_refused() {
        for text in ["203.0.113.7/24", "10.0.0.1/8", "2001:db8::1/32"] {
            assert_eq!(check(text), Err(Refusal::HostBitsSet), "{text}");
        }
    }

    #[test]
    fn the_network_of_everything_is_refused() {
        for text in ["0.0.0.0/0", "::/0"] {
            assert_eq!(check(text), Err(Refusal::NetworkIsEverything), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let bad = ["", "x", "203.0.113.0/33", "203.0.113/24", "203.0.113.0/", "2001:db8::/129"];
        for text in bad.into_iter().chain(["example.com", "0300.0.0.1", "::ffff:203.0.113.7"]) {
            assert_eq!(check(text), Err(Refusal::BadNetwork), "{text}");
        }
    }

    #[test]
    fn listeners_collide_on_one_address_or_on_all() {
        let collide = |one: &str, other: &str| {
            super::collide(one.parse().expect("good"), other.parse().expect("good"))
        };
        assert!(collide("127.0.0.1:1", "127.0.0.1:1"));
        assert!(collide("0.0.0.0:1", "127.0.0.1:1"));
        assert!(!collide("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!collide("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
    }
}
