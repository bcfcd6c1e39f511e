//! The life of a secret: it counts from when it was added until it is retired, and one that was rolled
//! over counts a while longer beside its successor.

use crate::Timestamp;

/// After so many days a secret is due to be rolled (guides: every 90 days).
pub const AGE_DAYS_MAX: i64 = 90;

/// So many days before, whoever operates the gateway is told.
pub const WARNED_DAYS_BEFORE: i64 = 14;

const DAY_MS: i64 = 86_400_000;

/// What is signed with it, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretKind {
    /// A provider signs webhooks to a source.
    Source,
    /// We sign deliveries to an endpoint.
    Endpoint,
}

impl SecretKind {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Endpoint => "endpoint",
        }
    }
}

/// What is known of one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretLife {
    /// What it is for.
    pub kind: SecretKind,
    /// When it was added, or first seen in the configuration.
    pub since: Timestamp,
    /// Until when it counts beside its successor, once it has one.
    pub ends_at: Option<Timestamp>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
    /// When a real message was first verified with it.
    pub proven_at: Option<Timestamp>,
}

/// Where a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// It counts.
    Active,
    /// It counts beside its successor.
    Ending,
    /// Its time is over, but its successor has not verified a real message yet: it still counts.
    Waiting,
    /// It does not count any more.
    Retired,
}

impl SecretState {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Waiting => "waiting",
            Self::Retired => "retired",
        }
    }

    /// Whether messages are verified or signed with it.
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Retired)
    }
}

impl SecretLife {
    /// Where it stands, beside the others of its source or endpoint.
    pub fn state(&self, others: &[Self], now: Timestamp) -> SecretState {
        if self.retired_at.is_some() {
            return SecretState::Retired;
        }
        let Some(ends_at) = self.ends_at else { return SecretState::Active };
        if now < ends_at {
            return SecretState::Ending;
        }
        // A provider that was not told of the new one must not be locked out.
        let is_proven = |other: &Self| {
            other.since > self.since && other.retired_at.is_none() && other.proven_at.is_some()
        };
        let needs_proof = self.kind == SecretKind::Source;
        if needs_proof && !others.iter().any(is_proven) {
            SecretState::Waiting
        } else {
            SecretState::Retired
        }
    }

    /// Whole days since it was added or first seen.
    pub fn age_days(&self, now: Timestamp) -> i64 {
        ((now.as_millis() - self.since.as_millis()) / DAY_MS).max(0)
    }

    /// Whether it is due to be rolled, or nearly.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.age_days(now) >= AGE_DAYS_MAX - WARNED_DAYS_BEFORE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * DAY_MS / 24)
    }

    fn life(kind: SecretKind, since: i64) -> SecretLife {
        let (ends_at, retired_at, proven_at) = (None, None, None);
        SecretLife { kind, since: at(since), ends_at, retired_at, proven_at }
    }

    #[test]
    fn the_old_one_of_a_source_counts_until_the_new_one_has_verified_something() {
        let old = SecretLife { ends_at: Some(at(24)), ..life(SecretKind::Source, 0) };
        let new = life(SecretKind::Source, 1);
        let proven = SecretLife { proven_at: Some(at(2)), ..new };
        assert_eq!(new.state(&[old], at(99)), SecretState::Active);
        assert_eq!(old.state(&[new], at(23)), SecretState::Ending);
        assert_eq!(old.state(&[new], at(24)), SecretState::Waiting);
        assert_eq!(old.state(&[proven], at(23)), SecretState::Ending);
        assert_eq!(old.state(&[proven], at(24)), SecretState::Retired);
        // One that was proven before is no successor, and one that is retired is none.
        let earlier = SecretLife { proven_at: Some(at(-1)), ..life(SecretKind::Source, -2) };
        let retired = SecretLife { retired_at: Some(at(3)), ..proven };
        assert_eq!(old.state(&[earlier, retired], at(24)), SecretState::Waiting);
        let retired = SecretLife { retired_at: Some(at(1)), ..old };
        assert_eq!(retired.state(&[], at(2)), SecretState::Retired);
    }

    #[test]
    fn the_old_one_of_an_endpoint_ends_with_its_overlap() {
        let old = SecretLife { ends_at: Some(at(24)), ..life(SecretKind::Endpoint, 0) };
        let new = life(SecretKind::Endpoint, 1);
        assert_eq!(old.state(&[new], at(23)), SecretState::Ending);
        assert_eq!(old.state(&[new], at(24)), SecretState::Retired);
        assert!(SecretState::Waiting.counts() && !SecretState::Retired.counts());
    }

    #[test]
    fn age_is_counted_in_whole_days_and_told_before_it_is_due() {
        let one = life(SecretKind::Source, 0);
        assert_eq!((one.age_days(at(23)), one.age_days(at(24)), one.age_days(at(-48))), (0, 1, 0));
        assert!(!one.is_old(at(75 * 24)) && one.is_old(at(76 * 24)));
    }
}
