//! What is seen to while the gateway runs: counts are written, old things are forgotten, and what was
//! read into memory is read again.

use std::time::Duration;

use store::Store;

use super::Running;
use crate::clock::Steps;
use crate::inbound::Parts;
use crate::keys::KeyRing;
use crate::tallies::Tallies;
use crate::{Clock, entropy};

const TALLY: Duration = Duration::from_millis(200);
/// How often old dedup keys are forgotten: a day's worth each time at most.
const FORGET: Duration = Duration::from_secs(12 * 3600);
/// What one gateway does for all on the same store, and how long it has it, milliseconds.
const FORGETTING: &str = "forget";
const RETAINING: &str = "retain";
const DUTY_MS: i64 = 10 * 60 * 1000;
/// How soon a disk that has room again is noticed, and a clock that was set.
const WATCH: Duration = Duration::from_secs(1);

impl Running {
    /// Deletes what is old enough, in a task of its own: the first time there may be much.
    pub(super) fn retain(&mut self, parts: &Parts, retention: store::Retention) {
        let (store, clock, stop) = (self.store.clone(), parts.clock.clone(), self.stop_out.clone());
        self.outward.push(tokio::spawn(async move {
            let mut tick = tokio::time::interval(FORGET);
            let holder = entropy::bytes();
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                if !is_ours(&store, RETAINING, holder, &clock).await {
                    continue;
                }
                let retaining = store.retain(clock.now(), retention);
                if let Some(Err(error)) = stop.run_until_cancelled(retaining).await {
                    tracing::error!(%error, "cannot delete what is past its retention");
                }
            }
        }));
    }

    pub(super) fn keep_sessions(&mut self) {
        let keeping = self.operators.clone().run(self.stop_out.clone());
        self.outward.push(tokio::spawn(keeping));
    }

    pub(super) fn keep_blocks(&mut self, parts: &Parts) {
        let keeping = parts.blocks.clone().run(self.stop_out.clone());
        self.outward.push(tokio::spawn(keeping));
    }

    pub(super) fn keep_api_keys(&mut self, clock: Clock) {
        let keeping = self.api_keys.clone().run(clock, self.stop_out.clone());
        self.outward.push(tokio::spawn(keeping));
    }

    pub(super) fn housekeep(&mut self, parts: &Parts) {
        let (store, keys, tallies) = (self.store.clone(), self.keys.clone(), parts.tallies.clone());
        let metrics = parts.metrics.clone();
        let (stop, failed, clock) =
            (self.stop_out.clone(), self.failed.clone(), parts.clock.clone());
        self.outward.push(tokio::spawn(async move {
            let mut tally = tokio::time::interval(TALLY);
            let mut forget = tokio::time::interval(FORGET);
            let mut watch = tokio::time::interval(WATCH);
            let mut steps = Steps::new(clock.clone());
            let holder = entropy::bytes();
            loop {
                tokio::select! {
                    _ = tally.tick() => {
                        write_tallies(&store, &keys, &tallies).await;
                        if store.poisoned() {
                            failed.cancel();
                        }
                    }
                    _ = forget.tick() => forget_old(&store, holder, &clock).await,
                    _ = watch.tick() => {
                        if let Some(step_ms) = steps.seen() {
                            metrics.clock_stepped();
                            tracing::warn!(
                                step_ms,
                                "the clock was set: fresh webhooks are refused while it is wrong"
                            );
                        }
                        if let Err(error) = store.keep_reserve().await {
                            tracing::error!(%error, "cannot see to the reserve");
                        }
                    }
                    () = stop.cancelled() => {
                        let _ = store.release_duty(FORGETTING, holder).await;
                        return;
                    }
                }
            }
        }));
    }
}

/// Forgets old dedup keys, unless another gateway on the same store does.
async fn forget_old(store: &Store, holder: [u8; 16], clock: &Clock) {
    if is_ours(store, FORGETTING, holder, clock).await
        && let Err(error) = store.forget(clock.now()).await
    {
        tracing::error!(%error, "cannot forget old dedup keys");
    }
}

/// Whether a duty is this gateway's, now and for a while.
async fn is_ours(store: &Store, duty: &str, holder: [u8; 16], clock: &Clock) -> bool {
    let now = clock.now();
    let had = store.has_duty(duty, holder, now, now.plus_millis(DUTY_MS)).await;
    had.unwrap_or_else(|error| {
        tracing::error!(duty, %error, "cannot tell whose duty it is");
        false
    })
}

pub(super) async fn write_tallies(store: &Store, keys: &KeyRing, tallies: &Tallies) {
    if store.is_full() {
        // They wait in memory, which is bounded.
        return;
    }
    match tallies.take(keys).await {
        Ok(rows) if rows.is_empty() => {}
        Ok(rows) => {
            if let Err(error) = store.tally(rows).await {
                tracing::error!(%error, "refused arrivals were not counted");
            }
        }
        Err(error) => tracing::error!(%error, "refused arrivals were not counted"),
    }
}
