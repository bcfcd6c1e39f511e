//! All that is known of one chain: how far it was read, and the payments of the orders.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::agree::Hold;
use crate::asset::{Address, ChainId, OrderKey};
use crate::limits::{FORK_HASHES_MAX, TRAIL_BLOCKS_MAX};
use crate::node::{Question, Round, Watch};
use crate::order::{Depth, Expectation, Followed};
use crate::payment::Reported;
use crate::settings::Settings;
use crate::trail::Trail;
use crate::value::Worth;

/// The form in which states are written.
pub const VERSION: u16 = 1;

/// All that is known of one chain. It is kept with the facts of the step that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u16,
    pub(crate) chain: ChainId,
    pub(crate) round: u64,
    pub(crate) trail: Trail,
    /// How far enough nodes were; may be less than what was read before.
    pub(crate) head: Option<u64>,
    /// Where reading begins: so deep that only what is above can still change.
    pub(crate) first: Option<u64>,
    pub(crate) finalized: Option<u64>,
    /// The tip may not be in the chain any more: the fork is looked for.
    pub(crate) is_forked: bool,
    /// Blocks from this height on are read again, for what was not looked for when they were read.
    pub(crate) reread_from: Option<u64>,
    pub(crate) held: Option<Hold>,
    pub(crate) orders: BTreeMap<OrderKey, Followed>,
}

/// Why a kept state is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadState {
    /// It was written by another version.
    #[error("the state of the chain has version {0}, this binary knows {VERSION}")]
    Version(u16),
    /// It is no state.
    #[error("the state of the chain cannot be read")]
    Unreadable,
}

/// Why an order cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its asset is on another chain.
    #[error("the asset is on another chain")]
    WrongChain,
    /// Nothing is expected, or an asset has no value.
    #[error("the amount and the price must be above zero, and an asset has at most 36 places")]
    Amount,
    /// Another order has the address.
    #[error("another order that is followed has the address")]
    AddressTaken,
    /// The order is followed with another expectation.
    #[error("the order is followed with another expectation")]
    OtherExpectation,
}

impl Unfit {
    /// Every one.
    pub const ALL: &'static [Self] =
        &[Self::WrongChain, Self::Amount, Self::AddressTaken, Self::OtherExpectation];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WrongChain => "wrong_chain",
            Self::Amount => "bad_amount",
            Self::AddressTaken => "address_taken",
            Self::OtherExpectation => "other_expectation",
        }
    }
}

impl State {
    /// Nothing is known of this chain yet.
    pub fn new(chain: ChainId) -> Self {
        Self {
            version: VERSION,
            chain,
            round: 0,
            trail: Trail::default(),
            head: None,
            first: None,
            finalized: None,
            is_forked: false,
            reread_from: None,
            held: None,
            orders: BTreeMap::new(),
        }
    }

    /// Whether this is the same but for the number of the round, which says nothing of the chain.
    pub fn is_same_but_for_the_round(&self, other: &Self) -> bool {
        // Every member is named here, so that a new one is not forgotten.
        let Self {
            version,
            chain,
            round: _,
            trail,
            head,
            first,
            finalized,
            is_forked,
            reread_from,
            held,
            orders,
        } = self;
        (version, chain, head, first) == (&other.version, &other.chain, &other.head, &other.first)
            && (finalized, is_forked) == (&other.finalized, &other.is_forked)
            && (reread_from, held) == (&other.reread_from, &other.held)
            && trail == &other.trail
            && orders == &other.orders
    }

