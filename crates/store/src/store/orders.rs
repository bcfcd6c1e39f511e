//! Orders and their payments.

use model::order::PaymentKey;
use model::{OrderId, Timestamp};

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::{
    ChainRow, NewOrder, Note, OrderChanges, OrderCreated, OrderQuery, OrderRow, OrdersChanged,
    StoreError,
};

impl Store {
    /// Creates an order, unless there is one with its reference.
    pub async fn create_order(
        &self,
        order: NewOrder,
        note: Note,
    ) -> Result<OrderCreated, StoreError> {
        match self.wait(Command::CreateOrder(Box::new(order), note)).await? {
            Answer::OrderCreated(created) => Ok(created),
            _ => Err(unexpected()),
        }
    }

    /// Records an arrival and changes the orders that it pays, or only changes orders: all of it, or
    /// nothing of it if one of them has changed meanwhile.
    pub async fn change_orders(&self, changes: OrderChanges) -> Result<OrdersChanged, StoreError> {
        for change in &changes.changes {
            change.check()?;
        }
        match self.wait(Command::ChangeOrders(Box::new(changes))).await? {
            Answer::OrdersChanged(changed) => Ok(changed),
            _ => Err(unexpected()),
        }
    }

    /// One order.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderRow>, StoreError> {
        on!(self, backend => backend.order(id).await)
    }

    /// The order with the reference that this is the keyed hash of.
    pub async fn order_by_reference(
        &self,
        reference_key: [u8; 16],
    ) -> Result<Option<OrderRow>, StoreError> {
        on!(self, backend => backend.order_by_reference(reference_key).await)
    }

    /// The order that a payment serves.
    pub async fn order_of_payment(&self, key: PaymentKey) -> Result<Option<OrderId>, StoreError> {
        on!(self, backend => backend.order_of_payment(key).await)
    }

    /// The newest orders of those that match, newest first.
    pub async fn orders(&self, query: OrderQuery) -> Result<Vec<OrderRow>, StoreError> {
        on!(self, backend => backend.orders(query).await)
    }

    /// What was read of a chain, as it is kept.
    pub async fn chain(&self, name: &str) -> Result<Option<ChainRow>, StoreError> {
        let name = name.to_owned();
        on!(self, backend => backend.chain(name).await)
    }

    /// Orders that wait to be watched on a chain, in the order in which they were created.
    pub async fn orders_to_watch(
        &self,
        chain: &str,
        limit: usize,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let chain = chain.to_owned();
        on!(self, backend => backend.orders_to_watch(chain, limit).await)
    }

    /// Orders whose time is over, and that nothing has said so of yet.
    pub async fn orders_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OrderRow>, StoreError> {
        on!(self, backend => backend.orders_due(now, limit).await)
    }
}
