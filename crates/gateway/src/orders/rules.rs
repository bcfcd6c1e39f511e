//! What orders may be like, as it is configured.

use model::limits::{ORDERS_PER_CUSTOMER_MAX, ORDERS_PER_CUSTOMER_PERIOD_MS};
use model::money::Currency;
use model::order::OrderLimit;
use model::rate::Rate;

use crate::chains::ChainAsset;

/// What orders may be like here.
#[derive(Debug, Clone)]
pub struct OrderRules {
    /// The only currencies that are taken; any if there is none.
    pub currencies: Vec<Currency>,
    /// The only hosts that payers are sent back to.
    pub return_hosts: Vec<String>,
    /// What they may be in on chains that are watched.
    pub assets: Vec<ChainAsset>,
    /// How much, and how many, one party may order in a while.
    pub limits: Vec<OrderLimit>,
    /// How often an order may be created for one customer, whatever becomes of it.
    pub per_customer: Rate,
}

impl Default for OrderRules {
    fn default() -> Self {
        let per_customer =
            Rate { count: ORDERS_PER_CUSTOMER_MAX, period_ms: ORDERS_PER_CUSTOMER_PERIOD_MS };
        let (currencies, return_hosts, assets, limits) = Default::default();
        Self { currencies, return_hosts, assets, limits, per_customer }
    }
}
