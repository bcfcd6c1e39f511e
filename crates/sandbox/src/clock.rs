//! The wall clock of the simulators and the sample application: they play other people's machines.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds now.
#[expect(
    clippy::disallowed_methods,
    reason = "simulated parties have clocks of their own, apart from the gateway's"
)]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
