//! Duties: what one replica does for all, as long as its lease lasts.

use super::bind::{bytea, int8, text};
use super::codes::Sixteen;
use super::failure::Result;
use super::session::{Session, column};
use crate::duty::{Duty, RELEASE, TAKE};

impl Session<'_> {
    /// Takes a duty that nobody has, or whose lease is over, or renews one's own.
    pub(super) async fn take_duty(&self, duty: &Duty) -> Result<Option<i64>> {
        let rows = self
            .rows(
                TAKE,
                &[
                    text(&duty.name),
                    bytea(&Sixteen(duty.holder)),
                    int8(&duty.until.as_millis()),
                    int8(&duty.now.as_millis()),
                ],
            )
            .await?;
        rows.first().map(|row| column(row, 0)).transpose()
    }

    /// Gives up a duty, if it is this holder's.
    pub(super) async fn release_duty(&self, name: &str, holder: [u8; 16]) -> Result<()> {
        self.run(RELEASE, &[text(&name), bytea(&Sixteen(holder))]).await?;
        Ok(())
    }
}
