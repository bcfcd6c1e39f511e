//! Why a key or a record does not open. Nothing here says what the bytes were.

use std::fmt;

/// Why sealed or wrapped bytes do not open. Never retried: the bytes or the key are the wrong ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenError {
    /// Shorter than the least that was ever sealed, or of another length than a wrapped key has.
    Truncated,
    /// A layout that this version does not know.
    UnknownSuite,
    /// Wrapped under another root key than the one given.
    WrongRoot,
    /// Sealed under another key, or for another place: the key commitment differs.
    WrongKeyOrPlace,
    /// The key is right and the bytes were changed.
    Changed,
}

impl OpenError {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Truncated,
        Self::UnknownSuite,
        Self::WrongRoot,
        Self::WrongKeyOrPlace,
        Self::Changed,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "sealed_truncated",
            Self::UnknownSuite => "sealed_unknown_suite",
            Self::WrongRoot => "wrong_root_key",
            Self::WrongKeyOrPlace => "wrong_key_or_place",
            Self::Changed => "sealed_changed",
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the sealed bytes are cut short: restore them from a backup",
            Self::UnknownSuite => {
                "sealed by a newer version or not by this program: use the version that wrote it"
            }
            Self::WrongRoot => {
                "wrapped under another root key: give the root key that this store was made with"
            }
            Self::WrongKeyOrPlace => {
                "the key does not fit: the record was moved, or belongs to another key"
            }
            Self::Changed => "the sealed bytes were changed: restore them from a backup",
        })
    }
}

impl std::error::Error for OpenError {}

/// Why a text is not a root key. Never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RootKeyError {
    /// It does not start with `cs_root_`.
    Prefix,
    /// What follows the prefix is not 43 characters long.
    Length,
    /// What follows the prefix is not base64url without padding.
    Encoding,
    /// Every byte is the same: a placeholder, not a key.
    Placeholder,
}

impl RootKeyError {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::Prefix, Self::Length, Self::Encoding, Self::Placeholder];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Prefix => "root_key_prefix",
            Self::Length => "root_key_length",
            Self::Encoding => "root_key_encoding",
            Self::Placeholder => "root_key_placeholder",
        }
    }
}

impl fmt::Display for RootKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "a root key starts with cs_root_: make one with `countersign init`",
            Self::Length => {
                "a root key is cs_root_ and 43 characters (32 bytes in base64url): it was cut or \
                 something was added"
            }
            Self::Encoding => "after cs_root_ only base64url characters may stand, without padding",
            Self::Placeholder => {
                "a root key must be random: make one with `countersign init`, do not write one"
            }
        })
    }
}

impl std::error::Error for RootKeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_every_error_says_what_to_do() {
        let mut codes: Vec<_> = OpenError::ALL.iter().map(|e| e.code()).collect();
        codes.extend(RootKeyError::ALL.iter().map(|e| e.code()));
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
        for error in OpenError::ALL {
            assert!(error.to_string().contains(':'), "{error}");
        }
    }
}
