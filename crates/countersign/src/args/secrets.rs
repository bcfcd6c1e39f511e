//! `secrets` and its options.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use model::SecretId;
use model::api_key::Overlap;

/// What is done with the secrets of sources and endpoints.
#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// List the secrets with their age, those of the configuration too; never their values.
    List,
    /// Add a secret beside those that count.
    Add(Owned),
    /// Add a secret and let those that were added before end after an overlap.
    Roll {
        #[command(flatten)]
        owned: Owned,
        /// How long the old ones count beside it: 0, 1h, 24h or 7d.
        #[arg(long, default_value = "24h")]
        overlap: Overlap,
    },
    /// Let a secret count no more.
    Retire {
        /// The secret.
        #[arg(value_name = "SECRET")]
        id: SecretId,
        /// Although no newer one has verified a message yet: it is in other hands.
        #[arg(long)]
        force: bool,
        /// Why; kept with what was done.
        #[arg(long)]
        reason: String,
    },
}

/// Whose secret, and where it is.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("owner").required(true)), group(ArgGroup::new("value")))]
pub(crate) struct Owned {
    /// Of this source.
    #[arg(long, value_name = "NAME", group = "owner")]
    pub(crate) source: Option<String>,
    /// Of this endpoint; without a value one is made and shown once.
    #[arg(long, value_name = "NAME", group = "owner")]
    pub(crate) endpoint: Option<String>,
    /// The file that holds the secret; - is standard input.
    #[arg(long, value_name = "FILE", group = "value")]
    pub(crate) secret_file: Option<PathBuf>,
    /// The variable that holds the secret.
    #[arg(long, value_name = "NAME", group = "value")]
    pub(crate) secret_env: Option<String>,
    /// Why; kept with what was done.
    #[arg(long)]
    pub(crate) reason: String,
}
