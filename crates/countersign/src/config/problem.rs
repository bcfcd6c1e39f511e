//! Why a configuration is refused: a stable code, the place, what is wrong and how to fix it.
//!
//! No text made here holds a value of the configuration, of a variable or of a file. Keys are
//! shown when they look like keys; what looks like a secret written in the wrong place is not.

use std::fmt;
use std::path::{Path, PathBuf};

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// Why a gateway does not start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Refusal { $($(#[$doc])* $variant,)* }

        impl Refusal {
            /// Every reason, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code, as in `docs/reasons.md`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

refusals! {
    /// The configuration cannot be read.
    ConfigUnreadable = "config_unreadable",
    /// The configuration is not TOML.
    NotToml = "not_toml",
    /// A key that means nothing here.
    UnknownKey = "unknown_key",
    /// A key that must be there is not.
    MissingKey = "missing_key",
    /// A number where a text belongs, and the like.
    WrongType = "wrong_type",
    /// `environment` is neither test nor live.
    BadEnvironment = "bad_environment",
    /// A listener's address is not `ADDRESS:PORT`.
    BadListener = "bad_listener",
    /// Two listeners on one address.
    ListenerTaken = "listener_taken",
    /// A host name that cannot be one.
    BadHost = "bad_host",
    /// Not an address or a network in CIDR form.
    BadNetwork = "bad_network",
    /// A network written as a host: `203.0.113.0` without its prefix length.
    NetworkAsHost = "network_as_host",
    /// An address inside a network where the network belongs: `203.0.113.7/24`.
    HostBitsSet = "host_bits_set",
    /// A network that holds every address.
    NetworkIsEverything = "network_is_everything",
    /// The PROXY protocol without a proxy that may speak it.
    ProxyProtocolAlone = "proxy_protocol_alone",
    /// A live gateway's admin listener is off loopback and open to everybody.
    AdminExposed = "admin_exposed",
    /// The certificate cannot be read.
    BadCertificate = "bad_certificate",
    /// The certificate, or one of its chain, has expired.
    CertificateExpired = "certificate_expired",
    /// The certificate, or one of its chain, is not valid yet.
    CertificateNotYetValid = "certificate_not_yet_valid",
    /// The private key cannot be used.
    BadTlsKey = "bad_tls_key",
    /// The private key belongs to another certificate.
    TlsKeyMismatch = "tls_key_mismatch",
    /// The authority of the clients cannot be read.
    BadClientCa = "bad_client_ca",
    /// The store's URL is not one we know.
    BadStoreUrl = "bad_store_url",
    /// A setting of the store that is out of bounds, or does not belong to it.
    BadStoreSetting = "bad_store_setting",
    /// The audit log's origin cannot name a log.
    BadAuditOrigin = "bad_audit_origin",
    /// A witness of the audit log is no place, or more than one.
    BadWitness = "bad_witness",
    /// A sink of the audit log has no name of its own, no place, or more than one.
    BadSink = "bad_sink",
    /// Not the address of a syslog server.
    BadSyslog = "bad_syslog",
    /// A contact or a policy of security.txt is none, or its end is no time.
    BadSecurityTxt = "bad_security_txt",
    /// The time until which security.txt holds is over.
    SecurityTxtExpired = "security_txt_expired",
    /// A permission that no route for operators asks for.
    UnknownPermission = "unknown_permission",
    /// A number of days in `[retention]` is too small or too large.
    BadRetention = "bad_retention",
    /// A text is no code of a currency.
    UnknownCurrency = "unknown_currency",
    /// A text is no host that payers could be sent back to.
    BadReturnHost = "bad_return_host",
    /// A chain, its nodes, or how they are asked.
    BadChain = "bad_chain",
    /// An asset, or how many confirmations it needs.
    BadAsset = "bad_asset",
    /// A limit on orders that counts nobody, or bounds nothing.
    BadOrderLimit = "bad_order_limit",
    /// What becomes of events that name an unknown order is neither `pass` nor `hold`.
    BadUnknownOrders = "bad_unknown_orders",
    /// A live gateway would speak to another machine's database in the clear.
    PlainStoreInLive = "plain_store_in_live",
    /// The server that is to count over all gateways is none that we know.
    BadRedisUrl = "bad_redis_url",
    /// A live gateway would speak to another machine's Valkey or Redis in the clear.
    PlainRedisInLive = "plain_redis_in_live",
    /// This binary cannot ask a Valkey or Redis server.
    NoRedis = "no_redis",
    /// The root key has not the shape of one.
    BadRootKey = "bad_root_key",
    /// A name that cannot stand in a path.
    BadName = "bad_name",
    /// A name that is taken.
    DuplicateName = "duplicate_name",
    /// A source names an endpoint that does not exist.
    UnknownEndpoint = "unknown_endpoint",
    /// A source names a provider that has no profile.
    UnknownProvider = "unknown_provider",
    /// The folder of profiles cannot be read.
    BadProvidersDirectory = "bad_providers_directory",
    /// A profile of the operator's does not load.
    BadProfile = "bad_profile",
    /// A source without secrets.
    NoSecrets = "no_secrets",
    /// Both `secret` and `secrets`.
    SecretTwice = "secret_twice",
    /// A secret written into the configuration.
    LiteralSecret = "literal_secret",
    /// A reference with text around it.
    PartialReference = "partial_reference",
    /// A reference that is neither `${env:NAME}` nor `${file:PATH}`.
    BadReference = "bad_reference",
    /// The variable is not set.
    VariableUnset = "variable_unset",
    /// The variable is empty or blank.
    VariableEmpty = "variable_empty",
    /// The variable is not text.
    VariableNotText = "variable_not_text",
    /// The file does not exist.
    FileMissing = "file_missing",
    /// The file is empty or blank.
    FileEmpty = "file_empty",
    /// The file cannot be read as text.
    FileUnreadable = "file_unreadable",
    /// Other users may read or change the file.
    FileExposed = "file_exposed",
    /// The file with the variables cannot be read.
    BadEnvFile = "bad_env_file",
    /// White space around a secret.
    SecretPadded = "secret_padded",
    /// A secret that has not the shape that its provider gives.
    SecretShape = "secret_shape",
    /// The same secret twice in one list.
    SecretRepeated = "secret_repeated",
    /// One secret for both a provider and an endpoint.
    SecretShared = "secret_shared",
    /// A test key in a live gateway.
    TestKeyInLive = "test_key_in_live",
    /// A live key in a test gateway.
    LiveKeyInTest = "live_key_in_test",
    /// Not an absolute http or https URL.
    BadUrl = "bad_url",
    /// A user name or password in a URL.
    UrlCredentials = "url_credentials",
    /// Plain HTTP in a live gateway.
    PlainHttpInLive = "plain_http_in_live",
    /// A private or loopback address without leave.
    PrivateAddress = "private_address",
    /// A port of another protocol than HTTP, without leave.
    PortNotHttp = "port_not_http",
    /// The scheme signs the URL, and it is not known.
    PublicUrlMissing = "public_url_missing",
    /// The provider's unit of money must be said.
    AmountUnitMissing = "amount_unit_missing",
    /// A unit of money that the provider does not use.
    AmountUnitUnknown = "amount_unit_unknown",
    /// Only secrets that no common library verifies with.
    OnlyAsymmetric = "only_asymmetric",
    /// A header that cannot be added to deliveries, or a prefix that cannot begin one.
    BadHeader = "bad_header",
    /// `format` is neither event nor original.
    BadFormat = "bad_format",
    /// An endpoint that gets original bytes takes one source.
    OriginalNeedsOneSource = "original_needs_one_source",
    /// A limit of a body outside of what is possible.
    BadBodyLimit = "bad_body_limit",
    /// A window outside of what is sensible.
    BadTolerance = "bad_tolerance",
    /// Not a rate.
    BadRate = "bad_rate",
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Where something stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The key, such as `source[0].secrets[1]`; empty for the file as a whole.
    pub key: String,
}

impl Place {
    /// The file as a whole.
    pub(super) const fn file() -> Self {
        Self { line: 0, key: String::new() }
    }

    /// A key of the table that stands here.
    pub(super) fn key(&self, key: &str) -> Self {
        let key = if self.key.is_empty() { key.into() } else { format!("{}.{key}", self.key) };
        Self { line: self.line, key }
    }
}

/// One fault and its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of fault.
    pub refusal: Refusal,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// Everything that is wrong with one configuration, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    /// The problems of one file.
    pub(super) fn new(file: &Path, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.place.line);
        Self { file: file.to_path_buf(), list }
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// One JSON object a problem, for `--json`.
    pub fn to_json(&self) -> Vec<serde_json::Value> {
        self.iter()
            .map(|problem| {
                serde_json::json!({
                    "code": problem.refusal.code(),
                    "file": self.file.display().to_string(),
                    "line": problem.place.line,
                    "key": problem.place.key,
                    "message": problem.message,
                    "fix": problem.fix,
                })
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            write!(f, "{}", self.file.display())?;
            if problem.place.line > 0 {
                write!(f, ":{}", problem.place.line)?;
            }
            if !problem.place.key.is_empty() {
                write!(f, ": {}", problem.place.key)?;
            }
            writeln!(f, ": {} [{}]", problem.message, problem.refusal)?;
            writeln!(f, "  fix: {}", problem.fix)?;
        }
        let count = self.list.len();
        write!(f, "{count} {} in the configuration", if count == 1 { "fault" } else { "faults" })
    }
}

impl std::error::Error for Problems {}

/// Gathers problems, so that all are said at once.
#[derive(Default)]
pub(super) struct Found {
    list: Vec<Problem>,
}

impl Found {
    /// Notes one more.
    pub(super) fn add(
        &mut self,
        refusal: Refusal,
        place: &Place,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (message, fix) = (message.into(), fix.into());
        self.list.push(Problem { refusal, place: place.clone(), message, fix });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn has(&self, refusal: Refusal) -> bool {
        self.list.iter().any(|problem| problem.refusal == refusal)
    }

    pub(super) fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

/// A key as it may be shown: what has digits or is long may be a secret in the wrong place.
pub(super) fn shown(key: &str) -> String {
    let plain =
        key.len() <= 32 && key.bytes().all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b));
    if plain && !key.is_empty() { key.to_owned() } else { "(a key not shown here)".to_owned() }
}

/// The candidate that is nearest to what was written, if one is near enough.
pub(super) fn nearest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(far, candidate)| *far <= 2.min(candidate.len() / 2))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in bytes.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (pair, b) in row.windows(2).zip(other.bytes()) {
            let &[diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
    }

    #[test]
    fn suggests_only_what_is_near() {
        let keys = ["secrets", "endpoints", "url"];
        assert_eq!(nearest("secret", keys), Some("secrets"));
        assert_eq!(nearest("endpiont", keys), None);
        assert_eq!(nearest("endpoint", keys), Some("endpoints"));
        assert_eq!(nearest("x", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown_as_a_key() {
        assert_eq!(shown("seecrets"), "seecrets");
        assert_eq!(shown("whsec_test_1"), "(a key not shown here)");
        assert_eq!(shown(""), "(a key not shown here)");
    }
}
