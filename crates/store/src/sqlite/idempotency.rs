//! Requests that take effect once.

use rusqlite::{OptionalExtension as _, params};
use vault::KeyId;

use super::failure::Result;
use super::session::Session;
use crate::idempotency::{CLAIM, FORGOTTEN_AT_ONCE_MAX, GIVE_UP, KEEP, LOOK, found};
use crate::{Claimed, IdempotencyClaim, SealedRow};

impl Session<'_> {
    /// Claims a request, or says what became of it so far.
    pub(super) fn claim_request(&self, claim: &IdempotencyClaim) -> Result<Claimed> {
        let (until, kept_until) = (claim.until.as_millis(), claim.kept_until.as_millis());
        let now = claim.now.as_millis();
        self.connection
            .prepare_cached(
                "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency
                    WHERE kept_until <= ?1 ORDER BY kept_until LIMIT ?2)",
            )?
            .execute(params![now, FORGOTTEN_AT_ONCE_MAX])?;
        let given = self
            .connection
            .prepare_cached(CLAIM)?
            .query_row(
                params![claim.key, claim.fingerprint, claim.holder, until, kept_until, now],
                |_| Ok(()),
            )
            .optional()?;
        if given.is_some() {
            return Ok(Claimed::Yours);
        }
        Ok(self.connection.prepare_cached(LOOK)?.query_row([claim.key], |row| {
            let key: Option<[u8; 16]> = row.get(1)?;
            let sealed: Option<Vec<u8>> = row.get(2)?;
            Ok(found(claim, row.get(0)?, key.map(KeyId).zip(sealed)))
        })?)
    }

    /// Keeps the answer to a request that this holder claimed.
    pub(super) fn keep_answer(
        &self,
        key: [u8; 16],
        holder: [u8; 16],
        answer: &SealedRow,
    ) -> Result<()> {
        self.connection.prepare_cached(KEEP)?.execute(params![
            answer.key.0,
            answer.sealed.as_bytes(),
            key,
            holder
        ])?;
        Ok(())
    }

    /// Gives up a claim: nothing was done.
    pub(super) fn give_up_claim(&self, key: [u8; 16], holder: [u8; 16]) -> Result<()> {
        self.connection.prepare_cached(GIVE_UP)?.execute(params![key, holder])?;
        Ok(())
    }
}
