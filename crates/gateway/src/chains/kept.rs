//! What is kept of a chain: its state, sealed, and from which write it is.

use ::chains::State;
use store::Store;

use crate::keys::{KeyError, KeyRing};

/// What a state is sealed as.
pub(super) const TABLE: &str = "chain";
pub(super) const COLUMN: &str = "state";

/// What is kept of a chain.
pub(crate) struct Kept {
    /// Each write has the next one.
    pub(super) revision: i64,
    pub(crate) state: State,
}

impl Kept {
    /// Reads what is kept of the chain of this name; none, if nothing is.
    ///
    /// # Errors
    /// The store fails, or what it has is no state.
    pub(crate) async fn read(
        store: &Store,
        keys: &KeyRing,
        name: &str,
    ) -> Result<Option<Self>, KeyError> {
        let Some(row) = store.chain(name).await? else { return Ok(None) };
        let bytes = keys.open_row(TABLE, COLUMN, name.as_bytes(), &row.sealed).await?;
        let state = State::from_bytes(&bytes).map_err(|bad| {
            tracing::error!(chain = %name, %bad, "what was read of the chain is of no use");
            KeyError::NotAuthentic
        })?;
        Ok(Some(Self { revision: row.revision, state }))
    }
}
