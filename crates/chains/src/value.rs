//! How many confirmations a value needs: classes of value, and what an asset is worth.

use serde::{Deserialize, Serialize};

use crate::asset::{Asset, Minor};
use crate::limits::{CLASSES_MAX, CONFIRMATIONS_MAX};

/// Values below a bound need so many confirmations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// The bound, which itself belongs to the next class.
    pub below: Minor,
    /// Confirmations, from 1.
    pub confirmations: u32,
}

/// Classes of value, from small to large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    below: Vec<Class>,
    above: u32,
}

/// Why classes are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClasses {
    /// Bounds must grow.
    #[error("the bounds of the classes of value must grow from one to the next")]
    Bounds,
    /// Confirmations must not shrink, and there is no class without.
    #[error("confirmations must be from 1 to 4096 and must not shrink from one class to the next")]
    Confirmations,
    /// Too many.
    #[error("there are at most 16 classes of value")]
    Many,
}

impl Classes {
    /// Classes with these bounds, and what everything above the last needs.
    ///
    /// # Errors
    /// Bounds or confirmations shrink, a class needs none, or there are more than [`CLASSES_MAX`].
    pub fn new(below: Vec<Class>, above: u32) -> Result<Self, BadClasses> {
        let classes = Self { below, above };
        classes.judge().map(|()| classes)
    }

    /// Under 100: 3, under 1,000: 12, else 24, of a money with two places after the point.
    pub fn usual() -> Self {
        let class = |below, confirmations| Class { below: Minor(below), confirmations };
        Self { below: vec![class(10_000, 3), class(100_000, 12)], above: 24 }
    }

    /// The other common table, by the least that it asks for: under 100: 1, up to 1,000 and with it:
    /// 6, else 12.
    pub fn table() -> Self {
        let class = |below, confirmations| Class { below: Minor(below), confirmations };
        Self { below: vec![class(10_000, 1), class(100_001, 6)], above: 12 }
    }

    fn judge(&self) -> Result<(), BadClasses> {
        if self.below.len() >= CLASSES_MAX {
            return Err(BadClasses::Many);
        }
        let grows = |pair: &[Class]| matches!(pair, [one, two] if one.below < two.below);
        if !self.below.windows(2).all(grows) {
            return Err(BadClasses::Bounds);
        }
        let needed = self.below.iter().map(|class| class.confirmations).chain([self.above]);
        let fits = needed.clone().all(|needed| (1..=CONFIRMATIONS_MAX).contains(&needed));
        (fits && needed.is_sorted()).then_some(()).ok_or(BadClasses::Confirmations)
    }

    /// What the largest value needs.
    pub fn most(&self) -> u32 {
        self.above
    }

    /// What the sum of an asset needs. A value too large to be computed is a large value.
    pub fn needed(&self, sum: Minor, asset: &Asset, worth: Worth) -> u32 {
        let class = self.below.iter().find(|class| worth.is_below(sum, asset, class.below));
        class.map_or(self.above, |class| class.confirmations)
    }
}

/// What an asset is worth in the unit that the classes are bounded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// The bounds are in the asset's own minor units: classes made for this asset.
    Own,
    /// One whole unit of the asset is worth so many minor units of the bounds' money, as when the
    /// order was made.
    Price(Minor),
}

impl Worth {
    /// Whether so much is worth less than the bound: exact, with nothing rounded.
    fn is_below(self, sum: Minor, asset: &Asset, bound: Minor) -> bool {
        let (sum, scale) = match self {
            Self::Own => (Some(sum.0), Some(1)),
            Self::Price(price) => (sum.0.checked_mul(price.0), asset.whole()),
        };
        // A bound that is too large for the product lies above every sum that is not.
        match (sum, scale.map(|scale| bound.0.checked_mul(scale))) {
            (Some(sum), Some(Some(bound))) => sum < bound,
            (Some(_), Some(None)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asset::{AssetId, ChainId};

    fn asset(decimals: u8) -> Asset {
        Asset { id: AssetId::native(ChainId::Evm(1)), decimals }
    }

    /// Of a stablecoin with six places, one whole unit of which is worth 100 cents.
    fn usual(minor: u128) -> u32 {
        Classes::usual().needed(Minor(minor), &asset(6), Worth::Price(Minor(100)))
    }

    #[test]
    fn classes_begin_at_their_bounds() {
        let needed = [(0, 3), (99_990_000, 3), (99_999_999, 3), (100_000_000, 12)];
        for (minor, confirmations) in needed {
            assert_eq!(usual(minor), confirmations, "{minor}");
        }
        assert_eq!(usual(999_990_000), 12);
        assert_eq!(usual(999_999_999), 12);
        assert_eq!(usual(1_000_000_000), 24);
        assert_eq!(usual(u128::MAX), 24);
    }

    #[test]
    fn the_table_keeps_a_thousand_in_its_middle() {
        let needed =
            |minor| Classes::table().needed(Minor(minor), &asset(2), Worth::Price(Minor(100)));
        assert_eq!([needed(9_999), needed(10_000)], [1, 6]);
        assert_eq!([needed(100_000), needed(100_001)], [6, 12]);
    }

    #[test]
    fn ninety_nine_bitcoin_are_no_small_value() {
        // One is worth 60,000.00; 99 as a bare number would be below 100.
        let price = Worth::Price(Minor(6_000_000));
        assert_eq!(Classes::usual().needed(Minor(9_900_000_000), &asset(8), price), 24);
        assert_eq!(Classes::usual().needed(Minor(166_666), &asset(8), price), 3);
        assert_eq!(Classes::usual().needed(Minor(166_667), &asset(8), price), 12);
    }

    #[test]
    fn fixed_classes_are_in_the_assets_own_units() {
        let classes = vec![Class { below: Minor(1_000), confirmations: 2 }];
        let classes = Classes::new(classes, 9).expect("classes");
        let needed = |minor| classes.needed(Minor(minor), &asset(8), Worth::Own);
        assert_eq!([needed(999), needed(1_000)], [2, 9]);
    }

    #[test]
    fn what_cannot_be_computed_is_large() {
        let most = Worth::Price(Minor(u128::MAX));
        assert_eq!(Classes::usual().needed(Minor(2), &asset(18), most), 24);
        // No such asset can be made; if one were read, it would be judged as large.
        assert_eq!(Classes::usual().needed(Minor(1), &asset(255), Worth::Price(Minor(1))), 24);
    }

    #[test]
    fn classes_that_shrink_are_none() {
        let class = |below, confirmations| Class { below: Minor(below), confirmations };
        let made = |below: Vec<Class>, above| Classes::new(below, above).err();
        assert_eq!(made(vec![class(2, 1), class(2, 1)], 1), Some(BadClasses::Bounds));
        assert_eq!(made(vec![class(1, 3)], 2), Some(BadClasses::Confirmations));
        assert_eq!(made(vec![], 0), Some(BadClasses::Confirmations));
        assert_eq!(made(vec![], CONFIRMATIONS_MAX + 1), Some(BadClasses::Confirmations));
        let many = (1..=16).map(|below| class(below, 1)).collect();
        assert_eq!(made(many, 1), Some(BadClasses::Many));
        assert_eq!(made(vec![], 1), None);
        assert_eq!(Classes::usual().judge().and(Classes::table().judge()), Ok(()));
    }
}
