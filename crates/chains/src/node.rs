//! What is asked of nodes and what they answered, as plain data.

use std::collections::BTreeSet;

use crate::asset::{Address, ChainId, Hash};
use crate::block::{Block, Spend, Transfer};

/// One question to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Which chain is it, and how far is it?
    Head,
    /// Which block stands at this height?
    HashAt(u64),
    /// What is in the block at this height?
    BlockAt(u64),
    /// Which transfers wait to be in a block?
    Waiting,
}

/// What a node is to look for in blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    /// Who is paid.
    pub addresses: BTreeSet<Address>,
    /// What payments used up that are not final.
    pub spends: BTreeSet<Spend>,
}

/// The questions of one round, for every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Answers to another round are not listened to.
    pub number: u64,
    /// In this order.
    pub questions: Vec<Question>,
    /// What they are about.
    pub watch: Watch,
}

/// Why a node gave no answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It could not be reached, or did not answer in time.
    Away,
    /// It answered that it cannot say.
    Refused,
    /// What it answered is not what such a node answers.
    Malformed,
    /// What it answered is larger than what is read.
    TooLarge,
    /// Its block changed while it was being asked about it.
    Changed,
}

impl Failure {
    /// Every one.
    pub const ALL: &'static [Self] =
        &[Self::Away, Self::Refused, Self::Malformed, Self::TooLarge, Self::Changed];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Away => "node_away",
            Self::Refused => "node_refused",
            Self::Malformed => "node_malformed",
            Self::TooLarge => "node_too_large",
            Self::Changed => "node_changed",
        }
    }
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its chain.
    pub chain: ChainId,
    /// The height of its newest block.
    pub height: u64,
    /// When that block was made, seconds since 1970.
    pub time_s: u64,
    /// The height up to which the chain itself says that nothing changes any more, where it says so.
    pub finalized: Option<u64>,
}

/// What a node answered to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Head`].
    Head(Head),
    /// To [`Question::HashAt`]; none above its newest block.
    Hash(Option<Hash>),
    /// To [`Question::BlockAt`]; none above its newest block.
    Block(Option<Block>),
    /// To [`Question::Waiting`].
    Waiting(Vec<Transfer>),
    /// No answer.
    Failed(Failure),
}

/// What one node answered in one round. A question that is missing was not answered; of several
/// answers to one question the first counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeAnswers {
    /// The round that was asked.
    pub round: u64,
    /// In any order.
    pub answers: Vec<(Question, Answer)>,
}

impl NodeAnswers {
    /// The answer to a question of this round.
    pub(crate) fn to(&self, question: Question) -> Option<&Answer> {
        self.answers.iter().find(|(asked, _)| *asked == question).map(|(_, answer)| answer)
    }
}
