//! A seeded generator, so that a stream of made-up orders can be drawn again.

/// SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// The generator of this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 when the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.bits() % limit).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        let index = self.below(N);
        *from.get(index).expect("below the length of a list that is never empty")
    }

    /// So many characters of this alphabet.
    pub fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length).filter_map(|_| letters.get(self.below(letters.len()))).collect()
    }

    /// So many lower-case hex digits.
    pub fn hex(&mut self, length: usize) -> String {
        self.text("0123456789abcdef", length)
    }

    /// So many letters and digits without case traps, as hashes and ids are often printed.
    pub fn base58(&mut self, length: usize) -> String {
        self.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", length)
    }

    /// A text in the form of a random UUID.
    pub fn uuid(&mut self) -> String {
        let parts = [self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12)];
        let [a, b, c, d, e] = parts;
        format!("{a}-{b}-4{c}-a{d}-{e}")
    }

    /// Puts these in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let (mut one, mut two) = (Draw::seeded(7), Draw::seeded(7));
        assert_eq!(one.uuid(), two.uuid());
        assert_eq!(one.hex(40), two.hex(40));
        assert_ne!(Draw::seeded(8).hex(40), Draw::seeded(7).hex(40));
    }

    #[test]
    fn draws_stay_in_their_bounds() {
        let mut draw = Draw::seeded(1);
        assert!((0..1000).all(|_| draw.below(3) < 3));
        assert_eq!(draw.below(0), 0);
        assert_eq!(draw.uuid().len(), 36);
        let mut items: Vec<_> = (0..50).collect();
        draw.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
