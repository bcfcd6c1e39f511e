//! Blocks at work: which parties are blocked, from memory.
//!
//! The blocks of the store are held in memory as keyed hashes of parties, and read anew when their
//! version has grown, for which each gateway asks every quarter of a second: a block counts everywhere
//! within a second. Where nobody is blocked, nothing is looked for. Orders are judged in the store's
//! transaction as well, so that none is created beside a block.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::block::{BlockLife, BlockState, Blocked, Party, PartyKind};
use model::{BlockId, Timestamp, limits};
use store::{Store, StoreError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::keys::KeyRing;
use crate::orders::{self, Kept};
use crate::{Clock, Facts};

/// The blocks of one version.
struct Held {
    version: i64,
    by_party: HashMap<[u8; 16], Vec<(BlockId, BlockLife)>>,
}

/// The blocks that stand.
pub(crate) struct Blocks {
    store: Store,
    keys: Arc<KeyRing>,
    clock: Clock,
    held: RwLock<Held>,
    /// Somebody is blocked.
    any: AtomicBool,
}

impl Blocks {
    /// Reads the blocks that stand.
    pub(crate) async fn open(
        store: Store,
        keys: Arc<KeyRing>,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let held = RwLock::new(Held { version: -1, by_party: HashMap::new() });
        let opened = Self { store, keys, clock, held, any: AtomicBool::new(false) };
        opened.refresh().await?;
        Ok(opened)
    }

    /// Whether it is worth while to look for a party.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// The block that stands against a party.
    pub(crate) fn against(&self, party: &Party, now: Timestamp) -> Option<Blocked> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = held.by_party.get(&party_key(&self.keys, party))?.iter();
        let (block, _) = blocks.find(|(_, life)| life.state(now) == BlockState::Standing)?;
        Some(Blocked { block: *block, kind: party.kind() })
    }

    /// The block that stands against one of the parties that an event or its order names.
    pub(crate) fn of_event(
        &self,
        provider: &str,
        facts: &Facts,
        order: Option<&Kept>,
        now: Timestamp,
    ) -> Option<Blocked> {
        if !self.any() {
            return None;
        }
        let of_event = parties(provider, facts).iter().find_map(|party| self.against(party, now));
        of_event.or_else(|| self.of_order(order?, now))
    }

    /// The block that stands against one of the parties of an order.
    pub(crate) fn of_order(&self, order: &Kept, now: Timestamp) -> Option<Blocked> {
        if !self.any() {
            return None;
        }
        let Kept { row, about } = order;
        let chain = row.expected.money.unit.chain();
        let parties = orders::parties(row.provider.as_deref(), chain, about);
        parties.iter().find_map(|party| self.against(party, now))
    }

    /// The block that stands against one of these addresses on a chain.
    pub(crate) fn of_addresses(
        &self,
        chain: &str,
        mut addresses: impl Iterator<Item = ::chains::Address>,
        now: Timestamp,
    ) -> Option<Blocked> {
        if !self.any() {
            return None;
        }
        addresses.find_map(|address| {
            self.against(&Party::named(PartyKind::Address, chain, address.as_str()), now)
        })
    }

    /// Reads the blocks anew if any has changed.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let version = self.store.blocks_version().await?;
        if self.held.read().unwrap_or_else(PoisonError::into_inner).version == version {
            return Ok(());
        }
        let standing = self.store.standing_blocks(self.clock.now()).await?;
        let mut by_party: HashMap<_, Vec<_>> = HashMap::with_capacity(standing.len());
        for block in standing {
            let life = BlockLife { ends_at: block.ends_at, lifted_at: None };
            by_party.entry(block.party_key).or_default().push((block.id, life));
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        // Two may read at once; the older answer does not stay.
        if version > held.version {
            self.any.store(!by_party.is_empty(), Ordering::Relaxed);
            *held = Held { version, by_party };
        }
        Ok(())
    }

    /// Keeps the blocks as the store has them, until it is to stop. While the store does not answer,
    /// those that are known stand; nothing is recorded then either.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut poll = tokio::time::interval(Duration::from_millis(limits::BLOCKS_POLL_MS));
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_blind = false;
        while stop.run_until_cancelled(poll.tick()).await.is_some() {
            match self.refresh().await {
                Ok(()) => is_blind = false,
                Err(error) if !is_blind => {
                    is_blind = true;
                    tracing::error!(code = error.code(), "cannot see whether blocks have changed");
                }
                Err(_) => {}
            }
        }
    }
}

/// The keyed hash under which the store knows a party.
pub(crate) fn party_key(keys: &KeyRing, party: &Party) -> [u8; 16] {
    let kind = party.kind().code();
    keys.index("party", &[kind.as_bytes(), party.of().as_bytes(), party.name().as_bytes()])
}

/// The parties that an event names. An address is one on a chain, so the chain must be said.
fn parties(provider: &str, facts: &Facts) -> Vec<Party> {
    let (at, on) = (Some(provider), facts.chain.as_deref());
    [
        (PartyKind::Customer, at, &facts.customer),
        (PartyKind::Card, at, &facts.card),
        (PartyKind::Payee, at, &facts.payee),
        (PartyKind::Address, on, &facts.receiver),
        (PartyKind::Address, on, &facts.sender),
    ]
    .into_iter()
    .filter_map(|(kind, of, name)| Some(Party::named(kind, of?, name.as_deref()?)))
    .collect()
}
