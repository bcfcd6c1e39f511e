//! Receipts that were taken: which request each transaction answers, by keyed hashes.
//!
//! The same receipt may be shown for its request as often as anybody likes. A transaction that answers
//! one request answers no other one, however late it comes.

use model::Timestamp;

use crate::Deed;

/// A receipt that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReceipt {
    /// Keyed hash of the transaction.
    pub transaction: [u8; 16],
    /// Keyed hash of the request that it answers.
    pub request: [u8; 16],
    /// When it came.
    pub at: Timestamp,
}

/// Whether a receipt was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptTaken {
    /// It was, now or before.
    Done,
    /// Its transaction answers another request.
    Reused,
}

impl ReceiptTaken {
    /// The entry about it, of one that is good but for that.
    pub(crate) fn entry(self, good: &Deed) -> Deed {
        let mut deed = good.clone();
        if self == Self::Reused {
            deed.refused = true;
            deed.changes.push(("reason", None, Some("receipt_reused".to_owned())));
        }
        deed
    }
}
