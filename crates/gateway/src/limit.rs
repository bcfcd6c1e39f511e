//! Sliding windows, one for each of whatever is limited, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use model::limits::LIMITED_TRACKED_MAX;
use model::rate::{Rate, Window};

use crate::answer::Limited;

/// One limit, counted for each key on its own: an address, an API key, a customer.
pub(crate) struct Limit<K> {
    rate: Rate,
    windows: Mutex<Generations<K>>,
}

/// Two maps: when the younger is full the older is forgotten, so memory is bounded and the busiest
/// are never the ones forgotten.
struct Generations<K> {
    young: HashMap<K, Window>,
    old: HashMap<K, Window>,
    /// Counted since this was last told to the gateways beside this one.
    unshared: HashMap<K, u32>,
}

/// What was counted of a key and is to be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shared<K> {
    pub(crate) key: K,
    pub(crate) period_start_ms: i64,
    pub(crate) count: u32,
}

/// What is left after one more was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) count: u32,
    /// Until the period ends.
    pub(crate) reset_ms: i64,
}

impl<K: Copy + Eq + Hash> Generations<K> {
    /// The window of a key, which is young from now on.
    fn window(&mut self, key: K) -> &mut Window {
        if self.young.len() >= LIMITED_TRACKED_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let carried = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| carried.unwrap_or_default())
    }
}

impl<K: Copy + Eq + Hash> Limit<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        let (young, old, unshared) = Default::default();
        Self { rate, windows: Mutex::new(Generations { young, old, unshared }) }
    }

    /// Counts one for this key, or says that it has had its share.
    pub(crate) fn take(&self, key: K, now_ms: i64) -> Result<Left, Limited> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        match windows.window(key).take(self.rate, now_ms) {
            Ok(count) => {
                if windows.unshared.len() < LIMITED_TRACKED_MAX {
                    let unshared = windows.unshared.entry(key).or_default();
                    *unshared = unshared.saturating_add(1);
                }
                let period_ms = self.rate.period_ms.max(1);
                Ok(Left { count, reset_ms: period_ms - now_ms.rem_euclid(period_ms) })
            }
            Err(retry_after_ms) => Err(Limited { limit: self.rate.count, retry_after_ms }),
        }
    }

    /// Whether one more would be too many, those that are under way included; counts nothing.
    pub(crate) fn look(&self, key: K, now_ms: i64, under_way: u32) -> Result<(), Limited> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let used = windows.window(key).count(self.rate, now_ms).saturating_add(under_way);
        if used < self.rate.count {
            return Ok(());
        }
        let period_ms = self.rate.period_ms.max(1);
        let retry_after_ms = period_ms - now_ms.rem_euclid(period_ms);
        Err(Limited { limit: self.rate.count, retry_after_ms })
    }

    /// The limit.
    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// What was counted since this was asked last.
    pub(crate) fn to_share(&self) -> Vec<Shared<K>> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let unshared = std::mem::take(&mut windows.unshared);
        let shared = unshared.into_iter().filter_map(|(key, count)| {
            let window = windows.young.get(&key).or_else(|| windows.old.get(&key))?;
            Some(Shared { key, period_start_ms: window.period_start_ms(self.rate), count })
        });
        shared.collect()
    }

    /// Takes note of what all gateways counted of a key, in this period and the one before.
    pub(crate) fn learn(&self, shared: &Shared<K>, counts: (u32, u32)) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old, unshared } = &mut *windows;
        let unshared = unshared.get(&shared.key).copied().unwrap_or(0);
        if let Some(window) = young.get_mut(&shared.key).or(old.get_mut(&shared.key)) {
            window.share(self.rate, shared.period_start_ms, counts, unshared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 2, period_ms: 60_000 };

    #[test]
    fn each_has_its_own_share() {
        let limit = Limit::new(RATE);
        assert_eq!(limit.take(1, 0), Ok(Left { count: 1, reset_ms: 60_000 }));
        assert_eq!(limit.take(1, 500), Ok(Left { count: 0, reset_ms: 59_500 }));
        let limited = limit.take(1, 1_000).expect_err("the third is too many");
        assert_eq!(limited, Limited { limit: 2, retry_after_ms: 59_000 });
        assert!(limit.take(2, 1_000).is_ok());
        assert!(limit.take(1, 180_000).is_ok());
    }

    #[test]
    fn looking_counts_nothing() {
        let limit = Limit::new(RATE);
        for _ in 0..5 {
            assert_eq!(limit.look(1, 0, 0), Ok(()));
        }
        assert_eq!(limit.look(1, 0, 1), Ok(()));
        let limited = Limited { limit: 2, retry_after_ms: 60_000 };
        assert_eq!(limit.look(1, 0, 2), Err(limited));
        assert!(limit.take(1, 0).is_ok() && limit.look(1, 500, 0).is_ok());
        let limited = Limited { retry_after_ms: 59_500, ..limited };
        assert_eq!(limit.look(1, 500, 1), Err(limited));
        assert!(limit.take(1, 500).is_ok() && limit.look(1, 500, 0).is_err());
        assert!(limit.look(2, 500, 0).is_ok());
    }

    #[test]
    fn what_is_counted_elsewhere_counts_here() {
        let (here, there) = (Limit::new(RATE), Limit::new(RATE));
        assert!(here.take(1, 0).is_ok());
        assert!(there.take(1, 0).is_ok());
        let of_here = here.to_share();
        assert_eq!(of_here, [Shared { key: 1, period_start_ms: 0, count: 1 }]);
        assert!(here.to_share().is_empty(), "it was told once");
        here.learn(&of_here[0], (2, 0));
        assert!(here.take(1, 1_000).is_err());
        assert!(here.take(2, 1_000).is_ok());
        assert!(there.take(1, 1_000).is_ok(), "nobody has told it");
    }

    #[test]
    fn a_flood_neither_grows_without_bound_nor_frees_the_busy_one() {
        let limit = Limit::new(RATE);
        let busy = u32::MAX;
        assert!(limit.take(busy, 0).is_ok());
        assert!(limit.take(busy, 0).is_ok());
        for n in 0..u32::try_from(LIMITED_TRACKED_MAX).expect("fits") + 10 {
            let _ = limit.take(n, 0);
        }
        assert!(limit.take(busy, 0).is_err());
        let windows = limit.windows.lock().expect("not poisoned");
        assert!(windows.young.len() + windows.old.len() <= 2 * LIMITED_TRACKED_MAX);
    }
}
