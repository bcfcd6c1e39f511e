//! Partitions by week: made ahead of their time, and dropped when they are no longer needed.
//!
//! The functions belong to the owner of the schema and hold the floors below which nothing is
//! dropped; who serves may only call them.

use model::Timestamp;

use super::bind::{int8, text};
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::PartitionClass;

impl PartitionClass {
    const fn table(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Body => "body",
            Self::Delivery => "delivery",
            Self::Attempt => "attempt",
        }
    }
}

impl Session<'_> {
    /// Makes the partitions of the next weeks; says how many were missing.
    pub(super) async fn ensure_partitions(&self) -> Result<usize> {
        self.number_of("SELECT ensure_partitions()", &[]).await
    }

    /// Drops a partition of a class that ends before a time; says how many, one or none.
    pub(super) async fn drop_partitions(
        &self,
        class: PartitionClass,
        before: Timestamp,
    ) -> Result<usize> {
        self.number_of(
            "SELECT drop_partitions($1, $2)",
            &[text(&class.table()), int8(&before.as_millis())],
        )
        .await
    }

    /// What a function gives.
    pub(super) async fn number_of(
        &self,
        sql: &str,
        parameters: &[super::bind::Parameter<'_>],
    ) -> Result<usize> {
        let rows = self.rows(sql, parameters).await?;
        let row = rows.first().ok_or_else(|| Failure::corrupt("a function without a result"))?;
        Ok(usize::try_from(column::<i32>(row, 0)?).unwrap_or(0))
    }
}
