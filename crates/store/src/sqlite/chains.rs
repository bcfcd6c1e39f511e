//! What was read of chains, and the orders that are watched on them.

use model::{OrderId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, params};
use sabotage::Defect;
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::failure::Result;
use super::orders::rows;
use super::session::Session;
use crate::{ChainChange, ChainRow, NewWatch, OrderRow, SealedRow, StoreError};

impl Session<'_> {
    /// Has the payments of a new order looked for. Gives the order that has its address, if one has.
    pub(super) fn watch(
        &mut self,
        order: OrderId,
        watch: Option<&NewWatch>,
    ) -> Result<Option<OrderId>> {
        let Some(watch) = watch else { return Ok(None) };
        let sql = "SELECT order_id FROM watch WHERE address_key = ?1";
        let taken = self
            .connection
            .prepare_cached(sql)?
            .query_row([watch.address_key], |row| row.get(0))
            .optional()?;
        if let Some(taken) = taken {
            return Ok(Some(OrderId::from_bytes(taken)));
        }
        let sql = "INSERT INTO watch (order_id, chain, address_key, stage) VALUES (?1, ?2, ?3, 0)";
        self.connection.prepare_cached(sql)?.execute(params![
            order.as_bytes(),
            watch.chain,
            watch.address_key
        ])?;
        Ok(None)
    }

    /// Whether a chain is as whoever changes it believes.
    pub(super) fn is_chain_at(&self, change: &ChainChange) -> Result<bool> {
        let sql = "SELECT revision FROM chain WHERE name = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let kept: Option<i64> = statement.query_row([&change.name], |row| row.get(0)).optional()?;
        let is_ignored = sabotage::on(Defect::ChainRevisionIgnored);
        Ok(kept.unwrap_or(0) == change.revision || is_ignored)
    }

    pub(super) fn write_chain(&mut self, change: &ChainChange, at: Timestamp) -> Result<()> {
        for key in &change.keys {
            self.keep_key(key, None)?;
        }
        self.see_key(&change.sealed)?;
        self.connection
            .prepare_cached(
                "INSERT INTO chain (name, revision, updated_at, sealed_key, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name) DO UPDATE SET revision = excluded.revision,
                    updated_at = excluded.updated_at, sealed_key = excluded.sealed_key,
                    sealed = excluded.sealed",
            )?
            .execute(params![
                change.name,
                change.revision + 1,
                at.as_millis(),
                change.sealed.key.0,
                change.sealed.sealed.as_bytes(),
            ])?;
        for taken in &change.taken {
            let sql = "UPDATE watch SET stage = 1 WHERE order_id = ?1 AND stage = 0";
            self.connection.prepare_cached(sql)?.execute([taken.as_bytes()])?;
        }
        for left in &change.left {
            let sql = "UPDATE watch SET stage = 2, address_key = NULL WHERE order_id = ?1";
            self.connection.prepare_cached(sql)?.execute([left.as_bytes()])?;
        }
        Ok(())
    }
}

impl Sqlite {
    pub(crate) async fn chain(
        &self,
        name: String,
    ) -> std::result::Result<Option<ChainRow>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT revision, sealed_key, sealed FROM chain WHERE name = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| {
                let (key, sealed) = (KeyId(row.get(1)?), Sealed::from_bytes(row.get(2)?));
                Ok(ChainRow { revision: row.get(0)?, sealed: SealedRow { key, sealed } })
            };
            Ok(statement.query_row([name], row).optional()?)
        })
        .await
    }

    pub(crate) async fn orders_to_watch(
        &self,
        chain: String,
        limit: usize,
    ) -> std::result::Result<Vec<OrderRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [Value::Text(chain), Value::Integer(limit)];
        self.read(move |connection| {
            let which = "WHERE id IN (SELECT order_id FROM watch WHERE chain = ?1 AND stage = 0)
                         ORDER BY sequence LIMIT ?2";
            rows(connection, which, &values)
        })
        .await
    }
}
