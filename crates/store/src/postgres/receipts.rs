//! Receipts that were taken.

use super::bind::{bytea, int8};
use super::codes::Sixteen;
use super::failure::Result;
use super::session::Session;
use crate::{Deed, NewReceipt, ReceiptTaken};

impl Session<'_> {
    /// Takes a receipt, unless its transaction answers another request, and writes the entry about it.
    pub(super) async fn take_receipt(&self, new: &NewReceipt, deed: &Deed) -> Result<ReceiptTaken> {
        let (key, request) = (Sixteen(new.transaction), Sixteen(new.request));
        // Of two at once one waits here for the other, and the next statement sees what that one did.
        self.run(
            "INSERT INTO receipt (key, request, taken_at) VALUES ($1, $2, $3)
             ON CONFLICT (key) DO NOTHING",
            &[bytea(&key), bytea(&request), int8(&new.at.as_millis())],
        )
        .await?;
        let sql = "SELECT 1 FROM receipt WHERE key = $1 AND request = $2";
        let is_its = !self.rows(sql, &[bytea(&key), bytea(&request)]).await?.is_empty();
        let taken = if is_its { ReceiptTaken::Done } else { ReceiptTaken::Reused };
        self.deed(&taken.entry(deed)).await?;
        Ok(taken)
    }
}
