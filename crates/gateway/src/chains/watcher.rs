//! Watches one chain: asks its nodes, takes a step, and says aloud what an operator must know.

use ::chains::{Fact, Settings, Standing, State, Step, Trouble, step};
use model::Timestamp;

use super::Nodes;

/// The watch over one chain.
pub struct Watcher {
    settings: Settings,
    nodes: Nodes,
    /// What was wrong with each node when it was last said.
    troubles: Vec<Option<Trouble>>,
}

impl Watcher {
    /// Watches by these nodes. The settings are judged by the caller, who knows where they stand.
    pub fn new(settings: Settings, nodes: Nodes) -> Self {
        Self { settings, nodes, troubles: Vec::new() }
    }

    /// How the chain is followed.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One round of questions and one step. The caller keeps state and facts in one transaction and
    /// goes on with that state; where [`Step::is_behind`], at once.
    pub async fn turn(&mut self, state: State, now: Timestamp) -> Step {
        let round = state.ask(&self.settings);
        let answers = self.nodes.ask(self.settings.chain, &round).await;
        let now_s = u64::try_from(now.as_seconds()).unwrap_or(0);
        let step = step(state, &self.settings, &answers, now_s);
        self.tell(&step);
        step
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
                        let (order, tx) = (change.order, change.payment.tx);
                        tracing::error!(%chain, ?order, %tx, to = change.to.code(), "a payment that counted is lost");
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
