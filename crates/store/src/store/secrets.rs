//! Secrets of sources and endpoints.

use model::{SecretId, Timestamp};

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::secret::{Configured, NewSecret, Retire, SecretAdded, SecretRetired, SecretRow};
use crate::{Note, StoreError};

impl Store {
    /// Every secret of a source or endpoint there is or was, the oldest first.
    pub async fn secrets(&self) -> Result<Vec<SecretRow>, StoreError> {
        on!(self, backend => backend.secrets().await)
    }

    /// Keeps a secret; with an overlap, those of its owner that were added before end.
    pub async fn add_secret(&self, new: NewSecret, note: Note) -> Result<SecretAdded, StoreError> {
        match self.wait(Command::AddSecret(new, note)).await? {
            Answer::SecretAdded(added) => Ok(added),
            _ => Err(unexpected()),
        }
    }

    /// Retires a secret that was added, unless messages would be lost by it. With force only the last
    /// one stays.
    pub async fn retire_secret(
        &self,
        id: SecretId,
        force: bool,
        note: Note,
    ) -> Result<SecretRetired, StoreError> {
        match self.wait(Command::RetireSecret(Retire { id, force, note })).await? {
            Answer::SecretRetired(retired) => Ok(retired),
            _ => Err(unexpected()),
        }
    }

    /// Notes which secrets stand in the configuration of a source or endpoint now.
    pub async fn see_configured(&self, seen: Configured) -> Result<(), StoreError> {
        self.done(Command::SeeConfigured(seen)).await
    }

    /// Notes that a real message was verified with a secret.
    pub async fn prove_secret(&self, id: SecretId, at: Timestamp) -> Result<(), StoreError> {
        self.done(Command::ProveSecret { id, at }).await
    }
}
