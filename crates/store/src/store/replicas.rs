//! What replicas have in common: duties, requests that take effect once, and counts of windows.

use model::Timestamp;

use super::{Store, unexpected};
use crate::command::{Answer, Command};
use crate::duty::Duty;
use crate::{Claimed, IdempotencyClaim, SealedRow, StoreError, WindowAdd, WindowCounts};

impl Store {
    /// Whether a duty is this holder's, now and until then: where nobody else has the store, always; else
    /// as [`Store::take_duty`] says.
    ///
    /// # Errors
    /// The store fails.
    pub async fn has_duty(
        &self,
        name: &str,
        holder: [u8; 16],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        if !self.is_shared() {
            return Ok(true);
        }
        Ok(self.take_duty(name, holder, now, until).await?.is_some())
    }

    /// Takes a duty that one replica has for all: one that nobody has, one whose lease is over, or
    /// one's own again. Gives its fence, or nothing while another has it.
    pub async fn take_duty(
        &self,
        name: &str,
        holder: [u8; 16],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let duty = Duty { name: name.to_owned(), holder, now, until };
        match self.wait(Command::TakeDuty(duty)).await? {
            Answer::Duty(fence) => Ok(fence),
            _ => Err(unexpected()),
        }
    }

    /// Gives up a duty, if it is this holder's.
    pub async fn release_duty(&self, name: &str, holder: [u8; 16]) -> Result<(), StoreError> {
        self.done(Command::ReleaseDuty { name: name.to_owned(), holder }).await
    }

    /// Claims a request that takes effect once, before its effect; else says what became of it.
    pub async fn claim_request(&self, claim: IdempotencyClaim) -> Result<Claimed, StoreError> {
        match self.wait(Command::ClaimRequest(claim)).await? {
            Answer::Claimed(claimed) => Ok(claimed),
            _ => Err(unexpected()),
        }
    }

    /// Keeps the answer to a request, for whoever asks again with the same key.
    pub async fn keep_answer(
        &self,
        key: [u8; 16],
        holder: [u8; 16],
        answer: SealedRow,
    ) -> Result<(), StoreError> {
        self.done(Command::KeepAnswer { key, holder, answer }).await
    }

    /// Gives up the claim of a request of which nothing was done.
    pub async fn give_up_claim(&self, key: [u8; 16], holder: [u8; 16]) -> Result<(), StoreError> {
        self.done(Command::GiveUpClaim { key, holder }).await
    }

    /// Adds to the counts of sliding windows and gives them, in the order in which they are asked
    /// for: what all replicas have counted.
    pub async fn count_windows(
        &self,
        name: &str,
        adds: Vec<WindowAdd>,
    ) -> Result<Vec<WindowCounts>, StoreError> {
        if adds.is_empty() {
            return Ok(Vec::new());
        }
        match self.wait(Command::CountWindows { name: name.to_owned(), adds }).await? {
            Answer::Windows(counts) => Ok(counts),
            _ => Err(unexpected()),
        }
    }
}
