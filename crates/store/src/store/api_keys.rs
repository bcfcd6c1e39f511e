//! API keys.

use model::ApiKeyId;
use model::api_key::Cause;

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::{ApiKeyChanged, ApiKeyRow, ApiKeyUse, NewApiKey, Note, StoreError, Successor};

impl Store {
    /// Creates an API key.
    pub async fn create_api_key(&self, key: NewApiKey, note: Note) -> Result<(), StoreError> {
        self.done(Command::CreateApiKey { key, note }).await
    }

    /// Gives an API key a successor with the same name and grant. The key works until its grace is
    /// over; one before it that is still in grace ends now.
    pub async fn roll_api_key(
        &self,
        old: ApiKeyId,
        new: Successor,
        note: Note,
    ) -> Result<ApiKeyChanged, StoreError> {
        self.api_key_changed(Command::RollApiKey { old, new, note }).await
    }

    /// Ends an API key, and the one before it that is still in grace. Its successor is left alone.
    pub async fn revoke_api_key(
        &self,
        id: ApiKeyId,
        cause: Cause,
        note: Note,
    ) -> Result<ApiKeyChanged, StoreError> {
        self.api_key_changed(Command::RevokeApiKey { id, cause, note }).await
    }

    /// Ends every API key; says how many were not revoked before.
    pub async fn revoke_api_keys(&self, cause: Cause, note: Note) -> Result<usize, StoreError> {
        self.count(Command::RevokeApiKeys { cause, note }).await
    }

    /// Adds to the counts of how API keys were used. Of keys that are not there nothing is noted.
    pub async fn note_api_key_uses(&self, mut uses: Vec<ApiKeyUse>) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        // In one order, so that of two gateways that write at once none waits for the other twice.
        uses.sort_unstable_by_key(|used| used.id);
        self.done(Command::NoteApiKeyUses(uses)).await
    }

    /// Every API key there ever was, in the order in which they were created.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        on!(self, backend => backend.api_keys().await)
    }

    /// API keys, in the order in which they were created: at most `limit` after a number, each with its own.
    pub async fn api_keys_page(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ApiKeyRow)>, StoreError> {
        on!(self, backend => backend.api_keys_page(after, limit).await)
    }

    /// One API key.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        on!(self, backend => backend.api_key(id).await)
    }

    /// A number that grows with every change of any API key, but not with their use. Cheap: every
    /// gateway asks for it several times a second. Read it before the keys, not after.
    pub async fn api_keys_version(&self) -> Result<i64, StoreError> {
        on!(self, backend => backend.api_keys_version().await)
    }

    async fn api_key_changed(&self, command: Command) -> Result<ApiKeyChanged, StoreError> {
        match self.wait(command).await? {
            Answer::ApiKeyChanged(changed) => Ok(changed),
            _ => Err(unexpected()),
        }
    }
}
