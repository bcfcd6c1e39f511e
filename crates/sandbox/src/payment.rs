//! A payment, as the party that takes it knows it: what a provider's events about it are made of.

use model::Money;
use model::money::{Asset, Unit};

use crate::draw::Draw;

/// A payment for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order that it is for, in the form in which the provider repeats it.
    pub reference: String,
    /// The payment, in the provider's words: an id of its own, or the transaction on a chain.
    pub name: String,
    /// How much of what.
    pub money: Money,
    /// The account or the address that is paid, where the provider says so.
    pub to: Option<String>,
}

impl Payment {
    /// The amount in major units as JavaScript prints it: `0.05`, `1000`.
    pub(crate) fn plain_amount(&self) -> String {
        let major = self.money.major();
        if major.contains('.') {
            major.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            major
        }
    }
}

/// A currency of ISO 4217.
pub(crate) fn currency(code: &str) -> Unit {
    Unit::Currency(code.parse().expect("a code of ISO 4217"))
}

/// An asset on a chain.
pub(crate) fn asset(symbol: &str, chain: &str, decimals: u8) -> Unit {
    Unit::Asset(Asset::new(symbol, chain, decimals).expect("names and decimals of an asset"))
}

/// Some amount between 10.00 and 910.00, in whole hundredths.
pub(crate) fn some(draw: &mut Draw, unit: Unit) -> Money {
    let hundredths = u128::try_from(1_000 + draw.below(90_000)).unwrap_or(1_000);
    let scale = u32::from(unit.decimals()).saturating_sub(2);
    Money { minor: hundredths * 10_u128.pow(scale), unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(minor: u128, unit: Unit) -> String {
        let (reference, name) = ("o-1".to_owned(), "p-1".to_owned());
        Payment { reference, name, money: Money { minor, unit }, to: None }.plain_amount()
    }

    #[test]
    fn amounts_are_printed_as_javascript_does() {
        assert_eq!(plain(50_000, asset("USDC", "solana", 6)), "0.05");
        assert_eq!(plain(2_000_000, asset("USDC", "solana", 6)), "2");
        assert_eq!(plain(5_000_000, currency("COP")), "50000");
        assert_eq!(plain(100, currency("JPY")), "100");
    }

    #[test]
    fn some_amount_is_in_whole_hundredths() {
        let mut draw = Draw::seeded(1);
        for unit in [currency("THB"), asset("DAI", "ethereum", 18)] {
            let hundredth = 10_u128.pow(u32::from(unit.decimals()) - 2);
            let money = some(&mut draw, unit);
            assert_eq!(money.minor % hundredth, 0, "{money}");
            assert!((1_000..91_000).contains(&(money.minor / hundredth)), "{money}");
        }
    }
}
