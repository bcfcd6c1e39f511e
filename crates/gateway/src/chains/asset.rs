//! What orders may be paid in on a chain that is watched, and what a watched order expects.

use ::chains::{Address, Asset, ChainId, Classes, Expectation, Minor, Worth};
use model::Timestamp;
use model::money::Unit;
use store::OrderRow;

use crate::orders::OrderFacts;

/// The clock of a chain may go behind ours by so much, seconds: no payment is taken for older than its order
/// for that. (Bitcoin's blocks may be two hours off.)
const CLOCK_S: u64 = 60;
const CLOCK_OF_BITCOIN_S: u64 = 7_200;

/// Blocks that are read again for an order, beside those since it was created.
const BLOCKS_BEFORE: u64 = 16;

/// At most so many blocks are made in a second.
const BLOCKS_A_SECOND: u64 = 4;

/// An asset on a chain that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainAsset {
    /// The chain, as orders and providers name it.
    pub chain: String,
    /// The asset, as they name it.
    pub symbol: String,
    /// The chain's own coin, or a token.
    pub asset: Asset,
    /// How many confirmations a value needs.
    pub classes: Classes,
    /// What it is worth to the classes.
    pub worth: Worth,
    /// Less than this does not count, in minor units.
    pub dust_below: Minor,
}

impl ChainAsset {
    /// An address on the chain.
    pub(crate) fn address(&self, text: &str) -> Option<Address> {
        let address: Address = text.parse().ok()?;
        let is_of_evm = address.as_str().starts_with("0x");
        let fits = is_of_evm == matches!(self.asset.id.chain, ChainId::Evm(_));
        fits.then_some(address)
    }

    /// What an order expects here, of a chain that was read this far.
    pub(super) fn expectation(
        &self,
        row: &OrderRow,
        about: &OrderFacts,
        (tip, now): (Option<u64>, Timestamp),
    ) -> Option<Expectation> {
        let seconds = |at: Timestamp| u64::try_from(at.as_seconds()).unwrap_or(0);
        let created_s = seconds(row.created_at);
        let clock_s = match self.asset.id.chain {
            ChainId::Evm(_) => CLOCK_S,
            ChainId::Bitcoin(_) => CLOCK_OF_BITCOIN_S,
        };
        let since_s = seconds(now).saturating_sub(created_s).saturating_add(clock_s);
        let blocks = since_s.saturating_mul(BLOCKS_A_SECOND).saturating_add(BLOCKS_BEFORE);
        let sender = about.sender.as_deref();
        Some(Expectation {
            asset: self.asset.clone(),
            address: self.address(about.address.as_deref()?)?,
            amount: Minor(row.expected.money.minor),
            sender: match sender {
                Some(sender) => Some(self.address(sender)?),
                None => None,
            },
            dust_below: self.dust_below,
            from_height: tip.unwrap_or(0).saturating_sub(blocks),
            from_s: created_s.saturating_sub(clock_s),
            due_s: row.expected.expires_at.map(seconds),
            classes: self.classes.clone(),
            worth: self.worth,
        })
    }
}

/// The asset that something counts, if its chain is watched.
pub(crate) fn of_unit<'a>(assets: &'a [ChainAsset], unit: &Unit) -> Option<&'a ChainAsset> {
    let Unit::Asset(named) = unit else { return None };
    of_name(assets, named.chain(), named.symbol())
}

/// The asset of this name.
pub(crate) fn of_name<'a>(
    assets: &'a [ChainAsset],
    chain: &str,
    symbol: &str,
) -> Option<&'a ChainAsset> {
    assets.iter().find(|asset| asset.chain == chain && asset.symbol == symbol)
}
