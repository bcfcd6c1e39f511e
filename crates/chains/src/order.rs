//! What an order expects on a chain, and the payments to its address.

use std::collections::BTreeSet;

use sabotage::Defect;
use serde::{Deserialize, Serialize};

use crate::asset::{Address, Asset, Minor, OrderKey};
use crate::block::{Block, Spend, Spent, Transfer};
use crate::limits::{
    PAYMENTS_PER_ORDER_MAX, SPENDS_PER_PAYMENT_MAX, UNACCOUNTED_PER_ORDER_MAX,
    WAITING_PER_ORDER_MAX,
};
use crate::payment::{Mined, Payment, PaymentKey, Reported, Standing, Unaccounted};
use crate::step::{Change, Fact};
use crate::value::{Classes, Worth};

/// What an order expects: so much of an asset at an address of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What is to be paid.
    pub asset: Asset,
    /// Where to. No other order may have it at the same time.
    pub address: Address,
    /// How much.
    pub amount: Minor,
    /// Who must pay, where only one may.
    pub sender: Option<Address>,
    /// Less than this does not count at all; 0 counts everything but nothing.
    pub dust_below: Minor,
    /// Blocks below this height do not count.
    pub from_height: u64,
    /// Blocks made before this time do not count, seconds since 1970.
    pub from_s: u64,
    /// Blocks made after this time are late, seconds since 1970. They are told of all the same.
    pub due_s: Option<u64>,
    /// How many confirmations the value needs.
    pub classes: Classes,
    /// What the asset is worth to the classes, as when the order was made.
    pub worth: Worth,
}

/// What the payments of an order come to, in minor units of its asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// What counts.
    pub counted: Minor,
    /// What may still be lost: seen, confirming, and counted but not final.
    pub unsettled: Minor,
}

/// An order's expectation and the payments to its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Followed {
    /// What is expected.
    pub expectation: Expectation,
    payments: Vec<Payment>,
    required: u32,
    omitted: u64,
}

/// Where changes of one order are told.
pub(crate) struct Telling<'a> {
    pub(crate) order: OrderKey,
    pub(crate) facts: &'a mut Vec<Fact>,
}

impl Telling<'_> {
    fn stands(&mut self, payment: &mut Payment, to: Standing) {
        let from = (payment.standing != to).then_some(payment.standing);
        if from.is_some() {
            payment.standing = to;
            self.tell(payment, from);
        }
    }

    fn tell(&mut self, payment: &Payment, from: Option<Standing>) {
        self.facts.push(Fact::Payment(Box::new(Change {
            order: self.order,
            payment: payment.key,
            amount: payment.amount,
            block: payment.block,
            from,
            to: payment.standing,
        })));
    }
}

fn is_unaccounted(standing: Standing) -> bool {
    matches!(standing, Standing::Unaccounted(_))
}

/// How deep a block must lie for nothing to change it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// The height of the newest block.
    pub(crate) tip: u64,
    /// Confirmations that make final.
    pub(crate) final_depth: u32,
    /// The height up to which the chain says so too, where that is asked for.
    pub(crate) finalized: Option<u64>,
}

impl Depth {
    fn confirmations(self, block: Option<Mined>) -> u64 {
        confirmations(self.tip, block)
    }
}

/// A block and those after it, up to the newest.
fn confirmations(tip: u64, block: Option<Mined>) -> u64 {
    let below = block.and_then(|block| tip.checked_sub(block.height));
    below.map_or(0, |below| below.saturating_add(1))
}

impl Followed {
    pub(crate) fn new(expectation: Expectation) -> Self {
        Self { expectation, payments: Vec::new(), required: 0, omitted: 0 }
    }

    /// The payments, in the order in which they were found.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// Transfers that neither count nor are listed, since there were too many.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// What the payments come to.
    pub fn sums(&self) -> Sums {
        let sum = |counts: fn(Standing) -> bool| {
            let counting = self.payments.iter().filter(|payment| counts(payment.standing));
            let amounts = counting.filter_map(|payment| payment.amount);
            Minor(amounts.fold(0, |sum: u128, amount| sum.saturating_add(amount.0)))
        };
        Sums { counted: sum(Standing::is_counted), unsettled: sum(Standing::is_unsettled) }
    }

    /// Whether what counts covers what is expected.
    pub fn is_covered(&self) -> bool {
        self.sums().counted >= self.expectation.amount
    }

    /// Whether a payment of it may still become another.
    pub fn is_open(&self) -> bool {
        self.payments.iter().any(|payment| payment.standing.is_open())
    }

