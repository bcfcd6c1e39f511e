//! What is paid and where: chains, assets, addresses, hashes and exact amounts.

use std::fmt;
use std::str::FromStr;

use crate::limits::{ADDRESS_CHARS_MAX, DECIMALS_MAX};

/// A text that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct Malformed(pub(crate) &'static str);

/// Written in states and facts as the text that it prints.
macro_rules! written_as_text {
    ($($name:ident),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

written_as_text!(ChainId, Hash, Address, Minor, OrderKey);

/// Which chain, in the text form of CAIP-2: `eip155:1`, `bip122:000000000019d6689c085ae165831e93`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainId {
    /// An EVM chain by its number (EIP-155).
    Evm(u64),
    /// A Bitcoin-like chain by the first half of its first block's hash (BIP 122).
    Bitcoin([u8; 16]),
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(number) => write!(f, "eip155:{number}"),
            Self::Bitcoin(half) => {
                f.write_str("bip122:")?;
                hex(half, f)
            }
        }
    }
}

impl FromStr for ChainId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (family, reference) = text.split_once(':').ok_or(Malformed("a chain"))?;
        match family {
            "eip155" => decimal(reference).map(Self::Evm),
            "bip122" => bytes(reference).map(Self::Bitcoin),
            _ => None,
        }
        .ok_or(Malformed("a chain"))
    }
}

/// The hash of a block or of a transaction, in the order in which nodes print it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl FromStr for Hash {
    type Err = Malformed;

    /// 64 hexadecimal digits, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        bytes(digits).map(Self).ok_or(Malformed("a hash"))
    }
}

/// Who is paid or pays, in the one spelling that equal addresses have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// The address of an EVM account with these bytes.
    pub fn evm(bytes: [u8; 20]) -> Self {
        Self(format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = Malformed;

    /// `0x` and 40 digits in any case, bech32 (BIP 173, in one case), or base58, whose case counts.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bad = Malformed("an address");
        if let Some(digits) = text.strip_prefix("0x") {
            return bytes(digits).map(Self::evm).ok_or(bad);
        }
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_plain || text.len() > ADDRESS_CHARS_MAX {
            return Err(bad);
        }
        let lower = text.to_ascii_lowercase();
        // The part before the last `1` is the network's name; bech32 has no `1` after it.
        let is_bech32 = ["bc1", "tb1", "bcrt1", "ltc1"].iter().any(|name| lower.starts_with(name));
        if !is_bech32 {
            return Ok(Self(text.to_owned()));
        }
        let is_one_case = text == lower || text == text.to_ascii_uppercase();
        is_one_case.then_some(Self(lower)).ok_or(bad)
    }
}

/// An amount in the smallest unit of its asset (wei, satoshi), exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub u128);

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Minor {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        decimal(text).map(Self).ok_or(Malformed("an amount"))
    }
}

/// What is paid: the chain's own coin, or a token by its contract.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct AssetId {
    /// The chain it is on: a token with the same contract on another chain is another asset.
    pub chain: ChainId,
    /// The token's contract; none for the chain's own coin.
    pub contract: Option<Address>,
}

impl AssetId {
    /// The chain's own coin.
    pub fn native(chain: ChainId) -> Self {
        Self { chain, contract: None }
    }

    /// A token.
    pub fn token(chain: ChainId, contract: Address) -> Self {
        Self { chain, contract: Some(contract) }
    }
}

/// An asset and how many places its whole unit has after the point (ETH 18, BTC 8).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Which.
    pub id: AssetId,
    /// At most [`DECIMALS_MAX`].
    pub decimals: u8,
}

impl Asset {
    /// Minor units in one whole unit; none with more places than can be.
    pub fn whole(&self) -> Option<u128> {
        (self.decimals <= DECIMALS_MAX).then(|| 10_u128.checked_pow(self.decimals.into()))?
    }
}

/// The order that a payment is for: opaque to everything here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub [u8; 16]);

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl FromStr for OrderKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        bytes(text).map(Self).ok_or(Malformed("an order's key"))
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Exactly `N` bytes from hexadecimal digits in any case.
pub(crate) fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Digits only: no sign, no point, no zero in front.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let is_canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_canonical.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: FromStr>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn chains_are_known_by_number_or_first_block() {
        for text in ["eip155:1", "eip155:18446744073709551615"] {
            assert_eq!(text.parse::<ChainId>().expect("a chain").to_string(), text);
        }
        let bitcoin = "bip122:000000000019d6689c085ae165831e93";
        assert_eq!(bitcoin.parse::<ChainId>().expect("a chain").to_string(), bitcoin);
        let wrong = ["", "1", "eip155:", "eip155:01", "eip155:-1", "eip155:18446744073709551616"];
        refused::<ChainId>(&wrong);
        refused::<ChainId>(&["bip122:00", "solana:mainnet", "eip155:0x1"]);
    }

    #[test]
    fn equal_addresses_have_one_spelling() {
        let spelt = |text: &str| text.parse::<Address>().expect("an address").to_string();
        let mixed = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(spelt(mixed), mixed.to_lowercase());
        let bech32 = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4";
        assert_eq!(spelt(bech32), bech32.to_lowercase());
        let base58 = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
        assert_eq!(spelt(base58), base58);
        refused::<Address>(&[
            "",
            "0x",
            "0x00",
            "bc1QW508d",
            "a b",
            "0xg39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        ]);
        refused::<Address>(&["f39Fd6e51aad88F6F4ce6aB8827279cffFb9226\u{e9}", &"1".repeat(121)]);
    }

    #[test]
    fn amounts_are_digits() {
        let most = u128::MAX.to_string();
        assert_eq!(most.parse(), Ok(Minor(u128::MAX)));
        let over = "340282366920938463463374607431768211456";
        refused::<Minor>(&[over, "", "-1", "+1", "01", "1.0", "1e3", "1,500", " 1"]);
    }

    #[test]
    fn hashes_are_whole() {
        let hash = "ab".repeat(32);
        assert_eq!(hash.parse::<Hash>().expect("a hash").to_string(), hash);
        assert_eq!(format!("0x{hash}").parse::<Hash>(), hash.parse());
        refused::<Hash>(&["", "0x", &"ab".repeat(31), &"zz".repeat(32), &"é".repeat(32)]);
    }

    #[test]
    fn a_whole_unit_fits() {
        let chain = ChainId::Evm(1);
        let whole = |decimals| Asset { id: AssetId::native(chain), decimals }.whole();
        assert_eq!(whole(0), Some(1));
        assert_eq!(whole(18), Some(1_000_000_000_000_000_000));
        assert!(whole(DECIMALS_MAX).is_some());
        assert_eq!(whole(DECIMALS_MAX + 1), None);
    }
}
