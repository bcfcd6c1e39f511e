//! The command line of Countersign: arguments, configuration, wiring.
//!
//! Only this crate reads the environment and files. A command takes what its arguments and the
//! configuration mean, does one thing, and says how it ended by its exit code.

mod args;
mod commands;
pub mod config;
mod demo;
mod failure;
mod logs;
mod renewal;
mod table;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// Runs the command of this process's arguments.
pub fn run() -> ExitCode {
    let arguments = args::Arguments::parse();
    match commands::run(&arguments) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            let text = failure.text(arguments.json);
            if !text.is_empty() {
                // There is nobody left to tell when standard error is gone.
                let _ = writeln!(std::io::stderr(), "{text}");
            }
            failure.exit_code()
        }
    }
}

/// The command line as data: documentation is held against it.
pub fn command() -> clap::Command {
    args::Arguments::command()
}
