//! Forgetting and deleting what is old enough.

use model::Timestamp;

use super::{Store, unexpected};
use crate::command::{Answer, Command};
use crate::retention::{DAY_MS, Slice};
use crate::{PartitionClass, Removed, Retention, StoreError};

impl Store {
    /// Forgets dedup keys older than [`model::limits::DEDUP_DAYS`], which no longer count; says how
    /// many. Does its work once a day, at most a day further each time whatever the clock says, in slices between which others get their turn.
    pub async fn forget(&self, now: Timestamp) -> Result<usize, StoreError> {
        if matches!(self, Self::Postgres(_))
            && let Err(error) = self.ensure_partitions().await
        {
            // There is a partition for whatever has none; it is only harder to forget.
            tracing::warn!(code = error.code(), "partitions of the next weeks could not be made");
        }
        let mut all = 0;
        loop {
            match self.wait(Command::Sweep { now }).await? {
                Answer::Swept { forgotten, more } => {
                    all += forgotten;
                    if !more {
                        return Ok(all);
                    }
                }
                _ => return Err(unexpected()),
            }
        }
    }

    /// Deletes what is older than it is to be kept, and what no pending delivery needs. Of a server
    /// whole partitions are dropped; of a file rows go in slices between which others get their
    /// turn. Sessions of operators go a day after they were over, whatever is configured.
    pub async fn retain(
        &self,
        now: Timestamp,
        retention: Retention,
    ) -> Result<Removed, StoreError> {
        // What goes wrong with them keeps nothing else from going.
        let sessions = self.forget_sessions(now).await;
        let mut removed = Removed::default();
        for class in [
            PartitionClass::Attempt,
            PartitionClass::Delivery,
            PartitionClass::Body,
            PartitionClass::Event,
        ] {
            let Some(days) = retention.days(class) else { continue };
            if matches!(self, Self::Postgres(_)) {
                let before = now.plus_millis(-i64::from(days) * DAY_MS);
                removed.partitions += self.drop_partitions(class, before).await?;
                continue;
            }
            let of_class = match class {
                PartitionClass::Event => &mut removed.events,
                PartitionClass::Body => &mut removed.bodies,
                PartitionClass::Delivery => &mut removed.deliveries,
                // They go with their deliveries.
                PartitionClass::Attempt => continue,
            };
            let mut after = Some(0);
            while let Some(from) = after {
                let slice = Slice { class, days, now, after: from };
                let Answer::Sliced(sliced) = self.wait(Command::Retain(slice)).await? else {
                    return Err(unexpected());
                };
                *of_class += sliced.removed;
                after = sliced.after;
            }
        }
        removed.sessions = sessions?;
        Ok(removed)
    }

    /// Makes the partitions of the next weeks; says how many were missing. [`Store::forget`] does
    /// it, too. A file has none.
    pub async fn ensure_partitions(&self) -> Result<usize, StoreError> {
        self.count(Command::EnsurePartitions).await
    }

    /// Drops the partitions of a class that end before a time; says how many. What is younger than
    /// the class's floor and what a pending delivery needs is kept. A file has none.
    pub async fn drop_partitions(
        &self,
        class: PartitionClass,
        before: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut all = 0;
        // One in a transaction: everybody waits for it.
        loop {
            match self.count(Command::DropPartitions { class, before }).await? {
                0 => return Ok(all),
                dropped => all += dropped,
            }
        }
    }
}
