//! The command line: every command and its options.

pub(crate) mod audit;
pub(crate) mod blocks;
pub(crate) mod keys;
pub(crate) mod operators;
pub(crate) mod orders;
pub(crate) mod receipt;
pub(crate) mod secrets;
mod values;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use model::{DeliveryId, EventId};

use crate::logs::Level;

pub(crate) use values::{DeliveryState, Header, Moment, Status};

const EXIT_CODES: &str = "Exit codes: 0 done (and the answer is yes), 1 the answer is no, 2 wrong \
                          usage, 3 the configuration is refused, 4 it could not be done.";

/// Verifies payment webhooks, keeps them, and delivers them countersigned.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The configuration [default: countersign.toml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file of mode 0600 with NAME=VALUE lines; what the environment sets wins.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The configuration's file.
    pub(crate) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("countersign.toml"))
    }

    /// Whether the file was named.
    pub(crate) fn is_config_named(&self) -> bool {
        self.config.is_some()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a configuration that starts, with a key, .env, .env.example and .gitignore.
    Init(Init),
    /// Run the gateway.
    Serve(Serve),
    /// Say what is not safe for production, without starting anything.
    Check,
    /// Verify a request, or a file of test vectors.
    Verify(Verify),
    /// Make a correctly signed request.
    Sign(Sign),
    /// Receipts: what a provider signs of a payment beside its webhooks.
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// What arrived, and what became of it.
    #[command(subcommand)]
    Events(Events),
    /// What is delivered, was, or could not be.
    #[command(subcommand)]
    Deliveries(Deliveries),
    /// Where events are delivered to.
    #[command(subcommand)]
    Endpoints(Endpoints),
    /// What was done, by whom: read it, verify it, prove it.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Orders: what applications expect to be paid, and where that stands.
    #[command(subcommand)]
    Orders(orders::Orders),
    /// Blocks: who may not pay or be paid for now.
    #[command(subcommand)]
    Blocks(blocks::Blocks),
    /// API keys: what applications show to be let in.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Operators: who signs in, and what they are trusted with.
    #[command(subcommand)]
    Operators(operators::Operators),
    /// The secrets of sources and endpoints: how old they are, and rolling them.
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// Show everything at work on this machine, and what attacks it refused.
    Demo(crate::demo::Args),
    /// Bring the schema of a PostgreSQL store up to this version, or say what is missing.
    Migrate(Migrate),
    /// The store as a whole.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Write the OpenAPI document of the HTTP API to standard output.
    Openapi,
    /// The profiles of providers.
    #[command(subcommand)]
    Providers(Providers),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to write into; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// How much is logged.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: Level,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Apply what is missing; else it is only said, and the exit code is 1 if anything is.
    #[arg(long)]
    pub(crate) apply: bool,
    /// The variable with the URL of the schema's owner [default: the configured URL].
    #[arg(long, value_name = "NAME")]
    pub(crate) url_env: Option<String>,
    /// The role that `serve` connects as: it gets the rights that it needs, and no others.
    #[arg(long, value_name = "ROLE", requires = "apply")]
    pub(crate) serving_role: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy a store from a file to PostgreSQL while its gateway keeps receiving, and finish it.
    Copy(CopyStore),
}

#[derive(Debug, Args)]
pub(crate) struct CopyStore {
    #[command(flatten)]
    pub(crate) source: CopySource,
    #[command(flatten)]
    pub(crate) target: CopyTarget,
    /// Copy what changed and compare both sides, once no gateway has the source open.
    #[arg(long)]
    pub(crate) finish: bool,
}

/// Where a copy comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CopySource {
    /// The store to copy: sqlite:PATH.
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
    /// The variable with its URL.
    #[arg(long, value_name = "NAME")]
    pub(crate) from_env: Option<String>,
}

/// Where a copy goes to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CopyTarget {
    /// Where to: a postgres:// URL without a password; the database is migrated and empty.
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// The variable with its URL, which may hold a password.
    #[arg(long, value_name = "NAME")]
    pub(crate) to_env: Option<String>,
}

