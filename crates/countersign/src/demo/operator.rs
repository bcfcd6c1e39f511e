//! The demo as the gateway's operator: what is done at its desk, beside the running gateway.

use std::collections::BTreeSet;

use gateway::api_keys::Wanted;
use gateway::operations::{Desk, Order};
use model::api_key::Grant;
use model::{Environment, Permission};
use sandbox::Till;
use store::Store;

use super::{cannot, stage::Stage};
use crate::failure::Failure;

/// The gateway's desk, as whoever operates it has one.
pub(super) async fn desk(stage: &Stage) -> Result<Desk, Failure> {
    let failed = |error: &dyn std::fmt::Display| cannot("open the store", error);
    let store = Store::open_beside(&stage.store()).map_err(|error| failed(&error))?;
    let root = vault::RootKey::parse(stage.secret("root key")).map_err(|error| failed(&error))?;
    let desk = Desk::open(store, root, gateway::Clock::System.now()).await;
    desk.map_err(|error| failed(&error))
}

/// What the demo does as an operator, and why.
pub(super) fn order(reason: &str) -> Order {
    Order {
        actor: "demo".to_owned(),
        reason: reason.to_owned(),
        at: gateway::Clock::System.now(),
        request: None,
        address: None,
        agent: None,
    }
}

/// Makes an API key for the application, with which it registers its orders.
pub(super) async fn till(stage: &Stage) -> Result<Till, Failure> {
    let failed = |error: &dyn std::fmt::Display| cannot("make an API key", error);
    let desk = desk(stage).await?;
    let permissions = BTreeSet::from([Permission::OrdersCreate, Permission::OrdersRead]);
    let grant = Grant { permissions, ..Grant::default() };
    let wanted = Wanted { name: "demo".to_owned(), grant, days: 1 };
    let order = order("registers orders");
    let made = desk.create_api_key(Environment::Test, wanted, order).await;
    let made = made.map_err(|error| failed(&error))?.map_err(|unfit| failed(&unfit))?;
    let key = made.key.to_text().to_string();
    desk.store().close().await;
    Ok(Till::new(stage.api, key))
}
