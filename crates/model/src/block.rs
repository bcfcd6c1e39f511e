//! Blocks: parties of which no event passes, and for which no order is created, while a block stands.
//!
//! A party is a **kind** (a customer, an address, an account, a card), the provider or chain **of** which
//! it is, and its **name** there. What two spellings name alike is one party ([`Party::named`]).

use std::fmt;
use std::str::FromStr;

use crate::event::codes;
use crate::{BlockId, Timestamp, limits};

codes! {
    /// What kind of party.
    PartyKind {
        /// Who pays, as a provider names them.
        Customer = "customer",
        /// An address on a chain, whether it pays or is paid.
        Address = "address",
        /// An account at a provider that is paid.
        Payee = "payee",
        /// A card, by the fingerprint that a provider gives it; never by its number.
        Card = "card",
    }
}

/// A text that names no kind of party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKind;

impl fmt::Display for NoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of: customer, address, payee, card")
    }
}

impl std::error::Error for NoKind {}

impl FromStr for PartyKind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, NoKind> {
        Self::from_code(text).ok_or(NoKind)
    }
}

/// A party.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Party {
    kind: PartyKind,
    of: String,
    name: String,
}

/// Which member of a party is not what it must be: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadParty {
    /// The provider or chain.
    Of,
    /// The name there.
    Name,
}

impl BadParty {
    /// The member.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Of => "of",
            Self::Name => "name",
        }
    }
}

impl Party {
    /// The party of this name at a provider, or on a chain.
    ///
    /// Chains are the same in capitals. So are addresses of 0x and hexadecimal digits (EIP-55: capitals
    /// are a checksum) and those of Bitcoin that begin with `bc1` or `tb1` (BIP 173: all in capitals or
    /// none).
    pub fn named(kind: PartyKind, of: &str, name: &str) -> Self {
        let (mut of, mut name) = (of.to_owned(), name.to_owned());
        if kind == PartyKind::Address {
            of.make_ascii_lowercase();
            if is_without_case(&name) {
                name.make_ascii_lowercase();
            }
        }
        Self { kind, of, name }
    }

    /// Sees that there can be such a party.
    ///
    /// # Errors
    /// Which member cannot be so.
    pub fn check(&self) -> Result<(), BadParty> {
        let visible = |text: &str| {
            let bytes = text.as_bytes();
            (1..=limits::PARTY_BYTES_MAX).contains(&bytes.len())
                && bytes.iter().all(u8::is_ascii_graphic)
        };
        match (visible(&self.of), visible(&self.name)) {
            (false, _) => Err(BadParty::Of),
            (true, false) => Err(BadParty::Name),
            (true, true) => Ok(()),
        }
    }

    /// What kind of party it is.
    pub fn kind(&self) -> PartyKind {
        self.kind
    }

    /// The provider, or the chain.
    pub fn of(&self) -> &str {
        &self.of
    }

    /// What it is called there.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn is_without_case(address: &str) -> bool {
    let hex = address.strip_prefix("0x").or_else(|| address.strip_prefix("0X"));
    let is_hex =
        hex.is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let is_bech32 = ["bc1", "tb1", "BC1", "TB1"].iter().any(|start| address.starts_with(start));
    is_hex || is_bech32
}

/// How a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLife {
    /// When it ends by itself; none if it does not.
    pub ends_at: Option<Timestamp>,
    /// When somebody lifted it.
    pub lifted_at: Option<Timestamp>,
}

codes! {
    /// Where a block stands.
    BlockState {
        /// It counts.
        Standing = "standing",
        /// Its time is over.
        Ended = "ended",
        /// Somebody lifted it.
        Lifted = "lifted",
    }
}

impl BlockLife {
    /// Where it stands. At its end it is over.
    pub fn state(self, now: Timestamp) -> BlockState {
        if self.lifted_at.is_some() {
            BlockState::Lifted
        } else if self.ends_at.is_some_and(|end| now >= end) {
            BlockState::Ended
        } else {
            BlockState::Standing
        }
    }
}

/// A block that stands against a party of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Which block.
    pub block: BlockId,
    /// What kind of party is blocked.
    pub kind: PartyKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_an_address_are_one_party() {
        let of = |kind, of: &str, name: &str| Party::named(kind, of, name);
        let same = |one: (&str, &str), other: (&str, &str)| {
            of(PartyKind::Address, one.0, one.1) == of(PartyKind::Address, other.0, other.1)
        };
        assert!(same(("base", "0xABcd"), ("Base", "0xabCD")));
        assert!(same(("bitcoin", "BC1QXY"), ("bitcoin", "bc1qxy")));
        assert!(!same(("base", "0xabcd"), ("ethereum", "0xabcd")));
        // Base58 has capitals that matter, and so has what only looks like hexadecimal.
        assert!(!same(("bitcoin", "1BoatSLRH"), ("bitcoin", "1boatslrh")));
        assert!(!same(("base", "0xabcg"), ("base", "0xABCG")) && !same(("x", "0x"), ("x", "0X")));
        let customer = |name: &str| of(PartyKind::Customer, "stripe", name);
        assert_ne!(customer("0xAB"), customer("0xab"));
    }

    #[test]
    fn a_party_is_of_visible_characters() {
        let check = |of: &str, name: &str| Party::named(PartyKind::Customer, of, name).check();
        assert_eq!(check("stripe", "cus_1"), Ok(()));
        assert_eq!(check("stripe", &"a".repeat(255)), Ok(()));
        for bad in ["", "a b", "é", "a\n", &"a".repeat(256)] {
            assert_eq!(check("stripe", bad), Err(BadParty::Name), "{bad:?}");
            assert_eq!(check(bad, "cus_1"), Err(BadParty::Of), "{bad:?}");
        }
        assert!("cards".parse::<PartyKind>().is_err());
        assert_eq!("card".parse(), Ok(PartyKind::Card));
    }

    #[test]
    fn a_block_stands_until_it_ends_or_is_lifted() {
        let at = Timestamp::from_millis;
        let life = |ends_at: Option<i64>, lifted_at: Option<i64>| BlockLife {
            ends_at: ends_at.map(at),
            lifted_at: lifted_at.map(at),
        };
        assert_eq!(life(None, None).state(at(i64::MAX)), BlockState::Standing);
        assert_eq!(life(Some(5), None).state(at(4)), BlockState::Standing);
        assert_eq!(life(Some(5), None).state(at(5)), BlockState::Ended);
        assert_eq!(life(Some(5), Some(3)).state(at(9)), BlockState::Lifted);
    }
}
