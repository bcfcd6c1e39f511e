//! Sliding windows that are kept in the store.

use rusqlite::{OptionalExtension as _, params};

use super::failure::Result;
use super::session::Session;
use crate::window::{FORGOTTEN_AT_ONCE_MAX, added_up, oldest_start};
use crate::{WindowAdd, WindowCounts};

impl Session<'_> {
    /// Adds to counts and gives them, in the order in which they were asked for.
    pub(super) fn count_windows(
        &self,
        name: &str,
        adds: &[WindowAdd],
    ) -> Result<Vec<WindowCounts>> {
        for row in added_up(adds) {
            self.connection
                .prepare_cached(
                    "INSERT INTO rate_window (name, key, period_start, count, ends_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (name, key, period_start) DO UPDATE SET
                        count = min(count + excluded.count, 4294967295)",
                )?
                .execute(params![
                    name,
                    row.key,
                    row.period_start.as_millis(),
                    row.add,
                    row.ends_at()
                ])?;
        }
        let counts = adds
            .iter()
            .map(|add| {
                Ok(WindowCounts {
                    current: self.window_count(name, add.key, add.period_start.as_millis())?,
                    previous: self.window_count(name, add.key, add.previous_start())?,
                })
            })
            .collect::<Result<_>>()?;
        self.connection
            .prepare_cached(
                "DELETE FROM rate_window WHERE (name, key, period_start) IN (
                    SELECT name, key, period_start FROM rate_window WHERE ends_at < ?1
                    ORDER BY ends_at LIMIT ?2)",
            )?
            .execute(params![oldest_start(adds), FORGOTTEN_AT_ONCE_MAX])?;
        Ok(counts)
    }

    fn window_count(&self, name: &str, key: [u8; 16], start: i64) -> Result<u32> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT count FROM rate_window WHERE name = ?1 AND key = ?2 AND period_start = ?3",
            )?
            .query_row(params![name, key, start], |row| row.get(0))
            .optional()?
            .unwrap_or(0))
    }
}
