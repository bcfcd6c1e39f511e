//! The way out: leases what is due, signs it again, delivers it, and settles what became of it.
//!
//! *Nouns.* A **delivery** is one event to one endpoint. A worker **leases** it for a minute with a
//! fencing token, makes one **attempt**, and **settles** it: the attempt and what comes next are one
//! transaction, and a settlement under an old token is refused. *Owners.* The store keeps the order
//! rule and the schedule's state; `model::retry` says when to try again; this module only carries
//! out. *Retries.* A crash between an attempt and its settlement makes the same delivery go out
//! again, under the same `webhook-id`.

pub(crate) mod attempt;
mod client;
mod document;
mod lanes;
mod proxy;
mod resolver;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::breaker::{Change, Said};
use model::limits::{DRAIN_MS_MAX, LEASE_MS};
use model::{AttemptId, AttemptOutcome, Environment, RequestId};
use sabotage::Point;
use store::{EndpointState, LeaseRequest, Leased, Note, Settle, Settled, Then};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::inbound::Parts;
use crate::secrets::EndpointKeys;
use crate::{Endpoint, entropy};
use attempt::Ended;
pub(crate) use attempt::{AGENT, retry_after_ms};
pub(crate) use client::{CallError, Client};
use lanes::{Free, Lanes};
pub use proxy::Proxy;
pub use resolver::{Resolver, Script};

/// How often the store is asked for work that nobody rang for: retries that fall due, and what
/// another process released.
const POLL: Duration = Duration::from_millis(250);

/// How soon one gateway learns what another found out about an endpoint.
const SHARE: Duration = Duration::from_millis(500);

/// The way out, for all endpoints.
pub(crate) struct Outbound {
    parts: Parts,
    environment: Environment,
    endpoints: HashMap<String, Arc<Endpoint>>,
    /// What deliveries to each are signed with.
    signing: HashMap<String, EndpointKeys>,
    client: Arc<Client>,
    lanes: Lanes,
}

impl Outbound {
    pub(crate) fn new(
        parts: Parts,
        (endpoints, signing): (HashMap<String, Arc<Endpoint>>, HashMap<String, EndpointKeys>),
        environment: Environment,
        client: Arc<Client>,
    ) -> Self {
        Self { parts, environment, endpoints, signing, client, lanes: Lanes::default() }
    }

