//! `[store]`: a file on this machine, or a PostgreSQL server that replicas share.

use std::fmt;
use std::path::PathBuf;

use model::Environment;
use store::{OpenError, Options, PostgresOptions, Store};
use url::form_urlencoded;

use super::document::{self, At};
use super::problem::{Found, Place, Refusal};
use super::reference::{FileFault, Resolver, read_private, read_text};

/// The least that leaves a connection for each kind of work.
const CONNECTIONS_MIN: i64 = 4;
const CONNECTIONS_MAX: i64 = 200;
const STATEMENT_MS: std::ops::RangeInclusive<i64> = 50..=60_000;
/// Milliseconds that may pass before those who wait are told so.
const STALL_MS: std::ops::RangeInclusive<i64> = 10..=60_000;

/// Where what is kept is kept.
#[derive(Debug, Clone)]
pub enum StorePlace {
    /// The file of the embedded store.
    File(PathBuf),
    /// A PostgreSQL server.
    Server {
        /// How it is reached.
        options: Box<PostgresOptions>,
        /// Where it is, without who connects.
        shown: String,
    },
}

impl StorePlace {
    /// Opens the store for a gateway. Of a file there is one gateway at a time, of a server any
    /// number.
    pub(crate) async fn open(&self) -> Result<Store, OpenError> {
        match self {
            Self::File(path) => Store::open(path, Options::default()),
            Self::Server { options, .. } => to_serve(Store::connect(options).await?).await,
        }
    }

    /// Opens the store for a command beside gateways.
    pub(crate) async fn open_beside(&self) -> Result<Store, OpenError> {
        match self {
            Self::File(path) => Store::open_beside(path),
            Self::Server { options, .. } => Store::connect(options).await,
        }
    }
}

/// The store, unless it is the target of a copy that is not finished.
async fn to_serve(store: Store) -> Result<Store, OpenError> {
    match store.is_half_copied().await {
        Ok(false) => Ok(store),
        Ok(true) => Err(OpenError::HalfCopied),
        Err(error) if error.is_unavailable() => Err(OpenError::Unreachable),
        Err(_) => Err(OpenError::Denied),
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server { shown, .. } => f.write_str(shown),
        }
    }
}

/// Where the store is. Without an environment it is judged as of test.
pub(super) fn place(
    written: &document::Store,
    environment: Option<Environment>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<StorePlace> {
    let fix = "write [store] url = \"sqlite:countersign.db\", or put a postgres://… URL into the \
               environment and write url = \"${env:NAME}\"";
    let Some(url) = &written.url else {
        let place = Place { line: 1, key: "store.url".into() };
        found.add(Refusal::MissingKey, &place, "the store is not said", fix);
        return None;
    };
    let text = resolver.text(url, found)?;
    if is_server(&text) {
        return server(written, &text, environment, resolver, found);
    }
    for place in written.keys_of_a_server() {
        let message = "this is for a PostgreSQL server, and the store is a file";
        found.add(Refusal::BadStoreSetting, place, message, "take it out");
    }
    let path = file_of(&text);
    if path.is_none() {
        found.add(Refusal::BadStoreUrl, &url.place, "this is no store that we know", fix);
    }
    path.map(|path| StorePlace::File(resolver.path(path)))
}

/// The path that a URL of a file names.
pub(crate) fn file_of(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path))
        .filter(|path| !path.trim().is_empty() && !path.starts_with(':') && !path.contains('?'))
}

