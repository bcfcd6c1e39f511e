//! One step: what is known and what nodes answered become what is known next, and what happened.
//!
//! First what may be *lost* is looked at: blocks that are no longer in the chain take their payments
//! with them, whatever else holds. Only then, and only where enough nodes agree, something is *won*.

use std::collections::BTreeSet;

use sabotage::Defect;

use crate::agree::{Agreed, Hold, Told, Trouble};
use crate::asset::{Hash, Minor, OrderKey};
use crate::block::Block;
use crate::node::{NodeAnswers, Round};
use crate::order::Telling;
use crate::payment::{Mined, PaymentKey, Standing};
use crate::settings::Settings;
use crate::state::State;

/// A payment stands otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of this order.
    pub order: OrderKey,
    /// Which.
    pub payment: PaymentKey,
    /// How much; none above 2^128 minor units.
    pub amount: Option<Minor>,
    /// The block that it is in.
    pub block: Option<Mined>,
    /// None where it is new.
    pub from: Option<Standing>,
    /// How it stands now.
    pub to: Standing,
}

/// Something that happened, to be kept with the state that the step made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A payment stands otherwise than before.
    Payment(Box<Change>),
    /// Blocks that were read are no longer in the chain.
    Reorganised {
        /// The lowest of them.
        from: u64,
        /// How many.
        blocks: u64,
        /// The newest of them.
        tip: Hash,
    },
    /// From now on nothing advances.
    Held(Hold),
    /// It goes on.
    Resumed,
}

/// What a step gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is known now.
    pub state: State,
    /// What happened, in this order. Kept in one transaction with the state.
    pub facts: Vec<Fact>,
    /// What is wrong with each node, in the order of the nodes.
    pub troubles: Vec<Option<Trouble>>,
    /// There is more to read: ask again without waiting.
    pub is_behind: bool,
    /// What is asked next.
    pub next: Round,
}

/// Takes one step. Answers are in the order of the nodes; a node that did not answer may be left
/// empty. The time is seconds since 1970.
pub fn step(mut state: State, settings: &Settings, answers: &[NodeAnswers], now_s: u64) -> Step {
    let (told, troubles) = Told::new(answers, state.round, settings);
    state.round = state.round.saturating_add(1);
    let mut facts = Vec::new();
    let fork = state.fall_back(&told, &mut facts);
    let heads = told.heads(settings, &troubles, now_s);
    let result = heads.and_then(|heads| {
        state.head = Some(heads.height);
        let deep = heads.height.saturating_sub(settings.finality.depth.into());
        state.first = state.first.or(Some(deep));
        fork?;
        if let Some(finalized) = heads.finalized {
            state.finalized = Some(finalized.max(state.finalized.unwrap_or(0)));
        }
        state.advance(&told, settings, &mut facts)?;
        state.look_at_waiting(&told, &mut facts);
        match state.trail.tip() {
            Some((tip, _)) if heads.height < tip => Err(Hold::NodesBehind),
            _ => Ok(heads.height),
        }
    });
    state.settle(settings, &mut facts);
    state.trim(settings);
    state.tell_held(result.err(), &mut facts);
    let tip = state.trail.tip().map(|(tip, _)| tip);
    let is_unread = result.is_ok_and(|head| tip.is_none_or(|tip| tip < head));
    let is_behind = result.is_ok() && (is_unread || state.is_forked || state.reread_from.is_some());
    let next = state.ask(settings);
    Step { state, facts, troubles, is_behind, next }
}

impl State {
    /// Gives up blocks in whose place enough nodes have another.
    fn fall_back(&mut self, told: &Told<'_>, facts: &mut Vec<Fact>) -> Result<(), Hold> {
        let Some((tip, tip_hash)) = self.trail.tip() else { return Ok(()) };
        let start = self.trail.start();
        let mut replaced = None;
        let mut is_tip_there = false;
        let mut result = Ok(());
        for height in told.hash_heights() {
            let Some(ours) = self.trail.hash_at(height) else { continue };
            match told.hash_at(height) {
                Agreed::On(hash) if hash == ours || sabotage::on(Defect::BlockByHeight) => {
                    is_tip_there |= height == tip;
                }
                Agreed::On(_) => {
                    replaced = Some(height);
                    break;
                }
                Agreed::Differ => result = Err(Hold::NodesDisagree(height)),
                Agreed::TooFew => {}
            }
        }
        if let Some(height) = replaced {
            self.is_forked = true;
            // Without the oldest nothing would say where the chain was left.
            self.give_up(height.max(start.saturating_add(1)), tip, tip_hash, facts);
            return if height == start { Err(Hold::FinalReplaced(start)) } else { result };
        }
        if is_tip_there {
            self.is_forked = false;
        }
        result
    }

    fn give_up(&mut self, from: u64, tip: u64, tip_hash: Hash, facts: &mut Vec<Fact>) {
        if from > tip {
            return;
        }
        self.trail.cut_from(from);
        self.reread_from = self.reread_from.filter(|again| *again < from);
        let blocks = (tip - from).saturating_add(1);
        facts.push(Fact::Reorganised { from, blocks, tip: tip_hash });
        if sabotage::on(Defect::LostBlockCounts) {
            return;
        }
        for (order, followed) in &mut self.orders {
            followed.orphan_from(from, &mut Telling { order: *order, facts });
        }
    }

