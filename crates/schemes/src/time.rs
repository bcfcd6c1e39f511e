//! Signed times: how they are written, and whether they are inside the window.

use sabotage::Defect;

use crate::reason::Rejection;

/// Which window the signed time must be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The profile's.
    Profile,
    /// So many seconds, both ways.
    Seconds(i64),
    /// None. Only for judging vectors of schemes that sign no time.
    DangerUntested,
}

/// How a signed time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    /// Seconds or milliseconds, told apart by their number of digits.
    Auto,
    Rfc3339,
}

const SECONDS_DIGITS: usize = 10;
const MILLISECONDS_DIGITS: usize = 13;
const RFC3339_BYTES_MAX: usize = 40;

impl Unit {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "auto" => Self::Auto,
            "rfc3339" => Self::Rfc3339,
            _ => return None,
        })
    }

    /// Milliseconds since 1970. Only canonical decimals count: `1704067200000abc` is what a lenient
    /// reader takes for a number, and a time in another unit is a mistake to be told, not guessed.
    pub(crate) fn read(self, text: &[u8]) -> Result<i64, Rejection> {
        let text = std::str::from_utf8(text).map_err(|_| Rejection::MalformedTimestamp)?;
        if self == Self::Rfc3339 {
            if text.len() > RFC3339_BYTES_MAX {
                return Err(Rejection::MalformedTimestamp);
            }
            let time: Result<jiff::Timestamp, _> = text.parse();
            return time
                .map(jiff::Timestamp::as_millisecond)
                .map_err(|_| Rejection::MalformedTimestamp);
        }
        let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        if !canonical {
            return Err(Rejection::MalformedTimestamp);
        }
        let number: i64 = text.parse().map_err(|_| Rejection::MalformedTimestamp)?;
        match (self, text.len()) {
            (Self::Seconds | Self::Auto, SECONDS_DIGITS) => Ok(number.saturating_mul(1000)),
            (Self::Milliseconds | Self::Auto, MILLISECONDS_DIGITS) => Ok(number),
            (_, SECONDS_DIGITS | MILLISECONDS_DIGITS) => Err(Rejection::WrongTimeUnit),
            _ => Err(Rejection::MalformedTimestamp),
        }
    }

    pub(crate) fn write(self, now_ms: i64) -> String {
        match self {
            Self::Seconds | Self::Auto => now_ms.div_euclid(1000).to_string(),
            Self::Milliseconds => now_ms.to_string(),
            Self::Rfc3339 => jiff::Timestamp::from_millisecond(now_ms)
                .map_or_else(|_| now_ms.to_string(), |time| time.to_string()),
        }
    }
}

/// How far the signed time may be from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) unit: Unit,
    pub(crate) past_s: i64,
    pub(crate) future_s: i64,
}

impl Window {
    /// Exactly at the edge is still inside. Times in seconds are compared in whole seconds.
    pub(crate) fn check(
        &self,
        signed_ms: i64,
        now_ms: i64,
        freshness: Freshness,
    ) -> Result<(), Rejection> {
        let (past_s, future_s) = match freshness {
            Freshness::Profile => (self.past_s, self.future_s),
            Freshness::Seconds(seconds) => (seconds, seconds),
            Freshness::DangerUntested => return Ok(()),
        };
        let whole_seconds = signed_ms.rem_euclid(1000) == 0 && self.unit != Unit::Milliseconds;
        let past_second = if whole_seconds { now_ms.rem_euclid(1000) } else { 0 };
        let now_ms = now_ms.saturating_sub(past_second);
        let age_ms = now_ms.saturating_sub(signed_ms);
        if age_ms > past_s.saturating_mul(1000) && !sabotage::on(Defect::OldAccepted) {
            Err(Rejection::TooOld)
        } else if age_ms < future_s.saturating_mul(-1000) && !sabotage::on(Defect::FutureAccepted) {
            Err(Rejection::InFuture)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_canonical_times_of_the_right_unit_count() {
        let read = |unit: Unit, text: &str| unit.read(text.as_bytes());
        assert_eq!(read(Unit::Seconds, "1700000000"), Ok(1_700_000_000_000));
        assert_eq!(read(Unit::Milliseconds, "1700000000001"), Ok(1_700_000_000_001));
        assert_eq!(read(Unit::Auto, "1700000000001"), Ok(1_700_000_000_001));
        assert_eq!(read(Unit::Auto, "1700000000"), Ok(1_700_000_000_000));
        assert_eq!(read(Unit::Rfc3339, "2023-11-14T22:13:20.5Z"), Ok(1_700_000_000_500));
        assert_eq!(read(Unit::Seconds, "1700000000000"), Err(Rejection::WrongTimeUnit));
        assert_eq!(read(Unit::Milliseconds, "1700000000"), Err(Rejection::WrongTimeUnit));
        for text in [
            "",
            "0",
            "17000000000abc",
            "1700000000 ",
            "+170000000",
            "0170000000",
            "1e9",
            "-1",
            "١٧٠٠٠٠٠٠٠٠",
        ] {
            assert_eq!(read(Unit::Seconds, text), Err(Rejection::MalformedTimestamp), "{text}");
        }
        for text in ["", "yesterday", "2023-11-14", "2023-11-14T22:13:20", "2023-99-14T22:13:20Z"] {
            assert_eq!(read(Unit::Rfc3339, text), Err(Rejection::MalformedTimestamp), "{text}");
        }
    }

    #[test]
    fn the_window_is_closed_on_both_sides() {
        let window = Window { unit: Unit::Seconds, past_s: 300, future_s: 60 };
        let check = |signed: i64, now: i64, freshness| window.check(signed, now, freshness);
        let now = 1_700_000_000_000;
        assert_eq!(check(now - 300_000, now + 999, Freshness::Profile), Ok(()));
        assert_eq!(check(now - 301_000, now, Freshness::Profile), Err(Rejection::TooOld));
        assert_eq!(check(now + 60_000, now, Freshness::Profile), Ok(()));
        assert_eq!(check(now + 61_000, now, Freshness::Profile), Err(Rejection::InFuture));
        assert_eq!(check(now + 61_000, now, Freshness::Seconds(61)), Ok(()));
        assert_eq!(check(now - 5_000, now, Freshness::Seconds(4)), Err(Rejection::TooOld));
        assert_eq!(check(0, now, Freshness::DangerUntested), Ok(()));
        let exact = Window { unit: Unit::Milliseconds, ..window };
        assert_eq!(exact.check(now - 300_001, now, Freshness::Profile), Err(Rejection::TooOld));
    }

    proptest! {
        #[test]
        fn no_text_or_time_makes_it_panic(text in ".*", signed: i64, now: i64, seconds: i64) {
            for unit in [Unit::Seconds, Unit::Milliseconds, Unit::Auto, Unit::Rfc3339] {
                let _ = unit.read(text.as_bytes());
                let _ = unit.write(now);
                let window = Window { unit, past_s: seconds, future_s: seconds };
                let _ = window.check(signed, now, Freshness::Profile);
            }
        }

        #[test]
        fn what_is_written_is_read(now_ms in 1_000_000_000_000_i64..9_999_999_999_999) {
            prop_assert_eq!(Unit::Milliseconds.read(Unit::Milliseconds.write(now_ms).as_bytes()), Ok(now_ms));
            prop_assert_eq!(Unit::Rfc3339.read(Unit::Rfc3339.write(now_ms).as_bytes()), Ok(now_ms));
            let seconds = now_ms - now_ms % 1000;
            prop_assert_eq!(Unit::Seconds.read(Unit::Seconds.write(now_ms).as_bytes()), Ok(seconds));
        }
    }
}
