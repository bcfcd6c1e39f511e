//! What several nodes say, put together: only what enough of them say, and none denies, is believed.

use std::collections::BTreeSet;

use sabotage::Defect;
use serde::{Deserialize, Serialize};

use crate::asset::{ChainId, Hash};
use crate::block::{Block, Transfer};
use crate::node::{Answer, Failure, Head, NodeAnswers, Question};
use crate::settings::Settings;

/// Why nothing advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Too few nodes answer.
    NodesAway,
    /// Too few nodes are as far as the first.
    NodesLag,
    /// Two nodes have different blocks at this height.
    NodesDisagree(u64),
    /// Nodes are of another chain.
    WrongChain,
    /// The nodes are not as far as what was read of them before.
    NodesBehind,
    /// There has been no new block for too long.
    NoBlocks,
    /// Blocks that were final are no longer in the chain, down to this height or further.
    FinalReplaced(u64),
}

impl Hold {
    /// One of every kind.
    pub const ALL: &'static [Self] = &[
        Self::NodesAway,
        Self::NodesLag,
        Self::NodesDisagree(0),
        Self::WrongChain,
        Self::NodesBehind,
        Self::NoBlocks,
        Self::FinalReplaced(0),
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NodesAway => "nodes_away",
            Self::NodesLag => "nodes_lag",
            Self::NodesDisagree(_) => "nodes_disagree",
            Self::WrongChain => "wrong_chain",
            Self::NodesBehind => "nodes_behind",
            Self::NoBlocks => "no_blocks",
            Self::FinalReplaced(_) => "final_replaced",
        }
    }
}

/// What is wrong with one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A question was not answered.
    Failed(Failure),
    /// It is of another chain.
    WrongChain(ChainId),
    /// It is so many blocks behind the first.
    Lags(u64),
}

impl Trouble {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Failed(failure) => failure.code(),
            Self::WrongChain(_) => "wrong_chain",
            Self::Lags(_) => "node_lags",
        }
    }
}

/// What enough nodes say together.
pub(crate) enum Agreed<T> {
    /// This.
    On(T),
    /// Too few say anything.
    TooFew,
    /// Two say different things.
    Differ,
}

/// How far the nodes are that are listened to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// So far are enough of them.
    pub(crate) height: u64,
    /// So far are all of them final, where enough say so.
    pub(crate) finalized: Option<u64>,
}

/// The answers of one round by nodes of the right chain.
pub(crate) struct Told<'a> {
    nodes: Vec<(&'a NodeAnswers, Head)>,
    needed: usize,
}

impl<'a> Told<'a> {
    /// Who is listened to, and what is wrong with each node, in the order of the nodes.
    pub(crate) fn new(
        answers: &'a [NodeAnswers],
        round: u64,
        settings: &Settings,
    ) -> (Self, Vec<Option<Trouble>>) {
        let heads: Vec<_> =
            answers.iter().take(settings.nodes).map(|node| head(node, round)).collect();
        let is_ours = |head: &&Head| head.chain == settings.chain;
        let first = heads.iter().flatten().filter(is_ours).map(|head| head.height).max();
        let mut nodes = Vec::new();
        let mut troubles = vec![Some(Trouble::Failed(Failure::Away)); settings.nodes];
        for ((node, head), trouble) in answers.iter().zip(&heads).zip(&mut troubles) {
            *trouble = match head {
                Err(failure) => Some(Trouble::Failed(*failure)),
                Ok(head) if head.chain != settings.chain => Some(Trouble::WrongChain(head.chain)),
                Ok(head) => {
                    let behind = first.unwrap_or(0).saturating_sub(head.height);
                    let lags = behind > settings.lag_blocks_max;
                    nodes.push((node, *head));
                    lags.then_some(Trouble::Lags(behind)).or_else(|| failed(node))
                }
            };
        }
        let needed =
            if sabotage::on(Defect::FirstNodeBelieved) { 1 } else { settings.nodes_agreeing };
        (Self { nodes, needed }, troubles)
    }

