//! Limits on orders: of two orders of one party that are created at once, one waits for the other, and
//! counts it.

use model::Timestamp;
use model::order::{Counted, LimitReached, OrderLimit};

use super::bind::{bytea, int8, int8s, text};
use super::codes::Sixteen;
use super::failure::Result;
use super::session::{Session, column};
use crate::NewOrder;
use crate::order::{COUNTED_MAX, admitted, limited, uncounted, unit_name};

/// Rows that parties share to wait for each other: as many as the migration made.
const SLOTS: u8 = 64;

impl Session<'_> {
    /// The first limit of an order that it would break, as its place among them. What counts for the
    /// others stays so until this is committed.
    pub(super) async fn limit_reached(
        &self,
        order: &NewOrder,
        now: Timestamp,
    ) -> Result<Option<(usize, LimitReached)>> {
        let mut slots: Vec<i64> =
            limited(order).map(|(_, _, [first, ..])| i64::from(first % SLOTS)).collect();
        if slots.is_empty() {
            return Ok(None);
        }
        slots.sort_unstable();
        slots.dedup();
        // In one order, so that none waits for another twice. What is read afterwards is what whoever was
        // waited for has committed.
        let sql = "SELECT 1 FROM limit_slot WHERE slot = ANY ($1) ORDER BY slot FOR UPDATE";
        self.rows(sql, &[int8s(&slots)]).await?;
        for (place, limit, key) in limited(order) {
            let counted = self.counted(limit, key, now).await?;
            if let Err(reached) = admitted(limit, &counted, order, now) {
                return Ok(Some((place, reached)));
            }
        }
        Ok(None)
    }

    /// What counts of a party, the oldest first.
    async fn counted(
        &self,
        limit: &OrderLimit,
        key: [u8; 16],
        now: Timestamp,
    ) -> Result<Vec<Counted>> {
        let sql = format!(
            "SELECT created_at, amount FROM orders
             WHERE {}_key = $1 AND created_at > $2 AND ($3::text IS NULL OR unit = $3)
                AND state NOT IN ({}) ORDER BY created_at LIMIT $4",
            limit.per.code(),
            uncounted()
        );
        let unit = limit.unit.as_ref().map(unit_name);
        let since = limit.since(now).as_millis();
        let (key, most) = (Sixteen(key), COUNTED_MAX + 1);
        let parameters = [bytea(&key), int8(&since), text(&unit), int8(&most)];
        let rows = self.rows(&sql, &parameters).await?;
        rows.iter()
            .map(|row| {
                Ok(Counted {
                    at: Timestamp::from_millis(column(row, 0)?),
                    minor: u128::from_be_bytes(column::<Sixteen>(row, 1)?.0),
                })
            })
            .collect()
    }
}
