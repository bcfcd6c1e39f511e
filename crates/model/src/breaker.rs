//! When an endpoint that keeps failing is left alone, and how it is asked whether it is back.
//!
//! A breaker is *closed* while deliveries go. [`BREAKER_FAILURES`] failures in a row *open* it: then
//! nothing is tried, so no delivery uses up its attempts. After a pause it is *half-open*: one
//! attempt at a time is the *probe*. A success closes it; a failed probe opens it again, for twice
//! the pause, up to [`BREAKER_PAUSE_MS_MAX`]. It is kept in memory: a start begins closed.

use crate::Timestamp;
use crate::limits::{BREAKER_FAILURES, BREAKER_PAUSE_MS_MAX, BREAKER_PAUSE_MS_MIN};

/// The breaker of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    /// In a row, while it is closed.
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    until: Timestamp,
    pause_ms: i64,
    is_probed: bool,
}

/// What may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// As much as there are slots for.
    All,
    /// One attempt.
    Probe,
    /// Nothing.
    Nothing,
}

/// What an attempt said about the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It takes deliveries.
    Well,
    /// It does not.
    Failing,
    /// Nothing: the attempt did not get as far.
    Nothing,
}

/// What an attempt changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Left alone until then.
    Opened(Timestamp),
    /// Deliveries go again.
    Closed,
}

impl Breaker {
    /// What may be tried at this time.
    pub fn allows(&self, now: Timestamp) -> Allowed {
        match self.open {
            None => Allowed::All,
            Some(open) if open.is_probed || !open.is_over(now) => Allowed::Nothing,
            Some(_) => Allowed::Probe,
        }
    }

    /// An attempt that was allowed starts. Whether it is a probe: [`Breaker::ended`] asks.
    pub fn started(&mut self) -> bool {
        match &mut self.open {
            Some(open) => {
                open.is_probed = true;
                true
            }
            None => false,
        }
    }

    /// An attempt ended. What ends while it is open and was started before counts only if it
    /// succeeded.
    pub fn ended(&mut self, is_probe: bool, said: Said, now: Timestamp) -> Option<Change> {
        match (said, &mut self.open) {
            (Said::Well, open) => {
                let was_open = open.is_some();
                *self = Self::default();
                was_open.then_some(Change::Closed)
            }
            (Said::Failing, None) => {
                self.failures = self.failures.saturating_add(1);
                (self.failures >= BREAKER_FAILURES).then(|| self.open(BREAKER_PAUSE_MS_MIN, now))
            }
            (Said::Failing, Some(open)) if is_probe => {
                let pause_ms = open.pause_ms.saturating_mul(2).min(BREAKER_PAUSE_MS_MAX);
                Some(self.open(pause_ms, now))
            }
            (Said::Nothing, Some(open)) if is_probe => {
                open.is_probed = false;
                None
            }
            (Said::Failing | Said::Nothing, _) => None,
        }
    }

    fn open(&mut self, pause_ms: i64, now: Timestamp) -> Change {
        let until = now.plus_millis(pause_ms);
        self.open = Some(Open { until, pause_ms, is_probed: false });
        Change::Opened(until)
    }
}

impl Open {
    /// Also when the clock was set back by more than the pause.
    fn is_over(&self, now: Timestamp) -> bool {
        let left_ms = self.until.as_millis().saturating_sub(now.as_millis());
        left_ms <= 0 || left_ms > self.pause_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn after(millis: i64) -> Timestamp {
        START.plus_millis(millis)
    }

    /// A breaker that opened at [`START`].
    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for n in 1..=BREAKER_FAILURES {
            assert_eq!(breaker.allows(START), Allowed::All, "after {n} failures");
            let is_probe = breaker.started();
            let change = breaker.ended(is_probe, Said::Failing, START);
            let opens = Change::Opened(after(BREAKER_PAUSE_MS_MIN));
            assert_eq!(change, (n == BREAKER_FAILURES).then_some(opens));
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        assert_eq!(opened().allows(START), Allowed::Nothing);
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..BREAKER_FAILURES {
                assert_eq!(breaker.ended(false, Said::Failing, START), None);
            }
            assert_eq!(breaker.ended(false, Said::Well, START), None);
        }
        assert_eq!(breaker.allows(START), Allowed::All);
    }

    #[test]
    fn one_probe_at_a_time_after_the_pause() {
        let mut breaker = opened();
        assert_eq!(breaker.allows(after(BREAKER_PAUSE_MS_MIN - 1)), Allowed::Nothing);
        let later = after(BREAKER_PAUSE_MS_MIN);
        assert_eq!(breaker.allows(later), Allowed::Probe);
        assert!(breaker.started());
        assert_eq!(breaker.allows(later), Allowed::Nothing);
        assert_eq!(breaker.ended(true, Said::Nothing, later), None);
        assert_eq!(breaker.allows(later), Allowed::Probe);
        assert!(breaker.started());
        assert_eq!(breaker.ended(true, Said::Well, later), Some(Change::Closed));
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn failed_probes_double_the_pause_up_to_a_bound() {
        let mut breaker = opened();
        let (mut now, mut pauses) = (START, Vec::new());
        for _ in 0..8 {
            now = now.plus_millis(BREAKER_PAUSE_MS_MAX);
            assert!(breaker.started());
            let Some(Change::Opened(until)) = breaker.ended(true, Said::Failing, now) else {
                panic!("it stays open")
            };
            pauses.push((until.as_millis() - now.as_millis()) / 1000);
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn what_was_in_flight_counts_only_when_it_succeeds() {
        let mut breaker = opened();
        let before = breaker;
        assert_eq!(breaker.ended(false, Said::Failing, after(1)), None);
        assert_eq!(breaker, before);
        assert_eq!(breaker.ended(false, Said::Well, after(1)), Some(Change::Closed));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        assert_eq!(opened().allows(after(-3_600_000)), Allowed::Probe);
    }

    proptest! {
        #[test]
        fn whatever_happens_pauses_are_bounded_and_a_success_closes_it(
            steps in prop::collection::vec((0_i64..20_000, 0_u8..4, any::<bool>()), 0..200),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), START);
            let mut in_flight: Vec<bool> = Vec::new();
            for (wait, said, ends_oldest) in steps {
                now = now.plus_millis(wait);
                if breaker.allows(now) != Allowed::Nothing {
                    in_flight.push(breaker.started());
                }
                let of_this_opening = breaker.open.is_some_and(|open| open.is_probed);
                prop_assert!(!of_this_opening || in_flight.contains(&true));
                if said == 3 || in_flight.is_empty() {
                    continue;
                }
                let place = if ends_oldest { 0 } else { in_flight.len() - 1 };
                let is_probe = in_flight.remove(place);
                let said = [Said::Well, Said::Failing, Said::Nothing][usize::from(said)];
                match breaker.ended(is_probe, said, now) {
                    Some(Change::Opened(until)) => {
                        let pause_ms = until.as_millis() - now.as_millis();
                        prop_assert!((BREAKER_PAUSE_MS_MIN..=BREAKER_PAUSE_MS_MAX).contains(&pause_ms));
                        prop_assert_eq!(breaker.allows(until), Allowed::Probe);
                        prop_assert_eq!(breaker.allows(until.plus_millis(-1)), Allowed::Nothing);
                    }
                    Some(Change::Closed) => prop_assert_eq!(breaker.allows(now), Allowed::All),
                    None => {}
                }
                if said == Said::Well {
                    prop_assert_eq!(breaker, Breaker::default());
                }
            }
        }
    }
}
