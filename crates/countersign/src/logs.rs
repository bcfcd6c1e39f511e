//! Structured logs on standard error: text on a terminal, JSON otherwise. Every line is filtered.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::filtered::Filtered;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Level {
    /// Only what failed.
    Error,
    /// And what may need attention.
    Warn,
    /// And what happens in normal operation.
    Info,
    /// And details for developers.
    Debug,
    /// Everything, of our own crates.
    Trace,
}

/// Starts logging. Libraries are heard from `warn` on, whatever our own level.
pub(crate) fn start(level: Level) {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let library = if level == "error" { "error" } else { "warn" };
    let filter = format!("{library},countersign={level},gateway={level},store={level}");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        // A line that cannot be written would be told to standard error: a panic where that is full.
        .log_internal_errors(false)
        .with_writer(|| Filtered(std::io::stderr()));
    // A second start in one process keeps the first: there is nothing to do about it.
    let _ = if std::io::stderr().is_terminal() {
        subscriber.with_target(false).try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
}
