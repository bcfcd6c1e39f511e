//! Deciding anew on kept events, once what they waited for has come.
//!
//! *Nouns.* An event **waits** for its order: it was held for what another event may bring, or it came
//! before the order was created. Whatever changes the order wakes it, in the same transaction. Then it is
//! **looked at**: matched with its order as if it had arrived now, and decided on in one transaction with
//! what it changes of the order. *Several gateways.* One of them has an event for a while (`store::Later`);
//! should two look at one all the same, the second finds that it is not what it was, and nothing is done
//! twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::limits::{CONFIRMS_AT_ONCE_MAX, UNDECIDED_DAYS, UNDECIDED_LEASE_MS};
use model::{Covers, Environment, EventId, EventStatus, RequestId, Timestamp};
use policy::{Decided, HoldReason};
use store::{
    Anew, Awaits, EventQuery, EventRow, Later, OrdersChanged, StoreError, TakeUndecided, Undecided,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::confirm::Asking;
use super::{Orders, Planned, Said, TRIES};
use crate::facts::KnownAs;
use crate::inbound::{self, Parts};
use crate::keys::{Held, KeyError};
use crate::outbound::Client;
use crate::{Facts, Format, Source, entropy};

/// How soon it is noticed that there is something to look at, where nobody rings.
const LOOK: Duration = Duration::from_millis(500);

/// How many events are taken at once.
const AT_ONCE: usize = 64;

/// How many of the newest events are looked through for the very first order: until there is one, none
/// that comes before its order is remembered.
const FIRST_BACK: usize = 1_000;

/// When it is tried again to ask, where too many questions run.
const BUSY_MS: i64 = 500;

const DAY_MS: i64 = 86_400_000;

/// What deciding anew needs to know of a source.
pub(super) struct Route {
    pub(super) payee_usual: Option<String>,
    pub(super) hold_unknown_orders: bool,
    /// Who is asked about its events.
    pub(super) asking: Option<Asking>,
    endpoints: Vec<Arc<str>>,
    /// Those of them that may get a redacted event.
    document_endpoints: Vec<Arc<str>>,
}

/// Who decides anew.
pub(crate) struct Deciding {
    pub(super) parts: Parts,
    pub(super) orders: Arc<Orders>,
    pub(super) routes: BTreeMap<String, Route>,
    /// Questions that may run at once.
    slots: Arc<Semaphore>,
}

/// A kept event, opened.
pub(super) struct Opened {
    pub(super) event: EventRow,
    pub(super) facts: Facts,
    pub(super) key: Held,
    pub(super) known_as: KnownAs,
}

/// What is decided on an event that was looked at.
pub(super) enum Looked {
    /// It is decided on, and whoever was first did it.
    Done,
    /// Nothing is decided yet.
    Later(Later),
}

impl Deciding {
    pub(crate) fn new(
        parts: &Parts,
        orders: &Arc<Orders>,
        sources: &[Source],
        formats: &[(String, Format)],
        (environment, client): (Environment, &Arc<Client>),
    ) -> Self {
        let asking = |source: &Source| {
            let confirm = source.confirm.as_ref()?;
            Asking::new(&source.profile, confirm, environment, client)
        };
        let route = |source: &Source| {
            let route = Route {
                payee_usual: source.payee.clone(),
                hold_unknown_orders: source.hold_unknown_orders,
                asking: asking(source),
                endpoints: source.endpoints.iter().map(|name| Arc::from(name.as_str())).collect(),
                document_endpoints: inbound::document_endpoints(source, formats),
            };
            (source.name.clone(), route)
        };
        let slots = Arc::new(Semaphore::new(CONFIRMS_AT_ONCE_MAX));
        let (parts, orders) = (parts.clone(), orders.clone());
        Self { parts, orders, routes: sources.iter().map(route).collect(), slots }
    }

    /// Looks at what waits, until it is told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut had_any = self.orders.any();
        // Questions that are under way end with this.
        let mut questions = JoinSet::new();
        loop {
            let next = async {
                tokio::select! { _ = tick.tick() => {}, () = self.orders.woken.notified() => {} }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
            if !std::mem::replace(&mut had_any, self.orders.any())
                && self.orders.any()
                && let Err(error) = self.look_back().await
            {
                tracing::error!(%error, "cannot look for what came before the first order");
            }
            if let Err(error) = self.look(&stop, &mut questions).await {
                tracing::error!(%error, "cannot decide anew on events");
            }
        }
    }

    async fn look(
        self: &Arc<Self>,
        stop: &CancellationToken,
        questions: &mut JoinSet<()>,
    ) -> Result<(), KeyError> {
        loop {
            while questions.try_join_next().is_some() {}
            let now = self.parts.clock.now();
            if stop.is_cancelled() || !self.parts.store.any_undecided(now).await? {
                return Ok(());
            }
            let until = now.plus_millis(UNDECIDED_LEASE_MS);
            let take = TakeUndecided { now, until, limit: AT_ONCE };
            let taken = self.parts.store.take_undecided(take).await?;
            if taken.is_empty() {
                return Ok(());
            }
            for undecided in taken {
                match undecided.awaits {
                    Awaits::Order(_) => self.look_at(undecided).await?,
                    Awaits::Answer => self.ask(undecided, questions).await?,
                }
            }
        }
    }

    /// Asks about an event beside everything else; a little later if as many are asked about as may be.
    async fn ask(
        self: &Arc<Self>,
        undecided: Undecided,
        questions: &mut JoinSet<()>,
    ) -> Result<(), KeyError> {
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            let soon = self.parts.clock.now().plus_millis(BUSY_MS);
            return Ok(self.parts.store.put_off(undecided, Later::At(soon)).await?);
        };
        let deciding = self.clone();
        questions.spawn(async move {
            deciding.confirm(undecided).await;
            drop(slot);
        });
        Ok(())
    }

    async fn look_at(&self, undecided: Undecided) -> Result<(), KeyError> {
        match self.decide(undecided.event).await {
            Ok(Looked::Done) => Ok(()),
            Ok(Looked::Later(later)) => Ok(self.parts.store.put_off(undecided, later).await?),
            // One that cannot be opened must not stand in the way of the others.
            Err(error @ (KeyError::NotAuthentic | KeyError::Missing)) => {
                tracing::error!(event = %undecided.event, %error, "cannot decide anew on an event");
                Ok(self.parts.store.put_off(undecided, Later::Never).await?)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for what came before the very first order, among the newest events.
    async fn look_back(&self) -> Result<(), KeyError> {
        let since = self.parts.clock.now().plus_millis(-UNDECIDED_DAYS * DAY_MS);
        let statuses = vec![EventStatus::Accepted, EventStatus::Held];
        let query =
            EventQuery { statuses, since: Some(since), limit: FIRST_BACK, ..EventQuery::default() };
        for event in self.parts.store.events(query).await? {
            if event.covers == Covers::Full && self.routes.contains_key(&event.source) {
                self.decide(event.id).await?;
            }
        }
        Ok(())
    }

    /// Decides on a kept event by its order as that stands now.
    async fn decide(&self, id: EventId) -> Result<Looked, KeyError> {
        for _ in 0..TRIES {
            let Some(event) = self.parts.store.event(id).await? else { return Ok(NEVER) };
            if !may_turn(&event) {
                return Ok(NEVER);
            }
            let (key, facts) = self.orders.opened(&event).await?;
            let known = KnownAs::of_kept(&self.parts.keys, &event.provider, &facts);
            let Some(known_as) = known else { return Ok(NEVER) };
            match self.decide_opened(Opened { event, facts, key, known_as }).await? {
                Some(looked) => return Ok(looked),
                None => continue,
            }
        }
        Err(KeyError::Store(StoreError::busy()))
    }

    /// Nothing, if it must be decided once more: somebody else was first.
    async fn decide_opened(&self, opened: Opened) -> Result<Option<Looked>, KeyError> {
        let Some(kept) = self.orders.about(opened.known_as).await? else {
            return Ok(Some(Looked::Later(Later::WithItsOrder)));
        };
        let (event, now) = (&opened.event, self.parts.clock.now());
        let reference_key = kept.row.reference_key;
        let mut planned = Planned::of(kept);
        let decided = self.match_with(&opened, &mut planned, now).await?;
        let turns = matches!(decided, Decided::Hold(reason) if reason.turns_with_its_order());
        let awaits = turns.then_some(Awaits::Order(reference_key));
        if event.status == EventStatus::Accepted || waits_for_a_person(event) {
            // It is delivered, or a person is to decide: it can only count, for what it is worth.
            let is_delivered = event.status == EventStatus::Accepted;
            if !is_delivered && turns && !planned.changes(planned.judged(now)) {
                return Ok(Some(Looked::Later(Later::WithItsOrder)));
            }
            let anew = Anew {
                event: event.id,
                from: (event.status, event.reason.clone()),
                to: event.status,
                reason: reason_of(event).map(HoldReason::code),
                steps: event.steps,
                facts: None,
                deliveries: Vec::new(),
                awaits: awaits.filter(|_| !is_delivered),
                unordered: None,
                request: RequestId::new(now, entropy::bytes()),
            };
            let changed =
                self.orders.decide(anew, Some(&planned), &event.source, None, now).await?;
            return Ok(matches!(changed, OrdersChanged::Done(_)).then_some(Looked::Done));
        }
        let anew = self.anew_of(&opened, decided, Some(&planned), awaits, now);
        let Some(anew) = anew else { return Ok(Some(Looked::Later(Later::WithItsOrder))) };
        let changed = self.orders.decide(anew, Some(&planned), &event.source, None, now).await?;
        Ok(matches!(changed, OrdersChanged::Done(_)).then_some(Looked::Done))
    }

    /// Matches what an event says with its order as that stands, and adds what it brings to the plan.
    pub(super) async fn match_with(
        &self,
        opened: &Opened,
        planned: &mut Planned,
        now: Timestamp,
    ) -> Result<Decided, KeyError> {
        let Opened { event, facts, known_as, .. } = opened;
        let (provider, source) = (&*event.provider, &*event.source);
        let said = Said { provider, source, facts, known_as: *known_as, at: event.received_at };
        let serves = self.orders.of_payment(known_as.payment).await?;
        let payee_usual = self.routes.get(source).and_then(|route| route.payee_usual.as_deref());
        let matched = policy::match_order(&said.claim(serves), &planned.wanted(payee_usual));
        planned.add(&matched.facts);
        planned.blocked = self.parts.blocks.of_event(provider, facts, Some(&planned.kept), now);
        Ok(matched.decided)
    }

    /// What becomes of a held event; nothing if that is what it is already.
    pub(super) fn anew_of(
        &self,
        opened: &Opened,
        decided: Decided,
        planned: Option<&Planned>,
        awaits: Option<Awaits>,
        now: Timestamp,
    ) -> Option<Anew> {
        let Opened { event, facts, key, .. } = opened;
        let route = self.routes.get(&event.source);
        let decided = match (decided, route) {
            // Nobody gets it any more; or nobody gets what is not kept of it.
            (Decided::Permit(_), None) => return None,
            (Decided::Permit(_), Some(route)) if route.is_left_out(event) => {
                Decided::Hold(HoldReason::RedactedOriginalOnly)
            }
            (decided, _) => decided,
        };
        let blocked = match planned {
            Some(planned) => planned.blocked,
            None => self.parts.blocks.of_event(&event.provider, facts, None, now),
        };
        let decided = policy::decide_blocked(event.status, blocked.as_ref()).unwrap_or(decided);
        let (to, reason, steps, permit) = inbound::fate(decided);
        let judged = planned.map(|planned| (planned, planned.judged(now)));
        let changes = judged.is_some_and(|(planned, judged)| planned.changes(judged));
        if (to, reason) == (event.status, event.reason.as_deref()) && !changes {
            return None;
        }
        let deliveries = permit
            .zip(route)
            .map(|(permit, route)| inbound::plan(permit, now, route.receivers(event)));
        let version = judged.map(|(planned, judged)| planned.version(judged));
        let block = blocked.map(|blocked| blocked.block.to_string());
        let facts = Facts { order_version: version, block, ..facts.clone() };
        Some(Anew {
            event: event.id,
            from: (event.status, event.reason.clone()),
            to,
            reason,
            steps,
            facts: Some(key.seal("event", "facts", event.id.as_bytes(), &facts.to_bytes())),
            deliveries: deliveries.unwrap_or_default(),
            awaits,
            unordered: None,
            request: RequestId::new(now, entropy::bytes()),
        })
    }
}

pub(super) const NEVER: Looked = Looked::Later(Later::Never);

fn reason_of(event: &EventRow) -> Option<HoldReason> {
    event.reason.as_deref().and_then(HoldReason::from_code)
}

/// Whether an event is kept back for what has nothing to do with its order, and pays it all the same.
fn waits_for_a_person(event: &EventRow) -> bool {
    let kept_back = [HoldReason::PartyBlocked, HoldReason::RedactedOriginalOnly];
    event.status == EventStatus::Held
        && reason_of(event).is_some_and(|one| kept_back.contains(&one))
}

/// Whether deciding anew by its order can make anything of an event.
fn may_turn(event: &EventRow) -> bool {
    match event.status {
        EventStatus::Accepted => true,
        EventStatus::Held => {
            reason_of(event).is_some_and(HoldReason::turns_with_its_order)
                || waits_for_a_person(event)
        }
        EventStatus::Denied | EventStatus::Quarantined => false,
    }
}

impl Route {
    /// Those that get an event.
    fn receivers(&self, event: &EventRow) -> &[Arc<str>] {
        if event.original.is_some() { &self.document_endpoints } else { &self.endpoints }
    }

    /// Of what is kept of it nobody may get anything.
    fn is_left_out(&self, event: &EventRow) -> bool {
        self.receivers(event).is_empty() && !self.endpoints.is_empty()
    }
}
