//! What options are given: states, times and headers.

use std::str::FromStr;

use clap::ValueEnum;
use model::{DeliveryStatus, EventStatus, Timestamp};

/// The status of an event, or of what was not recorded as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// May be delivered.
    Accepted,
    /// Waits for a fact or a person.
    Held,
    /// Will not be delivered.
    Denied,
    /// Cannot be read or trusted.
    Quarantined,
    /// Came again.
    Duplicate,
    /// Not authentic, or not let in.
    Refused,
}

impl Status {
    /// The status of an event that is recorded, if it is one.
    pub(crate) fn of_event(self) -> Option<EventStatus> {
        match self {
            Self::Accepted => Some(EventStatus::Accepted),
            Self::Held => Some(EventStatus::Held),
            Self::Denied => Some(EventStatus::Denied),
            Self::Quarantined => Some(EventStatus::Quarantined),
            Self::Duplicate | Self::Refused => None,
        }
    }
}

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeliveryState {
    /// Will be tried, or is being tried.
    Pending,
    /// The endpoint answered 2xx.
    Delivered,
    /// Given up.
    Dead,
}

impl From<DeliveryState> for DeliveryStatus {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => Self::Pending,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Dead => Self::Dead,
        }
    }
}

/// A point in time as written on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A time.
    At(Timestamp),
    /// So many milliseconds before now.
    Ago(i64),
}

impl Moment {
    /// The time that is meant.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(millis) => now.plus_millis(-millis),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let wrong = || {
            "not a time: write 2026-01-31T12:00:00Z, unix seconds, or how long ago (15m, 2h, 7d)"
                .to_owned()
        };
        if is_number(text) {
            let seconds: i64 = text.parse().map_err(|_| wrong())?;
            return Ok(Self::At(Timestamp::from_millis(seconds.saturating_mul(1000))));
        }
        for (unit, millis) in [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)] {
            if let Some(digits) = text.strip_suffix(unit).filter(|digits| is_number(digits)) {
                let count: i64 = digits.parse().map_err(|_| wrong())?;
                return Ok(Self::Ago(count.saturating_mul(millis)));
            }
        }
        text.parse().map(Self::At).map_err(|_| wrong())
    }
}

/// One header as written on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("not a header: write 'Name: value'")?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("not a header's name".to_owned());
        }
        Ok(Self { name: name.to_owned(), value: value.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_ages() {
        let now = Timestamp::from_millis(10_000_000);
        let millis = |text: &str| text.parse::<Moment>().map(|m| m.resolve(now).as_millis()).ok();
        assert_eq!(millis("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(millis("1"), Some(1_000));
        assert_eq!(millis("2h"), Some(10_000_000 - 7_200_000));
        for bad in ["", "h", "-1h", "1w", "yesterday", "99999999999999999999"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn headers_have_a_name() {
        let header: Header = "X-Sig:  a:b ".parse().expect("good");
        assert_eq!((header.name.as_str(), header.value.as_str()), ("X-Sig", "a:b"));
        for bad in ["x", ": y", "a b: c"] {
            assert!(bad.parse::<Header>().is_err(), "{bad}");
        }
    }
}
