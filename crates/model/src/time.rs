//! Points in time, as unix milliseconds.

use std::fmt;
use std::str::FromStr;

/// A point in time in unix milliseconds. Prints as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time such as 2026-01-31T12:00:00Z")
    }
}

impl std::error::Error for NotATime {}

impl Timestamp {
    /// From unix milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Unix milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Unix seconds, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time and so many milliseconds, held at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Days since 1970-01-01 (UTC).
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }

    /// Minutes since 1970-01-01 (UTC).
    pub const fn minute(self) -> i64 {
        self.0.div_euclid(60_000)
    }

    /// The calendar date in UTC, such as `2026-01-31`.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_millisecond()))
            .map_err(|_| NotATime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_milliseconds_and_reads_back() {
        let time = Timestamp::from_millis(1_767_225_600_000);
        assert_eq!(time.to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!("2026-01-01T00:00:00.000Z".parse(), Ok(time));
        assert_eq!(time.date(), "2026-01-01");
        assert_eq!("yesterday".parse::<Timestamp>(), Err(NotATime));
    }

    #[test]
    fn days_and_minutes_round_down_before_the_epoch() {
        assert_eq!(Timestamp::from_millis(-1).day(), -1);
        assert_eq!(Timestamp::from_millis(-1).minute(), -1);
        assert_eq!(Timestamp::from_millis(-1).as_seconds(), -1);
    }
}
