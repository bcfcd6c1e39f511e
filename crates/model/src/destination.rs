//! Where a delivery may go: addresses, names and ports that are not those of an ordinary public
//! web server. An endpoint that is meant to be private says so.
//!
//! An address is judged in every spelling: an IPv6 address that carries an IPv4 one (mapped,
//! compatible, translated, NAT64, 6to4, ISATAP) is judged by what it carries too. Sources: the IANA
//! IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates); RFC 6052, RFC 3056,
//! RFC 5214; for ports the Fetch standard, "port blocking".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sabotage::Defect;

/// Ports that browsers do not speak HTTP to (Fetch standard), and those of databases and brokers.
#[rustfmt::skip]
const NOT_HTTP: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432,
    5672, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 10080, 11211,
    27017,
];

/// Names that mean this machine or this network (RFC 6761, RFC 6762, RFC 8375, and `.internal`).
const LOCAL_NAMES: [&str; 5] = ["localhost", "local", "internal", "localdomain", "home.arpa"];

/// Whether nothing but something other than HTTP is ever served on this port.
pub fn is_never_http(port: u16) -> bool {
    NOT_HTTP.contains(&port)
}

/// Whether this name can only be one of this machine or network, wherever it is asked for: a name
/// of one label too. Other names are judged by the addresses that they resolve to.
pub fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    !name.contains('.') || LOCAL_NAMES.iter().any(|local| is_under(&name, local))
}

fn is_under(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether this is an ordinary public unicast address.
pub fn is_public(address: IpAddr) -> bool {
    if sabotage::on(Defect::PrivateDialled) {
        return true;
    }
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || matches!(
            (a, b, c, d),
            (0 | 240..=255, ..) // this network; reserved
                | (100, 64..=127, ..) // shared address space
                | (192, 0, 0, _) // protocol assignments
                | (192, 88, 99, _) // 6to4 relay anycast
                | (198, 18..=19, ..) // benchmarking
                | (168, 63, 129, 16) // Azure's platform, on every virtual machine there
        );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let sees_through = !sabotage::on(Defect::CarriedAddress);
    if let Some(inner) = spelt_v4(segments).filter(|_| sees_through) {
        return is_public_v4(inner);
    }
    let [first, second, ..] = segments;
    // Ordinary unicast is 2000::/3; special ranges inside it are listed.
    let special = first & 0xe000 != 0x2000
        || (first == 0x2001 && second < 0x0200) // protocol assignments, Teredo, ORCHID
        || (first == 0x2001 && second == 0x0db8) // documentation
        || (first == 0x3fff && second < 0x1000); // documentation
    !special && tunnelled_v4(segments).filter(|_| sees_through).is_none_or(is_public_v4)
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

/// The IPv4 address that an IPv6 address is only a spelling of.
fn spelt_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    match segments {
        // ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(joined(high, low))
        }
        // ::/96 compatible, which holds :: and ::1 too: those are special as 0.0.0.0/8
        [0, 0, 0, 0, 0, 0, high, low] => Some(joined(high, low)),
        // 64:ff9b::/96 NAT64; 64:ff9b:1::/48 is for translators of one network, so never public
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(joined(high, low)),
        _ => None,
    }
}

/// The IPv4 address that packets to an ordinary IPv6 address may be tunnelled to.
fn tunnelled_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    match segments {
        // 2002::/16 6to4
        [0x2002, high, low, ..] => Some(joined(high, low)),
        // ISATAP: an interface identifier in any prefix
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, public: bool) {
        let address: IpAddr = text.parse().expect("an address");
        assert_eq!(is_public(address), public, "{text}");
    }

    #[test]
    fn public_addresses_pass() {
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2a00::5efe:101:101",
            "2002:101:101::1",
        ] {
            check(text, true);
        }
    }

    #[test]
    fn nothing_else_is_public_in_any_spelling() {
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
            "168.63.129.16",
            "2001:0:7f00:1::",
            "2001:0:5db8:d822:0:0:80ff:fffe",
            "2a00::5efe:7f00:1",
            "2a00::200:5efe:10.0.0.1",
            "fe80::5efe:1.1.1.1",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn names_of_this_machine_or_network_are_told() {
        for name in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "printer.local",
            "metadata",
            "metadata.google.internal",
            "db.localdomain",
            "nas.home.arpa",
            "",
        ] {
            assert!(is_local_name(name), "{name}");
        }
        for name in ["shop.example.com", "shop.example.com.", "notlocal.example", "mylocalhost.com"]
        {
            assert!(!is_local_name(name), "{name}");
        }
    }

    #[test]
    fn ports_of_other_protocols_are_told() {
        for port in [0, 22, 25, 6379, 5432] {
            assert!(is_never_http(port), "{port}");
        }
        for port in [80, 443, 3000, 8080, 8443, 49152] {
            assert!(!is_never_http(port), "{port}");
        }
    }
}
