//! Orders as they are shown outside.

use std::collections::BTreeMap;

use ::chains::{Reported, Standing, Unaccounted};
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
    /// The only address that may pay, if that was said.
    pub sender: Option<String>,
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
    /// What its chain says, where that is watched and one order is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payments: Option<Vec<ChainPayment>>,
    #[serde(skip)]
    decimals: u8,
}

/// A payment to the address of an order, as its chain has it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChainPayment {
    /// The chain, in the form of CAIP-2.
    pub chain: String,
    /// The hash of its transaction.
    pub transaction: String,
    /// Which transfer of the transaction: `coin`, `log N` or `output N`.
    pub place: String,
    /// How much, in major units of the order's asset; none of another asset, and none above 2^128 minor units.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: Option<String>,
    /// Who paid, where that can be said.
    pub sender: Option<String>,
    /// How it stands: `seen`, `confirming`, `counted`, `final`, `conflicted`, `orphaned`, `dropped` or `unaccounted`.
    pub standing: &'static str,
    /// Why it does not count, if it does not.
    pub reason: Option<&'static str>,
    /// The height of its block, if it is in one.
    pub height: Option<u64>,
    /// The hash of its block.
    pub block: Option<String>,
    /// Its block and those after it, at the last look.
    pub confirmations: u64,
    /// How many it needs, or needed when it was counted; 0 where that is not known yet.
    pub required: u32,
    /// Its block was made after the order's time.
    pub late: bool,
}

impl ChainPayment {
    fn of(payment: &Reported, decimals: u8) -> Self {
        let reason = match payment.standing {
            Standing::Unaccounted(reason) => Some(reason),
            _ => None,
        };
        let is_other = reason == Some(Unaccounted::WrongAsset);
        let amount = payment.amount.filter(|_| !is_other);
        Self {
            chain: payment.key.chain.to_string(),
            transaction: payment.key.tx.to_string(),
            place: payment.key.place.to_string(),
            amount: amount.map(|amount| major(amount.0, decimals)),
            sender: payment.from.as_ref().map(ToString::to_string),
            standing: payment.standing.code(),
            reason: reason.map(Unaccounted::code),
            height: payment.block.map(|block| block.height),
            block: payment.block.map(|block| block.hash.to_string()),
            confirmations: payment.confirmations,
            required: payment.required,
            late: payment.is_late,
        }
    }
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
            sender: about.sender,
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
            payments: None,
            decimals,
        }
    }

    /// With what its chain says of it.
    pub fn on_chain(self, payments: &[Reported]) -> Self {
        let payments = payments.iter().map(|one| ChainPayment::of(one, self.decimals)).collect();
        Self { payments: Some(payments), ..self }
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
