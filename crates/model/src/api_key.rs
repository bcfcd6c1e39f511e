//! API keys: what an application shows to be let in, how long it counts, and what takes its place.
//!
//! The text form is `cs_{test|live}_{id}_{secret}_{checksum}` ([`text`]). A key that is **rolled**
//! gets a successor with the same grant and goes on working for the overlap, so that an application
//! can change over. There is one generation of grace at a time. What is **revoked** never works again.

pub mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use sabotage::Defect;

use crate::limits::API_KEY_WARN_DAYS;
use crate::{Permission, Reach, Timestamp};

pub use text::{ApiKey, Malformed, Secret};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What a key allows, whose things it reaches, and from where. A successor inherits all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// What may be done with it.
    pub permissions: BTreeSet<Permission>,
    /// Whose things it sees.
    pub reach: Reach,
    /// Where it may be used from; empty means anywhere.
    pub networks: Vec<IpNet>,
}

impl Grant {
    /// Whether the key may be used from this address. One of IPv4 that is written as IPv6 is the
    /// same address.
    pub fn lets_in(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// How long a key goes on working beside its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// It ends at once.
    None,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
}

impl Overlap {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::None, Self::Hour, Self::Day, Self::Week];

    /// As it is written.
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// How long it is, milliseconds.
    pub const fn as_millis(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Hour => DAY_MS / 24,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
        }
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A text that is no overlap, or no cause of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown(&'static str);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write one of {}", self.0)
    }
}

impl std::error::Error for Unknown {}

impl FromStr for Overlap {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.iter().copied().find(|overlap| overlap.code() == text);
        found.ok_or(Unknown("0, 1h, 24h, 7d"))
    }
}

/// Why a key was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nobody needs it any more.
    Retired,
    /// Others know it.
    Leaked,
    /// Others may know it.
    Suspected,
}

