//! `[retention]`: how many days what is kept. Without it everything is.

use store::{BODIES_DAYS_MIN, DELIVERIES_DAYS_MIN, EVENTS_DAYS_MIN, Retention};

use super::document::{self, At};
use super::problem::{Found, Refusal};

/// A hundred years: more is a mistake.
const DAYS_MAX: i64 = 36_500;

/// What is deleted when. Less than the least of its kind is refused.
pub(super) fn retention(written: &document::Retention, found: &mut Found) -> Retention {
    Retention {
        events_days: days(written.events_days.as_ref(), EVENTS_DAYS_MIN, found),
        bodies_days: days(written.bodies_days.as_ref(), BODIES_DAYS_MIN, found),
        deliveries_days: days(written.deliveries_days.as_ref(), DELIVERIES_DAYS_MIN, found),
    }
}

fn days(written: Option<&At<i64>>, least: u32, found: &mut Found) -> Option<u32> {
    let At { value, place } = written?;
    let days = u32::try_from(*value).ok().filter(|days| *days >= least && *value <= DAYS_MAX);
    if days.is_none() {
        let fix = format!("write {least} to {DAYS_MAX} days, or take it out to keep everything");
        let message = "this is out of bounds: what is not old enough may still be asked for";
        found.add(Refusal::BadRetention, place, message, fix);
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Place;

    fn check(events: Option<i64>, bodies: Option<i64>, expected: Option<Retention>) {
        let at = |value| At { value, place: Place { line: 1, key: "retention".into() } };
        let written = document::Retention {
            events_days: events.map(at),
            bodies_days: bodies.map(at),
            deliveries_days: None,
        };
        let mut found = Found::default();
        let meant = retention(&written, &mut found);
        match expected {
            Some(expected) => assert_eq!((meant, found.is_empty()), (expected, true)),
            None => assert!(found.has(Refusal::BadRetention), "{events:?} {bodies:?}"),
        }
    }

    #[test]
    fn less_than_the_least_is_refused() {
        check(None, None, Some(Retention::default()));
        let kept = Retention { events_days: Some(37), bodies_days: Some(8), deliveries_days: None };
        check(Some(37), Some(8), Some(kept));
        for bad in [36, 0, -1, 36_501, i64::MAX] {
            check(Some(bad), None, None);
        }
        check(None, Some(7), None);
    }
}
