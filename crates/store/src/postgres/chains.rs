//! What was read of chains, and the orders that are watched on them.

use model::{OrderId, Timestamp};
use sabotage::Defect;
use tokio_postgres::types::Type;

use super::Postgres;
use super::audit::Entries;
use super::bind::{Owned, bytea, int8, text, uuid, uuids};
use super::codes::Sixteen;
use super::failure::{Class, Failure, Result};
use super::keys::NewKeys;
use super::orders::all;
use super::read::sealed_row;
use super::session::{Session, column};
use crate::error::Kind;
use crate::order::COLUMNS;
use crate::{ChainChange, ChainRow, NewWatch, OrderRow, StoreError};

impl Session<'_> {
    /// The order that has the address which a new one is to be watched at.
    pub(super) async fn watched_at(&self, watch: Option<&NewWatch>) -> Result<Option<OrderId>> {
        let Some(watch) = watch else { return Ok(None) };
        let sql = "SELECT order_id FROM watch WHERE address_key = $1";
        let rows = self.rows(sql, &[bytea(&Sixteen(watch.address_key))]).await?;
        rows.first().map(|row| Ok(column::<Sixteen>(row, 0)?.into())).transpose()
    }

    /// Has the payments of a new order looked for. Whoever takes the address at this moment is waited
    /// for; then all of this is undone and tried again, and finds it.
    pub(super) async fn watch(&self, order: OrderId, watch: Option<&NewWatch>) -> Result<()> {
        let Some(watch) = watch else { return Ok(()) };
        let sql = "INSERT INTO watch (order_id, chain, address_key, stage) VALUES ($1, $2, $3, 0)
                   ON CONFLICT (address_key) DO NOTHING";
        let (order, address) = (Sixteen::from(order), Sixteen(watch.address_key));
        let parameters = [uuid(&order), text(&watch.chain), bytea(&address)];
        expect_one(self.run(sql, &parameters).await?)
    }

    /// Whether a chain is as whoever changes it believes. It stays so.
    pub(super) async fn is_chain_at(&self, change: &ChainChange) -> Result<bool> {
        let sql = "SELECT revision FROM chain WHERE name = $1 FOR UPDATE";
        let rows = self.rows(sql, &[text(&change.name)]).await?;
        let kept = rows.first().map(|row| column::<i64>(row, 0)).transpose()?;
        let is_ignored = sabotage::on(Defect::ChainRevisionIgnored);
        Ok(kept.unwrap_or(0) == change.revision || is_ignored)
    }

    pub(super) async fn write_chain(&self, change: &ChainChange, at: Timestamp) -> Result<()> {
        let new_keys: NewKeys<'_> = change.keys.iter().map(|key| (key.id.0, (key, None))).collect();
        let mut entries = Entries::default();
        self.keep_keys(&new_keys, &mut entries).await?;
        let key = Sixteen::from(change.sealed.key);
        self.kept_keys(&[key]).await?.see(&change.sealed)?;
        let (revision, at) = (change.revision + 1, at.as_millis());
        let written = self
            .run(
                "INSERT INTO chain AS kept (name, revision, updated_at, sealed_key, sealed)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (name) DO UPDATE SET revision = excluded.revision,
                    updated_at = excluded.updated_at, sealed_key = excluded.sealed_key,
                    sealed = excluded.sealed
                 WHERE kept.revision = excluded.revision - 1",
                &[
                    text(&change.name),
                    int8(&revision),
                    int8(&at),
                    uuid(&key),
                    bytea(&change.sealed.sealed.as_bytes()),
                ],
            )
            .await?;
        expect_one(written)?;
        let ids =
            |orders: &[OrderId]| orders.iter().copied().map(Sixteen::from).collect::<Vec<_>>();
        let (taken, left) = (ids(&change.taken), ids(&change.left));
        if !taken.is_empty() {
            let sql = "UPDATE watch SET stage = 1 WHERE order_id = ANY ($1) AND stage = 0";
            self.run(sql, &[uuids(&taken)]).await?;
        }
        if !left.is_empty() {
            let sql = "UPDATE watch SET stage = 2, address_key = NULL WHERE order_id = ANY ($1)";
            self.run(sql, &[uuids(&left)]).await?;
        }
        self.audit(&entries).await
    }
}

/// Somebody else was first with the same row: all is undone and tried again.
fn expect_one(written: u64) -> Result<()> {
    if written == 1 {
        Ok(())
    } else {
        Err(Failure { error: StoreError::new(Kind::Busy), class: Class::InTheWay })
    }
}

impl Postgres {
    pub(crate) async fn chain(
        &self,
        name: String,
    ) -> std::result::Result<Option<ChainRow>, StoreError> {
        let sql = "SELECT revision, sealed_key, sealed FROM chain WHERE name = $1";
        let rows = self.look(sql, vec![Owned::new(name, Type::TEXT)]).await?;
        let row = rows
            .first()
            .map(|row| Ok(ChainRow { revision: column(row, 0)?, sealed: sealed_row(row, 1)? }));
        row.transpose().map_err(|failure: Failure| failure.error)
    }

    pub(crate) async fn orders_to_watch(
        &self,
        chain: String,
        limit: usize,
    ) -> std::result::Result<Vec<OrderRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM orders
             WHERE id IN (SELECT order_id FROM watch WHERE chain = $1 AND stage = 0)
             ORDER BY sequence LIMIT $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters = vec![Owned::new(chain, Type::TEXT), Owned::new(limit, Type::INT8)];
        all(&self.list(&sql, parameters).await?)
    }
}
