//! Why somebody is not let in: what they hear, and what the audit log says.

use super::passwords::NotHashed;
use crate::keys::KeyError;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Login, password and code do not belong together: which of them is wrong is not said.
    SignIn,
    /// There were too many failures: this long, in milliseconds, nothing is looked at.
    Limited {
        /// How long.
        retry_after_ms: i64,
    },
    /// Too many sign in at this moment.
    Busy,
    /// There is no such session, or it is over.
    Session,
    /// The store does not answer, or what was done cannot be written down.
    Unavailable,
}

impl Refused {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::SignIn,
        Self::Limited { retry_after_ms: 0 },
        Self::Busy,
        Self::Session,
        Self::Unavailable,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in_refused",
            Self::Limited { .. } => "sign_ins_limited",
            Self::Busy => "sign_ins_busy",
            Self::Session => "not_signed_in",
            Self::Unavailable => "operators_unavailable",
        }
    }
}

/// What stands in an entry about somebody who was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Unknown,
    WrongPassword,
    WrongCode,
}

impl Why {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::WrongPassword => "wrong_password",
            Self::WrongCode => "wrong_code",
        }
    }
}

pub(super) fn not_hashed(why: NotHashed) -> Refused {
    match why {
        NotHashed::Busy => Refused::Busy,
        NotHashed::Failed => {
            tracing::error!(code = "password_not_hashed", "a password could not be compared");
            Refused::Unavailable
        }
    }
}

pub(super) fn unavailable(error: impl Into<KeyError>) -> Refused {
    let error = error.into();
    tracing::error!(%error, "nobody can sign in or is let in");
    Refused::Unavailable
}
