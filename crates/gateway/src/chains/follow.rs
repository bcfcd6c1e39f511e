//! Follows a chain for its orders: takes up those that wait, looks, and keeps what the look makes known of
//! payments together with how far it came. Several gateways may follow the same chain: one of them does at
//! a time, and whoever is too late with a write changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::chains::{ChainId, Change, Standing, State};
use model::order::{Fact, FactKind, Facts, PaymentKey};
use model::{OrderId, RequestId, Timestamp, limits};
use store::{ChainChange, OrderChange, OrderChanges, OrdersChanged, StoreError};
use tokio_util::sync::CancellationToken;

use super::kept::{COLUMN, Kept, TABLE};
use super::{ChainAsset, Nodes, Watcher, of_unit};
use crate::entropy;
use crate::inbound::Parts;
use crate::keys::{Held, KeyError};
use crate::orders::{Orders, Planned, TRIES};

const BUCKET: &str = "chains";

/// Orders that are taken up at once.
const TAKEN_AT_ONCE: usize = 200;

/// How long one gateway follows for all, from each look on.
const DUTY_MS: i64 = 30_000;

/// To let transactions wait costs nothing: what is kept of them leaves room for what is in blocks.
const WAITING_FACTS_MAX: usize = limits::ORDER_FACTS_MAX / 2;

/// An order whose time is over is watched so long after it, seconds.
const LEFT_AFTER_S: u64 = 24 * 3_600;

/// A chain that is watched, as the operator configured it.
#[derive(Debug, Clone)]
pub struct Chain {
    /// What orders and providers call it.
    pub name: String,
    /// How it is followed.
    pub settings: ::chains::Settings,
    /// The nodes that are asked.
    pub nodes: Vec<super::Node>,
    /// How long to wait from one look to the next, unless a node says that there is something new.
    pub look: Duration,
}

/// What one look changes.
struct Look {
    state: State,
    changes: Vec<Change>,
    taken: Vec<OrderId>,
    left: Vec<OrderId>,
}

/// Follows one chain.
pub(crate) struct Follower {
    name: String,
    id: ChainId,
    look: Duration,
    watcher: Watcher,
    assets: Arc<[ChainAsset]>,
    orders: Arc<Orders>,
    parts: Parts,
    holder: [u8; 16],
    /// Orders of which it was said that they cannot be watched.
    unfit: BTreeSet<OrderId>,
}

impl Follower {
    pub(crate) fn new(
        chain: &Chain,
        nodes: Nodes,
        assets: Arc<[ChainAsset]>,
        orders: Arc<Orders>,
        parts: Parts,
    ) -> Self {
        Self {
            name: chain.name.clone(),
            id: chain.settings.chain,
            look: chain.look,
            watcher: Watcher::new(chain.settings.clone(), nodes),
            assets,
            orders,
            parts,
            holder: entropy::bytes(),
            unfit: BTreeSet::new(),
        }
    }