/// Whether a URL names a PostgreSQL server.
pub(crate) fn is_server(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

fn server(
    written: &document::Store,
    url: &str,
    environment: Option<Environment>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<StorePlace> {
    let at = written.url.as_ref()?;
    secret_if_with_password(at, url, resolver, found)?;
    let mut options = PostgresOptions::new(url);
    if let Some(at) = &written.listen_url {
        let listen = resolver.text(at, found)?;
        secret_if_with_password(at, &listen, resolver, found)?;
        options.listen_url = Some(listen);
    }
    options.ssl_root_cert = pem(written.root_certificate.as_ref(), read_text, resolver, found)?;
    let certificate = pem(written.client_certificate.as_ref(), read_text, resolver, found)?;
    let key = pem(written.client_key.as_ref(), read_private, resolver, found)?;
    options.client_certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let message = "client_certificate and client_key go together";
            found.add(Refusal::BadStoreSetting, &at.place, message, "write both, or neither");
            return None;
        }
    };
    options.allow_plaintext = allow_plaintext(written, environment, found)?;
    let connections = written.connections_max.as_ref();
    if let Some(count) = within(connections, CONNECTIONS_MIN..=CONNECTIONS_MAX, found)? {
        options.connections_max = usize::try_from(count).ok()?;
    }
    if let Some(millis) = within(written.statement_timeout_ms.as_ref(), STATEMENT_MS, found)? {
        options.statement_timeout_ms = u64::try_from(millis).ok()?;
    }
    if let Some(millis) = within(written.stall_ms.as_ref(), STALL_MS, found)? {
        options.stall_ms = u64::try_from(millis).ok()?;
    }
    if let Err(error) = options.check() {
        let fix = "see docs/configuration.md, [store]";
        found.add(Refusal::BadStoreUrl, &at.place, error.to_string(), fix);
        return None;
    }
    Some(StorePlace::Server { shown: shown(url), options: Box::new(options) })
}

/// Live data does not cross a network in the clear.
fn allow_plaintext(
    written: &document::Store,
    environment: Option<Environment>,
    found: &mut Found,
) -> Option<bool> {
    let Some(At { value: true, place }) = &written.allow_plaintext else { return Some(false) };
    if environment == Some(Environment::Live) {
        let message = "a live gateway does not speak to another machine's database in the clear";
        let fix = "take it out, and give the server a certificate";
        found.add(Refusal::PlainStoreInLive, place, message, fix);
        return None;
    }
    Some(true)
}

/// A number within bounds; nothing where none is written.
fn within(
    written: Option<&At<i64>>,
    bounds: std::ops::RangeInclusive<i64>,
    found: &mut Found,
) -> Option<Option<i64>> {
    let Some(At { value, place }) = written else { return Some(None) };
    if bounds.contains(value) {
        return Some(Some(*value));
    }
    let fix = format!("write a number from {} to {}", bounds.start(), bounds.end());
    found.add(Refusal::BadStoreSetting, place, "this is out of bounds", fix);
    None
}

