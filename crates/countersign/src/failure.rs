//! How a command ends: its exit code, and what it says on standard error when it could not.

use std::fmt;
use std::process::ExitCode;

use crate::config::Problems;

/// How a command ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, and the answer is yes where there was a question.
    Done,
    /// Done, and the answer is no.
    No,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::No => Self::from(1),
        }
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is refused.
    Configuration(Problems),
    /// Something else stands in the way.
    Other {
        /// The stable code.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        fix: String,
    },
    /// Whoever read our output went away.
    Silent,
}

impl Failure {
    /// A failure with its code and cure.
    pub(crate) fn new(
        code: &'static str,
        message: impl fmt::Display,
        fix: impl Into<String>,
    ) -> Self {
        Self::Other { code, message: message.to_string(), fix: fix.into() }
    }

    /// The exit code: 2 for wrong usage (as for unknown options), 3 for a refused configuration,
    /// 4 for everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(3),
            Self::Other { code: "usage", .. } => ExitCode::from(2),
            Self::Other { .. } => ExitCode::from(4),
            Self::Silent => ExitCode::SUCCESS,
        }
    }

    /// What standard error gets.
    pub(crate) fn text(&self, json: bool) -> String {
        match self {
            Self::Configuration(problems) if json => {
                serde_json::json!({ "errors": problems.to_json() }).to_string()
            }
            Self::Configuration(problems) => format!("error: {problems}"),
            Self::Other { code, message, fix } if json => {
                let error = serde_json::json!({ "code": code, "message": message, "fix": fix });
                serde_json::json!({ "errors": [error] }).to_string()
            }
            Self::Other { code, message, fix } => {
                format!("error: {message} [{code}]\n  fix: {fix}")
            }
            Self::Silent => String::new(),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Configuration(problems)
    }
}

impl From<schemes::ProfileError> for Failure {
    fn from(error: schemes::ProfileError) -> Self {
        Self::new("bad_profile", error, "correct the profile (docs/profiles.md)")
    }
}

impl From<std::io::Error> for Failure {
    /// Of standard output; other errors of this kind are given their own words.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Silent,
            _ => Self::new("output", error, "see that standard output can be written"),
        }
    }
}
