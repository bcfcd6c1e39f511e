//! Sliding windows per address, in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::limits::ADDRESSES_TRACKED_MAX;
use model::rate::{Rate, Window};

use crate::answer::Limited;
use crate::listener::network;

/// One limit, counted for each address on its own.
pub(crate) struct AddressLimit {
    rate: Rate,
    windows: Mutex<Generations>,
}

/// Two maps: when the younger is full the older is forgotten, so memory is bounded and the busiest
/// addresses are never the ones forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<IpAddr, Window>,
    old: HashMap<IpAddr, Window>,
    /// Counted since this was last told to the gateways beside this one.
    unshared: HashMap<IpAddr, u32>,
}

/// What was counted of an address and is to be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) address: IpAddr,
    pub(crate) period_start_ms: i64,
    pub(crate) count: u32,
}

impl AddressLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, windows: Mutex::default() }
    }

    /// Counts one for this address, or says that it has had its share.
    pub(crate) fn take(&self, address: IpAddr, now_ms: i64) -> Result<(), Limited> {
        let address = network(address);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.young.len() >= ADDRESSES_TRACKED_MAX && !windows.young.contains_key(&address) {
            windows.old = std::mem::take(&mut windows.young);
        }
        let carried = windows.old.remove(&address);
        let window = windows.young.entry(address).or_insert_with(|| carried.unwrap_or_default());
        match window.take(self.rate, now_ms) {
            Ok(_) => {
                if windows.unshared.len() < ADDRESSES_TRACKED_MAX {
                    let unshared = windows.unshared.entry(address).or_default();
                    *unshared = unshared.saturating_add(1);
                }
                Ok(())
            }
            Err(retry_after_ms) => Err(Limited { limit: self.rate.count, retry_after_ms }),
        }
    }

    /// The limit.
    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// What was counted since this was asked last.
    pub(crate) fn to_share(&self) -> Vec<Shared> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let unshared = std::mem::take(&mut windows.unshared);
        let shared = unshared.into_iter().filter_map(|(address, count)| {
            let window = windows.young.get(&address).or_else(|| windows.old.get(&address))?;
            Some(Shared { address, period_start_ms: window.period_start_ms(self.rate), count })
        });
        shared.collect()
    }

    /// Takes note of what all gateways counted of an address, in this period and the one before.
    pub(crate) fn learn(&self, shared: &Shared, counts: (u32, u32)) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old, unshared } = &mut *windows;
        let unshared = unshared.get(&shared.address).copied().unwrap_or(0);
        if let Some(window) = young.get_mut(&shared.address).or(old.get_mut(&shared.address)) {
            window.share(self.rate, shared.period_start_ms, counts, unshared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 2, period_ms: 60_000 };

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn each_address_has_its_own_share() {
        let limit = AddressLimit::new(RATE);
        assert!(limit.take(ip(1), 0).is_ok());
        assert!(limit.take(ip(1), 0).is_ok());
        let limited = limit.take(ip(1), 1_000).expect_err("the third is too many");
        assert_eq!(limited, Limited { limit: 2, retry_after_ms: 59_000 });
        assert!(limit.take(ip(2), 1_000).is_ok());
        assert!(limit.take(ip(1), 180_000).is_ok());
    }

    #[test]
    fn what_is_counted_elsewhere_counts_here() {
        let (here, there) = (AddressLimit::new(RATE), AddressLimit::new(RATE));
        assert!(here.take(ip(1), 0).is_ok());
        assert!(there.take(ip(1), 0).is_ok());
        let of_here = here.to_share();
        assert_eq!(of_here, [Shared { address: ip(1), period_start_ms: 0, count: 1 }]);
        assert!(here.to_share().is_empty(), "it was told once");
        here.learn(&of_here[0], (2, 0));
        assert!(here.take(ip(1), 1_000).is_err());
        assert!(here.take(ip(2), 1_000).is_ok());
        assert!(there.take(ip(1), 1_000).is_ok(), "nobody has told it");
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_without_bound_nor_frees_the_busy_one() {
        let limit = AddressLimit::new(RATE);
        let busy = ip(0xffff_ffff);
        assert!(limit.take(busy, 0).is_ok());
        assert!(limit.take(busy, 0).is_ok());
        for n in 0..u32::try_from(ADDRESSES_TRACKED_MAX).expect("fits") + 10 {
            let _ = limit.take(ip(n), 0);
        }
        assert!(limit.take(busy, 0).is_err());
        let windows = limit.windows.lock().expect("not poisoned");
        assert!(windows.young.len() + windows.old.len() <= 2 * ADDRESSES_TRACKED_MAX);
    }
}
