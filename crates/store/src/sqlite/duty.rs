//! Duties. On one machine they are asked for in the same way as among replicas.

use rusqlite::{OptionalExtension as _, params};

use super::failure::Result;
use super::session::Session;
use crate::duty::{Duty, RELEASE, TAKE};

impl Session<'_> {
    /// Takes a duty that nobody has, or whose lease is over, or renews one's own.
    pub(super) fn take_duty(&self, duty: &Duty) -> Result<Option<i64>> {
        let (until, now) = (duty.until.as_millis(), duty.now.as_millis());
        Ok(self
            .connection
            .prepare_cached(TAKE)?
            .query_row(params![duty.name, duty.holder, until, now], |row| row.get(0))
            .optional()?)
    }

    /// Gives up a duty, if it is this holder's.
    pub(super) fn release_duty(&self, name: &str, holder: [u8; 16]) -> Result<()> {
        self.connection.prepare_cached(RELEASE)?.execute(params![name, holder])?;
        Ok(())
    }
}
