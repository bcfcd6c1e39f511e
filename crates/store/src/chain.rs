//! Chains as they are kept: how far each was read, and which orders are watched on it.
//!
//! What was read of a chain is one sealed state. It changes only from the revision it was read at, in the
//! transaction of what it makes known of orders: after a crash both are there, or neither.

use model::OrderId;

use crate::{NewKey, SealedRow};

/// What was read of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRow {
    /// Grows with every write, from 1.
    pub revision: i64,
    /// The state.
    pub sealed: SealedRow,
}

/// How what was read of a chain is to change.
#[derive(Debug, Clone)]
pub struct ChainChange {
    /// Which.
    pub name: String,
    /// The revision that this was decided at; 0 where nothing was kept yet.
    pub revision: i64,
    /// Data keys that are needed and may not be kept yet.
    pub keys: Vec<NewKey>,
    /// The state.
    pub sealed: SealedRow,
    /// Orders that are watched from now on.
    pub taken: Vec<OrderId>,
    /// Orders that are watched no longer: their addresses are free.
    pub left: Vec<OrderId>,
}

/// That the payments of a new order are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWatch {
    /// On this chain.
    pub chain: String,
    /// Keyed hash of the chain and the address that is to be paid: it is of one order at a time.
    pub address_key: [u8; 16],
}
