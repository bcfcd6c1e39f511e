//! How much there is of what, without walking through everything there is.

use model::Timestamp;
use tokio_postgres::Row;

use crate::postgres::Postgres;
use crate::postgres::failure::{Failure, Result};
use crate::postgres::session::column;
use crate::{Counts, StoreError};

/// One statement, so that the numbers belong together. Of accepted events there are too many to be
/// counted: the count is kept.
const COUNTS: &str = "SELECT
    (SELECT sum(accepted)::bigint FROM counter),
    (SELECT count(*) FROM event WHERE status <> 0 AND status = 1),
    (SELECT count(*) FROM event WHERE status <> 0 AND status = 2),
    (SELECT count(*) FROM event WHERE status <> 0 AND status = 3),
    pending, parked, oldest_at,
    (SELECT count(*) FROM delivery WHERE state = 5)
    FROM (SELECT count(*) AS pending, count(*) FILTER (WHERE state = 3) AS parked,
        min(created_at) AS oldest_at FROM pending) AS work";

impl Postgres {
    pub(crate) async fn counts(&self) -> std::result::Result<Counts, StoreError> {
        let rows = self.list(COUNTS, Vec::new()).await?;
        let row = rows.first().ok_or_else(|| Failure::corrupt("no counts").error)?;
        counts(row).map_err(|failure| failure.error)
    }
}

fn counts(row: &Row) -> Result<Counts> {
    let number = |place| -> Result<u64> {
        let number: Option<i64> = column(row, place)?;
        Ok(u64::try_from(number.unwrap_or(0)).unwrap_or(0))
    };
    Ok(Counts {
        accepted: number(0)?,
        held: number(1)?,
        denied: number(2)?,
        quarantined: number(3)?,
        full: false,
        pending: number(4)?,
        parked: number(5)?,
        oldest_pending_at: column::<Option<i64>>(row, 6)?.map(Timestamp::from_millis),
        dead: number(7)?,
    })
}
