//! Operators: what they are called, which passwords they may have, and how their sessions end.
//!
//! An operator **signs in** and has a *session* until they sign out, have been idle for too long, or
//! it is too old. To do what cannot be undone they **confirm** who they are once more, which counts
//! for a few minutes. Whoever signs in or confirms gets a new token; the old one is over.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;
use crate::limits::{
    CONFIRMED_MS, LOGIN_CHARS_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, SESSION_IDLE_MS_MAX,
    SESSION_MS_MAX,
};

/// The passwords that are tried first: those that long which many people have, in lower case.
const COMMON: &str = include_str!("operator/common.txt");

/// What an operator signs in as.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login(String);

/// A text that cannot be signed in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotALogin;

impl fmt::Display for NotALogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a login: write 1 to {LOGIN_CHARS_MAX} lower-case letters, digits and . _ -, a \
             letter or digit first"
        )
    }
}

impl std::error::Error for NotALogin {}

impl Login {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Login {
    type Err = NotALogin;

    fn from_str(text: &str) -> Result<Self, NotALogin> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(is_plain);
        let is_login = begins
            && text.len() <= LOGIN_CHARS_MAX
            && text.bytes().all(|b| is_plain(b) || b"._-".contains(&b));
        if is_login { Ok(Self(text.to_owned())) } else { Err(NotALogin) }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a password is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeakPassword {
    /// It is too short.
    Short,
    /// It is too long.
    Long,
    /// It is what the operator is called.
    Login,
    /// It is one of those that are tried first.
    Common,
}

impl WeakPassword {
    /// Every reason.
    pub const ALL: &'static [Self] = &[Self::Short, Self::Long, Self::Login, Self::Common];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Short => "password_short",
            Self::Long => "password_long",
            Self::Login => "password_is_login",
            Self::Common => "password_common",
        }
    }
}

impl fmt::Display for WeakPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => {
                write!(f, "the password is too short: {PASSWORD_CHARS_MIN} characters at least")
            }
            Self::Long => {
                write!(f, "the password is too long: {PASSWORD_BYTES_MAX} bytes at most")
            }
            Self::Login => f.write_str("the password is the login: choose another one"),
            Self::Common => {
                f.write_str("the password is one that is tried first: choose another one")
            }
        }
    }
}

impl std::error::Error for WeakPassword {}

/// Sees that a password may be an operator's. What it is made of is not asked: length counts.
///
/// # Errors
/// It may not.
pub fn check_password(login: &Login, password: &str) -> Result<(), WeakPassword> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(WeakPassword::Long);
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(WeakPassword::Short);
    }
    let plain = password.to_lowercase();
    if plain == login.as_str() {
        return Err(WeakPassword::Login);
    }
    if COMMON.lines().any(|common| common == plain) {
        return Err(WeakPassword::Common);
    }
    Ok(())
}

/// When what happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLife {
    /// When its operator signed in: who confirms gets another token, and no more time.
    pub created_at: Timestamp,
    /// When it was last used, about.
    pub last_seen_at: Timestamp,
    /// When its operator last said who they are.
    pub confirmed_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It lets its operator in.
    Open,
    /// It was not used for too long.
    Idle,
    /// Its time is over.
    TooOld,
    /// Somebody ended it, or it has another token.
    Ended,
}

impl SessionLife {
    /// A session that begins.
    pub const fn begun(now: Timestamp) -> Self {
        Self { created_at: now, last_seen_at: now, confirmed_at: now, ended_at: None }
    }

    /// How it stands. A clock that was set back gives it no more than its time once more.
    pub fn state(&self, now: Timestamp) -> SessionState {
        if self.ended_at.is_some() {
            SessionState::Ended
        } else if apart(self.created_at, now) >= SESSION_MS_MAX {
            SessionState::TooOld
        } else if apart(self.last_seen_at, now) >= SESSION_IDLE_MS_MAX {
            SessionState::Idle
        } else {
            SessionState::Open
        }
    }

    /// Whether its operator said who they are a moment ago.
    pub fn is_confirmed(&self, now: Timestamp) -> bool {
        self.state(now) == SessionState::Open && apart(self.confirmed_at, now) < CONFIRMED_MS
    }

    /// When it ends, however much it is used.
    pub const fn ends_at(&self) -> Timestamp {
        self.created_at.plus_millis(SESSION_MS_MAX)
    }
}

