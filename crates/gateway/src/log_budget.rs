//! How many lines a second a flood may write into the log. The counts in the store are complete.

use std::sync::{Mutex, PoisonError};

/// Lines a second.
const LINES_PER_SECOND_MAX: u32 = 50;

/// What was written in this second.
#[derive(Default)]
pub(crate) struct LogBudget {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    second: i64,
    written: u32,
    skipped: u64,
}

/// Whether a line may be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Yes; so many were skipped since the last one.
    Write { skipped: u64 },
    /// No.
    Skip,
}

impl LogBudget {
    /// Asks for one line at this time.
    pub(crate) fn line(&self, now_s: i64) -> Line {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.second != now_s {
            state.second = now_s;
            state.written = 0;
        }
        if state.written >= LINES_PER_SECOND_MAX {
            state.skipped += 1;
            return Line::Skip;
        }
        state.written += 1;
        Line::Write { skipped: std::mem::take(&mut state.skipped) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_a_bounded_number_of_lines_and_says_what_it_skipped() {
        let budget = LogBudget::default();
        let written = (0..1000).filter(|_| budget.line(1) != Line::Skip).count();
        assert_eq!(written, 50);
        assert_eq!(budget.line(2), Line::Write { skipped: 950 });
        assert_eq!(budget.line(2), Line::Write { skipped: 0 });
    }
}