    /// Follows until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut kept = None;
        loop {
            let turn = stop.run_until_cancelled(self.turn(&mut kept)).await;
            let is_behind = match turn {
                None => return self.give_up().await,
                Some(Ok(is_behind)) => is_behind,
                Some(Err(error)) => {
                    tracing::error!(chain = %self.name, %error, "cannot follow the chain");
                    kept = None;
                    false
                }
            };
            let wait = if is_behind { Duration::ZERO } else { self.look };
            if stop.run_until_cancelled(self.watcher.rest(wait)).await.is_none() {
                return self.give_up().await;
            }
        }
    }

    /// Another gateway may follow at once.
    async fn give_up(&self) {
        if self.parts.store.is_shared()
            && let Err(error) = self.parts.store.release_duty(&self.duty(), self.holder).await
        {
            tracing::warn!(chain = %self.name, %error, "another gateway follows the chain a little later");
        }
    }

    fn duty(&self) -> String {
        format!("chain:{}", self.name)
    }

    /// One look. Says whether there is more to read.
    async fn turn(&mut self, kept: &mut Option<Kept>) -> Result<bool, KeyError> {
        let now = self.parts.clock.now();
        let until = now.plus_millis(DUTY_MS);
        if !self.parts.store.has_duty(&self.duty(), self.holder, now, until).await? {
            *kept = None;
            return Ok(false);
        }
        let was = match kept.take() {
            Some(was) => was,
            None => self.read().await?,
        };
        let mut state = was.state.clone();
        let taken = self.take_up(&mut state, now).await?;
        let left = leave(&mut state, now);
        let step = self.watcher.turn(state, now).await;
        self.parts.metrics.chain(&self.name, &step);
        let is_behind = step.is_behind;
        let changes = step.facts.into_iter().filter_map(|fact| match fact {
            ::chains::Fact::Payment(change) => Some(*change),
            _ => None,
        });
        let look = Look { state: step.state, changes: changes.collect(), taken, left };
        *kept = self.keep(was, look, now).await?;
        Ok(is_behind || kept.is_none())
    }

    async fn read(&self) -> Result<Kept, KeyError> {
        let kept = Kept::read(&self.parts.store, &self.parts.keys, &self.name).await?;
        let kept = kept.unwrap_or_else(|| Kept { revision: 0, state: State::new(self.id) });
        if kept.state.chain() != self.id {
            tracing::error!(chain = %self.name, was = %kept.state.chain(), is = %self.id,
                "the chain of this name was another: give this one another name");
            return Err(KeyError::NotAuthentic);
        }
        Ok(kept)
    }

    /// Takes up orders that wait to be watched.
    async fn take_up(
        &mut self,
        state: &mut State,
        now: Timestamp,
    ) -> Result<Vec<OrderId>, KeyError> {
        let mut taken = Vec::new();
        let tip = state.trail().tip().map(|(tip, _)| tip);
        for kept in self.orders.to_watch(&self.name, TAKEN_AT_ONCE).await? {
            let id = kept.row.id;
            let asset = of_unit(&self.assets, &kept.row.expected.money.unit);
            let expectation =
                asset.and_then(|asset| asset.expectation(&kept.row, &kept.about, (tip, now)));
            let followed = expectation
                .map(|expectation| state.follow(::chains::OrderKey(*id.as_bytes()), expectation));
            let reason = match followed {
                Some(Ok(())) => {
                    taken.push(id);
                    continue;
                }
                Some(Err(unfit)) => unfit.code(),
                None => "asset_unknown",
            };
            if self.unfit.insert(id) {
                tracing::error!(chain = %self.name, order = %id, reason, "an order cannot be watched");
            }
        }
        Ok(taken)
    }

    /// Keeps what a look changed. Gives what is kept then; none if somebody else was first.
    async fn keep(&self, was: Kept, look: Look, now: Timestamp) -> Result<Option<Kept>, KeyError> {
        let is_same = look.changes.is_empty() && look.taken.is_empty() && look.left.is_empty();
        if is_same && was.state.is_same_but_for_the_round(&look.state) {
            return Ok(Some(Kept { revision: was.revision, state: look.state }));
        }
        let Look { state, changes: seen, taken, left } = look;
        let key = self.parts.keys.bucket(BUCKET, now).await?;
        let (id, bytes) = (self.name.as_bytes(), state.to_bytes());
        let chain = ChainChange {
            name: self.name.clone(),
            revision: was.revision,
            keys: key.to_store().into_iter().collect(),
            sealed: key.seal(TABLE, COLUMN, id, &bytes),
            taken,
            left,
        };
        let mut refused = BTreeSet::new();
        for _ in 0..TRIES {
            let (changes, told) = self.plan((&seen, &state), &refused, now).await?;
            let chain = Some(chain.clone());
            let changes =
                OrderChanges { record: None, anew: None, changes, chain, note: None, at: now };
            match self.parts.store.change_orders(changes).await? {
                OrdersChanged::Done(_) => {
                    self.parts.keys.stored(&key);
                    self.orders.told_is_kept(told.iter());
                    return Ok(Some(Kept { revision: was.revision + 1, state }));
                }
                // An event may have changed an order meanwhile; if it was the chain, reading it says so.
                OrdersChanged::Stale => {
                    let kept = self.parts.store.chain(&self.name).await?;
                    if kept.map_or(0, |row| row.revision) != was.revision {
                        return Ok(None);
                    }
                }
                OrdersChanged::PaymentTaken { payment, order } => {
                    tracing::error!(chain = %self.name, %order, "a payment serves another order already");
                    refused.insert(payment);
                }
            }
        }
        Err(KeyError::Store(StoreError::busy()))
    }

    /// What payments make of their orders.
    async fn plan(
        &self,
        (changes, state): (&[Change], &State),
        refused: &BTreeSet<PaymentKey>,
        now: Timestamp,
    ) -> Result<(Vec<OrderChange>, Vec<Held>), KeyError> {
        let (mut planned, mut told) = (Vec::new(), Vec::new());
        let orders: BTreeSet<_> = changes.iter().map(|change| change.order).collect();
        for order in orders {
            let Some(kept) = self.orders.get(OrderId::from_bytes(order.0)).await? else { continue };
            let mut plan = Planned::of(kept);
            for change in changes.iter().filter(|change| change.order == order) {
                let payment = self.payment(change);
                if refused.contains(&payment) {
                    continue;
                }
                let known = (&plan.kept.row.facts, &plan.facts);
                plan.facts.extend(fact(change, payment, known, now));
            }
            if plan.facts == plan.kept.row.facts {
                continue;
            }
            let payers = state.payments(order).into_iter().filter_map(|payment| payment.from);
            plan.blocked = self.parts.blocks.of_addresses(&self.name, payers, now);
            let request = RequestId::new(now, entropy::bytes());
            let (change, key) = self.orders.change(&plan, None, request, now).await?;
            planned.push(change);
            told.extend(key);
        }
        Ok((planned, told))
    }

    /// The payment that a change is about.
    fn payment(&self, change: &Change) -> PaymentKey {
        let key = &change.payment;
        let chain = key.chain.to_string();
        let place = key.place.to_string();
        let parts = [chain.as_bytes(), key.tx.as_bytes().as_slice(), place.as_bytes()];
        self.parts.keys.index("chain payment", &parts)
    }
}

