//! Dedup keys: how long each is remembered. (They are taken by `record/fate.rs`.)

use model::Timestamp;

use super::bind::{count, int8};
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::command::Answer;
use crate::memory::{DAYS_AT_ONCE_MAX, credible_day, first_day_that_counts};

/// Keys forgotten in one transaction.
const FORGOTTEN_AT_ONCE_MAX: usize = 5_000;

/// Batches are remembered for longer than anybody asks for them, milliseconds.
const BATCH_MS: i64 = 3_600_000;

impl Session<'_> {
    /// Waits until nobody else does what must be done by one at a time.
    pub(super) async fn take_turns(&self) -> Result<(i64, i64)> {
        let rows = self.rows("SELECT swept_day, first_day FROM sweep FOR UPDATE", &[]).await?;
        let row = rows.first().ok_or_else(|| Failure::corrupt("no row of sweeps"))?;
        Ok((column(row, 0)?, column(row, 1)?))
    }

    /// Forgets what no longer counts, once a day, however often somebody asks.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<Answer> {
        let (swept, first_day) = self.take_turns().await?;
        self.run(
            "DELETE FROM batch
             WHERE at < floor(extract(epoch FROM clock_timestamp()) * 1000) - $1",
            &[int8(&BATCH_MS)],
        )
        .await?;
        let today = credible_day(now, swept, DAYS_AT_ONCE_MAX);
        if today <= swept {
            return Ok(Answer::Swept { forgotten: 0, more: false });
        }
        let first = first_day_that_counts(today);
        let forgotten = self
            .run(
                "DELETE FROM dedup WHERE key IN (
                    SELECT key FROM dedup WHERE day < $1 LIMIT $2)",
                &[int8(&first), int8(&count(FORGOTTEN_AT_ONCE_MAX))],
            )
            .await?;
        let forgotten = usize::try_from(forgotten).unwrap_or(usize::MAX);
        let more = forgotten >= FORGOTTEN_AT_ONCE_MAX;
        if !more {
            self.forget_undecided(today).await?;
            self.run(
                "UPDATE sweep SET swept_day = $1, first_day = $2",
                &[int8(&today), int8(&first.max(first_day))],
            )
            .await?;
        }
        Ok(Answer::Swept { forgotten, more })
    }
}
