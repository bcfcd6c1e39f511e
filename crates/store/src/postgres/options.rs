//! What a connection needs: where the server is, whom it proves to be, and how long to wait.
//!
//! Whenever TLS is used the server's certificate and name are verified, whatever the URL says. A
//! connection in the clear is made only to this machine, or where the operator allows it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::OpenError;

/// How long a connection may take, whatever a statement may.
const CONNECT_MS_MIN: u64 = 500;
const CONNECT_MS_MAX: u64 = 5_000;

/// A peer that acknowledges nothing for so long is gone.
const SILENT_MS_MAX: u64 = 1_000;

/// How often a connection that idles is tried.
const KEEPALIVE_S: u64 = 10;

/// Where the store's server is and how it is used.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`; several hosts are tried in their order.
    pub url: String,
    /// The same server without a pooler between, where work that others record is heard of. None
    /// is polling.
    pub listen_url: Option<String>,
    /// The authorities that may have signed the server's certificate, as PEM; none is the public
    /// ones.
    pub ssl_root_cert: Option<Vec<u8>>,
    /// Our certificate and its key, as PEM, where the server asks for one.
    pub client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether a connection to another machine may be in the clear.
    pub allow_plaintext: bool,
    /// Connections at most, at least four; one more listens.
    pub connections_max: usize,
    /// What a statement may take, and two thirds of it a connection, from half a second to five. Whoever
    /// waits is answered within about as long when the server is away.
    pub statement_timeout_ms: u64,
    /// How long every connection that writes arrivals may be busy with the same transactions before
    /// whoever waits is told that the store is overloaded.
    pub stall_ms: u64,
    /// Commands in one transaction.
    pub batch_commands_max: usize,
    /// Commands that may wait; more records are refused as overload.
    pub queue_commands_max: usize,
}

impl PostgresOptions {
    /// As a gateway has it, for the server at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            listen_url: None,
            ssl_root_cert: None,
            client_certificate: None,
            allow_plaintext: false,
            connections_max: 8,
            statement_timeout_ms: 750,
            stall_ms: 60,
            batch_commands_max: model::limits::BATCH_COMMANDS_MAX,
            queue_commands_max: model::limits::QUEUE_COMMANDS_MAX,
        }
    }

    /// Sees that it can be tried, without a connection.
    ///
    /// # Errors
    /// When a URL or a certificate cannot be read, or another machine would be spoken to in the
    /// clear without leave.
    pub fn check(&self) -> Result<(), OpenError> {
        Target::of(self)?;
        Target::listened(self).map(drop)
    }
}

impl fmt::Debug for PostgresOptions {
    /// Without the URLs and the key: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("allow_plaintext", &self.allow_plaintext)
            .field("connections_max", &self.connections_max)
            .field("statement_timeout_ms", &self.statement_timeout_ms)
            .field("stall_ms", &self.stall_ms)
            .finish_non_exhaustive()
    }
}

/// A server to connect to.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    /// From the first byte to a connection that can be used.
    pub(super) connect_within: Duration,
    pub(super) tls: MakeRustlsConnect,
}

impl Target {
    /// The server that commands go to.
    pub(super) fn of(options: &PostgresOptions) -> Result<Self, OpenError> {
        Self::at(&options.url, options)
    }

    /// The server that is listened to, if one is.
    pub(super) fn listened(options: &PostgresOptions) -> Result<Option<Self>, OpenError> {
        options.listen_url.as_deref().map(|url| Self::at(url, options)).transpose()
    }

    fn at(url: &str, options: &PostgresOptions) -> Result<Self, OpenError> {
        // What verifies less than everything is not offered, so these words mean the same here.
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let connect_ms =
            (options.statement_timeout_ms * 2 / 3).clamp(CONNECT_MS_MIN, CONNECT_MS_MAX);
        let connect_within = Duration::from_millis(connect_ms);
        let mut config: Config = url.parse().map_err(|_| OpenError::BadUrl)?;
        config.ssl_mode(ssl_mode(&config, options.allow_plaintext)?);
        if config.get_application_name().is_none() {
            config.application_name("countersign");
        }
        config
            // A standby that was not promoted is not the server, though it answers.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(connect_within)
            .tcp_user_timeout(Duration::from_millis(SILENT_MS_MAX))
            .keepalives_idle(Duration::from_secs(KEEPALIVE_S))
            .keepalives_interval(Duration::from_secs(1))
            .keepalives_retries(3);
        Ok(Self { config, connect_within, tls: MakeRustlsConnect::new(tls(options)?) })
    }
}

