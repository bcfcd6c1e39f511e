//! The configuration: one TOML file, read in two steps, and refused with every fault at once.
//!
//! `document` reads what was written (types, keys, lines); `meaning` judges it and resolves
//! references. Only this module reads the environment and the files of secrets, once; after the
//! start only the files of certificates are read again. `docs/configuration.md` is the manual.

mod admin;
mod auditing;
#[cfg(test)]
pub(crate) mod certificates;
mod chains;
mod document;
mod endpoint;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod headers;
mod identity;
mod limits;
mod meaning;
mod network;
mod order_limits;
mod orders;
mod problem;
mod profiles;
mod reference;
mod retention;
mod secrets;
mod security_txt;
mod source;
mod store;
mod transport;
mod web;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::Environment;

pub use identity::Shown;
pub(crate) use identity::{IdentityFault, Stamp};
pub use meaning::Notice;
pub use problem::{Place, Problem, Problems, Refusal};
pub use profiles::Profiles;
pub use reference::Variables;
pub use store::StorePlace;
pub(crate) use store::{file_of, has_password, is_server};

use document::Document;
use problem::Found;
use reference::Resolver;

/// Bytes of a configuration at most.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Everything that `serve` needs.
pub struct Configuration {
    /// For the gateway.
    pub settings: gateway::Settings,
    /// Where what is kept is kept.
    pub store: StorePlace,
    /// The certificates that its listeners show, to be looked after.
    pub certificates: Vec<Shown>,
    /// What whoever starts it should know.
    pub notices: Vec<Notice>,
}

/// What the commands need that work beside a running gateway.
pub struct Beside {
    /// Where what is kept is kept.
    pub store: StorePlace,
    /// The key that opens what is sealed.
    pub root: vault::RootKey,
    /// Test or live, where it is said.
    pub environment: Option<Environment>,
    /// The sources by name.
    pub sources: BTreeMap<String, SourceNamed>,
    /// The endpoints.
    pub endpoints: Vec<EndpointNamed>,
    /// What the audit log is called, if it is not called after its key.
    pub audit_origin: Option<String>,
}

/// A source, as far as it is known without its secrets.
pub struct SourceNamed {
    /// Its provider.
    pub provider: Option<String>,
    /// Names of the endpoints that get its events.
    pub endpoints: Vec<String>,
}

/// An endpoint, as far as it is known without its secrets.
pub struct EndpointNamed {
    /// Its name.
    pub name: String,
    /// Paused by the configuration.
    pub paused: bool,
    /// It takes the original bytes.
    pub takes_originals: bool,
}

/// Where the configuration is, and where its variables come from.
pub struct Origin {
    /// The configuration's file.
    pub file: PathBuf,
    /// A file with more variables.
    pub env_file: Option<PathBuf>,
    /// The environment.
    pub variables: Variables,
}

impl Origin {
    /// A file, with the variables of this process.
    pub fn new(file: &Path, env_file: Option<&Path>) -> Self {
        Self {
            file: file.to_path_buf(),
            env_file: env_file.map(Path::to_path_buf),
            variables: Variables::of_process(),
        }
    }

    /// Reads and judges everything.
    pub fn configuration(self) -> Result<Configuration, Problems> {
        self.judge(meaning::configuration)
    }

    /// Reads what a command needs beside a running gateway.
    pub fn beside(self) -> Result<Beside, Problems> {
        self.judge(meaning::beside)
    }

    /// Reads where the store is.
    pub(crate) fn store(self) -> Result<StorePlace, Problems> {
        self.judge(meaning::beside_store)
    }

    /// Reads which profiles there are.
    pub fn profiles(self) -> Result<Profiles, Problems> {
        self.judge(|document, resolver, found| {
            let profiles = meaning::profiles(document, resolver, found);
            found.is_empty().then_some(profiles)
        })
    }

    fn judge<T>(
        mut self,
        judge: impl FnOnce(&Document, &Resolver<'_>, &mut Found) -> Option<T>,
    ) -> Result<T, Problems> {
        let mut found = Found::default();
        let text = match text(&self.file) {
            Ok(text) => text,
            Err(fault) => {
                let fix = "name it with --config FILE, or make one with `countersign init`";
                found.add(Refusal::ConfigUnreadable, &Place::file(), fault, fix);
                return Err(Problems::new(&self.file, found.into_list()));
            }
        };
        if let Some(path) = &self.env_file {
            self.variables.add_file(path, &mut found);
        }
        let document = document::read(&text, &mut found);
        if found.has(Refusal::NotToml) {
            return Err(Problems::new(&self.file, found.into_list()));
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let resolver = Resolver { variables: &self.variables, folder };
        let meaning = judge(&document, &resolver, &mut found);
        match meaning {
            Some(meaning) if found.is_empty() => Ok(meaning),
            _ => Err(Problems::new(&self.file, found.into_list())),
        }
    }
}

/// Who runs a command, for the audit log.
pub(crate) fn operator() -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let name = ["USER", "LOGNAME"].into_iter().filter_map(std::env::var_os).find_map(|name| {
        let name = name.into_string().ok()?;
        (!name.is_empty() && name.len() <= 32 && name.bytes().all(plain)).then_some(name)
    });
    format!("cli:{}", name.as_deref().unwrap_or("unknown"))
}

/// The URL that an option of a command line names by its variable.
pub(crate) fn url_of(
    option: &str,
    variable: &str,
    env_file: Option<&Path>,
) -> Result<String, Problems> {
    let mut found = Found::default();
    let mut known = Variables::of_process();
    if let Some(path) = env_file {
        known.add_file(path, &mut found);
    }
    let resolver = Resolver { variables: &known, folder: Path::new("") };
    let place = Place { line: 0, key: option.to_owned() };
    let written = document::At { value: format!("${{env:{variable}}}"), place };
    match resolver.text(&written, &mut found) {
        Some(url) if found.is_empty() => Ok(url),
        _ => Err(Problems::new(Path::new("command line"), found.into_list())),
    }
}

/// The secrets that a command line names by variable or file: held to the same rules as those of
/// a configuration.
pub(crate) fn secrets_of(
    variables: &[String],
    files: &[PathBuf],
    env_file: Option<&Path>,
) -> Result<Vec<schemes::Secret>, Problems> {
    let mut found = Found::default();
    let mut known = Variables::of_process();
    if let Some(path) = env_file {
        known.add_file(path, &mut found);
    }
    let resolver = Resolver { variables: &known, folder: Path::new("") };
    let named = variables.iter().map(|name| ("--secret-env", format!("${{env:{name}}}")));
    let filed = files.iter().map(|path| ("--secret-file", format!("${{file:{}}}", path.display())));
    let secrets: Vec<_> = named
        .chain(filed)
        .filter_map(|(option, value)| {
            let place = Place { line: 0, key: option.to_owned() };
            resolver.secret(&document::At { value, place }, &mut found)
        })
        .map(schemes::Secret::new)
        .collect();
    if secrets.is_empty() && found.is_empty() {
        let place = Place { line: 0, key: "--secret-env".to_owned() };
        let fix = "give --secret-env NAME or --secret-file FILE";
        found.add(Refusal::NoSecrets, &place, "there is no secret to work with", fix);
    }
    if found.is_empty() {
        Ok(secrets)
    } else {
        Err(Problems::new(Path::new("command line"), found.into_list()))
    }
}

fn text(file: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => format!("the file cannot be read ({kind})"),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file).map_err(cannot)?;
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > CONFIG_BYTES_MAX) {
        return Err("the file is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests;
