//! What an event, a person or the time changes of an order.

use std::sync::Arc;
use std::time::Duration;

use model::block::Blocked;
use model::order::{Fact, Facts, Judgement, judge};
use model::{OrderId, RequestId, Timestamp};
use store::{Note, OrderChange, OrderChanges, OrderQuery, OrdersChanged, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Kept, Orders, TRIES};
use crate::keys::{Held, KeyError};
use crate::{Clock, entropy};

/// How soon it is noticed that an order's time is over, and how many at once.
const DUE: Duration = Duration::from_millis(500);
const DUE_AT_ONCE: usize = 100;

/// An order that is to change.
pub(crate) struct Planned {
    pub(crate) kept: Kept,
    /// The events of the arrival that bring it.
    pub(crate) events: Vec<usize>,
    pub(crate) facts: Facts,
    pub(crate) cancelled_at: Option<Timestamp>,
    /// The block of a party that what changes it names.
    pub(crate) blocked: Option<Blocked>,
}

impl Planned {
    pub(crate) fn of(kept: Kept) -> Self {
        let (facts, cancelled_at) = (kept.row.facts.clone(), kept.row.expected.cancelled_at);
        Self { kept, events: Vec::new(), facts, cancelled_at, blocked: None }
    }

    pub(crate) fn add(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.facts.add(*fact);
        }
    }

    pub(crate) fn judged(&self, now: Timestamp) -> Judgement {
        let mut expected = self.kept.row.expected.clone();
        expected.cancelled_at = self.cancelled_at;
        judge(&expected, &self.facts, now)
    }

    /// Whether anything is other than it is kept.
    pub(super) fn changes(&self, judged: Judgement) -> bool {
        let row = &self.kept.row;
        let was = (&row.facts, row.judged, row.expected.cancelled_at);
        was != (&self.facts, judged, self.cancelled_at)
    }

    /// Its version once it is changed: a new one for each state that is told.
    pub(crate) fn version(&self, judged: Judgement) -> i64 {
        let row = &self.kept.row;
        row.version + i64::from(judged.state != row.judged.state)
    }
}

impl Orders {
    /// What a plan is in the store's words, with what is told of it.
    pub(crate) async fn change(
        &self,
        planned: &Planned,
        source: Option<&str>,
        request: RequestId,
        now: Timestamp,
    ) -> Result<(OrderChange, Option<Held>), KeyError> {
        let judged = planned.judged(now);
        let version = planned.version(judged);
        let row = &planned.kept.row;
        let (told, key) = if version > row.version {
            let source = row.source.as_deref().or(source);
            let (told, key) = self.told(planned, judged, version, (source, request, now)).await?;
            (Some(told), Some(key))
        } else {
            (None, None)
        };
        let change = OrderChange {
            order: row.id,
            reference_key: row.reference_key,
            events: planned.events.clone(),
            revision: row.revision,
            cancelled_at: planned.cancelled_at,
            facts: planned.facts.clone(),
            judged,
            version,
            told,
        };
        Ok((change, key))
    }

    /// Cancels an order. Gives it as it is then; none if there is none.
    ///
    /// # Errors
    /// The store fails, or what it has does not open.
    pub async fn cancel(&self, id: OrderId, note: Note) -> Result<Option<Kept>, KeyError> {
        for _ in 0..TRIES {
            let Some(kept) = self.get(id).await? else { return Ok(None) };
            if kept.row.expected.cancelled_at.is_some() {
                return Ok(Some(kept));
            }
            let mut planned = Planned::of(kept);
            planned.cancelled_at = Some(note.at);
            if self.alone(&planned, note.request, note.at, Some(note.clone())).await? {
                return self.get(id).await;
            }
        }
        Err(KeyError::Store(StoreError::busy()))
    }

    /// Changes an order that no arrival changes. False if somebody else was first.
    async fn alone(
        &self,
        planned: &Planned,
        request: RequestId,
        at: Timestamp,
        note: Option<Note>,
    ) -> Result<bool, KeyError> {
        if !planned.changes(planned.judged(at)) {
            return Ok(true);
        }
        let (change, key) = self.change(planned, None, request, at).await?;
        let changes =
            OrderChanges { record: None, anew: None, changes: vec![change], chain: None, note, at };
        let changed = self.store.change_orders(changes).await?;
        let done = matches!(changed, OrdersChanged::Done(_));
        if done {
            self.told_is_kept(key.iter());
        }
        Ok(done)
    }

    /// What was told is there to be delivered.
    pub(crate) fn told_is_kept<'a>(&self, keys: impl Iterator<Item = &'a Held>) {
        for key in keys {
            self.keys.stored(key);
            self.fresh_work.notify_one();
            self.woken.notify_one();
        }
    }

    /// Sees to orders whose time is over, until it is told to stop. Several gateways may do so at once:
    /// one of them is first.
    pub(crate) async fn run(self: Arc<Self>, clock: Clock, stop: CancellationToken) {
        let mut tick = tokio::time::interval(DUE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = self.see(clock.now()).await {
                tracing::error!(%error, "cannot see to the orders");
            }
        }
    }

    async fn see(&self, now: Timestamp) -> Result<(), KeyError> {
        if !self.any() {
            // Another gateway may have the first.
            let first = self.store.orders(OrderQuery { limit: 1, ..OrderQuery::default() }).await?;
            if first.is_empty() {
                return Ok(());
            }
            self.seen();
        }
        self.expire(now).await
    }

    async fn expire(&self, now: Timestamp) -> Result<(), KeyError> {
        for row in self.store.orders_due(now, DUE_AT_ONCE).await? {
            let kept = self.kept(row).await?;
            let request = RequestId::new(now, entropy::bytes());
            self.alone(&Planned::of(kept), request, now, None).await?;
        }
        Ok(())
    }
}