fn ssl_mode(config: &Config, allow_plaintext: bool) -> Result<SslMode, OpenError> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(OpenError::BadUrl);
    }
    match config.get_ssl_mode() {
        SslMode::Require => Ok(SslMode::Require),
        _ if is_local(config) => Ok(SslMode::Disable),
        // It is the operator's word against that of whoever sits between.
        SslMode::Disable if allow_plaintext => Ok(SslMode::Disable),
        SslMode::Disable => Err(OpenError::Plaintext),
        _ if allow_plaintext => Ok(SslMode::Prefer),
        _ => Ok(SslMode::Require),
    }
}

/// Whether every host is this machine.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    })
}

fn tls(options: &PostgresOptions) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    match &options.ssl_root_cert {
        Some(pem) => {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(|_| OpenError::BadCertificate)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| OpenError::Failed)?
        .with_root_certificates(roots);
    match &options.client_certificate {
        None => Ok(config.with_no_client_auth()),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| OpenError::BadCertificate)?;
            config
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|_| OpenError::BadCertificate)
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(OpenError::BadCertificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str, allow_plaintext: bool) -> Result<SslMode, OpenError> {
        let options = PostgresOptions { allow_plaintext, ..PostgresOptions::new(url) };
        Target::of(&options).map(|target| target.config.get_ssl_mode())
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for local in ["localhost", "127.0.0.1", "127.9.9.9", "%2Frun%2Fpostgresql"] {
            let url = format!("postgres://a@{local}/b");
            assert_eq!(mode(&url, false), Ok(SslMode::Disable), "{local}");
            let url = format!("{url}?sslmode=verify-full");
            assert_eq!(mode(&url, false), Ok(SslMode::Require), "{local}");
        }
        for sslmode in ["", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca"] {
            let url = format!("postgres://a@db.example{sslmode}");
            assert_eq!(mode(&url, false), Ok(SslMode::Require), "{sslmode}");
        }
        // One of several hosts is enough, and an address counts before a name.
        assert_eq!(mode("postgres://a@localhost,db.example/b", false), Ok(SslMode::Require));
        let elsewhere = "host=localhost hostaddr=192.0.2.7 user=a";
        assert_eq!(mode(elsewhere, false), Ok(SslMode::Require));
    }

    #[test]
    fn a_connection_in_the_clear_to_another_machine_is_refused() {
        let url = "postgres://a@db.example/b?sslmode=disable";
        assert_eq!(mode(url, false), Err(OpenError::Plaintext));
        assert_eq!(mode(url, true), Ok(SslMode::Disable));
        assert_eq!(mode("postgres://a@db.example/b", true), Ok(SslMode::Prefer));
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused() {
        for bad in ["", "postgres://", "sqlite:x", "postgres://a@b/c?sslmode=maybe"] {
            assert_eq!(mode(bad, true), Err(OpenError::BadUrl), "{bad}");
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_refused() {
        let options = PostgresOptions::new("postgres://a@db.example/b");
        let bad = Some(b"no pem".to_vec());
        let of_nobody = PostgresOptions { ssl_root_cert: bad.clone(), ..options.clone() };
        let without_key = PostgresOptions {
            client_certificate: Some((b"no".to_vec(), b"no".to_vec())),
            ..options
        };
        for options in [of_nobody, without_key] {
            assert_eq!(Target::of(&options).err(), Some(OpenError::BadCertificate));
        }
    }

    #[test]
    fn what_is_printed_holds_no_secret() {
        let options = PostgresOptions::new("postgres://a:hunter2@db.example/b");
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
