//! Events that may be decided on anew. What is decided goes with [`Store::change_orders`].

use model::Timestamp;

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::{Later, StoreError, TakeUndecided, Undecided};

impl Store {
    /// Whether an event is to be looked at.
    pub async fn any_undecided(&self, now: Timestamp) -> Result<bool, StoreError> {
        on!(self, backend => backend.any_undecided(now).await)
    }

    /// Takes events that are to be looked at. What waits for an order that is not there is left alone
    /// until it comes.
    pub async fn take_undecided(&self, take: TakeUndecided) -> Result<Vec<Undecided>, StoreError> {
        match self.wait(Command::TakeUndecided(take)).await? {
            Answer::Undecided(taken) => Ok(taken),
            _ => Err(unexpected()),
        }
    }

    /// Says what becomes of an event that was looked at and not decided on. Nothing happens if somebody
    /// else has taken it since, or its order has changed.
    pub async fn put_off(&self, looked: Undecided, later: Later) -> Result<(), StoreError> {
        self.done(Command::PutOff(looked, later)).await
    }
}
