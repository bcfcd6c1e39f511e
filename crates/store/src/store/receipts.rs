//! Receipts that were taken.

use super::{Store, unexpected};
use crate::command::{Answer, Command};
use crate::{Deed, NewReceipt, ReceiptTaken, StoreError};

impl Store {
    /// Takes a receipt for the request that it answers, unless its transaction answers another one. The
    /// entry is that about a good one: of one that is not, the store says so in it.
    pub async fn take_receipt(
        &self,
        new: NewReceipt,
        entry: Deed,
    ) -> Result<ReceiptTaken, StoreError> {
        match self.wait(Command::TakeReceipt(new, Box::new(entry))).await? {
            Answer::ReceiptTaken(taken) => Ok(taken),
            _ => Err(unexpected()),
        }
    }
}
