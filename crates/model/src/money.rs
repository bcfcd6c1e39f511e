//! Money as an exact count of minor units, with what one of them is.
//!
//! An amount is read from the text that the sender signed, digit by digit: no binary floating point
//! touches it, so that `"10.0"` equals `"10.00"`, and 1.15 of a currency with two decimals is 115 of its
//! minor units and never 114. Two amounts are compared only where they count the same thing: 100 JPY
//! is not 1.00 USD, though both are 100 minor units.
//!
//! Currencies and their exponents are those of ISO 4217; assets on chains are configured with their
//! decimals ([`Asset`]).

mod asset;
mod currency;
mod parse;

use std::fmt;

pub use asset::{Asset, BadAsset};
pub use currency::{Currency, UnknownCurrency};
pub use parse::{BadAmount, Notation, parse};

/// What an amount counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// A currency: its minor units (ISO 4217), such as cents.
    Currency(Currency),
    /// An asset on a chain: its smallest units, such as wei.
    Asset(Asset),
}

impl Unit {
    /// How many decimals its major unit has.
    pub fn decimals(&self) -> u8 {
        match self {
            Self::Currency(currency) => currency.exponent(),
            Self::Asset(asset) => asset.decimals(),
        }
    }

    /// The chain, if it is an asset on one.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Currency(_) => None,
            Self::Asset(asset) => Some(asset.chain()),
        }
    }

    /// What people and providers call it: a currency's code, an asset's symbol.
    pub fn name(&self) -> &str {
        match self {
            Self::Currency(currency) => currency.code(),
            Self::Asset(asset) => asset.symbol(),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Currency(currency) => f.write_str(currency.code()),
            Self::Asset(asset) => asset.fmt(f),
        }
    }
}

/// An amount of something: never negative.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    /// How many minor units.
    pub minor: u128,
    /// Of what.
    pub unit: Unit,
}

impl Money {
    /// Reads an amount as its sender wrote it.
    ///
    /// # Errors
    /// The text is no amount of that unit; the reason says what is wrong with it.
    pub fn parse(text: &str, notation: Notation, unit: Unit) -> Result<Self, BadAmount> {
        parse(text, notation, unit.decimals()).map(|minor| Self { minor, unit })
    }

    /// The amount in major units, all decimals written out: `10.00`, `0.05`, `1500`.
    pub fn major(&self) -> String {
        major(self.minor, self.unit.decimals())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.major(), self.unit)
    }
}

/// So many minor units in major units, with that many decimals.
pub fn major(minor: u128, decimals: u8) -> String {
    let places = usize::from(decimals);
    if places == 0 {
        return minor.to_string();
    }
    let digits = format!("{minor:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn euros(text: &str) -> Money {
        let unit = Unit::Currency("EUR".parse().unwrap());
        Money::parse(text, Notation::Major, unit).unwrap()
    }

    #[test]
    fn equal_amounts_are_equal_however_they_are_written() {
        assert_eq!(euros("10"), euros("10.0"));
        assert_eq!(euros("10.0"), euros("10.00"));
        assert_eq!(euros("10.0000"), euros("10"));
        assert_eq!(euros("19.99").minor, 1999);
        assert_eq!(euros("1.15").minor, 115);
    }

    #[test]
    fn equal_numbers_of_different_things_are_not_equal() {
        let of = |code: &str, text| {
            Money::parse(text, Notation::Minor, Unit::Currency(code.parse().unwrap())).unwrap()
        };
        assert_ne!(of("JPY", "100"), of("USD", "100"));
        assert_eq!(of("JPY", "100").to_string(), "100 JPY");
        assert_eq!(of("USD", "100").to_string(), "1.00 USD");
        assert_eq!(of("KWD", "100").to_string(), "0.100 KWD");
    }

    proptest! {
        #[test]
        fn what_is_written_out_reads_back(minor: u128, decimals in 0_u8..=38) {
            let text = major(minor, decimals);
            prop_assert_eq!(parse(&text, Notation::Major, decimals), Ok(minor), "{}", text);
        }
    }
}