    /// What payments use up that are not final.
    pub(crate) fn spends(&self) -> impl Iterator<Item = &Spend> {
        let open = self.payments.iter().filter(|payment| payment.standing.is_open());
        open.flat_map(|payment| &payment.spends)
    }

    /// The lowest block of a payment that is not final.
    pub(crate) fn lowest_open(&self) -> Option<u64> {
        let open = self.payments.iter().filter(|payment| payment.standing.is_open());
        open.filter_map(|payment| Some(payment.block?.height)).min()
    }

    pub(crate) fn report(&self, tip: u64) -> Vec<Reported> {
        let is_late = |block: Option<Mined>| match (block, self.expectation.due_s) {
            (Some(block), Some(due_s)) => block.time_s > due_s,
            _ => false,
        };
        let reported = self.payments.iter().map(|payment| Reported {
            key: payment.key,
            asset: payment.asset.clone(),
            amount: payment.amount,
            from: payment.from.clone(),
            block: payment.block,
            confirmations: confirmations(tip, payment.block),
            required: if payment.required > 0 { payment.required } else { self.required },
            standing: payment.standing,
            is_late: is_late(payment.block),
        });
        reported.collect()
    }

    fn fault(&self, transfer: &Transfer, block: Option<Mined>) -> Option<Unaccounted> {
        let expected = &self.expectation;
        let is_early =
            |block: Mined| block.height < expected.from_height || block.time_s < expected.from_s;
        let is_sender = expected.sender.is_none() || expected.sender == transfer.from;
        if transfer.asset != expected.asset.id {
            return Some(Unaccounted::WrongAsset);
        }
        let Some(amount) = transfer.amount else { return Some(Unaccounted::TooLarge) };
        if !transfer.succeeded {
            Some(Unaccounted::TransactionFailed)
        } else if amount < expected.dust_below || amount.0 == 0 {
            Some(Unaccounted::Dust)
        } else if !is_sender {
            Some(Unaccounted::WrongSender)
        } else if block.is_some_and(is_early) {
            Some(Unaccounted::TooEarly)
        } else {
            None
        }
    }

    /// A transfer to the address, in this block.
    pub(crate) fn mined(&mut self, transfer: &Transfer, block: Mined, telling: &mut Telling<'_>) {
        let fault = self.fault(transfer, Some(block));
        let standing = fault.map_or(Standing::Confirming, Standing::Unaccounted);
        let key =
            PaymentKey { chain: transfer.asset.chain, tx: transfer.tx, place: transfer.place };
        let Some(payment) = self.payments.iter_mut().find(|payment| payment.key == key) else {
            return self.add(transfer, Some(block), standing, telling);
        };
        let is_known = payment.block == Some(block) || payment.standing == Standing::Final;
        if !is_known {
            // Another block may make something else of the same transaction.
            payment.asset = transfer.asset.clone();
            payment.amount = transfer.amount;
            payment.from = transfer.from.clone();
            payment.block = Some(block);
            payment.was_mined = true;
            payment.required = 0;
            telling.stands(payment, standing);
        }
    }

    fn add(
        &mut self,
        transfer: &Transfer,
        block: Option<Mined>,
        standing: Standing,
        telling: &mut Telling<'_>,
    ) {
        let beside = self.payments.iter().filter(|one| is_unaccounted(one.standing)).count();
        let is_full = block.is_some() && self.has_enough();
        let standing = match standing {
            accounted if !is_unaccounted(accounted) && is_full => {
                Standing::Unaccounted(Unaccounted::TooMany)
            }
            standing => standing,
        };
        if is_unaccounted(standing) && beside >= UNACCOUNTED_PER_ORDER_MAX {
            self.omitted = self.omitted.saturating_add(1);
            return;
        }
        let payment = Payment {
            key: PaymentKey { chain: transfer.asset.chain, tx: transfer.tx, place: transfer.place },
            asset: transfer.asset.clone(),
            amount: transfer.amount,
            from: transfer.from.clone(),
            block,
            standing,
            required: 0,
            was_mined: block.is_some(),
            seen_at: 0,
            spends: transfer.spends.iter().take(SPENDS_PER_PAYMENT_MAX).cloned().collect(),
        };
        telling.tell(&payment, None);
        self.payments.push(payment);
    }

