//! The options of `blocks`.

use clap::{Args, Subcommand};
use model::block::PartyKind;
use model::{BlockId, Timestamp};

#[derive(Debug, Subcommand)]
pub(crate) enum Blocks {
    /// Block a party: its events wait for a person, and no order is created for it.
    Add(AddBlock),
    /// List blocks that stand, newest last.
    List(ListBlocks),
    /// Show a block.
    Show {
        /// The block: blk_…
        block: BlockId,
    },
    /// Lift a block; events that it held stay held until somebody decides on them.
    Lift {
        /// The block: blk_…
        block: BlockId,
        /// Why; kept with what was done.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddBlock {
    /// What kind of party: customer, address, payee or card.
    #[arg(value_name = "KIND")]
    pub(crate) kind: PartyKind,
    /// At which provider, or for an address on which chain.
    #[arg(value_name = "OF")]
    pub(crate) of: String,
    /// What it is called there: a customer, an account, the fingerprint of a card, or an address.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// When the block ends by itself, as 2026-01-31T12:00:00Z; without it, when it is lifted.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// Why; kept sealed beside the party, and with what was done.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct ListBlocks {
    /// Also those that are over.
    #[arg(long)]
    pub(crate) all: bool,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}
