//! Limits on orders: what counts is read in the transaction that creates one, and there is one writer.

use model::Timestamp;
use model::order::{Counted, LimitReached, OrderLimit};
use rusqlite::params;

use super::failure::Result;
use super::session::Session;
use crate::NewOrder;
use crate::order::{COUNTED_MAX, admitted, limited, uncounted, unit_name};

impl Session<'_> {
    /// The first limit of an order that it would break, as its place among them.
    pub(super) fn limit_reached(
        &self,
        order: &NewOrder,
        now: Timestamp,
    ) -> Result<Option<(usize, LimitReached)>> {
        for (place, limit, key) in limited(order) {
            let counted = self.counted(limit, key, now)?;
            if let Err(reached) = admitted(limit, &counted, order, now) {
                return Ok(Some((place, reached)));
            }
        }
        Ok(None)
    }

    /// What counts of a party, the oldest first.
    fn counted(&self, limit: &OrderLimit, key: [u8; 16], now: Timestamp) -> Result<Vec<Counted>> {
        let sql = format!(
            "SELECT created_at, amount FROM orders
             WHERE {}_key = ?1 AND created_at > ?2 AND (?3 IS NULL OR unit = ?3)
                AND state NOT IN ({}) ORDER BY created_at LIMIT ?4",
            limit.per.code(),
            uncounted()
        );
        let unit = limit.unit.as_ref().map(unit_name);
        let since = limit.since(now).as_millis();
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_map(params![key, since, unit, COUNTED_MAX + 1], |row| {
            Ok(Counted {
                at: Timestamp::from_millis(row.get(0)?),
                minor: u128::from_be_bytes(row.get(1)?),
            })
        })?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}