    /// Reads what [`State::to_bytes`] wrote.
    ///
    /// # Errors
    /// It is of another version, or no state.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadState> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u16,
        }
        let versioned: Versioned =
            serde_json::from_slice(bytes).map_err(|_| BadState::Unreadable)?;
        if versioned.version != VERSION {
            return Err(BadState::Version(versioned.version));
        }
        serde_json::from_slice(bytes).map_err(|_| BadState::Unreadable)
    }

    /// The state as it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and lists are always JSON")
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The blocks that were read; its tip is the cursor.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Why nothing advances, if so.
    pub fn held(&self) -> Option<Hold> {
        self.held
    }

    /// Follows an order from now on. Blocks that were read before are read again as far as they are
    /// remembered. The same order with the same expectation changes nothing.
    ///
    /// # Errors
    /// The expectation cannot be met here, another order has its address, or the order has another
    /// expectation already.
    pub fn follow(&mut self, order: OrderKey, expectation: Expectation) -> Result<(), Unfit> {
        let has_price = expectation.worth != Worth::Price(Default::default());
        if expectation.asset.id.chain != self.chain {
            return Err(Unfit::WrongChain);
        }
        if expectation.amount.0 == 0 || !has_price || expectation.asset.whole().is_none() {
            return Err(Unfit::Amount);
        }
        if let Some(followed) = self.orders.get(&order) {
            let is_same = followed.expectation == expectation;
            return if is_same { Ok(()) } else { Err(Unfit::OtherExpectation) };
        }
        let mut taken = self.orders.values().map(|followed| &followed.expectation.address);
        if taken.any(|address| *address == expectation.address) {
            return Err(Unfit::AddressTaken);
        }
        // Answers under way do not know the address.
        self.round = self.round.saturating_add(1);
        self.reread(expectation.from_height);
        self.orders.insert(order, Followed::new(expectation));
        Ok(())
    }

    /// Follows an order no longer. Gives what was known of it.
    pub fn leave(&mut self, order: OrderKey) -> Option<Followed> {
        self.orders.remove(&order)
    }

    /// The orders that are followed.
    pub fn orders(&self) -> &BTreeMap<OrderKey, Followed> {
        &self.orders
    }

    /// The payments of an order as they stand now; none of an order that is not followed.
    pub fn payments(&self, order: OrderKey) -> Vec<Reported> {
        let followed = self.orders.get(&order);
        followed.map(|followed| followed.report(self.height())).unwrap_or_default()
    }

    /// The height of the newest block that was read.
    fn height(&self) -> u64 {
        self.trail.tip().map_or(0, |(height, _)| height)
    }

    pub(crate) fn depth(&self, settings: &Settings) -> Depth {
        let finality = settings.finality;
        Depth {
            tip: self.height(),
            final_depth: finality.depth,
            finalized: finality.by_chain.then_some(self.finalized.unwrap_or(0)),
        }
    }

    /// Reads the blocks that were read already once more, from a height on.
    pub(crate) fn reread(&mut self, from: u64) {
        if self.trail.tip().is_some_and(|(tip, _)| from <= tip) {
            let from = from.max(self.trail.start());
            self.reread_from = Some(self.reread_from.map_or(from, |before| before.min(from)));
        }
    }

    /// Which order has which address.
    pub(crate) fn by_address(&self) -> BTreeMap<Address, OrderKey> {
        let address = |followed: &Followed| followed.expectation.address.clone();
        self.orders.iter().map(|(key, followed)| (address(followed), *key)).collect()
    }

    /// What is asked of every node now.
    pub fn ask(&self, settings: &Settings) -> Round {
        let mut questions = BTreeSet::new();
        let ahead = u64::from(settings.blocks_per_step);
        match self.trail.tip() {
            None => questions.extend(self.first.map(Question::BlockAt)),
            Some((tip, _)) => {
                questions.insert(Question::HashAt(tip));
                questions.extend(self.fork_heights(tip).into_iter().map(Question::HashAt));
                // The nodes are behind what was read: do they have the same blocks?
                let behind = self.head.filter(|head| *head < tip);
                questions.extend(behind.map(Question::HashAt));
                // One more than there was at the last look, and no more than there may be.
                let head = self.head.unwrap_or(0).max(tip).saturating_add(2);
                let blocks = tip.saturating_add(1)..=tip.saturating_add(ahead).min(head);
                questions.extend(blocks.map(Question::BlockAt));
                if let Some(from) = self.reread_from {
                    let again = from..=from.saturating_add(ahead).min(tip);
                    questions.extend(again.map(Question::BlockAt));
                }
            }
        }
        // What waits is asked for before the blocks, so that nothing moves from one to the other
        // unseen in between.
        let waiting = settings.waiting.then_some(Question::Waiting);
        let questions = waiting.into_iter().chain([Question::Head]).chain(questions).collect();
        Round { number: self.round, questions, watch: self.watch() }
    }

    /// Heights to look at for the fork: near the tip first, then ever further apart.
    fn fork_heights(&self, tip: u64) -> Vec<u64> {
        if !self.is_forked {
            return Vec::new();
        }
        let start = self.trail.start();
        let mut heights = vec![start];
        heights.extend((0..FORK_HASHES_MAX).filter_map(|power| {
            let below = 1_u64.checked_shl(u32::try_from(power).ok()?)?;
            tip.checked_sub(below).filter(|height| *height > start)
        }));
        heights
    }

    fn watch(&self) -> Watch {
        let spends = self.orders.values().flat_map(Followed::spends).cloned().collect();
        Watch { addresses: self.by_address().into_keys().collect(), spends }
    }

    /// Forgets blocks that nothing can depend on any more.
    pub(crate) fn trim(&mut self, settings: &Settings) {
        let Some((tip, _)) = self.trail.tip() else { return };
        let deep = tip.saturating_sub(settings.finality.depth.into());
        let finalized = match settings.finality.by_chain {
            true => self.finalized.unwrap_or(0),
            false => u64::MAX,
        };
        let open = self.orders.values().filter_map(Followed::lowest_open).min();
        let reread = self.reread_from.unwrap_or(u64::MAX);
        let needed = deep.min(finalized).min(open.unwrap_or(u64::MAX)).min(reread);
        self.trail.trim_below(needed.max(tip.saturating_sub(TRAIL_BLOCKS_MAX as u64)));
    }
}
