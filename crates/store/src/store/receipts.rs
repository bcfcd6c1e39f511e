//! Receipts that were taken.

use super::{Store, unexpected};
use crate::command::{Answer, Command};
use crate::{NewReceipt, ReceiptTaken, StoreError};

impl Store {
    /// Takes a receipt for the request that it answers, unless its transaction answers another one.
    pub async fn take_receipt(&self, new: NewReceipt) -> Result<ReceiptTaken, StoreError> {
        match self.wait(Command::TakeReceipt(new)).await? {
            Answer::ReceiptTaken(taken) => Ok(taken),
            _ => Err(unexpected()),
        }
    }
}
