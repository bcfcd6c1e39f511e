//! Assets on chains: what they are called, where they live, how finely they divide.

use std::fmt;

/// More decimals than this no amount of 128 bits can count.
const DECIMALS_MAX: u8 = 38;
const NAME_BYTES_MAX: usize = 32;

/// An asset on a chain. The same symbol on another chain is another asset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset {
    chain: String,
    symbol: String,
    decimals: u8,
}

/// Why there can be no such asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAsset {
    /// Symbol and chain are 1 to 32 letters, digits, dots or hyphens.
    Name,
    /// There are at most 38 decimals.
    Decimals,
}

impl fmt::Display for BadAsset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "symbol and chain are 1 to 32 letters, digits, dots or hyphens",
            Self::Decimals => "an asset has at most 38 decimals",
        })
    }
}

impl std::error::Error for BadAsset {}

impl Asset {
    /// An asset.
    ///
    /// # Errors
    /// The names are no names, or there are more decimals than an amount can count.
    pub fn new(symbol: &str, chain: &str, decimals: u8) -> Result<Self, BadAsset> {
        if !is_name(symbol) || !is_name(chain) {
            return Err(BadAsset::Name);
        }
        if decimals > DECIMALS_MAX {
            return Err(BadAsset::Decimals);
        }
        Ok(Self { chain: chain.to_owned(), symbol: symbol.to_owned(), decimals })
    }

    /// The chain's name, as it is configured.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// What it is called there.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// How many decimals its major unit has.
    pub fn decimals(&self) -> u8 {
        self.decimals
    }
}

/// `USDT@ethereum`
impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.symbol, self.chain)
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_of_its_chain() {
        let on = |chain| Asset::new("USDT", chain, 6).unwrap();
        assert_eq!(on("ethereum").to_string(), "USDT@ethereum");
        assert_ne!(on("ethereum"), on("tron"));
    }

    #[test]
    fn names_and_decimals_have_bounds() {
        assert_eq!(Asset::new("", "ethereum", 6), Err(BadAsset::Name));
        assert_eq!(Asset::new("US DT", "ethereum", 6), Err(BadAsset::Name));
        assert_eq!(Asset::new("USDT", "a@b", 6), Err(BadAsset::Name));
        assert_eq!(Asset::new(&"A".repeat(33), "ethereum", 6), Err(BadAsset::Name));
        assert_eq!(Asset::new("ETH", "ethereum", 39), Err(BadAsset::Decimals));
    }
}
