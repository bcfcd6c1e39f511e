//! A profile: everything particular to one provider's webhooks, parsed, linted and proven.

use std::fmt;

use crate::secret::{Secret, SecretError};

/// A parsed, linted and compiled profile whose own vectors passed.
#[derive(Debug)]
pub struct Profile {
    name: String,
    title: String,
    docs: Vec<String>,
    reviewed: String,
    amount_units: Vec<String>,
    acknowledgement: Answer,
}

/// Why a profile does not load, with the line and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    name: String,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile {}", self.name)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ProfileError {}

/// What a signature vouches for. Money is believed only from what is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// Every byte of the body.
    Full,
    /// Some fields of the body.
    Fields,
    /// Only identifiers.
    Identifiers,
    /// A checksum of the body that can be forged.
    Checksum,
    /// Nothing: the event is a hint.
    None,
}

impl Covers {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Fields => "fields",
            Self::Identifiers => "identifiers",
            Self::Checksum => "checksum",
            Self::None => "none",
        }
    }
}

/// What a provider is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type of the body, if there is one.
    pub content_type: Option<String>,
    /// Usually empty.
    pub body: String,
}

/// Secrets decoded and prepared for one profile.
#[derive(Clone)]
pub struct Keys;

impl Profile {
    /// Reads, lints and compiles a profile, and proves its vectors.
    pub fn parse(name: &str, _toml: &str) -> Result<Self, ProfileError> {
        Err(ProfileError { name: name.to_owned(), line: None, message: "not yet".to_owned() })
    }

    /// The file's stem.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider's name for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where the provider describes all this.
    pub fn docs(&self) -> &[String] {
        &self.docs
    }

    /// When somebody last compared the profile with the provider's pages.
    pub fn reviewed(&self) -> &str {
        &self.reviewed
    }

    /// What the signature vouches for.
    pub fn covers(&self) -> Covers {
        Covers::Full
    }

    /// A warning, for known-weak forms.
    pub fn weak(&self) -> Option<&str> {
        None
    }

    /// Whether the URL is signed, so that the source must say its public one.
    pub fn url_bound(&self) -> bool {
        false
    }

    /// Units of which the source must choose one.
    pub fn amount_units(&self) -> &[String] {
        &self.amount_units
    }

    /// What is answered when a webhook was recorded.
    pub fn acknowledgement(&self) -> &Answer {
        &self.acknowledgement
    }

    /// The status for every webhook that was refused.
    pub fn refusal_status(&self) -> u16 {
        401
    }

    /// Decodes the secrets and checks their shape.
    pub fn keys(&self, _secrets: &[Secret]) -> Result<Keys, SecretError> {
        Err(SecretError::new(None, crate::secret::SecretFault::None))
    }

    /// Whether verifying takes a public key, and costs accordingly.
    pub fn asymmetric(&self) -> bool {
        false
    }

    /// What `providers show --json` prints.
    pub fn facts(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
