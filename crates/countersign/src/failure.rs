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
        code: String,
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
        code: impl Into<String>,
        message: impl fmt::Display,
        fix: impl Into<String>,
    ) -> Self {
        Self::Other { code: code.into(), message: message.to_string(), fix: fix.into() }
    }

    /// A failure whose text is a message, a colon and the cure, as the store's are.
    pub(crate) fn told(code: impl Into<String>, text: &str) -> Self {
        let (message, fix) = text.split_once(": ").unwrap_or((text, "see the log"));
        Self::new(code, message, fix)
    }

    /// A failure whose text is a code, a message and the cure, as the gateway's are.
    fn coded(text: &str) -> Self {
        let (code, rest) = text.split_once(": ").unwrap_or(("failed", text));
        let (message, fix) = rest.rsplit_once("; ").unwrap_or((rest, "see the log"));
        Self::new(code, message, fix)
    }

    /// The exit code: 2 for wrong usage (as for unknown options), 3 for a refused configuration,
    /// 4 for everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(3),
            Self::Other { code, .. } if code == "usage" => ExitCode::from(2),
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

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        Self::told(error.code(), &error.to_string())
    }
}

impl From<gateway::LogError> for Failure {
    fn from(error: gateway::LogError) -> Self {
        match error {
            gateway::LogError::Store(error) => error.into(),
            gateway::LogError::Write(error) => error.into(),
            other => Self::coded(&other.to_string()),
        }
    }
}

impl From<store::OpenError> for Failure {
    fn from(error: store::OpenError) -> Self {
        Self::told(error.code(), &error.to_string())
    }
}

impl From<gateway::KeyError> for Failure {
    fn from(error: gateway::KeyError) -> Self {
        match error {
            gateway::KeyError::Store(error) => error.into(),
            other => Self::coded(&other.to_string()),
        }
    }
}

impl From<gateway::StartError> for Failure {
    fn from(error: gateway::StartError) -> Self {
        match error {
            gateway::StartError::Key(error) => error.into(),
            other => Self::coded(&other.to_string()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_code_and_a_cure() {
        let told = Failure::told("store_full", "the disk is full: make room");
        assert_eq!(told.text(false), "error: the disk is full [store_full]\n  fix: make room");
        let coded = Failure::coded("listen_failed: cannot listen: taken; choose another address");
        let json = r#"{"errors":[{"code":"listen_failed","fix":"choose another address","message":"cannot listen: taken"}]}"#;
        assert_eq!(coded.text(true), json);
        assert_eq!(Failure::coded("x").text(false), "error: x [failed]\n  fix: see the log");
    }
}
