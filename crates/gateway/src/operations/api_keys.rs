//! What operators do with API keys.

use model::Environment;
use model::api_key::Overlap;
use store::{ApiKeyChanged, ApiKeyRow};

use super::{Desk, Order};
use crate::api_keys::{self, Issued, Unfit, Wanted};
use crate::keys::KeyError;

impl Desk {
    /// Makes an API key for this environment.
    ///
    /// # Errors
    /// The store fails. What cannot be wanted is answered, and nothing is made.
    pub async fn create_api_key(
        &self,
        environment: Environment,
        wanted: Wanted,
        order: Order,
    ) -> Result<Result<Issued, Unfit>, KeyError> {
        api_keys::create(&self.store, &self.keys, environment, wanted, order).await
    }

    /// Makes the successor of an API key, which works beside it for the overlap.
    ///
    /// # Errors
    /// The store fails. A key that cannot be rolled is answered, and nothing is made.
    pub async fn roll_api_key(
        &self,
        old: &ApiKeyRow,
        overlap: Overlap,
        order: Order,
    ) -> Result<Result<Issued, ApiKeyChanged>, KeyError> {
        api_keys::roll(&self.store, &self.keys, old, overlap, order).await
    }

    /// The keyed hash under which the store knows a provider's customer: what binds a key to them.
    pub fn customer(&self, provider: &str, customer: &str) -> [u8; 16] {
        self.keys.customer(provider, customer)
    }

    /// The address that an API key was last used from.
    ///
    /// # Errors
    /// Its key is gone, or the record was changed.
    pub async fn last_address(&self, key: &ApiKeyRow) -> Result<Option<String>, KeyError> {
        let Some(sealed) = &key.last_address else { return Ok(None) };
        let (table, column) = api_keys::LAST_ADDRESS;
        let bytes = self.keys.open_row(table, column, key.id.as_bytes(), sealed).await?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
