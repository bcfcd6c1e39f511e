//! The arguments of `receipt`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Moment, SecretFrom};

#[derive(Debug, Subcommand)]
pub(crate) enum Receipt {
    /// Verify a receipt, and compare it with the request that it answers.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file with the exact bytes of the receipt; - is standard input.
    pub(crate) file: PathBuf,
    /// The provider that signed it.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: String,
    /// The form that it is signed in, such as strong or weak [default: any, the strongest first].
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretFrom,
    /// Let a receipt pass that holds values which its form does not sign. Do not believe them.
    #[arg(long)]
    pub(crate) allow_nested: bool,
    #[command(flatten)]
    pub(crate) expected: Expected,
    /// The time to judge at: RFC 3339 or unix seconds [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Moment>,
}

/// What was asked for.
#[derive(Debug, Args)]
pub(crate) struct Expected {
    /// The command that was asked for.
    #[arg(long, value_name = "TEXT")]
    pub(crate) command: Option<String>,
    /// The amount that was agreed to, as a decimal.
    #[arg(long, value_name = "DECIMAL")]
    pub(crate) amount: Option<String>,
    /// The currency.
    #[arg(long, value_name = "TEXT")]
    pub(crate) currency: Option<String>,
    /// The chain.
    #[arg(long, value_name = "TEXT")]
    pub(crate) chain: Option<String>,
    /// The user who pays.
    #[arg(long, value_name = "TEXT")]
    pub(crate) user: Option<String>,
    /// The idempotency key of the request.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}