impl Cause {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Retired, Self::Leaked, Self::Suspected];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Retired => "retired",
            Self::Leaked => "leaked",
            Self::Suspected => "suspected",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Cause {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.iter().copied().find(|cause| cause.code() == text);
        found.ok_or(Unknown("retired, leaked, suspected"))
    }
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It works.
    Active,
    /// It has a successor, and works until its grace is over.
    Rolled,
    /// It has a successor, and its grace is over; or its time is.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl State {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rolled => "rolled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether a key in this state lets anybody in.
    pub const fn works(self) -> bool {
        matches!(self, Self::Active | Self::Rolled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When its time is over, whatever happens.
    pub expires_at: Timestamp,
    /// When its grace is over, once it has a successor.
    pub grace_until: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
}

impl Life {
    /// Where the key stands now. A revocation counts whatever time it bears: clocks differ.
    pub fn verdict(&self, now: Timestamp) -> State {
        if self.revoked_at.is_some() && !sabotage::on(Defect::RevokedKeyWorks) {
            return State::Revoked;
        }
        if now >= self.expires_at {
            return State::Expired;
        }
        match self.grace_until {
            None => State::Active,
            Some(until) if now < until => State::Rolled,
            Some(_) => State::Expired,
        }
    }

    /// The mark of [`API_KEY_WARN_DAYS`] that a working key without a successor has passed last: its
    /// owner should be warned that it ends within so many days.
    pub fn warning(&self, now: Timestamp) -> Option<i64> {
        if self.verdict(now) != State::Active {
            return None;
        }
        let left = self.expires_at.as_millis().saturating_sub(now.as_millis());
        API_KEY_WARN_DAYS.into_iter().filter(|days| left <= days * DAY_MS).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn life() -> Life {
        Life { expires_at: NOON.plus_millis(90 * DAY_MS), grace_until: None, revoked_at: None }
    }

    #[test]
    fn a_key_works_until_its_time_is_over() {
        let life = life();
        assert_eq!(life.verdict(NOON), State::Active);
        assert_eq!(life.verdict(life.expires_at.plus_millis(-1)), State::Active);
        assert_eq!(life.verdict(life.expires_at), State::Expired);
        assert!(State::Active.works() && State::Rolled.works());
        assert!(!State::Expired.works() && !State::Revoked.works());
    }

    #[test]
    fn a_rolled_key_works_for_its_grace_and_no_longer() {
        let until = NOON.plus_millis(Overlap::Hour.as_millis());
        let rolled = Life { grace_until: Some(until), ..life() };
        assert_eq!(rolled.verdict(NOON), State::Rolled);
        assert_eq!(rolled.verdict(until.plus_millis(-1)), State::Rolled);
        assert_eq!(rolled.verdict(until), State::Expired);
        // Without an overlap it ends as it is rolled, and never later than its own time.
        let at_once = Life { grace_until: Some(NOON), ..life() };
        assert_eq!(at_once.verdict(NOON), State::Expired);
        let short = Life { expires_at: NOON.plus_millis(5), ..rolled };
        assert_eq!(short.verdict(NOON.plus_millis(5)), State::Expired);
    }

    #[test]
    fn a_revoked_key_never_works_again() {
        let ahead = NOON.plus_millis(DAY_MS);
        for revoked_at in [NOON, ahead] {
            for grace_until in [None, Some(ahead)] {
                let revoked = Life { revoked_at: Some(revoked_at), grace_until, ..life() };
                for now in [NOON.plus_millis(-1), NOON, ahead, revoked.expires_at] {
                    assert_eq!(revoked.verdict(now), State::Revoked);
                }
            }
        }
    }

    #[test]
    fn an_end_is_announced_at_each_mark() {
        let life = life();
        let days_before =
            |days: i64, ms: i64| life.warning(life.expires_at.plus_millis(-days * DAY_MS - ms));
        assert_eq!(days_before(14, 1), None);
        assert_eq!(days_before(14, 0), Some(14));
        assert_eq!(days_before(7, 1), Some(14));
        assert_eq!(days_before(7, 0), Some(7));
        assert_eq!(days_before(1, 1), Some(7));
        assert_eq!(days_before(1, 0), Some(1));
        assert_eq!(days_before(0, 1), Some(1));
        assert_eq!(days_before(0, 0), None, "it is over");
        let soon = life.expires_at.plus_millis(-5);
        let rolled = Life { grace_until: Some(life.expires_at), ..life };
        assert_eq!(rolled.warning(soon), None, "it has a successor");
        assert_eq!(Life { revoked_at: Some(NOON), ..life }.warning(soon), None);
    }

    #[test]
    fn codes_are_read_back_and_nothing_else_is() {
        for overlap in Overlap::ALL {
            assert_eq!(overlap.code().parse(), Ok(*overlap));
        }
        for cause in Cause::ALL {
            assert_eq!(cause.code().parse(), Ok(*cause));
        }
        for bad in ["", "2h", "1H", "24", "07d"] {
            let refused = bad.parse::<Overlap>().map_err(|error| error.to_string());
            assert_eq!(refused, Err("write one of 0, 1h, 24h, 7d".to_owned()), "{bad}");
        }
        assert!("lost".parse::<Cause>().is_err());
    }

    #[test]
    fn a_grant_lets_in_from_its_networks_only() {
        let of = |text: &str| text.parse::<IpAddr>().expect("an address");
        let bound = Grant {
            networks: ["192.0.2.0/24", "2001:db8::/32"]
                .iter()
                .map(|network| network.parse().expect("a network"))
                .collect(),
            ..Grant::default()
        };
        for inside in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"] {
            assert!(bound.lets_in(of(inside)), "{inside}");
        }
        for outside in ["192.0.3.1", "::ffff:192.0.3.1", "2001:db9::1", "::192.0.2.7"] {
            assert!(!bound.lets_in(of(outside)), "{outside}");
            assert!(Grant::default().lets_in(of(outside)));
        }
    }
}