/// What a change says of a payment, beside what was told of it and what this look has found out before.
fn fact(
    change: &Change,
    payment: PaymentKey,
    (told, known): (&Facts, &Facts),
    now: Timestamp,
) -> Option<Fact> {
    let last_of = |facts: &Facts| facts.of(payment).max_by_key(|fact| fact.version).copied();
    let last = last_of(known);
    let had_counted =
        last.is_some_and(|fact| matches!(fact.kind, FactKind::Counted | FactKind::Undone));
    // Who was told that it counts is told that it no longer does, although it is found again at once.
    let is_told = last_of(told).is_some_and(|fact| fact.kind == FactKind::Counted);
    let room =
        if change.to == Standing::Seen { WAITING_FACTS_MAX } else { limits::ORDER_FACTS_MAX };
    if last.is_none() && known.iter().count() >= room {
        return None;
    }
    let kind = match change.to {
        Standing::Seen if had_counted => FactKind::Undone,
        Standing::Confirming if is_told => FactKind::Undone,
        Standing::Seen => FactKind::Seen,
        Standing::Confirming => FactKind::Confirming,
        Standing::Counted | Standing::Final => FactKind::Counted,
        // What never counted for anything leaves nothing behind.
        _ if last.is_none() => return None,
        Standing::Conflicted { .. }
        | Standing::Orphaned
        | Standing::Dropped
        | Standing::Unaccounted(_) => {
            if had_counted {
                FactKind::Undone
            } else {
                FactKind::Gone
            }
        }
    };
    if last.is_some_and(|fact| fact.kind == kind) {
        return None;
    }
    let block = change.block.filter(|_| !matches!(kind, FactKind::Gone | FactKind::Undone));
    let made = block.and_then(|block| i64::try_from(block.time_s).ok()?.checked_mul(1_000));
    Some(Fact {
        payment,
        kind,
        part: [0; 16],
        amount: change.amount?.0,
        at: made.map_or(now, Timestamp::from_millis),
        version: last.map_or(1, |fact| fact.version.saturating_add(1)),
    })
}

/// Leaves orders whose time has long been over, and whose payments are settled.
fn leave(state: &mut State, now: Timestamp) -> Vec<OrderId> {
    let now_s = u64::try_from(now.as_seconds()).unwrap_or(0);
    let is_over = |followed: &::chains::Followed| {
        let due_s = followed.expectation.due_s;
        let is_late = due_s.is_some_and(|due_s| now_s > due_s.saturating_add(LEFT_AFTER_S));
        is_late && !followed.payments().iter().any(|one| one.standing.is_unsettled())
    };
    let over: Vec<_> =
        state.orders().iter().filter(|(_, one)| is_over(one)).map(|(key, _)| *key).collect();
    over.iter().for_each(|key| drop(state.leave(*key)));
    over.into_iter().map(|key| OrderId::from_bytes(key.0)).collect()
}

