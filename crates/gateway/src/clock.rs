//! The one place where the time is read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Timestamp;
use model::limits::CLOCK_STEP_MS;

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that a test sets, in unix milliseconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// The time now, from the first time on that this was asked for: it goes on evenly when the
    /// system's clock is set. Leases and retries wait by it.
    pub fn steady(&self) -> Timestamp {
        static START: OnceLock<(Instant, Timestamp)> = OnceLock::new();
        match self {
            Self::System => {
                let (start, at) = START.get_or_init(|| (Instant::now(), self.now()));
                at.plus_millis(i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(_) => self.now(),
        }
    }
}

/// Sees that the system's clock was set.
pub(crate) struct Steps {
    clock: Clock,
    /// How far the clock was from the steady one.
    offset_ms: i64,
}

impl Steps {
    /// Watches from now on.
    pub(crate) fn new(clock: Clock) -> Self {
        let offset_ms = clock.offset_ms();
        Self { clock, offset_ms }
    }

    /// By how much it was set since the last time, in milliseconds; none if it merely ran. To be asked
    /// every second: what a time service corrects little by little is no step.
    pub(crate) fn seen(&mut self) -> Option<i64> {
        let offset_ms = self.clock.offset_ms();
        let step_ms = offset_ms - self.offset_ms;
        self.offset_ms = offset_ms;
        (step_ms.abs() >= CLOCK_STEP_MS).then_some(step_ms)
    }
}

impl Clock {
    fn offset_ms(&self) -> i64 {
        self.now().as_millis() - self.steady().as_millis()
    }
}
