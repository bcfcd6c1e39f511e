//! How one chain is followed: by how many nodes, and when a payment is final.

use crate::asset::ChainId;
use crate::limits::{BLOCKS_PER_STEP_MAX, CONFIRMATIONS_MAX, NODES_MAX};

/// When nothing changes a payment any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finality {
    /// It has so many confirmations, and at least those that it needed to be counted.
    pub depth: u32,
    /// The chain must say so too (EVM: the block `finalized`).
    pub by_chain: bool,
}

/// How one chain is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which.
    pub chain: ChainId,
    /// Nodes that are asked.
    pub nodes: usize,
    /// Nodes that must say the same; no other may say otherwise.
    pub nodes_agreeing: usize,
    /// When a payment is final.
    pub finality: Finality,
    /// A node that is so many blocks behind the first lags and is not listened to.
    pub lag_blocks_max: u64,
    /// With no block newer than this something is wrong, seconds; none where blocks are rare.
    pub silence_s_max: Option<u64>,
    /// Blocks read in one step.
    pub blocks_per_step: u16,
    /// Ask for transfers that wait to be in a block.
    pub waiting: bool,
}

/// Why a chain cannot be followed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// See [`NODES_MAX`].
    #[error("a chain needs 1 to 16 nodes, and from more than half to all of them must agree")]
    Nodes,
    /// See [`CONFIRMATIONS_MAX`].
    #[error("a payment is final after 1 to 4096 confirmations")]
    Finality,
    /// See [`BLOCKS_PER_STEP_MAX`].
    #[error("1 to 64 blocks are read in one step")]
    Blocks,
}

impl Settings {
    /// Whether a chain can be followed so.
    ///
    /// # Errors
    /// Not so many nodes, or two halves could agree on two chains; no depth; no blocks.
    pub fn judge(&self) -> Result<(), BadSettings> {
        let majority = self.nodes / 2 + 1;
        let is_agreement = (majority..=self.nodes).contains(&self.nodes_agreeing);
        if !(1..=NODES_MAX).contains(&self.nodes) || !is_agreement {
            Err(BadSettings::Nodes)
        } else if !(1..=CONFIRMATIONS_MAX).contains(&self.finality.depth) {
            Err(BadSettings::Finality)
        } else if !(1..=BLOCKS_PER_STEP_MAX).contains(&self.blocks_per_step) {
            Err(BadSettings::Blocks)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_halves_could_disagree_on_is_refused() {
        let judged = |nodes, nodes_agreeing, depth, blocks_per_step| {
            let finality = Finality { depth, by_chain: false };
            let chain = ChainId::Evm(1);
            let settings = Settings {
                chain,
                nodes,
                nodes_agreeing,
                finality,
                lag_blocks_max: 3,
                silence_s_max: None,
                blocks_per_step,
                waiting: true,
            };
            settings.judge()
        };
        for (nodes, agreeing) in [(1, 1), (2, 2), (3, 2), (3, 3), (16, 9)] {
            assert_eq!(judged(nodes, agreeing, 1, 1), Ok(()));
        }
        for (nodes, agreeing) in [(0, 0), (1, 0), (2, 1), (4, 2), (3, 4), (17, 17)] {
            assert_eq!(judged(nodes, agreeing, 1, 1), Err(BadSettings::Nodes));
        }
        assert_eq!(judged(1, 1, 0, 1), Err(BadSettings::Finality));
        assert_eq!(judged(1, 1, CONFIRMATIONS_MAX + 1, 1), Err(BadSettings::Finality));
        assert_eq!(judged(1, 1, 1, 0), Err(BadSettings::Blocks));
        assert_eq!(judged(1, 1, 1, 65), Err(BadSettings::Blocks));
    }
}