    /// Delivers until the token is cancelled, then waits for the attempts in flight.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let attempts = TaskTracker::new();
        while !stop.is_cancelled() {
            if !self.lease_round(&attempts).await {
                tokio::select! {
                    () = self.parts.fresh_work.notified() => {}
                    () = self.parts.store.fresh_work() => {}
                    () = self.lanes.freed.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        attempts.close();
        let drained = Duration::from_millis(DRAIN_MS_MAX);
        if tokio::time::timeout(drained, attempts.wait()).await.is_err() {
            tracing::warn!(
                "attempts were still running when the gateway stopped; they will be made again"
            );
        }
    }

    /// Keeps this gateway's breakers in step with those of the gateways beside it.
    pub(crate) async fn share_breakers(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(SHARE);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            // While the store is away nothing is leased either.
            if let Ok(rests) = self.parts.store.endpoint_rests().await {
                for endpoint in self.lanes.learn(rests) {
                    self.parts.metrics.breaker(&endpoint, false);
                }
            }
        }
    }

    /// Leases and starts what is due; false when there is nothing more to do for now.
    async fn lease_round(self: &Arc<Self>, attempts: &TaskTracker) -> bool {
        let now = self.parts.clock.steady();
        let names = self.endpoints.values().filter(|endpoint| !endpoint.paused);
        let Free { all, endpoints } =
            self.lanes.free(names.map(|endpoint| endpoint.name.as_str()), now);
        if all == 0 || endpoints.is_empty() {
            return false;
        }
        let due = self.parts.store.due(now).await;
        if !matches!(due, Ok(true)) {
            return false;
        }
        let until = now.plus_millis(LEASE_MS);
        let leased =
            match self.parts.store.lease(LeaseRequest { now, until, max: all, endpoints }).await {
                Ok(leased) => leased,
                // The store has said so once, and says when it is over.
                Err(error) if error.is_full() => return false,
                Err(error) => {
                    tracing::error!(%error, "cannot lease deliveries");
                    return false;
                }
            };
        let any = !leased.is_empty();
        for leased in leased {
            let is_probe = self.lanes.enter(&leased.endpoint);
            let outbound = self.clone();
            attempts.spawn(async move {
                let endpoint = leased.endpoint.clone();
                outbound.carry_out(leased, is_probe).await;
                outbound.lanes.leave(&endpoint);
            });
        }
        any
    }

    /// One attempt and its settlement.
    async fn carry_out(&self, leased: Leased, is_probe: bool) {
        let Some(endpoint) = self.endpoints.get(&leased.endpoint).cloned() else { return };
        let started_at = self.parts.clock.now();
        let ended = self.attempt(&endpoint, &leased, started_at).await;
        let ended_at = self.parts.clock.now();
        self.parts.metrics.attempted(&endpoint.name, ended.outcome.code());
        let steady = self.parts.clock.steady();
        let said = said(ended.outcome);
        if let Some(change) = self.lanes.heard(&endpoint.name, is_probe, said, steady) {
            self.breaker_changed(&endpoint.name, change).await;
        }
        let then = self.then(&ended, leased.attempt, steady);
        log_ended(&leased, &ended, &then);
        if ended.outcome == AttemptOutcome::Gone {
            self.disable(&endpoint).await;
        }
        let settle = Settle {
            delivery: leased.delivery,
            fence: leased.fence,
            attempt: AttemptId::new(started_at, entropy::bytes()),
            started_at,
            ended_at,
            outcome: ended.outcome,
            http_status: ended.http_status,
            then,
        };
        if sabotage::fails(Point::Attempted) {
            return;
        }
        match self.parts.store.settle(settle).await {
            Ok(Settled::Done) => {}
            Ok(Settled::Stale) => {
                self.parts.metrics.stale();
                tracing::warn!(delivery = %leased.delivery, "the lease had run out; the outcome is not kept");
            }
            Err(error) => {
                tracing::error!(delivery = %leased.delivery, %error, "cannot settle; it will be delivered again");
            }
        }
    }

    fn then(&self, ended: &Ended, attempts: u32, now: model::Timestamp) -> Then {
        match ended.outcome {
            AttemptOutcome::Delivered => Then::Delivered,
            AttemptOutcome::Gone => Then::Dead,
            _ => {
                let [jitter] = entropy::bytes::<1>();
                match model::retry::next(attempts, now, ended.wish, jitter) {
                    model::retry::Next::At(time) => Then::Again(time),
                    model::retry::Next::Exhausted => Then::Dead,
                }
            }
        }
    }

    /// The endpoint answered 410: nothing more is sent until a person enables it again.
    async fn disable(&self, endpoint: &Endpoint) {
        tracing::error!(endpoint = %endpoint.name, "410: the endpoint wants no more; disabled until `countersign endpoints enable`");
        let now = self.parts.clock.now();
        let note = Note {
            at: now,
            actor: "gateway".to_owned(),
            request: RequestId::new(now, entropy::bytes()),
            personal: None,
        };
        let state = EndpointState::Disabled;
        if let Err(error) = self.parts.store.set_endpoint_state(&endpoint.name, state, note).await {
            tracing::error!(endpoint = %endpoint.name, %error, "cannot disable the endpoint");
        }
    }

    /// Says that an endpoint is left alone, until when, and that it is no longer.
    async fn breaker_changed(&self, endpoint: &str, change: Change) {
        let until = match change {
            Change::Opened(until) => {
                tracing::warn!(endpoint, %until, "the endpoint keeps failing: it is left alone");
                Some(until)
            }
            Change::Closed => {
                tracing::info!(endpoint, "the endpoint takes deliveries again");
                None
            }
        };
        self.parts.metrics.breaker(endpoint, until.is_some());
        if let Err(error) = self.parts.store.set_endpoint_rest(endpoint, until).await {
            tracing::error!(endpoint, %error, "cannot note that the endpoint is left alone");
        }
    }
}

/// What the outcome of an attempt says about the endpoint: only a 2xx is well.
fn said(outcome: AttemptOutcome) -> Said {
    match outcome {
        AttemptOutcome::Delivered => Said::Well,
        // It was not asked, or it is disabled by its answer.
        AttemptOutcome::Unreadable | AttemptOutcome::Gone => Said::Nothing,
        AttemptOutcome::Refused
        | AttemptOutcome::Unreachable
        | AttemptOutcome::TimedOut
        | AttemptOutcome::Forbidden => Said::Failing,
    }
}

fn log_ended(leased: &Leased, ended: &Ended, then: &Then) {
    let delivery = &leased.delivery;
    let endpoint = leased.endpoint.as_str();
    let outcome = ended.outcome.code();
    match then {
        Then::Delivered => tracing::debug!(%delivery, endpoint, outcome, "delivered"),
        Then::Again(at) => tracing::warn!(
            %delivery, endpoint, outcome, status = ended.http_status, attempt = leased.attempt,
            next = %at, "not delivered; it will be tried again"
        ),
        Then::Dead => tracing::error!(
            %delivery, endpoint, outcome, status = ended.http_status, attempt = leased.attempt,
            "dead letter: not delivered and given up; `countersign deliveries redeliver` sends it again"
        ),
    }
}
