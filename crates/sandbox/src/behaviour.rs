//! How a provider treats an answer: how long it waits, what it takes for success, when it retries.

use std::time::Duration;

/// What a provider takes for success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// Any 2xx.
    AnySuccess,
    /// 200 and nothing else.
    Exactly200,
}

impl Success {
    /// Is this status a success?
    pub fn is_met_by(self, status: u16) -> bool {
        match self {
            Self::AnySuccess => (200..300).contains(&status),
            Self::Exactly200 => status == 200,
        }
    }
}

/// How a provider treats an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// What it takes for success.
    pub success: Success,
    /// How long it waits for the answer, milliseconds of real time.
    pub answer_ms_max: u64,
    /// The waits before the second, third, … attempt, milliseconds of the provider's time.
    pub waits_ms: &'static [u64],
    /// The waits are published by the provider, not assumed here.
    pub waits_published: bool,
}

/// How much faster than the provider's the simulator's clock runs between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    speed: u32,
}

impl Pace {
    /// As slow as in life.
    pub const REAL: Self = Self { speed: 1 };

    /// So many times faster; 0 is taken as 1.
    pub fn times(speed: u32) -> Self {
        Self { speed: speed.max(1) }
    }

    /// How long a wait of the provider's takes here.
    pub fn scale(self, wait_ms: u64) -> Duration {
        Duration::from_millis(wait_ms) / self.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_as_the_provider_defines_it() {
        assert!(Success::AnySuccess.is_met_by(204));
        assert!(!Success::AnySuccess.is_met_by(301));
        assert!(Success::Exactly200.is_met_by(200));
        assert!(!Success::Exactly200.is_met_by(204));
        assert!(!Success::Exactly200.is_met_by(401));
    }

    #[test]
    fn waits_are_scaled() {
        assert_eq!(Pace::REAL.scale(60_000), Duration::from_secs(60));
        assert_eq!(Pace::times(3000).scale(60_000), Duration::from_millis(20));
        assert_eq!(Pace::times(0).scale(5), Duration::from_millis(5));
    }
}
