//! When a delivery is tried again: a pure function of what happened.
//!
//! The schedule is the one that Standard Webhooks gives as an example, ten attempts over about
//! 75 hours. Jitter is only ever added, so nothing is tried early.

use sabotage::Defect;

use crate::Timestamp;

/// The wait before attempt n+1, after n attempts, in milliseconds.
pub const WAITS_MS: [i64; 9] = [
    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
    86_400_000,
];

/// Attempts in all, the first included.
pub const ATTEMPTS_MAX: u32 = 10;

/// After so many failed attempts the head of an ordering key is parked and the key moves on.
pub const HEAD_ATTEMPTS: u32 = 4;

/// A receiver that is overloaded or silent is not asked again sooner than this, milliseconds.
const THROTTLE_MS: i64 = 60_000;

/// What the receiver asked for, beyond having failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// `Retry-After`, in milliseconds from now.
    pub retry_after_ms: Option<i64>,
    /// 429, 502, 504 or no answer in time: wait at least a minute.
    pub throttle: bool,
}

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time.
    At(Timestamp),
    /// The attempts are used up.
    Exhausted,
}

/// When to try again after `attempts` failed attempts, the last of which ended at `now`.
///
/// `jitter` is a random byte: up to a tenth of the wait is added, at most a quarter of an hour.
/// A `Retry-After` is honoured between the wait and twice the wait.
pub fn next(attempts: u32, now: Timestamp, wish: Wish, jitter: u8) -> Next {
    let skipped = u32::from(sabotage::on(Defect::RetryStepSkipped) && attempts > 2);
    let step = attempts.saturating_sub(1).saturating_add(skipped);
    let wait = usize::try_from(step).ok().and_then(|step| WAITS_MS.get(step));
    let Some(&wait) = wait.filter(|_| attempts > 0 && attempts < ATTEMPTS_MAX) else {
        return Next::Exhausted;
    };
    let asked = wish.retry_after_ms.map_or(wait, |asked| asked.clamp(wait, wait * 2));
    let floor = if wish.throttle { THROTTLE_MS } else { 0 };
    let added = (wait / 10).min(900_000) * i64::from(jitter) / 255;
    let added = if sabotage::on(Defect::JitterNegative) { -added } else { added };
    Next::At(now.plus_millis(asked.max(floor) + added))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn wait_ms(attempts: u32, wish: Wish, jitter: u8) -> Option<i64> {
        match next(attempts, NOW, wish, jitter) {
            Next::At(time) => Some(time.as_millis() - NOW.as_millis()),
            Next::Exhausted => None,
        }
    }

    #[test]
    fn the_schedule_is_ten_attempts() {
        let waits: Vec<_> = (1..10).map(|n| wait_ms(n, Wish::default(), 0)).collect();
        assert_eq!(waits, WAITS_MS.map(Some));
        assert_eq!(wait_ms(10, Wish::default(), 0), None);
        assert_eq!(wait_ms(0, Wish::default(), 0), None);
        assert_eq!(wait_ms(u32::MAX, Wish::default(), 0), None);
    }

    #[test]
    fn jitter_is_only_added() {
        assert_eq!(wait_ms(2, Wish::default(), 255), Some(330_000));
        assert_eq!(wait_ms(9, Wish::default(), 255), Some(86_400_000 + 900_000));
    }

    #[test]
    fn retry_after_is_held_between_once_and_twice_the_wait() {
        let asked = |ms| Wish { retry_after_ms: Some(ms), throttle: false };
        assert_eq!(wait_ms(2, asked(1), 0), Some(300_000));
        assert_eq!(wait_ms(2, asked(400_000), 0), Some(400_000));
        assert_eq!(wait_ms(2, asked(i64::MAX), 0), Some(600_000));
        assert_eq!(wait_ms(2, asked(i64::MIN), 0), Some(300_000));
    }

    #[test]
    fn an_overloaded_receiver_gets_a_minute() {
        assert_eq!(wait_ms(1, Wish { retry_after_ms: None, throttle: true }, 0), Some(60_000));
        assert_eq!(wait_ms(2, Wish { retry_after_ms: None, throttle: true }, 0), Some(300_000));
    }
}
