//! Retention: what is deleted once it is old enough, and how old that is at least.

use model::Timestamp;

use crate::PartitionClass;

/// A duplicate is answered with the event that came first for 35 days, and a clock that jumped is
/// believed for two more.
pub const EVENTS_DAYS_MIN: u32 = 37;

/// The last attempt comes after 75 hours; a person then has some days to redeliver.
pub const BODIES_DAYS_MIN: u32 = 8;

/// What was delivered is told as long as the event is.
pub const DELIVERIES_DAYS_MIN: u32 = 37;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// How many days what is kept; nothing is forever. Less than the least is taken as the least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events, and with them whatever else there is of them.
    pub events_days: Option<u32>,
    /// The bodies of arrivals.
    pub bodies_days: Option<u32>,
    /// Deliveries that are over, with their attempts.
    pub deliveries_days: Option<u32>,
}

impl Retention {
    /// For how many days a class is kept: not for longer than its events.
    pub(crate) fn days(&self, class: PartitionClass) -> Option<u32> {
        let events = self.events_days.map(|days| days.max(EVENTS_DAYS_MIN));
        let own = match class {
            PartitionClass::Event => events,
            PartitionClass::Body => self.bodies_days.map(|days| days.max(BODIES_DAYS_MIN)),
            PartitionClass::Delivery | PartitionClass::Attempt => {
                self.deliveries_days.map(|days| days.max(DELIVERIES_DAYS_MIN))
            }
        };
        own.into_iter().chain(events).min()
    }
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Whole partitions, of a server; of a file the rows are counted.
    pub partitions: usize,
    /// Events.
    pub events: usize,
    /// Bodies.
    pub bodies: usize,
    /// Deliveries.
    pub deliveries: usize,
    /// Sessions of operators that were over.
    pub sessions: usize,
}

/// Asks a file for one bounded slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) class: PartitionClass,
    pub(crate) days: u32,
    pub(crate) now: Timestamp,
    /// Rows up to this one were looked at.
    pub(crate) after: i64,
}

/// What became of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sliced {
    pub(crate) removed: usize,
    /// Where the next slice begins, if there is one.
    pub(crate) after: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_longer_than_its_event_or_for_less_than_it_must() {
        let check = |retention: Retention, expected: [Option<u32>; 4]| {
            let days = PartitionClass::ALL.iter().map(|class| retention.days(*class));
            assert_eq!(days.collect::<Vec<_>>(), expected, "{retention:?}");
        };
        check(Retention::default(), [None; 4]);
        let events = Retention { events_days: Some(90), ..Retention::default() };
        check(events, [Some(90); 4]);
        let some = Retention { bodies_days: Some(30), deliveries_days: Some(400), ..events };
        check(some, [Some(90), Some(30), Some(90), Some(90)]);
        let little =
            Retention { events_days: Some(0), bodies_days: Some(1), deliveries_days: None };
        check(little, [Some(37), Some(8), Some(37), Some(37)]);
    }
}