    /// How far enough of them are, if that is far and new enough to go on.
    pub(crate) fn heads(
        &self,
        settings: &Settings,
        troubles: &[Option<Trouble>],
        now_s: u64,
    ) -> Result<Heads, Hold> {
        let mut heads: Vec<Head> = self.nodes.iter().map(|(_, head)| *head).collect();
        heads.sort_by_key(|head| std::cmp::Reverse(head.height));
        let enough = self.needed.checked_sub(1).and_then(|at| heads.get(at));
        let (Some(first), Some(enough)) = (heads.first(), enough) else {
            let is_strange = |trouble: &_| matches!(trouble, Some(Trouble::WrongChain(_)));
            let strange = troubles.iter().any(is_strange);
            return Err(if strange { Hold::WrongChain } else { Hold::NodesAway });
        };
        if first.height - enough.height > settings.lag_blocks_max {
            return Err(Hold::NodesLag);
        }
        if settings.silence_s_max.is_some_and(|most| first.time_s.saturating_add(most) < now_s) {
            return Err(Hold::NoBlocks);
        }
        let mut finalized: Vec<u64> = heads.iter().filter_map(|head| head.finalized).collect();
        finalized.sort_unstable();
        let finalized = (finalized.len() >= self.needed).then(|| finalized.first().copied());
        Ok(Heads { height: enough.height, finalized: finalized.flatten() })
    }

    /// The heights at which nodes said which block stands there, from low to high.
    pub(crate) fn hash_heights(&self) -> BTreeSet<u64> {
        let answers = self.nodes.iter().flat_map(|(node, _)| &node.answers);
        let heights = answers.filter_map(|(question, _)| match question {
            Question::HashAt(height) => Some(*height),
            _ => None,
        });
        heights.collect()
    }

    /// The block that stands at a height.
    pub(crate) fn hash_at(&self, height: u64) -> Agreed<Hash> {
        self.agreed(Question::HashAt(height), |answer| match answer {
            Answer::Hash(hash) => hash.as_ref(),
            _ => None,
        })
        .map(|hash| *hash)
    }

    /// What is in the block at a height.
    pub(crate) fn block_at(&self, height: u64) -> Agreed<&'a Block> {
        let agreed = self.agreed(Question::BlockAt(height), |answer| match answer {
            Answer::Block(block) => block.as_ref(),
            _ => None,
        });
        match agreed {
            // Asked for another height than it is at, it is no answer.
            Agreed::On(block) if block.height != height => Agreed::TooFew,
            agreed => agreed,
        }
    }

    /// What waits by the word of any node; none where too few say.
    pub(crate) fn waiting(&self) -> Option<Vec<&'a Transfer>> {
        let told: Vec<&Vec<Transfer>> = self
            .nodes
            .iter()
            .filter_map(|(node, _)| match node.to(Question::Waiting) {
                Some(Answer::Waiting(transfers)) => Some(transfers),
                _ => None,
            })
            .collect();
        (told.len() >= self.needed).then(|| told.into_iter().flatten().collect())
    }

    fn agreed<T: PartialEq>(
        &self,
        question: Question,
        read: fn(&'a Answer) -> Option<&'a T>,
    ) -> Agreed<&'a T> {
        let mut told = self.nodes.iter().filter_map(|(node, _)| read(node.to(question)?));
        let Some(first) = told.next() else { return Agreed::TooFew };
        if sabotage::on(Defect::FirstNodeBelieved) {
            return Agreed::On(first);
        }
        let mut saying = 1;
        for other in told {
            if other != first {
                return Agreed::Differ;
            }
            saying += 1;
        }
        if saying >= self.needed { Agreed::On(first) } else { Agreed::TooFew }
    }
}

impl<T> Agreed<T> {
    fn map<U>(self, to: impl FnOnce(T) -> U) -> Agreed<U> {
        match self {
            Self::On(value) => Agreed::On(to(value)),
            Self::TooFew => Agreed::TooFew,
            Self::Differ => Agreed::Differ,
        }
    }
}

fn head(node: &NodeAnswers, round: u64) -> Result<Head, Failure> {
    // What was asked before is as good as no answer.
    if node.round != round {
        return Err(Failure::Away);
    }
    match node.to(Question::Head) {
        Some(Answer::Head(head)) => Ok(*head),
        Some(Answer::Failed(failure)) => Err(*failure),
        Some(_) => Err(Failure::Malformed),
        None => Err(Failure::Away),
    }
}

fn failed(node: &NodeAnswers) -> Option<Trouble> {
    node.answers.iter().find_map(|(_, answer)| match answer {
        Answer::Failed(failure) => Some(Trouble::Failed(*failure)),
        _ => None,
    })
}
