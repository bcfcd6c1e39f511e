//! Limits on orders: how much, and how many, one party may order in a while.
//!
//! A limit looks back over a window that ends now: an order counts from when it was created until the
//! window has passed it by. Orders that are cancelled, expired or failed do not count ([`counts`]).

use std::fmt;

use super::OrderState;
use crate::Timestamp;
use crate::event::codes;
use crate::money::{Unit, major};

codes! {
    /// Whose orders a limit counts together.
    LimitPer {
        /// Those of one customer at a provider.
        Customer = "customer",
        /// Those to one address on a chain.
        Address = "address",
    }
}

/// How much one party may order in a while. At least one of the bounds is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLimit {
    /// Whose orders are counted together.
    pub per: LimitPer,
    /// Only orders in this currency or asset; any if there is none. A sum needs one.
    pub unit: Option<Unit>,
    /// How far back orders count, milliseconds.
    pub window_ms: i64,
    /// At most so many.
    pub count_max: Option<u32>,
    /// At most so much in all, in minor units of the currency or asset.
    pub sum_max: Option<u128>,
}

impl fmt::Display for OrderLimit {
    /// For people, without whom it counts: `customer: at most 3 orders and 100.00 EUR in 86400 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at most", self.per)?;
        if let Some(count) = self.count_max {
            write!(f, " {count} orders")?;
        }
        if let (Some(sum), Some(unit)) = (self.sum_max, &self.unit) {
            let and = if self.count_max.is_some() { " and" } else { "" };
            write!(f, "{and} {} {unit}", major(sum, unit.decimals()))?;
        } else if let Some(unit) = &self.unit {
            write!(f, " in {unit}")?;
        }
        write!(f, " in {} s", self.window_ms / 1_000)
    }
}

/// An order that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// When it was created.
    pub at: Timestamp,
    /// How much, in minor units.
    pub minor: u128,
}

/// One order more would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitReached {
    /// In how many milliseconds it will not be, if no other comes; none if it is too much by itself.
    pub retry_after_ms: Option<i64>,
}

/// Whether orders in a state count.
pub const fn counts(state: OrderState) -> bool {
    !matches!(state, OrderState::Cancelled | OrderState::Expired | OrderState::Failed)
}

impl OrderLimit {
    /// From when on orders count; those of that moment no longer.
    pub const fn since(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(-self.window_ms)
    }

    /// Whether an order of so much may come to those that count, the oldest first.
    ///
    /// # Errors
    /// It may not.
    pub fn admit(
        &self,
        counted: &[Counted],
        minor: u128,
        now: Timestamp,
    ) -> Result<(), LimitReached> {
        let fits = |before: usize, sum: u128| {
            let count_max =
                self.count_max.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            count_max.is_none_or(|most| before < most)
                && self.sum_max.is_none_or(|most| sum <= most)
        };
        if sabotage::on(sabotage::Defect::LimitIgnored) {
            return Ok(());
        }
        let mut sum = minor;
        if !fits(0, sum) {
            return Err(LimitReached { retry_after_ms: None });
        }
        // From the newest back: what is too much to be counted could not be taken off again.
        for (newer, one) in counted.iter().rev().enumerate() {
            sum = sum.saturating_add(one.minor);
            if !fits(newer + 1, sum) {
                let gone_at = one.at.plus_millis(self.window_ms);
                let wait_ms = gone_at.as_millis().saturating_sub(now.as_millis()).max(1);
                return Err(LimitReached { retry_after_ms: Some(wait_ms) });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(count_max: Option<u32>, sum_max: Option<u128>) -> OrderLimit {
        let unit = Some(Unit::Currency("EUR".parse().unwrap()));
        OrderLimit { per: LimitPer::Customer, unit, window_ms: 10_000, count_max, sum_max }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn check(
        limit: &OrderLimit,
        counted: &[(i64, u128)],
        minor: u128,
        expected: Result<(), Option<i64>>,
    ) {
        let counted: Vec<_> =
            counted.iter().map(|(ms, minor)| Counted { at: at(*ms), minor: *minor }).collect();
        let admitted = limit.admit(&counted, minor, at(10_000));
        assert_eq!(admitted.map_err(|reached| reached.retry_after_ms), expected, "{counted:?}");
    }

    #[test]
    fn one_more_than_the_count_is_too_many() {
        let two = limit(Some(2), None);
        check(&two, &[], 5, Ok(()));
        check(&two, &[(1_000, 5)], 5, Ok(()));
        check(&two, &[(1_000, 5), (4_000, 5)], 5, Err(Some(1_000)));
        check(&two, &[(1_000, 5), (4_000, 5), (6_000, 5)], 5, Err(Some(4_000)));
    }

    #[test]
    fn more_than_the_sum_is_too_much() {
        let hundred = limit(None, Some(100));
        check(&hundred, &[], 100, Ok(()));
        check(&hundred, &[], 101, Err(None));
        check(&hundred, &[(1_000, 60)], 40, Ok(()));
        check(&hundred, &[(1_000, 60)], 41, Err(Some(1_000)));
        check(&hundred, &[(1_000, 10), (3_000, 60)], 50, Err(Some(3_000)));
        check(&hundred, &[(1_000, u128::MAX), (2_000, u128::MAX)], 1, Err(Some(2_000)));
    }

    #[test]
    fn both_bounds_count() {
        let both = limit(Some(2), Some(100));
        check(&both, &[(1_000, 10), (2_000, 10)], 10, Err(Some(1_000)));
        check(&both, &[(1_000, 95)], 10, Err(Some(1_000)));
        check(&both, &[(1_000, 90)], 10, Ok(()));
    }

    #[test]
    fn what_came_to_nothing_does_not_count() {
        let none = OrderState::ALL.iter().filter(|state| !counts(**state));
        let none: Vec<_> = none.map(|state| state.code()).collect();
        assert_eq!(none, ["expired", "failed", "cancelled"]);
    }

    #[test]
    fn a_limit_says_what_it_allows() {
        assert_eq!(limit(Some(2), None).to_string(), "customer: at most 2 orders in EUR in 10 s");
        let both = limit(Some(2), Some(10_050)).to_string();
        assert_eq!(both, "customer: at most 2 orders and 100.50 EUR in 10 s");
        let any = OrderLimit { unit: None, per: LimitPer::Address, ..limit(Some(2), None) };
        assert_eq!(any.to_string(), "address: at most 2 orders in 10 s");
        assert_eq!(limit(None, Some(5)).to_string(), "customer: at most 0.05 EUR in 10 s");
    }
}
