//! Sliding windows that the replicas share.

use std::collections::HashMap;

use super::bind::{byteas, int8, int8s, text};
use super::codes::{Sixteen, Unsigned};
use super::failure::Result;
use super::session::{Session, column};
use crate::window::{FORGOTTEN_AT_ONCE_MAX, added_up, oldest_start};
use crate::{WindowAdd, WindowCounts};

impl Session<'_> {
    /// Adds to counts and gives them, in the order in which they were asked for.
    pub(super) async fn count_windows(
        &self,
        name: &str,
        adds: &[WindowAdd],
    ) -> Result<Vec<WindowCounts>> {
        let rows = added_up(adds);
        let keys: Vec<Sixteen> = rows.iter().map(|row| Sixteen(row.key)).collect();
        let starts: Vec<i64> = rows.iter().map(|row| row.period_start.as_millis()).collect();
        let counts: Vec<i64> = rows.iter().map(|row| i64::from(row.add)).collect();
        let ends: Vec<i64> = rows.iter().map(WindowAdd::ends_at).collect();
        self.run(
            "INSERT INTO rate_window (name, key, period_start, count, ends_at)
             SELECT $1, * FROM unnest($2, $3, $4, $5)
             ON CONFLICT (name, key, period_start) DO UPDATE SET
                count = least(rate_window.count + excluded.count, 4294967295)",
            &[text(&name), byteas(&keys), int8s(&starts), int8s(&counts), int8s(&ends)],
        )
        .await?;
        let counts = self.window_counts(name, adds).await?;
        self.run(
            "DELETE FROM rate_window WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM rate_window WHERE ends_at < $1 ORDER BY ends_at LIMIT $2
                FOR UPDATE SKIP LOCKED))",
            &[int8(&oldest_start(adds)), int8(&FORGOTTEN_AT_ONCE_MAX)],
        )
        .await?;
        let count = |key, start| counts.get(&(Sixteen(key), start)).copied().unwrap_or(0);
        Ok(adds
            .iter()
            .map(|add| WindowCounts {
                current: count(add.key, add.period_start.as_millis()),
                previous: count(add.key, add.previous_start()),
            })
            .collect())
    }

    async fn window_counts(
        &self,
        name: &str,
        adds: &[WindowAdd],
    ) -> Result<HashMap<(Sixteen, i64), u32>> {
        let asked = adds.iter().flat_map(|add| {
            [(add.key, add.period_start.as_millis()), (add.key, add.previous_start())]
        });
        let (keys, starts): (Vec<Sixteen>, Vec<i64>) =
            asked.map(|(key, start)| (Sixteen(key), start)).unzip();
        let rows = self
            .rows(
                "SELECT key, period_start, count FROM rate_window WHERE name = $1
                    AND (key, period_start) IN (SELECT * FROM unnest($2, $3))",
                &[text(&name), byteas(&keys), int8s(&starts)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let counted = (column(row, 0)?, column(row, 1)?);
                Ok((counted, column::<Unsigned>(row, 2)?.0))
            })
            .collect()
    }
}