    /// Reads the blocks after the tip as far as they follow one on the other, and those that are to
    /// be read again.
    fn advance(
        &mut self,
        told: &Told<'_>,
        settings: &Settings,
        facts: &mut Vec<Fact>,
    ) -> Result<(), Hold> {
        let Some((tip, tip_hash)) = self.trail.tip() else { return self.begin(told, facts) };
        // Nothing is built on a tip that is not known to be there.
        let is_there = match told.hash_at(tip) {
            Agreed::On(hash) => hash == tip_hash || sabotage::on(Defect::BlockByHeight),
            Agreed::TooFew | Agreed::Differ => false,
        };
        if !is_there || self.is_forked {
            return Ok(());
        }
        self.read_again(told, tip, facts)?;
        // What is above counts towards the same sum: it waits until what is below is known.
        if self.is_forked || self.reread_from.is_some() {
            return Ok(());
        }
        let (mut height, mut parent) = (tip, tip_hash);
        for _ in 0..settings.blocks_per_step {
            height = height.saturating_add(1);
            let block = match told.block_at(height) {
                Agreed::On(block) => block,
                Agreed::TooFew => break,
                Agreed::Differ => return Err(Hold::NodesDisagree(height)),
            };
            if block.parent != parent && !sabotage::on(Defect::BlockByHeight) {
                self.is_forked = true;
                break;
            }
            parent = block.hash;
            self.trail.extend(block.hash);
            self.read(block, facts);
        }
        Ok(())
    }

    /// The first block of all that are read.
    fn begin(&mut self, told: &Told<'_>, facts: &mut Vec<Fact>) -> Result<(), Hold> {
        let Some(height) = self.first else { return Ok(()) };
        match told.block_at(height) {
            Agreed::On(block) => {
                self.trail.begin(height, block.hash);
                self.read(block, facts);
                Ok(())
            }
            Agreed::TooFew => Ok(()),
            Agreed::Differ => Err(Hold::NodesDisagree(height)),
        }
    }

    fn read_again(&mut self, told: &Told<'_>, tip: u64, facts: &mut Vec<Fact>) -> Result<(), Hold> {
        while let Some(height) = self.reread_from {
            let block = match told.block_at(height) {
                Agreed::On(block) => block,
                Agreed::TooFew => break,
                Agreed::Differ => return Err(Hold::NodesDisagree(height)),
            };
            if self.trail.hash_at(height) != Some(block.hash) {
                self.is_forked = true;
                break;
            }
            self.read(block, facts);
            self.reread_from = height.checked_add(1).filter(|next| *next <= tip);
        }
        Ok(())
    }

    /// What is in a block that is in the chain.
    fn read(&mut self, block: &Block, facts: &mut Vec<Fact>) {
        let mined = Mined { height: block.height, hash: block.hash, time_s: block.time_s };
        let by_address = self.by_address();
        for transfer in &block.transfers {
            let Some(order) = by_address.get(&transfer.to) else { continue };
            if let Some(followed) = self.orders.get_mut(order) {
                followed.mined(transfer, mined, &mut Telling { order: *order, facts });
            }
        }
        for spent in &block.spent {
            for (order, followed) in &mut self.orders {
                followed.spent(spent, block, &mut Telling { order: *order, facts });
            }
        }
    }

    fn look_at_waiting(&mut self, told: &Told<'_>, facts: &mut Vec<Fact>) {
        let Some((tip, _)) = self.trail.tip() else { return };
        let Some(waiting) = told.waiting() else { return };
        let by_address = self.by_address();
        let mut keys = BTreeSet::new();
        for transfer in waiting {
            keys.insert(PaymentKey {
                chain: transfer.asset.chain,
                tx: transfer.tx,
                place: transfer.place,
            });
            let Some(order) = by_address.get(&transfer.to) else { continue };
            if let Some(followed) = self.orders.get_mut(order) {
                followed.waits(transfer, tip, &mut Telling { order: *order, facts });
            }
        }
        // Before the newest block is read it may be there.
        if self.is_forked || self.head.is_none_or(|head| head > tip) {
            return;
        }
        let orders = self.orders.iter_mut();
        let dropped = orders.filter_map(|(order, followed)| {
            followed.drop_absent(&keys, &mut Telling { order: *order, facts })
        });
        if let Some(from) = dropped.min() {
            self.reread(from);
        }
    }

    /// Counts confirmations, once a step: what else was found in it counts towards the same sums. While
    /// blocks are read again nobody knows the sums.
    fn settle(&mut self, settings: &Settings, facts: &mut Vec<Fact>) {
        if self.reread_from.is_some() {
            return;
        }
        let depth = self.depth(settings);
        for (order, followed) in &mut self.orders {
            followed.settle(depth, &mut Telling { order: *order, facts });
        }
    }

    fn tell_held(&mut self, hold: Option<Hold>, facts: &mut Vec<Fact>) {
        let code = |hold: Option<Hold>| hold.map(Hold::code);
        if code(hold) != code(self.held) {
            facts.push(hold.map_or(Fact::Resumed, Fact::Held));
        }
        self.held = hold;
    }
}
