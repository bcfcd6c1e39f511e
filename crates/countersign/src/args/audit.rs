//! `audit` and its options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What is done with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List entries, the newest last.
    List(List),
    /// Show one entry, with what it says of persons in the clear.
    Show {
        /// Its place in the log.
        #[arg(value_name = "INDEX")]
        index: u64,
    },
    /// Print the log's public key, which verifies what it signed. Not secret: hand it out.
    Key,
    /// Verify an export, or the log in the store, and name the first bad entry.
    Verify(Verify),
    /// Prove that an entry is in the log (C2SP tlog-proof).
    Prove {
        /// Its place in the log.
        #[arg(value_name = "INDEX")]
        index: u64,
    },
    /// Prove that the log grew from what it was.
    Consistency {
        /// How many entries it had then: the second line of a checkpoint.
        #[arg(value_name = "SIZE")]
        earlier: u64,
    },
    /// Write the log, up to the newest checkpoint, so that anybody can verify it.
    Export {
        /// The first entry.
        #[arg(long, value_name = "INDEX", default_value_t = 0)]
        from: u64,
        /// Where to [default: standard output].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this actor.
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,
    /// Only those of this action, such as event.released; event. is all that begin so.
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only those about this: an id or a name.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) resource: Option<String>,
    #[command(flatten)]
    pub(crate) range: super::Range,
    /// The newest so many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An export; without it the log in the store, and no configuration is needed with it.
    #[arg(value_name = "FILE", requires = "key")]
    pub(crate) export: Option<PathBuf>,
    /// The log's public key, as `audit key` prints it; may be repeated while it is replaced.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// Checkpoints that a witness has kept.
    #[arg(long, value_name = "FILE")]
    pub(crate) witness: Option<PathBuf>,
}