#[cfg(test)]
mod tests {
    use ::chains::{Hash, Minor, OrderKey, Place};

    use super::*;

    const PAYMENT: PaymentKey = [7; 16];
    const NOW: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn change(to: Standing) -> Change {
        let chain = ChainId::Evm(1);
        let tx = Hash::from_bytes([3; 32]);
        Change {
            order: OrderKey([1; 16]),
            payment: ::chains::PaymentKey { chain, tx, place: Place::Native },
            amount: Some(Minor(50)),
            block: None,
            from: None,
            to,
        }
    }

    /// What is told after each look, which finds these out one after the other.
    fn told(looks: &[&[Standing]]) -> Vec<Option<FactKind>> {
        let mut told = Facts::default();
        let look = |found: &&[Standing]| {
            let mut known = told.clone();
            for to in *found {
                known.extend(fact(&change(*to), PAYMENT, (&told, &known), NOW));
            }
            told = known;
            let last = told.of(PAYMENT).max_by_key(|fact| fact.version);
            last.map(|fact| fact.kind)
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn what_had_counted_is_told_to_be_undone_although_it_is_found_again_at_once() {
        use FactKind::{Confirming, Counted, Undone};
        use Standing as S;
        let conflicted = S::Conflicted { by: Hash::from_bytes([9; 32]), height: 5 };
        let paid: &[Standing] = &[S::Confirming, S::Counted];
        let then = |looks: &[&[Standing]]| told(&[&[paid], looks].concat()).split_off(1);
        assert_eq!(then(&[&[S::Orphaned, S::Seen]]), [Some(Undone)]);
        assert_eq!(then(&[&[S::Orphaned, S::Seen], &[conflicted]]), [Some(Undone); 2]);
        assert_eq!(then(&[&[S::Orphaned], &[S::Seen], &[S::Orphaned]]), [Some(Undone); 3]);
        assert_eq!(
            then(&[&[S::Orphaned, S::Confirming], &paid[1..]]),
            [Some(Undone), Some(Counted)]
        );
        assert_eq!(then(&[&[S::Orphaned], paid]), [Some(Undone), Some(Counted)]);
        assert_eq!(then(&[&[S::Orphaned], &paid[..1]]), [Some(Undone), Some(Confirming)]);
        // All of it in one look: it has never stopped counting.
        assert_eq!(then(&[&[S::Orphaned, S::Confirming, S::Counted]]), [Some(Counted)]);
    }

    #[test]
    fn what_never_counted_is_gone_or_was_never_there() {
        use Standing as S;
        assert_eq!(
            told(&[&[S::Seen], &[S::Dropped]]),
            [Some(FactKind::Seen), Some(FactKind::Gone)]
        );
        assert_eq!(told(&[&[S::Dropped], &[S::Orphaned]]), [None, None]);
    }

    /// Whoever lets thousands of transactions wait keeps no payment from counting.
    #[test]
    fn what_waits_leaves_room_for_what_is_in_blocks() {
        let mut known = Facts::default();
        for n in 0..2 * limits::ORDER_FACTS_MAX {
            let mut payment = [0; 16];
            payment[..8].copy_from_slice(&n.to_be_bytes());
            let seen = fact(&change(Standing::Seen), payment, (&known, &known), NOW);
            known.extend(seen);
        }
        assert_eq!(known.iter().count(), WAITING_FACTS_MAX);
        let confirming = fact(&change(Standing::Confirming), PAYMENT, (&known, &known), NOW);
        assert!(confirming.is_some());
        let all = (0..limits::ORDER_FACTS_MAX).map(|n| {
            let mut payment = [1; 16];
            payment[..8].copy_from_slice(&n.to_be_bytes());
            Fact { payment, ..confirming.expect("one") }
        });
        known.extend(all);
        assert_eq!(fact(&change(Standing::Confirming), PAYMENT, (&known, &known), NOW), None);
    }
}
