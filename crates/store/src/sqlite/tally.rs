//! Counts of refused and duplicate arrivals.

use rusqlite::params;

use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::Tally;
use crate::audit::refused;

impl Session<'_> {
    /// Adds counts to the rows of their minute.
    pub(super) fn tally(&mut self, tallies: &[Tally]) -> Result<()> {
        for tally in tallies {
            self.see_key(&tally.address)?;
            let source = match &tally.source {
                Some(source) => self.names.number(self.connection, source)?,
                None => 0,
            };
            self.connection
                .prepare_cached(
                    "INSERT INTO tally (minute, source, event, step, reason, address_key, arrival,
                        count, first_at, last_at, sealed_key, sealed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                     ON CONFLICT (minute, source, event, step, reason, address_key) DO UPDATE SET
                        count = min(count + excluded.count, 4294967295),
                        first_at = min(first_at, excluded.first_at),
                        last_at = max(last_at, excluded.last_at)",
                )?
                .execute(params![
                    tally.minute,
                    source,
                    tally.event.as_ref().map_or(&[][..], |event| event.as_bytes()),
                    Code(tally.step),
                    tally.reason,
                    tally.address_key,
                    tally.arrival.as_bytes(),
                    tally.count,
                    tally.first_at.as_millis(),
                    tally.last_at.as_millis(),
                    tally.address.key.0,
                    tally.address.sealed.as_bytes(),
                ])?;
        }
        for refused in refused(tallies) {
            self.audit(&refused.entry())?;
        }
        Ok(())
    }
}
