//! Secrets as configured, and what is wrong with them.

use std::fmt;

use zeroize::Zeroizing;

/// A secret as configured. It can be neither printed nor compared, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Where a secret says that it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEnvironment {
    /// Play money.
    Test,
    /// Real money.
    Live,
}

impl Secret {
    /// Takes the text as it was configured.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The environment that an infix `_test_` or `_live_` names. The role of a secret is never
    /// inferred from its prefix, only its environment is.
    pub fn environment(&self) -> Option<SecretEnvironment> {
        if self.0.contains("_test_") {
            Some(SecretEnvironment::Test)
        } else if self.0.contains("_live_") {
            Some(SecretEnvironment::Live)
        } else {
            None
        }
    }

    /// Gives the bytes to whoever makes a keyed hash of them or seals them.
    pub fn with_bytes<T>(&self, use_of_them: impl FnOnce(&[u8]) -> T) -> T {
        use_of_them(self.0.as_bytes())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a secret, and how to mend it; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretError {
    index: Option<usize>,
    fault: SecretFault,
}

/// The kinds of [`SecretError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFault {
    /// No secret was given.
    None,
    /// More secrets than are tried.
    TooMany,
    /// The secret is empty or blank.
    Empty,
    /// White space or a control character stands around or in the secret.
    Whitespace,
    /// The secret does not look as this provider's secrets look.
    Shape {
        /// What it should look like, in words.
        expected: String,
    },
    /// The secret cannot be decoded to a key.
    Encoding {
        /// What it should be, in words.
        expected: String,
    },
    /// Secrets for different alternatives of the scheme stand in one list.
    Mixed,
}

impl SecretError {
    pub(crate) fn new(index: Option<usize>, fault: SecretFault) -> Self {
        Self { index, fault }
    }

    /// Which of the secrets, counted from 0; none when it is the list that is wrong.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// What kind of fault it is.
    pub fn fault(&self) -> &SecretFault {
        &self.fault
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self.fault {
            SecretFault::None => "no_secret",
            SecretFault::TooMany => "too_many_secrets",
            SecretFault::Empty => "empty_secret",
            SecretFault::Whitespace => "whitespace_in_secret",
            SecretFault::Shape { .. } => "wrong_secret_shape",
            SecretFault::Encoding { .. } => "wrong_secret_encoding",
            SecretFault::Mixed => "mixed_secrets",
        }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "secret {}: ", index + 1)?;
        }
        match &self.fault {
            SecretFault::None => f.write_str("no secret is given: give at least one"),
            SecretFault::TooMany => write!(
                f,
                "more than {} secrets: take out those that the provider no longer signs with",
                crate::bounds::KEYS_MAX
            ),
            SecretFault::Empty => f.write_str(
                "is empty: anybody can sign with an empty secret; set it to the provider's",
            ),
            SecretFault::Whitespace => f.write_str(
                "has white space or a control character at its ends or a line break in it: \
                 give the secret alone",
            ),
            SecretFault::Shape { expected } => {
                write!(f, "does not look like a secret of this provider: expected {expected}")
            }
            SecretFault::Encoding { expected } => {
                write!(f, "cannot be decoded: expected {expected}")
            }
            SecretFault::Mixed => f.write_str(
                "secrets for different ways of signing stand in one list: use one source for each",
            ),
        }
    }
}

impl std::error::Error for SecretError {}
