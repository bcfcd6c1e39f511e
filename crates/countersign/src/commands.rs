//! The commands, one file each.

mod audit;
mod beside;
mod blocks;
mod check;
mod copy;
mod deliveries;
mod endpoints;
mod events;
mod init;
mod keys;
mod migrate;
mod operators;
mod orders;
mod providers;
mod receipt;
mod secrets;
mod serve;
mod sign;
mod signals;
mod verify;

use std::io::Write;

use model::Timestamp;

use crate::args::{Arguments, Command, StoreCommand};
use crate::config::{Origin, Profiles};
use crate::failure::{Failure, Outcome};

/// What every command gives back.
pub(crate) type Ended = Result<Outcome, Failure>;

/// Runs the command that the arguments name.
pub(crate) fn run(arguments: &Arguments) -> Ended {
    match &arguments.command {
        Command::Init(init) => init::run(init, arguments.json),
        Command::Check => check::run(arguments),
        Command::Serve(serve) => serve::run(serve, arguments),
        Command::Verify(verify) => verify::run(verify, arguments),
        Command::Sign(sign) => sign::run(sign, arguments),
        Command::Receipt(command) => receipt::run(command, arguments),
        Command::Events(events) => events::run(events, arguments),
        Command::Deliveries(deliveries) => deliveries::run(deliveries, arguments),
        Command::Endpoints(endpoints) => endpoints::run(endpoints, arguments),
        Command::Orders(orders) => orders::run(orders, arguments),
        Command::Blocks(blocks) => blocks::run(blocks, arguments),
        Command::Keys(keys) => keys::run(keys, arguments),
        Command::Operators(operators) => operators::run(operators, arguments),
        Command::Demo(demo) => crate::demo::run(demo, arguments.json),
        Command::Audit(audit) => audit::run(audit, arguments),
        Command::Secrets(secrets) => secrets::run(secrets, arguments),
        Command::Migrate(migrate) => migrate::run(migrate, arguments),
        Command::Store(StoreCommand::Copy(copy)) => copy::run(copy, arguments),
        Command::Openapi => say(gateway::api::openapi()).map(|()| Outcome::Done),
        Command::Providers(providers) => providers::run(providers, arguments),
    }
}

/// The configuration that the arguments name.
fn origin(arguments: &Arguments) -> Origin {
    Origin::new(arguments.config(), arguments.env_file.as_deref())
}

/// The profiles: those of the configuration if there is one, else the embedded ones.
fn profiles(arguments: &Arguments) -> Result<Profiles, Failure> {
    if !arguments.is_config_named() && !arguments.config().exists() {
        return Ok(Profiles::embedded());
    }
    Ok(origin(arguments).profiles()?)
}

/// A line on standard output.
fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// The bytes of a file, or of standard input for `-`.
fn bytes(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let limit = u64::try_from(model::limits::BODY_BYTES_MAX).unwrap_or(u64::MAX);
    let cannot = |error: std::io::Error| {
        let message = format!("{} cannot be read ({})", path.display(), error.kind());
        Failure::new("unreadable_file", message, "name a file that can be read, or - for stdin")
    };
    let mut bytes = Vec::new();
    if path == std::path::Path::new("-") {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    } else {
        let file = std::fs::File::open(path).map_err(cannot)?;
        file.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    }
    if bytes.len() > model::limits::BODY_BYTES_MAX {
        let message = format!("{} is larger than 5 MiB", path.display());
        return Err(Failure::new("body_too_large", message, "no source takes such a body"));
    }
    Ok(bytes)
}

/// Random bytes of the system's generator.
fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new("no_randomness", error, "see that the system's generator works")
    })?;
    Ok(bytes)
}

/// The time now.
fn now() -> Timestamp {
    gateway::Clock::System.now()
}

/// The failure of naming a provider that has no profile.
fn unknown_provider(profiles: &Profiles) -> Failure {
    let fix = format!("known: {}", profiles.names().join(", "));
    Failure::new("unknown_provider", "no profile of a provider has this name", fix)
}

/// The receipt of this form, or why there is none.
fn receipt<'p>(profile: &'p schemes::Profile, form: &str) -> Result<schemes::Section<'p>, Failure> {
    profile.receipt(form).ok_or_else(|| {
        let forms: Vec<&str> = profile.receipt_forms().collect();
        let fix = match forms.as_slice() {
            [] => "this provider has no receipts: leave --receipt out".to_owned(),
            forms => format!("known: {}", forms.join(", ")),
        };
        Failure::new("unknown_receipt", "this provider has no receipts of this form", fix)
    })
}
