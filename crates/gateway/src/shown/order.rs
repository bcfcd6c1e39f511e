//! Orders as they are shown outside.

use std::collections::BTreeMap;

use model::Timestamp;
use model::money::{Unit, major};
use model::order::Judgement;
use serde::Serialize;
use store::OrderRow;
use utoipa::ToSchema;

use super::OrderState;
use crate::orders::OrderFacts;

/// An order: what is expected, and where that stands. Amounts are in major units, exact decimals.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Order {
    /// The order.
    #[schema(pattern = "^ord_[0-9a-hjkmnp-tv-z]{26}$")]
    pub id: String,
    /// What the application calls it.
    pub reference: String,
    /// Where it stands.
    pub state: OrderState,
    /// Grows with every state that is told.
    pub version: i64,
    /// How much is expected.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: String,
    /// In which currency (ISO 4217), if it is in one.
    pub currency: Option<String>,
    /// In which asset, if it is in one.
    pub asset: Option<String>,
    /// On which chain, if it is in an asset.
    pub chain: Option<String>,
    /// How much less or more is fine.
    pub tolerance: String,
    /// How much was paid, before refunds.
    pub paid: String,
    /// How much is on its way.
    pub pending: String,
    /// How much was paid back.
    pub refunded: String,
    /// Through which provider, if that was said.
    pub provider: Option<String>,
    /// Through which source, if that was said.
    pub source: Option<String>,
    /// Who pays, if that was said.
    pub customer: Option<String>,
    /// The address that is to be paid, if that was said.
    pub address: Option<String>,
    /// The account that is to be paid, if that was said.
    pub payee: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Which product.
    pub product: Option<String>,
    /// Where the payer is sent afterwards.
    pub return_url: Option<String>,
    /// What the application wants to find again.
    pub metadata: BTreeMap<String, String>,
    /// Random, and of this order alone.
    pub nonce: String,
    /// From when on it is too late.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was cancelled.
    #[schema(format = DateTime)]
    pub cancelled_at: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
    #[serde(skip)]
    decimals: u8,
}

impl Order {
    /// An order as it is kept.
    pub fn of(row: &OrderRow, about: &OrderFacts) -> Self {
        let unit = &row.expected.money.unit;
        let decimals = unit.decimals();
        let (currency, asset) = match unit {
            Unit::Currency(currency) => (Some(currency.code().to_owned()), None),
            Unit::Asset(asset) => (None, Some(asset.symbol().to_owned())),
        };
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let about = about.clone();
        Self {
            id: row.id.to_string(),
            reference: about.reference,
            state: row.judged.state.into(),
            version: row.version,
            amount: row.expected.money.major(),
            currency,
            asset,
            chain: unit.chain().map(str::to_owned),
            tolerance: major(row.expected.tolerance, decimals),
            paid: major(row.judged.paid, decimals),
            pending: major(row.judged.pending, decimals),
            refunded: major(row.judged.refunded, decimals),
            provider: row.provider.clone(),
            source: row.source.clone(),
            customer: about.customer,
            address: about.address,
            payee: about.payee,
            description: about.description,
            product: about.product,
            return_url: about.return_url,
            metadata: about.metadata,
            nonce: about.nonce,
            expires_at: time(row.expected.expires_at),
            cancelled_at: time(row.expected.cancelled_at),
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
            decimals,
        }
    }

    /// The order as it will be.
    pub(crate) fn with(
        self,
        judged: Judgement,
        version: i64,
        cancelled_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            state: judged.state.into(),
            version,
            paid: major(judged.paid, self.decimals),
            pending: major(judged.pending, self.decimals),
            refunded: major(judged.refunded, self.decimals),
            cancelled_at: cancelled_at.map(|at| at.to_string()),
            updated_at: now.to_string(),
            ..self
        }
    }
}