/// Where a secret is read from: never the command line, which others can see.
#[derive(Debug, Args)]
#[group(required = false, multiple = true)]
pub(crate) struct SecretFrom {
    /// The variable that holds the secret; may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret_env: Vec<String>,
    /// The file that holds the secret; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A file of test vectors, one JSON object a line; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "body", "header", "at"])]
    pub(crate) vectors: Option<PathBuf>,
    /// With --vectors: providers without a profile do not count.
    #[arg(long, requires = "vectors")]
    pub(crate) known_only: bool,
    /// The provider whose webhook it is.
    #[arg(long, value_name = "NAME", required_unless_present = "vectors")]
    pub(crate) provider: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretFrom,
    /// The file with the exact bytes of the body; - is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "vectors")]
    pub(crate) body: Option<PathBuf>,
    /// A header as received; may be given more than once.
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<Header>,
    /// It is a receipt of this form, not a webhook: such as strong or weak.
    #[arg(long, value_name = "FORM", conflicts_with = "vectors")]
    pub(crate) receipt: Option<String>,
    /// The file with what stands at the URL of the certificate, in PEM, where one is signed with.
    #[arg(long, value_name = "FILE", conflicts_with = "vectors")]
    pub(crate) certificate: Option<PathBuf>,
    /// The file with those who may vouch for it, in PEM [default: those that Mozilla trusts].
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) certificate_roots: Option<PathBuf>,
    /// The URL as registered with the provider, where it is signed.
    #[arg(long, default_value = "")]
    pub(crate) url: String,
    /// The method.
    #[arg(long, default_value = "POST")]
    pub(crate) method: String,
    /// The time to judge at: RFC 3339 or unix seconds [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Moment>,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The provider in whose name to sign.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: String,
    #[command(flatten)]
    pub(crate) secret: SecretFrom,
    /// The file with the body; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) body: PathBuf,
    /// A header that is signed or sent too; may be given more than once.
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<Header>,
    /// Sign a receipt of this form, not a webhook: such as strong or weak.
    #[arg(long, value_name = "FORM")]
    pub(crate) receipt: Option<String>,
    /// Where the request goes to; some schemes sign it.
    #[arg(long, default_value = "")]
    pub(crate) url: String,
    /// The method.
    #[arg(long, default_value = "POST")]
    pub(crate) method: String,
    /// The message id, where the scheme signs one [default: made up].
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The time that is signed: RFC 3339 or unix seconds [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Moment>,
    /// Print a curl command instead of the headers (needs --url).
    #[arg(long, conflicts_with = "json", requires = "url")]
    pub(crate) curl: bool,
}

/// The rows that a list shows.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// From this time on: RFC 3339, unix seconds, or how long ago (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Up to this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// List events, the newest last.
    List {
        /// Also what was denied, quarantined, repeated or refused.
        #[arg(long)]
        all: bool,
        /// Only those of this source.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Only those with this status.
        #[arg(long)]
        status: Option<Status>,
        #[command(flatten)]
        range: Range,
        /// The newest so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one event, opened.
    Show {
        /// The event.
        #[arg(value_name = "EVENT")]
        id: EventId,
        /// Only the body, byte for byte.
        #[arg(long)]
        body: bool,
    },
    /// Let a held event be delivered.
    Release(Judgement),
    /// Deny a held event for good.
    Refuse(Judgement),
}

/// A person's word on a held event.
#[derive(Debug, Args)]
pub(crate) struct Judgement {
    /// The event.
    #[arg(value_name = "EVENT")]
    pub(crate) id: EventId,
    /// Why; kept with the decision.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Deliveries {
    /// List deliveries, the newest last.
    List {
        /// Only those of this event.
        #[arg(long, value_name = "EVENT")]
        event: Option<EventId>,
        /// Only those to this endpoint.
        #[arg(long, value_name = "NAME")]
        endpoint: Option<String>,
        /// Only those with this status.
        #[arg(long)]
        status: Option<DeliveryState>,
        #[command(flatten)]
        range: Range,
        /// The newest so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one delivery and its attempts.
    Show {
        /// The delivery.
        #[arg(value_name = "DELIVERY")]
        id: DeliveryId,
    },
    /// Deliver again what was delivered or given up.
    Redeliver {
        /// The deliveries; or say which with --since and --until.
        #[arg(value_name = "DELIVERY", conflicts_with_all = ["since", "until", "endpoint", "status"])]
        ids: Vec<DeliveryId>,
        #[command(flatten)]
        range: Range,
        /// Only those to this endpoint.
        #[arg(long, value_name = "NAME")]
        endpoint: Option<String>,
        /// Only those with this status.
        #[arg(long)]
        status: Option<DeliveryState>,
        /// Why; kept with what was done.
        #[arg(long, default_value = "asked for by the operator")]
        reason: String,
        /// Only say which.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Endpoints {
    /// List the endpoints and their states.
    List,
    /// Show one endpoint: where it is, and the public keys that its deliveries verify with.
    Show {
        /// The endpoint.
        name: String,
    },
    /// Deliver again to an endpoint that was paused, or that said 410.
    Enable(EndpointName),
    /// Keep what is due for an endpoint, and do not send it.
    Pause(EndpointName),
}

#[derive(Debug, Args)]
pub(crate) struct EndpointName {
    /// The endpoint.
    pub(crate) name: String,
    /// Why; kept with what was done.
    #[arg(long, default_value = "asked for by the operator")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Providers {
    /// List the providers that have a profile.
    List,
    /// Show one profile: how it signs, what is covered, where an event keeps what.
    Show {
        /// The provider.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
