//! Makes correctly signed requests: for the command `sign`, for simulators, for tests.

use std::fmt;

use crate::profile::Profile;
use crate::secret::{Secret, SecretError};

/// A request to be signed.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The URL that it is sent to.
    pub url: &'a str,
    /// Headers that are given, such as a `webhook-id`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// The time to sign.
    pub now_ms: i64,
    /// Used where the scheme signs the id of a message.
    pub id: &'a str,
}

/// What to add to a draft.
pub struct Signed {
    /// Headers to add.
    pub headers: Vec<(String, String)>,
    /// The body, changed where the signature lives in it.
    pub body: Vec<u8>,
}

/// Why a draft cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignError {
    /// The secret is not one of this provider's.
    Secret(SecretError),
    /// The scheme cannot be signed here, and why.
    Unsupported(&'static str),
    /// The body has no place for the signature, or is not what the scheme signs.
    Body(&'static str),
    /// A value that the scheme signs was not given: which.
    Missing(String),
}

impl SignError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.code(),
            Self::Unsupported(_) => "unsupported_scheme",
            Self::Body(_) => "unsuitable_body",
            Self::Missing(_) => "missing_value",
        }
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(error) => error.fmt(f),
            Self::Unsupported(why) => write!(f, "cannot sign for this scheme: {why}"),
            Self::Body(why) => write!(f, "cannot sign this body: {why}"),
            Self::Missing(what) => write!(f, "the scheme signs {what}: give it"),
        }
    }
}

impl std::error::Error for SignError {}

/// Signs a draft as the provider would.
pub fn sign(_profile: &Profile, _secret: &Secret, _draft: Draft<'_>) -> Result<Signed, SignError> {
    Err(SignError::Unsupported("not yet"))
}
