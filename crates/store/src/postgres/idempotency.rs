//! Requests that take effect once.

use vault::KeyId;

use super::bind::{bytea, int8, uuid};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::error::Kind;
use crate::idempotency::{CLAIM, FORGOTTEN_AT_ONCE_MAX, GIVE_UP, KEEP, LOOK, found};
use crate::{Claimed, IdempotencyClaim, SealedRow};

impl Session<'_> {
    /// Claims a request, or says what became of it so far.
    pub(super) async fn claim_request(&self, claim: &IdempotencyClaim) -> Result<Claimed> {
        let now = claim.now.as_millis();
        let key = Sixteen(claim.key);
        self.run(
            "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency
                WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2 FOR UPDATE SKIP LOCKED)",
            &[int8(&now), int8(&FORGOTTEN_AT_ONCE_MAX)],
        )
        .await?;
        let given = self
            .rows(
                CLAIM,
                &[
                    bytea(&key),
                    bytea(&Sixteen(claim.fingerprint)),
                    bytea(&Sixteen(claim.holder)),
                    int8(&claim.until.as_millis()),
                    int8(&claim.kept_until.as_millis()),
                    int8(&now),
                ],
            )
            .await?;
        if !given.is_empty() {
            return Ok(Claimed::Yours);
        }
        let rows = self.rows(LOOK, &[bytea(&key)]).await?;
        // Given up since: whoever asks again may have it.
        let Some(row) = rows.first() else { return Ok(Claimed::Running) };
        let key: Option<Sixteen> = column(row, 1)?;
        let sealed: Option<Vec<u8>> = column(row, 2)?;
        let answer = key.map(|key| KeyId(key.0)).zip(sealed);
        Ok(found(claim, column::<Sixteen>(row, 0)?.0, answer))
    }

    /// Keeps the answer to a request that this holder claimed.
    pub(super) async fn keep_answer(
        &self,
        key: [u8; 16],
        holder: [u8; 16],
        answer: &SealedRow,
    ) -> Result<()> {
        let sealed_under = Sixteen::from(answer.key);
        self.kept_keys(&[sealed_under])
            .await?
            .see(answer)
            .map_err(|_| Failure::from(Kind::UnknownKey))?;
        self.run(
            KEEP,
            &[
                uuid(&sealed_under),
                bytea(&answer.sealed.as_bytes()),
                bytea(&Sixteen(key)),
                bytea(&Sixteen(holder)),
            ],
        )
        .await?;
        Ok(())
    }

    /// Gives up a claim: nothing was done.
    pub(super) async fn give_up_claim(&self, key: [u8; 16], holder: [u8; 16]) -> Result<()> {
        self.run(GIVE_UP, &[bytea(&Sixteen(key)), bytea(&Sixteen(holder))]).await?;
        Ok(())
    }
}
