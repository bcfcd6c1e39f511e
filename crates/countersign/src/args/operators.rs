//! The options of `operators`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::Role;
use model::operator::Login;

#[derive(Debug, Subcommand)]
pub(crate) enum Operators {
    /// Add somebody; print their first password and the seed of their codes this once.
    Add {
        /// What they sign in as.
        login: Login,
        /// What they are trusted with: viewer, operator or administrator.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        #[command(flatten)]
        why: Why,
    },
    /// List who is let in.
    List {
        /// Also those who no longer are.
        #[arg(long)]
        all: bool,
    },
    /// Trust somebody with more or less; it counts at once.
    Role {
        /// What they sign in as.
        login: Login,
        /// viewer, operator or administrator.
        #[arg(value_parser = role)]
        role: Role,
        #[command(flatten)]
        why: Why,
    },
    /// Let somebody in no more; their sessions end.
    Disable {
        /// What they sign in as.
        login: Login,
        #[command(flatten)]
        why: Why,
    },
    /// Let somebody in again.
    Enable {
        /// What they sign in as.
        login: Login,
        #[command(flatten)]
        why: Why,
    },
    /// Give somebody another password, typed without being shown; their sessions end.
    Password {
        /// What they sign in as.
        login: Login,
        /// A file whose first line is the password, or - for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        why: Why,
    },
    /// Give somebody another seed of codes, and print it this once; their sessions end.
    Totp {
        /// What they sign in as.
        login: Login,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Why; kept with what was done.
    #[arg(long, default_value = "asked for by the operator")]
    pub(crate) reason: String,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Role::ALL.iter().map(|known| known.code()).collect();
        format!("not a role: write one of {}", known.join(", "))
    })
}
