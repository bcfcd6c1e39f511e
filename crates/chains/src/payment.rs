//! One payment to the address of an order, and how it stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::asset::{Address, AssetId, ChainId, Hash, Minor};
use crate::block::{Place, Spend};

/// What a payment is known by for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentKey {
    /// The chain.
    pub chain: ChainId,
    /// The transaction.
    pub tx: Hash,
    /// Where in the transaction.
    pub place: Place,
}

/// The block that a payment is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mined {
    /// Its place in the chain.
    pub height: u64,
    /// What it is known by: there may be another at the same height.
    pub hash: Hash,
    /// When it was made, seconds since 1970.
    pub time_s: u64,
}

/// Why a transfer to the address does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unaccounted {
    /// It is another asset: a token nobody asked for, or the coin where a token was.
    WrongAsset,
    /// Somebody else pays than who was expected.
    WrongSender,
    /// It is less than what counts at all.
    Dust,
    /// More than 2^128 minor units.
    TooLarge,
    /// Its block is older than the order.
    TooEarly,
    /// The transaction is in a block and failed.
    TransactionFailed,
    /// The order has more payments than are counted.
    TooMany,
}

impl Unaccounted {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::WrongAsset,
        Self::WrongSender,
        Self::Dust,
        Self::TooLarge,
        Self::TooEarly,
        Self::TransactionFailed,
        Self::TooMany,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WrongAsset => "wrong_asset",
            Self::WrongSender => "wrong_sender",
            Self::Dust => "dust",
            Self::TooLarge => "too_large",
            Self::TooEarly => "too_early",
            Self::TransactionFailed => "transaction_failed",
            Self::TooMany => "too_many",
        }
    }
}

/// How a payment stands. Every standing but `Final` can still become another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It waits to be in a block.
    Seen,
    /// It is in a block and has fewer confirmations than the order needs.
    Confirming,
    /// It has what the order needed when it got there.
    Counted,
    /// Nothing changes it any more.
    Final,
    /// What it would use up was used up by another transaction.
    Conflicted {
        /// That transaction.
        by: Hash,
        /// The height of its block.
        height: u64,
    },
    /// Its block is no longer in the chain, and it is in no other.
    Orphaned,
    /// It waited to be in a block, and no longer does.
    Dropped,
    /// It does not count.
    Unaccounted(Unaccounted),
}

impl Standing {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Confirming => "confirming",
            Self::Counted => "counted",
            Self::Final => "final",
            Self::Conflicted { .. } => "conflicted",
            Self::Orphaned => "orphaned",
            Self::Dropped => "dropped",
            Self::Unaccounted(_) => "unaccounted",
        }
    }

    /// Whether its value is at risk: it may still be counted, or be lost.
    pub const fn is_unsettled(self) -> bool {
        matches!(self, Self::Seen | Self::Confirming | Self::Counted)
    }

    /// Whether its value counts towards the order.
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::Counted | Self::Final)
    }

    /// Whether it may count one day.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Final | Self::Unaccounted(_))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One payment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// What it is known by.
    pub key: PaymentKey,
    /// What was paid.
    pub asset: AssetId,
    /// How much; none above 2^128 minor units.
    pub amount: Option<Minor>,
    /// Who paid, where it can be said.
    pub from: Option<Address>,
    /// The block that it is in.
    pub block: Option<Mined>,
    /// How it stands.
    pub standing: Standing,
    /// The confirmations that were needed when it was counted; 0 until then.
    pub required: u32,
    /// It was in a block once.
    pub(crate) was_mined: bool,
    /// How far the chain was when it was first seen.
    pub(crate) seen_at: u64,
    /// What it uses up.
    pub(crate) spends: Vec<Spend>,
}

/// One payment as others are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// What it is known by.
    pub key: PaymentKey,
    /// What was paid.
    pub asset: AssetId,
    /// How much; none above 2^128 minor units.
    pub amount: Option<Minor>,
    /// Who paid, where it can be said.
    pub from: Option<Address>,
    /// The block that it is in.
    pub block: Option<Mined>,
    /// Its block and those after it; 0 outside of a block.
    pub confirmations: u64,
    /// Confirmations that it needs, or needed when it was counted.
    pub required: u32,
    /// How it stands.
    pub standing: Standing,
    /// Its block was made after the order was due.
    pub is_late: bool,
}
