//! The wall clock and a seeded generator: the only places where this crate meets chance and time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds now.
#[expect(clippy::disallowed_methods, reason = "load is signed with the real time")]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// A seed for a run that was not given one.
pub fn fresh_seed() -> u64 {
    getrandom::u64().unwrap_or(1)
}

/// A small seeded generator (splitmix64), so that a failing run can be repeated by its seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// So many bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for eight in bytes.chunks_mut(8) {
            for (byte, bits) in eight.iter_mut().zip(self.bits().to_le_bytes()) {
                *byte = bits;
            }
        }
        bytes
    }

    /// A number from `low` up to but not `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % high.saturating_sub(low).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_repeats() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            [chance.bits(), chance.between(10, 20), chance.between(5, 5)]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(Chance::new(7).bytes::<16>(), Chance::new(8).bytes::<16>());
        assert_ne!(draw(7), draw(8));
        assert_eq!(draw(7)[2], 5);
        assert!((10..20).contains(&draw(7)[1]));
    }
}