fn apart(one: Timestamp, other: Timestamp) -> i64 {
    let apart = one.as_millis().abs_diff(other.as_millis());
    i64::try_from(apart).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000 + ms)
    }

    #[test]
    fn logins_are_plain() {
        for good in ["ada", "a", "7", "grace.hopper", "a_b-c.9", &"a".repeat(64)] {
            assert_eq!(good.parse::<Login>().map(|login| login.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "Ada", ".ada", "-ada", "_", "ada ", "ada@shop", "ädä", &"a".repeat(65)] {
            assert_eq!(bad.parse::<Login>(), Err(NotALogin), "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_long_and_not_the_first_that_are_tried() {
        let login: Login = "grace.hopper.the.first".parse().unwrap();
        let check = |password: &str| check_password(&login, password);
        for good in ["twelve chars", "ääääääöööööö", "a".repeat(13).as_str(), &"é".repeat(128)]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(""), Err(WeakPassword::Short));
        assert_eq!(check("eleven char"), Err(WeakPassword::Short));
        // Bytes are not characters.
        assert_eq!(check("ääääää"), Err(WeakPassword::Short));
        assert_eq!(check(&"a".repeat(257)), Err(WeakPassword::Long));
        assert_eq!(check(&"é".repeat(129)), Err(WeakPassword::Long));
        assert_eq!(check("grace.hopper.the.first"), Err(WeakPassword::Login));
        assert_eq!(check("Grace.Hopper.The.First"), Err(WeakPassword::Login));
        for common in ["password1234", "PassWord1234", "correcthorsebatterystaple"] {
            assert_eq!(check(common), Err(WeakPassword::Common), "{common}");
        }
    }

    #[test]
    fn the_list_is_in_lower_case_and_has_nothing_that_is_refused_anyhow() {
        let mut seen = std::collections::HashSet::new();
        for common in COMMON.lines().filter(|line| line.len() >= PASSWORD_CHARS_MIN) {
            assert_eq!(common, common.to_lowercase());
            assert!(seen.insert(common), "{common} is there twice");
        }
        assert_eq!(seen.len(), COMMON.lines().count(), "the others are too short");
    }

    #[test]
    fn a_session_ends_by_each_of_its_ends() {
        let minute = 60_000;
        let life = SessionLife::begun(at(0));
        assert_eq!(life.state(at(15 * minute - 1)), SessionState::Open);
        assert_eq!(life.state(at(15 * minute)), SessionState::Idle);
        let used = |ms: i64| SessionLife { last_seen_at: at(ms), ..life };
        let hours = 12 * 60 * minute;
        assert_eq!(used(hours - 2).state(at(hours - 1)), SessionState::Open);
        assert_eq!(used(hours - 2).state(at(hours)), SessionState::TooOld);
        assert_eq!(life.ends_at(), at(hours));
        let ended = SessionLife { ended_at: Some(at(5)), ..life };
        assert_eq!(ended.state(at(4)), SessionState::Ended);
        assert!(!ended.is_confirmed(at(4)));
    }

    #[test]
    fn confirming_counts_for_five_minutes() {
        let minute = 60_000;
        let used = |ms: i64| SessionLife { last_seen_at: at(ms), ..SessionLife::begun(at(0)) };
        assert!(used(0).is_confirmed(at(5 * minute - 1)));
        assert!(!used(0).is_confirmed(at(5 * minute)));
        let again = SessionLife { confirmed_at: at(30 * minute), ..used(30 * minute) };
        assert!(again.is_confirmed(at(34 * minute)));
        // An idle session is not confirmed, however lately it was.
        assert!(!again.is_confirmed(at(46 * minute)));
    }

    #[test]
    fn roles_are_in_the_order_of_their_numbers() {
        assert!(Role::ALL.is_sorted());
    }

    proptest! {
        #[test]
        fn no_clock_makes_a_session_outlive_its_time(created in 0_i64..100_000_000, seen in 0_i64..100_000_000, now in 0_i64..200_000_000) {
            let life = SessionLife { last_seen_at: at(seen), ..SessionLife::begun(at(created)) };
            if life.state(at(now)) == SessionState::Open {
                prop_assert!(now < created + SESSION_MS_MAX && now < seen + SESSION_IDLE_MS_MAX);
            }
            if life.is_confirmed(at(now)) {
                prop_assert!(now < created + CONFIRMED_MS);
            }
        }

        #[test]
        fn any_text_is_a_login_or_not(text in ".*") {
            if let Ok(login) = text.parse::<Login>() {
                prop_assert_eq!(login.as_str(), text.as_str());
                prop_assert!(text.len() <= 64);
            }
        }
    }
}
