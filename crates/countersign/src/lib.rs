//! The command line of Countersign: arguments, configuration, wiring.
//!
//! Only this crate reads the environment and files. A command takes what its arguments and the
//! configuration mean, does one thing, and says how it ended by its exit code.

mod args;
mod commands;
pub mod config;
mod demo;
mod failure;
mod filtered;
mod logs;
mod renewal;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// Runs the command of this process's arguments.
pub fn run() -> ExitCode {
    filtered::mask_panics();
    let arguments = match args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            filtered::tell_usage(&error);
            return ExitCode::from(2);
        }
        // Help and version.
        Err(error) => error.exit(),
    };
    match commands::run(&arguments) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            let text = failure.text(arguments.json);
            if !text.is_empty() {
                filtered::tell(&text);
            }
            failure.exit_code()
        }
    }
}

/// Masks cards, secrets and e-mail addresses in what panics say, as [`run`] does first of all.
pub fn mask_panics() {
    filtered::mask_panics();
}

/// The command line as data: documentation is held against it.
pub fn command() -> clap::Command {
    args::Arguments::command()
}
