//! Addresses that a delivery may not be sent to unless its endpoint allows private ones.
//!
//! Everything that is not an ordinary public unicast address, in every spelling: an IPv6 address
//! that carries an IPv4 one (mapped, compatible, NAT64, 6to4) is judged by what it carries.
//! Source: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sabotage::Defect;

/// Whether this address is not an ordinary public one.
pub(crate) fn is_forbidden(address: IpAddr) -> bool {
    if sabotage::on(Defect::PrivateDialled) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => is_forbidden_v4(v4),
        IpAddr::V6(v6) => is_forbidden_v6(v6),
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || matches!(
            (a, b, c),
            (0 | 240..=255, _, _) // this network; reserved
                | (100, 64..=127, _) // shared address space
                | (192, 0, 0) // protocol assignments
                | (192, 88, 99) // 6to4 relay anycast
                | (198, 18..=19, _) // benchmarking
        )
}

fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if let Some(inner) = carried_v4(segments).filter(|_| !sabotage::on(Defect::CarriedAddress)) {
        return is_forbidden_v4(inner);
    }
    let [first, second, ..] = segments;
    // Ordinary unicast is 2000::/3; special ranges inside it are listed.
    first & 0xe000 != 0x2000
        || (first == 0x2001 && second < 0x0200) // protocol assignments, Teredo, ORCHID
        || (first == 0x2001 && second == 0x0db8) // documentation
        || (first == 0x3fff && second < 0x1000) // documentation
}

/// The IPv4 address that an IPv6 address is only a spelling of.
fn carried_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(join(high, low))
        }
        // ::/96 compatible, which holds :: and ::1 too: those are forbidden as 0.0.0.0/8
        [0, 0, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        // 64:ff9b::/96 NAT64
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        // 2002::/16 6to4
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, forbidden: bool) {
        let address: IpAddr = text.parse().expect("an address");
        assert_eq!(is_forbidden(address), forbidden, "{text}");
    }

    #[test]
    fn public_addresses_pass() {
        for text in
            ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"]
        {
            check(text, false);
        }
    }

    #[test]
    fn everything_else_is_forbidden_in_every_spelling() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:10::1",
            "3fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            check(text, true);
        }
    }
}
