//! How many connections are open, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections of a listener.
#[derive(Clone)]
pub(crate) struct Connections {
    counts: Arc<Mutex<Counts>>,
    all_max: usize,
    per_address_max: usize,
}

#[derive(Default)]
struct Counts {
    all: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// One open connection; its place is free again when this is dropped.
pub(crate) struct Place {
    connections: Connections,
    address: Option<IpAddr>,
}

impl Connections {
    pub(crate) fn new(all_max: usize, per_address_max: usize) -> Self {
        Self { counts: Arc::default(), all_max, per_address_max }
    }

    /// A place for a connection from this address, unless all are taken. An exempt address (a
    /// trusted proxy) is bounded by the total only.
    pub(crate) fn enter(&self, address: IpAddr, exempt: bool) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.all_max {
            return None;
        }
        let address = if exempt { None } else { Some(network(address)) };
        if address.is_some_and(|address| !counts.add(address, self.per_address_max)) {
            return None;
        }
        counts.all += 1;
        Some(Place { connections: self.clone(), address })
    }
}

impl Counts {
    fn add(&mut self, address: IpAddr, max: usize) -> bool {
        let count = self.per_address.entry(address).or_default();
        let has_room = *count < max;
        *count += usize::from(has_room);
        has_room
    }

    fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.per_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }
}

impl Place {
    /// Counts the connection for another address from now on, unless that one has its share.
    pub(crate) fn move_to(&mut self, address: IpAddr) -> bool {
        let address = network(address);
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.add(address, self.connections.per_address_max) {
            return false;
        }
        if let Some(before) = self.address.replace(address) {
            counts.remove(before);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(address) = self.address {
            counts.remove(address);
        }
    }
}

/// Whoever holds an IPv6 address holds its /64, so that is what is counted.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let connections = Connections::new(4, 2);
        let first = connections.enter(ip("192.0.2.1"), false);
        let second = connections.enter(ip("192.0.2.1"), false);
        assert!(first.is_some() && second.is_some());
        assert!(connections.enter(ip("192.0.2.1"), false).is_none());
        assert!(connections.enter(ip("192.0.2.2"), false).is_some());
        drop(first);
        assert!(connections.enter(ip("192.0.2.1"), false).is_some());
    }

    #[test]
    fn the_total_bounds_even_a_trusted_proxy() {
        let connections = Connections::new(3, 1);
        let places: Vec<_> = (0..3).map(|_| connections.enter(ip("10.0.0.1"), true)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(connections.enter(ip("10.0.0.1"), true).is_none());
    }

    #[test]
    fn whoever_is_behind_a_proxy_is_counted_like_everybody() {
        let connections = Connections::new(4, 1);
        let mut first = connections.enter(ip("10.0.0.1"), true).expect("there is room");
        let mut second = connections.enter(ip("10.0.0.1"), true).expect("there is room");
        assert!(first.move_to(ip("192.0.2.1")));
        assert!(!second.move_to(ip("192.0.2.1")));
        assert!(connections.enter(ip("192.0.2.1"), false).is_none());
        assert!(first.move_to(ip("192.0.2.2")));
        assert!(second.move_to(ip("192.0.2.1")));
        drop((first, second));
        assert!(connections.counts.lock().expect("not poisoned").per_address.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_sender() {
        assert_eq!(network(ip("2001:db8::1")), network(ip("2001:db8::ffff")));
        assert_ne!(network(ip("2001:db8::1")), network(ip("2001:db8:0:1::1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
