//! Judges lines of a vector file: signed requests with the verdict that they should get.

use crate::profile::Profile;

/// The verdict on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The line's own id.
    pub id: Option<String>,
    /// `valid`, `invalid` or `unsupported`.
    pub verdict: &'static str,
    /// Why it is not valid.
    pub reason: Option<String>,
    /// What the signature covers, when it is valid.
    pub covers: Option<&'static str>,
    /// What the line expects.
    pub expected: Option<String>,
    /// Whether verdict and expectation differ.
    pub differs: bool,
}

/// Judges one line with the profile that answers for its provider and scheme.
pub fn judge(_profiles: &[Profile], _line: &str) -> Judged {
    Judged {
        id: None,
        verdict: "unsupported",
        reason: None,
        covers: None,
        expected: None,
        differs: true,
    }
}
