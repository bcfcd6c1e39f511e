//! What must be so, computed from the simulated chain alone.

use std::collections::BTreeMap;

use chains::{Expectation, Fact, Hash, OrderKey, PaymentKey, Standing, State};

use crate::world::{CHAIN, World};

pub(crate) const FINAL_DEPTH: u32 = 30;

/// The transactions that pay an order in a chain, and how deep each lies.
pub(crate) fn paying(
    world: &World,
    chain: &[Hash],
    expectation: &Expectation,
) -> BTreeMap<Hash, (u128, u64)> {
    let mut paying = BTreeMap::new();
    for hash in chain {
        let block = &world.blocks[hash];
        let depth = chain.len() as u64 - block.height;
        for transaction in block.transactions.iter().map(|hash| &world.transactions[hash]) {
            let is_ours = transaction.to == expectation.address
                && transaction.asset == expectation.asset.id
                && transaction.amount >= expectation.dust_below.0;
            if is_ours {
                paying.insert(transaction.hash, (transaction.amount, depth));
            }
        }
    }
    paying
}

/// Written out once more: cents, and what they need.
fn tier(cents: u128) -> u64 {
    match cents {
        0..100_00 => 3,
        100_00..1_000_00 => 12,
        _ => 24,
    }
}

/// What a test keeps beside the state: everything that was told, and which orders were paid.
#[derive(Default)]
pub(crate) struct Kept {
    stands: BTreeMap<(OrderKey, PaymentKey), Standing>,
    paid: BTreeMap<OrderKey, bool>,
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl Kept {
    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One transaction of the store: the state and the facts of the step that made it.
    pub(crate) fn commit(
        &mut self,
        state: &State,
        facts: &[Fact],
        world: &World,
    ) -> Result<(), String> {
        for fact in facts {
            let Fact::Payment(change) = fact else {
                if let Fact::Held(hold) = fact {
                    self.count(hold.code());
                }
                continue;
            };
            let chains::Change { order, payment, from, to, .. } = &**change;
            let before = self.stands.insert((*order, *payment), *to);
            if before != *from {
                return Err(format!("{payment:?} was {before:?}, the fact says {from:?}"));
            }
            self.count(to.code());
            if *from == Some(Standing::Counted) && *to == Standing::Orphaned {
                self.count("counted, then orphaned");
            }
            if matches!(from, Some(Standing::Orphaned)) && *to == Standing::Confirming {
                self.count("orphaned, then restored");
            }
        }
        self.judge(state, world)
    }

    fn judge(&mut self, state: &State, world: &World) -> Result<(), String> {
        let Some((_, tip)) = state.trail().tip() else { return Ok(()) };
        let chain = world.ancestors(tip).ok_or("the cursor is at a block that never was")?;
        for (order, followed) in state.orders() {
            for payment in followed.payments() {
                let told = self.stands.get(&(*order, payment.key));
                if told != Some(&payment.standing) {
                    return Err(format!("{payment:?} is kept otherwise than told: {told:?}"));
                }
                let in_chain = payment.block.is_none_or(|block| {
                    usize::try_from(block.height).ok().and_then(|at| chain.get(at))
                        == Some(&block.hash)
                });
                if !in_chain || payment.standing.is_counted() && payment.block.is_none() {
                    return Err(format!("{payment:?} is in no block below the cursor"));
                }
            }
            let was_paid = self.paid.insert(*order, followed.is_covered()) == Some(true);
            if followed.is_covered() && !was_paid {
                self.count("paid");
                self.judge_paid(followed, world, &chain)?;
            }
            if was_paid && !followed.is_covered() {
                self.count("reversed");
            }
        }
        Ok(())
    }

    /// An order becomes paid: by payments that are there, deep enough for all that may be lost.
    fn judge_paid(
        &self,
        followed: &chains::Followed,
        world: &World,
        chain: &[Hash],
    ) -> Result<(), String> {
        let expectation = &followed.expectation;
        let paying = paying(world, chain, expectation);
        let at_risk = paying.values().filter(|(_, depth)| *depth < FINAL_DEPTH.into());
        let needed = tier(at_risk.map(|(amount, _)| amount).sum());
        let deep = paying.iter().filter(|(_, (_, depth))| *depth >= needed);
        let sum: u128 = deep.map(|(_, (amount, _))| amount).sum();
        if sum < expectation.amount.0 {
            return Err(format!("paid with {sum} at {needed} confirmations, {expectation:?}"));
        }
        Ok(())
    }

    /// Nothing moves any more: what counts is what the chain has, to the last cent.
    pub(crate) fn judge_end(&self, state: &State, world: &World) -> Result<(), String> {
        let chain = world.chain();
        let tip = state.trail().tip().map(|(_, hash)| hash);
        if tip.as_ref() != chain.last() {
            return Err(format!("the cursor stays at {tip:?}, held by {:?}", state.held()));
        }
        for followed in state.orders().values() {
            let paying = paying(world, chain, &followed.expectation);
            for payment in followed.payments() {
                let is_there = paying.contains_key(&payment.key.tx);
                if is_there != payment.standing.is_counted() {
                    return Err(format!("in the chain: {is_there}, but {payment:?}"));
                }
            }
            let sum: u128 = paying.values().map(|(amount, _)| amount).sum();
            if followed.sums().counted.0 != sum
                || followed.is_covered() != (sum >= followed.expectation.amount.0)
            {
                return Err(format!("{sum} are in the chain, counted {:?}", followed.sums()));
            }
        }
        Ok(())
    }
}

/// All of a state's payments are of the simulated chain.
pub(crate) fn is_of_the_chain(state: &State) -> bool {
    state.chain() == CHAIN
}
