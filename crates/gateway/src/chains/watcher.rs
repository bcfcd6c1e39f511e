//! Watches one chain: asks its nodes, takes a step, says aloud what an operator must know, and rests until
//! there is a reason to ask again.

use std::time::Duration;

use ::chains::{Fact, Settings, Standing, State, Step, Trouble, step};
use model::limits::NODE_NEWS_MS_MIN;
use model::{OrderId, Timestamp};
use tokio::time::{sleep, timeout};

use super::Nodes;

/// The watch over one chain.
pub struct Watcher {
    settings: Settings,
    nodes: Nodes,
    /// What was wrong with each node when it was last said.
    troubles: Vec<Option<Trouble>>,
    rest: Rest,
}

/// How long nobody listens to news after a turn. Nodes that wake it for nothing are listened to less and
/// less.
struct Rest {
    pause: Duration,
    was_woken: bool,
    has_found: bool,
}

impl Rest {
    const PAUSE_MIN: Duration = Duration::from_millis(NODE_NEWS_MS_MIN);

    /// The pause before it may be woken.
    fn begin(&mut self) -> Duration {
        let was_for_nothing = self.was_woken && !self.has_found;
        let next = if was_for_nothing { self.pause.saturating_mul(2) } else { Self::PAUSE_MIN };
        *self = Self { pause: next, was_woken: false, has_found: false };
        next
    }
}

impl Watcher {
    /// Watches by these nodes. The settings are judged by the caller, who knows where they stand.
    pub fn new(settings: Settings, nodes: Nodes) -> Self {
        let rest = Rest { pause: Rest::PAUSE_MIN, was_woken: false, has_found: false };
        Self { settings, nodes, troubles: Vec::new(), rest }
    }

    /// How the chain is followed.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One round of questions and one step. The caller keeps state and facts in one transaction and
    /// goes on with that state; where [`Step::is_behind`], at once.
    pub async fn turn(&mut self, state: State, now: Timestamp) -> Step {
        let (round, tip) = (state.ask(&self.settings), state.trail().tip());
        let answers = self.nodes.ask(self.settings.chain, &round).await;
        let now_s = u64::try_from(now.as_seconds()).unwrap_or(0);
        let step = step(state, &self.settings, &answers, now_s);
        self.rest.has_found |= !step.facts.is_empty() || step.state.trail().tip() != tip;
        self.tell(&step);
        step
    }

    /// Waits so long until the next turn, or less where a node says that there is something new. Nothing of
    /// what it says is believed; the next turn asks all of them. May be dropped before its end.
    pub async fn rest(&mut self, most: Duration) {
        if most.is_zero() {
            return;
        }
        let pause = self.rest.begin().min(most);
        sleep(pause).await;
        let news = self.nodes.news(self.settings.chain);
        self.rest.was_woken = timeout(most - pause, news).await.is_ok();
    }

    fn tell(&mut self, step: &Step) {
        let chain = self.settings.chain;
        for fact in &step.facts {
            match fact {
                Fact::Held(hold) => {
                    tracing::warn!(%chain, reason = hold.code(), ?hold, "nothing advances on the chain");
                }
                Fact::Resumed => tracing::info!(%chain, "it advances again"),
                Fact::Reorganised { from, blocks, .. } => {
                    tracing::warn!(%chain, from, blocks, "blocks were replaced");
                }
                Fact::Payment(change) if change.from.is_some_and(Standing::is_counted) => {
                    if !change.to.is_counted() {
                        let (order, tx) = (OrderId::from_bytes(change.order.0), change.payment.tx);
                        tracing::error!(%chain, %order, %tx, to = change.to.code(), "a payment that counted is lost");
                    }
                }
                Fact::Payment(_) => {}
            }
        }
        let kind = |trouble: &Option<Trouble>| trouble.as_ref().map(std::mem::discriminant);
        for (at, (node, trouble)) in self.nodes.names().zip(&step.troubles).enumerate() {
            let before = self.troubles.get(at).unwrap_or(&None);
            match trouble {
                Some(trouble) if kind(before) != kind(&Some(*trouble)) => {
                    tracing::warn!(%chain, node, code = trouble.code(), ?trouble, "a node does not answer as it should");
                }
                None if before.is_some() => tracing::info!(%chain, node, "the node answers again"),
                _ => {}
            }
        }
        self.troubles.clone_from(&step.troubles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wakes_it_for_nothing_is_listened_to_less() {
        let mut rest = Rest { pause: Rest::PAUSE_MIN, was_woken: false, has_found: false };
        let mut pause = |was_woken, has_found| {
            (rest.was_woken, rest.has_found) = (was_woken, has_found);
            rest.begin().as_millis()
        };
        let for_nothing = [(); 4].map(|()| pause(true, false));
        assert_eq!(for_nothing, [200, 400, 800, 1_600]);
        assert_eq!(pause(true, true), 100, "a block was there");
        assert_eq!(pause(true, false), 200);
        assert_eq!(pause(false, false), 100, "nobody woke it for the whole time");
    }
}
