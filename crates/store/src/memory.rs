//! How long dedup keys are remembered, whatever the clock says and whatever the backend.

use model::Timestamp;
use model::limits::DEDUP_DAYS;

/// Days that one sweep goes ahead at most, whatever the clock says.
pub(crate) const DAYS_AT_ONCE_MAX: i64 = 1;

/// Days since the last sweep that are believed when a key is looked for.
pub(crate) const DAYS_UNSWEPT_MAX: i64 = 2;

/// Keys of earlier days no longer count.
pub(crate) fn first_day_that_counts(today: i64) -> i64 {
    today.saturating_sub(DEDUP_DAYS)
}

/// The day as far as it is believed: a clock that jumps ahead must not make the store forget what
/// providers may still send again. Whoever sweeps does it twice a day, so a store that was away for
/// long catches up within as many days; until then it remembers for longer than it must.
pub(crate) fn credible_day(now: Timestamp, swept_day: i64, ahead: i64) -> i64 {
    if swept_day == 0 { now.day() } else { now.day().min(swept_day + ahead) }
}
