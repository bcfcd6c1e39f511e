//! What nodes tell, whatever the chain: blocks with the transfers in them, in plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::asset::{Address, AssetId, Hash, Minor};

/// Where in its transaction a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The transaction itself carries the coin.
    Native,
    /// A log of the transaction, counted from its own first: in another block the transaction has
    /// other numbers in the block, but not in itself.
    Log(u32),
    /// An output.
    Output(u32),
}

/// `coin`, `log 3`, `output 0`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("coin"),
            Self::Log(number) => write!(f, "log {number}"),
            Self::Output(number) => write!(f, "output {number}"),
        }
    }
}

/// What a transaction uses up, so that no other can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Spend {
    /// The number that an account's transaction has.
    Nonce {
        /// The account.
        sender: Address,
        /// The number.
        nonce: u64,
    },
    /// An output of an earlier transaction.
    Output {
        /// That transaction.
        tx: Hash,
        /// The output's number in it.
        index: u32,
    },
}

/// So much of an asset to an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transfer {
    /// The transaction.
    pub tx: Hash,
    /// Where in it.
    pub place: Place,
    /// What.
    pub asset: AssetId,
    /// Who pays, where it can be said: of several inputs the first.
    pub from: Option<Address>,
    /// Who is paid.
    pub to: Address,
    /// How much; none above 2^128 minor units.
    pub amount: Option<Minor>,
    /// What the transaction uses up.
    pub spends: Vec<Spend>,
    /// A transaction may be in a block and have failed.
    pub succeeded: bool,
}

/// Something watched for was used up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spent {
    /// What.
    pub spend: Spend,
    /// By this transaction.
    pub by: Hash,
}

/// One block, as far as it is about what is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its place in the chain.
    pub height: u64,
    /// What it is known by.
    pub hash: Hash,
    /// The block before it.
    pub parent: Hash,
    /// When it was made by its maker's word, seconds since 1970.
    pub time_s: u64,
    /// Transfers to watched addresses.
    pub transfers: Vec<Transfer>,
    /// Watched things that transactions of this block use up.
    pub spent: Vec<Spent>,
}
