//! What the simulators sent and what came back, in the order of the answers.

use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::{Answer, SendError};

/// Why a request was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An event that the provider really means; the text names it.
    Event(String),
    /// Something that must not reach the application; the text names the attack.
    Attack(String),
}

/// One request that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Unix milliseconds when it went out.
    pub at_ms: i64,
    /// The source it was sent to.
    pub source: String,
    /// Why.
    pub purpose: Purpose,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The exact body.
    pub body: Vec<u8>,
    /// The answer, or the code of why there is none.
    pub answer: Result<Answer, &'static str>,
}

impl Sent {
    /// The status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().ok().map(|answer| answer.status)
    }

    /// Was it answered with a 2xx?
    pub fn is_acknowledged(&self) -> bool {
        self.status().is_some_and(|status| (200..300).contains(&status))
    }
}

/// The shared log of all simulators. Clones write to the same one.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Arc<Mutex<Vec<Sent>>>,
}

impl Ledger {
    /// Adds what was sent.
    pub fn add(&self, sent: Sent) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }

    /// Everything so far.
    pub fn entries(&self) -> Vec<Sent> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests so far.
    pub fn len(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Nothing was sent yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a log entry keeps of a failed exchange.
pub(crate) fn outcome(sent: &Result<Answer, SendError>) -> Result<Answer, &'static str> {
    match sent {
        Ok(answer) => Ok(answer.clone()),
        Err(why) => Err(why.code()),
    }
}
