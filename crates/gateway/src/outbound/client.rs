//! The HTTP client of deliveries: it resolves once, checks every answer, and dials what it checked.
//!
//! No redirects, no proxies but the configured one ([`Proxy`]), HTTP/1.1. The check stands where the connection
//! is made, so a literal address, a name that resolves to several, and a name that resolves
//! differently the second time all pass the same place.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::destination;
use model::limits::{ANSWER_BYTES_MAX, ANSWER_HEADERS_MAX};
use tokio::net::TcpStream;
use tower::Service;

use super::proxy::Proxy;
use super::resolver::Resolver;

const DIAL: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST_MAX: usize = 32;

type Pool = legacy::Client<HttpsConnector<Dialler>, Full<Bytes>>;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The address may not be dialled.
    Forbidden,
    /// No connection, or it broke before an answer.
    Unreachable,
}

/// Two pools, so that a connection of an endpoint that may be private is never used for one that
/// may not.
pub(crate) struct Client {
    public: Pool,
    private: Pool,
}

impl Client {
    /// A client that trusts the system's certificates, or Mozilla's where the system has none. The
    /// proxy is for what is outside: an endpoint that may be private is dialled from here.
    pub(crate) fn new(resolver: &Resolver, proxy: Option<&Proxy>) -> Self {
        let dialler = |allow_private, proxy: Option<&Proxy>| Dialler {
            allow_private,
            resolver: resolver.clone(),
            proxy: proxy.cloned(),
        };
        Self {
            public: pool(trusting(), dialler(false, proxy)),
            private: pool(trusting(), dialler(true, None)),
        }
    }

    /// A client of tests, which trusts these certificates and dials private addresses.
    #[cfg(test)]
    pub(crate) fn trusting(resolver: &Resolver, roots: rustls::RootCertStore) -> Self {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let pool = |allow_private| {
            let trusting = HttpsConnectorBuilder::new().with_tls_config(config.clone());
            pool(trusting, Dialler { allow_private, resolver: resolver.clone(), proxy: None })
        };
        Self { public: pool(false), private: pool(true) }
    }

    /// Sends one request.
    pub(crate) async fn call(
        &self,
        request: Request<Full<Bytes>>,
        allow_private: bool,
    ) -> Result<Response<Incoming>, CallError> {
        let pool = if allow_private { &self.private } else { &self.public };
        pool.request(request).await.map_err(|error| {
            if caused_by_forbidden(&error) { CallError::Forbidden } else { CallError::Unreachable }
        })
    }
}

/// The system's certificates, or Mozilla's.
fn trusting() -> HttpsConnectorBuilder<WantsSchemes> {
    let native = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider());
    native.unwrap_or_else(|_| {
        HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
            .expect("the provider supports the default protocol versions")
    })
}

fn pool(trusting: HttpsConnectorBuilder<WantsSchemes>, dialler: Dialler) -> Pool {
    let connector = trusting.https_or_http().enable_http1().wrap_connector(dialler);
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .http1_max_headers(ANSWER_HEADERS_MAX)
        .http1_max_buf_size(ANSWER_BYTES_MAX)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .retry_canceled_requests(false)
        .build(connector)
}

/// Dials addresses that were checked.
#[derive(Clone)]
struct Dialler {
    allow_private: bool,
    resolver: Resolver,
    proxy: Option<Proxy>,
}

/// The error that tells a forbidden address from an unreachable one.
#[derive(Debug, thiserror::Error)]
#[error("the address may not be dialled")]
struct Forbidden;

impl Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialler = self.clone();
        Box::pin(async move {
            let dialled = tokio::time::timeout(DIAL, dialler.dial(&uri)).await;
            dialled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(TokioIo::new)
        })
    }
}

impl Dialler {
    /// Resolves once and dials what was checked. One address that is not public among others
    /// forbids all of them: nobody has such names by accident.
    async fn dial(&self, uri: &Uri) -> io::Result<TcpStream> {
        let host = uri.host().ok_or(io::ErrorKind::InvalidInput)?;
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let addresses = self.resolver.resolve(host, port).await?;
        let is_public = addresses.iter().all(|address| destination::is_public(address.ip()));
        if !self.allow_private && (!is_public || destination::is_never_http(port)) {
            return Err(io::Error::other(Forbidden));
        }
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            let dialled = match &self.proxy {
                Some(proxy) => proxy.dial(address).await,
                None => TcpStream::connect(address).await,
            };
            match dialled {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn caused_by_forbidden(error: &legacy::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<Forbidden>().is_some() {
            return true;
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn call(url: &str, allow_private: bool) -> Result<(), CallError> {
        let request = Request::post(url).body(Full::default()).expect("a request");
        Client::new(&Resolver::System, None).call(request, allow_private).await.map(drop)
    }

    /// As the system's resolver reads them, which knows more spellings than the URL standard.
    #[tokio::test]
    async fn private_addresses_are_refused_in_every_spelling_and_never_dialled() {
        let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = trap.local_addr().expect("an address").port();
        let named = ["localhost", "127.1", "0x7f.1", "0177.0.0.01", "2130706433", "0", "127.0.0.1"];
        let bracketed = ["[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]"];
        for host in named.into_iter().chain(bracketed) {
            let url = format!("http://{host}:{port}/");
            assert_eq!(call(&url, false).await, Err(CallError::Forbidden), "{host}");
        }
        let accepted = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
        assert!(accepted.is_err(), "nothing was dialled");
        let dialled =
            tokio::spawn(async move { call(&format!("http://127.0.0.1:{port}/"), true).await });
        trap.accept().await.expect("with leave it is dialled");
        dialled.abort();
    }

    #[tokio::test]
    async fn a_port_of_another_protocol_is_refused() {
        for port in [22, 25, 6379] {
            let url = format!("http://1.1.1.1:{port}/");
            assert_eq!(call(&url, false).await, Err(CallError::Forbidden), "{port}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = closed.local_addr().expect("an address").port();
        drop(closed);
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(call(&url, true).await, Err(CallError::Unreachable));
    }
}
