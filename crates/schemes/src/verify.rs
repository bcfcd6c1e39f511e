//! Is it really the provider? The only maker of [`Verified`].

use crate::profile::{Covers, Keys, Profile};
use crate::reason::Rejection;
use crate::request::Request;

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

/// Proof that a request was signed with one of the source's secrets, inside the window.
#[derive(Clone)]
pub struct Verified<'r> {
    request: Request<'r>,
}

impl<'r> Verified<'r> {
    /// The exact bytes that were received.
    pub fn body(&self) -> &'r [u8] {
        self.request.body
    }

    /// What the signature vouches for.
    pub fn covers(&self) -> Covers {
        Covers::Full
    }

    /// Whether the scheme is a known-weak form.
    pub fn weak(&self) -> bool {
        false
    }

    /// Which alternative of the scheme decided.
    pub fn alternative(&self) -> &str {
        ""
    }

    /// Which of the source's secrets signed, counted from 0.
    pub fn key(&self) -> usize {
        0
    }

    /// The signed time in milliseconds since 1970, where one is signed.
    pub fn signed_at_ms(&self) -> Option<i64> {
        None
    }

    /// The headers that were read, for verifying again later.
    pub fn evidence(&self) -> Vec<(&'r str, &'r [u8])> {
        Vec::new()
    }
}

/// Verifies a request's signature, and that its signed time is inside the window around `now_ms`.
pub fn verify<'r>(
    _profile: &Profile,
    _keys: &Keys,
    request: &Request<'r>,
    _now_ms: i64,
    _freshness: Freshness,
) -> Result<Verified<'r>, Rejection> {
    let _ = Verified { request: *request };
    Err(Rejection::NoMatchingKey)
}
