//! The options of `orders`.

use clap::{Args, Subcommand};
use model::{OrderId, OrderState};

#[derive(Debug, Subcommand)]
pub(crate) enum Orders {
    /// List orders, newest last.
    List(ListOrders),
    /// Show an order and what is known of its payments.
    Show {
        /// The order: ord_…, or its reference.
        order: String,
    },
    /// Cancel an order: what pays it from now on is not delivered as paid.
    Cancel {
        /// The order: ord_…
        order: OrderId,
        /// Why; kept with what was done.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListOrders {
    /// Only those in this state; may be given more than once.
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(crate) state: Vec<OrderState>,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

fn state(text: &str) -> Result<OrderState, String> {
    OrderState::from_code(text).ok_or_else(|| {
        let known: Vec<_> = OrderState::ALL.iter().map(|state| state.code()).collect();
        format!("one of: {}", known.join(", "))
    })
}
