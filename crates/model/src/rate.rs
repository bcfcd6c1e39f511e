//! The two-bucket sliding window: one arithmetic for every limit, wherever it is kept.
//!
//! The count at a moment is this period's count plus the last period's, weighted by how much of
//! the last period still lies in the window. It never undercounts by more than the traffic's
//! unevenness inside one period, and needs two numbers a key.

/// A limit of `count` in `period_ms` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many are allowed.
    pub count: u32,
    /// In how long, milliseconds.
    pub period_ms: i64,
}

/// The text is not a rate such as `10/1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARate;

impl std::fmt::Display for NotARate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a rate such as 10/1m: a count, a slash, and a time in s, m or h")
    }
}

impl std::error::Error for NotARate {}

impl std::str::FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, period) = text.split_once('/').ok_or(NotARate)?;
        let unit = period.chars().last().ok_or(NotARate)?;
        let unit_ms = match unit {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            _ => return Err(NotARate),
        };
        let digits = period.strip_suffix(unit).ok_or(NotARate)?;
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if plain { text.parse::<u32>().ok().filter(|n| *n > 0) } else { None }
        };
        let count = number(count).ok_or(NotARate)?;
        let periods = number(digits).filter(|n| *n <= 86_400).ok_or(NotARate)?;
        Ok(Self { count, period_ms: i64::from(periods) * unit_ms })
    }
}

/// The counts of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    period: i64,
    current: u32,
    previous: u32,
}

impl Window {
    /// Moves to the period of `now_ms` and gives the weighted count.
    pub fn count(&mut self, rate: Rate, now_ms: i64) -> u32 {
        let period = now_ms.div_euclid(rate.period_ms.max(1));
        if period != self.period {
            self.previous = if period == self.period + 1 { self.current } else { 0 };
            self.current = 0;
            self.period = period;
        }
        let left_ms = rate.period_ms - now_ms.rem_euclid(rate.period_ms.max(1));
        let weighted = i64::from(self.previous) * left_ms / rate.period_ms.max(1);
        self.current.saturating_add(u32::try_from(weighted).unwrap_or(u32::MAX))
    }

    /// Takes over the counts of all who share the limit, for the period that began then. What was
    /// counted here and is not among them yet comes on top.
    pub fn share(&mut self, rate: Rate, period_start_ms: i64, counts: (u32, u32), unshared: u32) {
        if period_start_ms.div_euclid(rate.period_ms.max(1)) != self.period {
            return;
        }
        let (current, previous) = counts;
        self.current = self.current.max(current.saturating_add(unshared));
        self.previous = self.previous.max(previous);
    }

    /// When the period began in which something was counted last, unix milliseconds.
    pub fn period_start_ms(&self, rate: Rate) -> i64 {
        self.period.saturating_mul(rate.period_ms.max(1))
    }

    /// Counts one more if the limit allows it; else says after how many milliseconds to ask again.
    pub fn take(&mut self, rate: Rate, now_ms: i64) -> Result<u32, i64> {
        let used = self.count(rate, now_ms);
        if used >= rate.count {
            return Err(rate.period_ms - now_ms.rem_euclid(rate.period_ms.max(1)));
        }
        self.current = self.current.saturating_add(1);
        Ok(rate.count - used - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_rates() {
        assert_eq!("10/1m".parse(), Ok(Rate { count: 10, period_ms: 60_000 }));
        assert_eq!("5/30s".parse(), Ok(Rate { count: 5, period_ms: 30_000 }));
        for bad in ["", "10", "10/m", "0/1m", "10/0m", "-1/1m", "+1/1m", "10/1d", "10/99999999h"] {
            assert_eq!(bad.parse::<Rate>(), Err(NotARate), "{bad}");
        }
    }

    #[test]
    fn what_others_counted_counts_here_too() {
        let rate = Rate { count: 10, period_ms: 60_000 };
        let mut window = Window::default();
        assert_eq!(window.take(rate, 61_000), Ok(9));
        assert_eq!(window.period_start_ms(rate), 60_000);
        // Seven of others and ours, and another of ours that they do not know of yet.
        assert!(window.take(rate, 61_000).is_ok());
        window.share(rate, 60_000, (8, 0), 1);
        assert_eq!(window.take(rate, 61_000), Ok(0));
        assert!(window.take(rate, 61_000).is_err());
        // What is said of another period says nothing of this one, and nothing is taken back.
        window.share(rate, 120_000, (0, 0), 0);
        window.share(rate, 60_000, (0, 0), 0);
        assert!(window.take(rate, 61_000).is_err());
        window.share(rate, 60_000, (10, 10), 0);
        assert!(window.take(rate, 120_000).is_err());
    }

    #[test]
    fn slides_over_the_edge_of_a_period() {
        let rate = Rate { count: 10, period_ms: 60_000 };
        let mut window = Window::default();
        for _ in 0..10 {
            assert!(window.take(rate, 59_000).is_ok());
        }
        assert!(window.take(rate, 59_999).is_err());
        // One second into the next minute nearly all of the last one still counts.
        assert!(window.take(rate, 61_000).is_ok());
        assert!(window.take(rate, 61_000).is_err());
        // Two minutes on, nothing does.
        assert_eq!(window.count(rate, 181_000), 0);
    }

    proptest! {
        #[test]
        fn never_allows_more_than_the_limit_in_a_period(times in prop::collection::vec(0_i64..60_000, 0..100)) {
            let rate = Rate { count: 10, period_ms: 60_000 };
            let mut window = Window::default();
            let mut sorted = times;
            sorted.sort_unstable();
            let taken = sorted.iter().filter(|t| window.take(rate, **t).is_ok()).count();
            prop_assert!(taken <= 10);
        }
    }
}
