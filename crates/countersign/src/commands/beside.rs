//! What the commands have in common that work on the store, beside a running gateway or without one.

use std::collections::BTreeMap;

use gateway::operations::{Desk, Order};
use model::{Environment, Timestamp};
use store::Store;

use super::{now, origin};
use crate::args::{Arguments, Range};
use crate::config::{self, EndpointNamed, SourceNamed};
use crate::failure::Failure;

/// An open desk, and what the configuration says of the environment, sources and endpoints.
pub(super) struct Office {
    pub(super) desk: Desk,
    pub(super) environment: Option<Environment>,
    pub(super) sources: BTreeMap<String, SourceNamed>,
    pub(super) endpoints: Vec<EndpointNamed>,
    /// What the audit log is called, if it is not called after its key.
    pub(super) audit_origin: Option<String>,
}

impl Office {
    /// Opens the store that the configuration names.
    pub(super) async fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let beside = origin(arguments).beside()?;
        let store = beside.store.open_beside().await?;
        let desk = Desk::open(store, beside.root, now()).await?;
        let (environment, sources, endpoints) =
            (beside.environment, beside.sources, beside.endpoints);
        Ok(Self { desk, environment, sources, endpoints, audit_origin: beside.audit_origin })
    }

    /// The store under the desk.
    pub(super) fn store(&self) -> &Store {
        self.desk.store()
    }

    /// Finishes what waits.
    pub(super) async fn close(self) {
        self.desk.store().close().await;
    }
}

/// Runs a command that waits for the store.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Who asks for something, and why.
pub(super) fn order(reason: &str) -> Order {
    Order {
        actor: config::operator(),
        reason: reason.to_owned(),
        at: now(),
        request: None,
        address: None,
        agent: None,
    }
}

/// The times of a range.
pub(super) fn times(range: &Range) -> (Option<Timestamp>, Option<Timestamp>) {
    let now = now();
    (range.since.map(|m| m.resolve(now)), range.until.map(|m| m.resolve(now)))
}
