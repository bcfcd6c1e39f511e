//! Receipts that an application was given and has judged: verified as those inside webhooks are, compared
//! with the request that they must answer, and taken once.
//!
//! A receipt is good if its provider has signed it, if it says what was asked for and was written a
//! moment ago, and if its transaction answers no other request: the first one that it is taken for has
//! it for good.

use std::sync::Arc;

use model::Timestamp;
use model::limits::RECEIPT_WINDOW_MS;
use schemes::{Difference, Nested, Profile, Receipt, ReceiptFault, ReceiptField, ReceiptKeys};
use store::NewReceipt;

use crate::Source;
use crate::keys::KeyRing;

/// Why a receipt that its provider has signed is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptRefusal {
    /// It says something else than the request.
    Differs,
    /// It does not say when it was written, or which transaction paid.
    Incomplete,
    /// It was written too long ago, or later than now.
    Stale,
    /// Its transaction answers another request.
    Reused,
}

impl ReceiptRefusal {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[Self::Differs, Self::Incomplete, Self::Stale, Self::Reused];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Differs => "receipt_differs",
            Self::Incomplete => "receipt_incomplete",
            Self::Stale => "receipt_stale",
            Self::Reused => "receipt_reused",
        }
    }
}

/// What the receipts of a source are judged by.
pub(crate) struct Receipts {
    profile: Arc<Profile>,
    keys: ReceiptKeys,
    window_ms: i64,
}

impl Receipts {
    /// Nothing, if the source has no secrets for them.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let window_ms = source.tolerance_s.map_or(RECEIPT_WINDOW_MS, |s| s.saturating_mul(1_000));
        let keys = source.receipt_keys.clone()?;
        Some(Self { profile: source.profile.clone(), keys, window_ms })
    }

    /// Verifies a receipt, in whatever form it is signed. What its form does not sign is refused.
    pub(crate) fn verify(&self, receipt: &[u8], now: Timestamp) -> Result<Receipt, ReceiptFault> {
        let now_ms = now.as_millis();
        self.profile.verify_receipt(&self.keys, None, receipt, now_ms, Nested::Refused)
    }

    /// Why a signed receipt is no answer, as far as it can be told without the store.
    pub(crate) fn refuse(
        &self,
        receipt: &Receipt,
        differences: &[Difference],
        now: Timestamp,
    ) -> Option<ReceiptRefusal> {
        if !differences.is_empty() {
            return Some(ReceiptRefusal::Differs);
        }
        let is_nameless = receipt.has(ReceiptField::Transaction)
            && receipt.says(ReceiptField::Transaction).is_none_or(str::is_empty);
        if is_nameless {
            return Some(ReceiptRefusal::Incomplete);
        }
        if !receipt.has(ReceiptField::IssuedAt) {
            return None;
        }
        let written = receipt.says(ReceiptField::IssuedAt).and_then(|text| text.parse().ok());
        let Some(written): Option<Timestamp> = written else {
            return Some(ReceiptRefusal::Incomplete);
        };
        let apart = written.as_millis().abs_diff(now.as_millis());
        (apart > self.window_ms.unsigned_abs()).then_some(ReceiptRefusal::Stale)
    }
}

/// What the request that a receipt answers is known by.
const OF_THE_REQUEST: [ReceiptField; 6] = [
    ReceiptField::Command,
    ReceiptField::Amount,
    ReceiptField::Currency,
    ReceiptField::Chain,
    ReceiptField::User,
    ReceiptField::IdempotencyKey,
];

/// A receipt as it is taken: whose transaction it is, and which request it answers, in its own words.
/// Nothing where receipts of its form name no transaction.
pub(crate) fn new_receipt(
    keys: &KeyRing,
    provider: &str,
    receipt: &Receipt,
    at: Timestamp,
) -> Option<NewReceipt> {
    let transaction = receipt.says(ReceiptField::Transaction)?;
    let chain = receipt.says(ReceiptField::Chain).unwrap_or_default();
    let named = [provider.as_bytes(), chain.as_bytes(), transaction.as_bytes()];
    let mut asked: Vec<&[u8]> = Vec::with_capacity(2 * OF_THE_REQUEST.len());
    for field in OF_THE_REQUEST {
        let said = receipt.says(field);
        asked.push(if said.is_some() { &[1] } else { &[0] });
        asked.push(said.unwrap_or_default().as_bytes());
    }
    let transaction = keys.index("receipt.transaction", &named);
    Some(NewReceipt { transaction, request: keys.index("receipt.request", &asked), at })
}