    /// A transfer to the address that waits to be in a block. The chain is this far.
    pub(crate) fn waits(&mut self, transfer: &Transfer, tip: u64, telling: &mut Telling<'_>) {
        let key =
            PaymentKey { chain: transfer.asset.chain, tx: transfer.tx, place: transfer.place };
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.key == key) {
            if matches!(payment.standing, Standing::Dropped | Standing::Orphaned) {
                payment.seen_at = tip;
                telling.stands(payment, Standing::Seen);
            }
        } else if self.fault(transfer, None).is_none() && self.has_room_to_wait() {
            // What does not count is told of when it is in a block.
            let known = self.payments.len();
            self.add(transfer, None, Standing::Seen, telling);
            if let Some(payment) = self.payments.get_mut(known) {
                payment.seen_at = tip;
            }
        }
    }

    /// Whether as many payments as are counted were in a block.
    fn has_enough(&self) -> bool {
        let counted = |one: &&Payment| one.was_mined && !is_unaccounted(one.standing);
        self.payments.iter().filter(counted).count() >= PAYMENTS_PER_ORDER_MAX
    }

    /// Whether one more may wait. The oldest that was dropped makes room: should it come again, it is new.
    fn has_room_to_wait(&mut self) -> bool {
        // Whatever waits is in a block one day: no more are begun beside as many as are counted.
        if self.has_enough() {
            return false;
        }
        let never_mined = self.payments.iter().filter(|payment| !payment.was_mined).count();
        let is_dropped =
            |payment: &Payment| !payment.was_mined && payment.standing == Standing::Dropped;
        if never_mined < WAITING_PER_ORDER_MAX {
            return true;
        }
        let dropped = self.payments.iter().position(is_dropped);
        dropped.map(|at| self.payments.remove(at)).is_some()
    }

    /// What no longer waits, although no block has it. Gives the height from which on blocks are to
    /// be read again for what used up the same.
    pub(crate) fn drop_absent(
        &mut self,
        waiting: &BTreeSet<PaymentKey>,
        telling: &mut Telling<'_>,
    ) -> Option<u64> {
        let mut from = None;
        for payment in &mut self.payments {
            if payment.standing == Standing::Seen && !waiting.contains(&payment.key) {
                let gone = if payment.was_mined { Standing::Orphaned } else { Standing::Dropped };
                telling.stands(payment, gone);
                from = Some(payment.seen_at.min(from.unwrap_or(u64::MAX)));
            }
        }
        from
    }

    /// Something was used up in this block.
    pub(crate) fn spent(&mut self, spent: &Spent, block: &Block, telling: &mut Telling<'_>) {
        for payment in &mut self.payments {
            let is_other = payment.key.tx != spent.by && payment.spends.contains(&spent.spend);
            if is_other && payment.block.is_none() && payment.standing.is_open() {
                let conflicted = Standing::Conflicted { by: spent.by, height: block.height };
                telling.stands(payment, conflicted);
            }
        }
    }

    /// The blocks from this height on are no longer in the chain.
    pub(crate) fn orphan_from(&mut self, height: u64, telling: &mut Telling<'_>) {
        for payment in &mut self.payments {
            let was_in_one = payment.block.is_some_and(|block| block.height >= height);
            match payment.standing {
                Standing::Confirming | Standing::Counted if was_in_one => {
                    payment.block = None;
                    payment.required = 0;
                    telling.stands(payment, Standing::Orphaned);
                }
                Standing::Unaccounted(_) if was_in_one => payment.block = None,
                Standing::Conflicted { height: of_other, .. } if of_other >= height => {
                    let back =
                        if payment.was_mined { Standing::Orphaned } else { Standing::Dropped };
                    telling.stands(payment, back);
                }
                _ => {}
            }
        }
    }

    /// Counts confirmations. What is needed follows the sum of all that may still be lost, and never
    /// shrinks while there is any; what was counted stays counted until its block is gone.
    pub(crate) fn settle(&mut self, depth: Depth, telling: &mut Telling<'_>) {
        let expected = &self.expectation;
        let needed = |sum| expected.classes.needed(sum, &expected.asset, expected.worth);
        self.required = match self.is_open() {
            true => self.required.max(needed(self.sums().unsettled)),
            false => 0,
        };
        for payment in &mut self.payments {
            let confirmations = depth.confirmations(payment.block);
            let mut required = self.required;
            if sabotage::on(Defect::TierOfOnePayment) {
                required = needed(payment.amount.unwrap_or_default());
            }
            if payment.standing == Standing::Confirming && confirmations >= required.into() {
                payment.required = required;
                telling.stands(payment, Standing::Counted);
            }
            let is_deep = confirmations >= depth.final_depth.max(payment.required).into();
            let is_finalized = match (depth.finalized, payment.block) {
                (Some(finalized), Some(block)) => block.height <= finalized,
                _ => true,
            };
            if payment.standing == Standing::Counted && is_deep && is_finalized {
                telling.stands(payment, Standing::Final);
            }
        }
    }
}