/// A URL with a password in it is a secret.
fn secret_if_with_password(
    written: &At<String>,
    url: &str,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<()> {
    if has_password(url) { resolver.secret(written, found).map(drop) } else { Some(()) }
}

/// The bytes of a file that may be named; the outer nothing is a fault.
fn pem(
    written: Option<&At<String>>,
    read: fn(&std::path::Path) -> Result<String, FileFault>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Option<Vec<u8>>> {
    let Some(written) = written else { return Some(None) };
    let path = resolver.file_named(written, found)?;
    match read(&path) {
        Ok(text) => Some(Some(text.into_bytes())),
        Err(fault) => {
            let message = format!("{}: {}", path.display(), fault.message());
            found.add(fault.refusal(), &written.place, message, "name a PEM file");
            None
        }
    }
}

/// The server and the database, without who connects and how.
fn shown(url: &str) -> String {
    let (_, rest) = credentials(url);
    let place = rest.split_once('?').map_or(rest, |(place, _)| place);
    format!("postgres://{place}")
}

/// Whether a URL says a password, before the hosts or among the parameters.
pub(crate) fn has_password(url: &str) -> bool {
    let (credentials, rest) = credentials(url);
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    credentials.contains(':')
        || form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "password")
}

/// Who connects, and the rest. By hand, since a URL of PostgreSQL may name several hosts.
fn credentials(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('@').unwrap_or(("", rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reference::Variables;
    use std::path::Path;

    fn at(value: &str) -> Option<At<String>> {
        let place = Place { line: 1, key: "store".into() };
        Some(At { value: value.to_owned(), place })
    }

    fn judge(written: document::Store, environment: Environment) -> Result<StorePlace, Refusal> {
        let password = "postgres://serve_test:p_test_1@db.example/countersign?sslmode=verify-full";
        let variables = Variables::of(&[("DB", password)]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/folder") };
        let mut found = Found::default();
        let place = place(&written, Some(environment), &resolver, &mut found);
        let refused = found.into_list().first().map(|problem| problem.refusal);
        match (place, refused) {
            (Some(place), None) => Ok(place),
            (_, refused) => Err(refused.expect("what is refused has a reason")),
        }
    }

    fn url(text: &str) -> document::Store {
        document::Store { url: at(text), ..document::Store::default() }
    }

    #[test]
    fn a_server_is_reached_by_its_url_and_shown_without_who_connects() {
        let place = judge(url("${env:DB}"), Environment::Live).expect("a server");
        assert_eq!(place.to_string(), "postgres://db.example/countersign");
        assert!(!format!("{place:?}").contains("p_test_1"));
    }

    #[test]
    fn a_url_of_several_hosts_is_one_like_any_other() {
        let two = "db-1.example:5432,db-2.example:5433/countersign";
        let variables = format!("postgres://serve_test:p_test_1@{two}?target_session_attrs=any");
        assert_eq!(shown(&variables), format!("postgres://{two}"));
        let judged = |written: String| judge(url(&written), Environment::Test);
        let refused = Some(Refusal::LiteralSecret);
        assert_eq!(judged(variables).err(), refused);
        assert_eq!(judged(format!("postgres://{two}?user=a&p%61ssword=p_test_1")).err(), refused);
        let without = judged(format!("postgres://serve_test@{two}")).expect("no secret");
        assert_eq!(without.to_string(), format!("postgres://{two}"));
    }

    #[test]
    fn a_password_in_the_configuration_itself_is_refused() {
        let literal = url("postgres://serve_test:p_test_1@db.example/countersign");
        assert_eq!(judge(literal, Environment::Test).err(), Some(Refusal::LiteralSecret));
        let without = url("postgres://serve_test@localhost/countersign");
        assert!(judge(without, Environment::Live).is_ok());
    }

    #[test]
    fn live_data_never_goes_to_another_machine_in_the_clear() {
        let plain = "postgres://serve_test@db.example/countersign?sslmode=disable";
        let refused = judge(url(plain), Environment::Test).err();
        assert_eq!(refused, Some(Refusal::BadStoreUrl));
        let place = Place { line: 2, key: "store.allow_plaintext".into() };
        let allowed = || document::Store {
            allow_plaintext: Some(At { value: true, place: place.clone() }),
            ..url(plain)
        };
        assert!(judge(allowed(), Environment::Test).is_ok());
        assert_eq!(judge(allowed(), Environment::Live).err(), Some(Refusal::PlainStoreInLive));
    }

    #[test]
    fn what_is_for_a_server_is_refused_beside_a_file() {
        let beside = document::Store { listen_url: at("postgres://a/b"), ..url("sqlite:a.db") };
        assert_eq!(judge(beside, Environment::Test).err(), Some(Refusal::BadStoreSetting));
        assert!(judge(url("sqlite:a.db"), Environment::Test).is_ok());
    }

    #[test]
    fn numbers_out_of_bounds_and_half_a_certificate_are_refused() {
        let number = |value| Some(At { value, place: Place { line: 1, key: "n".into() } });
        let local = "postgres://serve_test@localhost/countersign";
        let check = |written, bad| {
            let refused = judge(written, Environment::Test).err();
            assert_eq!(refused, Some(Refusal::BadStoreSetting), "{bad}");
        };
        for bad in [0, 3, 201, -1] {
            check(document::Store { connections_max: number(bad), ..url(local) }, bad);
        }
        for bad in [0, 49, 60_001] {
            check(document::Store { statement_timeout_ms: number(bad), ..url(local) }, bad);
        }
        for bad in [0, 9, 60_001] {
            check(document::Store { stall_ms: number(bad), ..url(local) }, bad);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("client.pem");
        std::fs::write(&file, "x").expect("written");
        let half =
            document::Store { client_certificate: at(&file.to_string_lossy()), ..url(local) };
        assert_eq!(judge(half, Environment::Test).err(), Some(Refusal::BadStoreSetting));
        let gone = document::Store { root_certificate: at("/nowhere/ca.pem"), ..url(local) };
        assert_eq!(judge(gone, Environment::Test).err(), Some(Refusal::FileMissing));
    }
}
