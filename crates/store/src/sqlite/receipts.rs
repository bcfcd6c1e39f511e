//! Receipts that were taken.

use rusqlite::params;

use super::failure::Result;
use super::session::Session;
use crate::{Deed, NewReceipt, ReceiptTaken};

impl Session<'_> {
    /// Takes a receipt, unless its transaction answers another request, and writes the entry about it.
    pub(super) fn take_receipt(&mut self, new: &NewReceipt, deed: &Deed) -> Result<ReceiptTaken> {
        self.connection
            .prepare_cached(
                "INSERT INTO receipt (key, request, taken_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO NOTHING",
            )?
            .execute(params![new.transaction, new.request, new.at.as_millis()])?;
        let sql = "SELECT 1 FROM receipt WHERE key = ?1 AND request = ?2";
        let is_its =
            self.connection.prepare_cached(sql)?.exists(params![new.transaction, new.request])?;
        let taken = if is_its { ReceiptTaken::Done } else { ReceiptTaken::Reused };
        self.deed(&taken.entry(deed))?;
        Ok(taken)
    }
}
