//! Certificates that providers sign with: fetched where a request says, and kept.
//!
//! *Nouns.* A request names the **URL** of a certificate; `schemes` lets only the provider's own hosts
//! and paths pass. The **chain** that stands there is fetched like a delivery is sent: the name is
//! resolved once, every address is checked, no redirect is followed. It is **kept** until its own
//! end, and no longer than a day. *Failures.* What cannot be fetched now is refused for now (503): the
//! provider sends again. Nothing is ever accepted for want of a certificate.
//!
//! A stranger can name certificates that are not there. Therefore a request is first tried for
//! everything that can be told without one, an address may cause few fetches a minute, few run at once,
//! and what failed is not asked for again for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use model::Timestamp;
use model::limits::{
    CERTIFICATE_FAILED_MS, CERTIFICATE_FETCH_MS_MAX, CERTIFICATE_FETCHES_AT_ONCE_MAX,
    CERTIFICATE_FETCHES_MAX, CERTIFICATE_FETCHES_PERIOD_MS, CERTIFICATE_KEPT_MS_MAX,
    CERTIFICATES_KEPT_MAX,
};
use model::rate::Rate;
use schemes::bounds::CERTIFICATE_BYTES_MAX;
use schemes::{CertificateUrl, Certified, Chain, Freshness, Roots};
use tokio::sync::Semaphore;

use super::admit::{Arrival, Received};
use super::limits::AddressLimit;
use super::{Inbound, Refused};
use crate::Refusal;
use crate::outbound::Client;

/// What a test answers for the URL of a certificate; nothing where it cannot be fetched.
pub type CertificateScript = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// Who gives the certificates that providers sign with, and who is trusted to vouch for them.
pub struct Certificates {
    /// Who is trusted.
    pub roots: Roots,
    /// Who is asked for a chain.
    pub fetch: Fetch,
}

/// Who is asked for a chain.
#[derive(Clone)]
pub enum Fetch {
    /// The provider's host.
    Network,
    /// A test, which plays that host.
    Scripted(Arc<CertificateScript>),
}

impl Default for Certificates {
    fn default() -> Self {
        Self { roots: Roots::mozilla(), fetch: Fetch::Network }
    }
}

/// The certificates that are known, and the way to others.
pub(crate) struct CertificateStore {
    settings: Certificates,
    client: Arc<Client>,
    kept: Mutex<HashMap<CertificateUrl, Kept>>,
    fetches: AddressLimit,
    slots: Semaphore,
}

/// What was found at a URL; nothing where fetching failed a moment ago.
#[derive(Clone)]
struct Kept {
    chain: Option<Arc<Chain>>,
    until: Timestamp,
}

/// The certificate of one request.
pub(super) struct Fetched {
    url: CertificateUrl,
    chain: Arc<Chain>,
}

impl Inbound {
    /// The certificate that verifying this request takes, where it takes one.
    pub(super) async fn certificate(
        &self,
        arrival: &Arrival,
        received: &Received,
    ) -> Result<Option<Fetched>, Refused> {
        let settings = &received.source.settings;
        // Nothing is fetched for who is refused whatever the signature says.
        if !settings.profile.takes_certificates() || received.refused_anyway.is_some() {
            return Ok(None);
        }
        let url = {
            let lines = received.header_lines();
            let verifying = received.source.keys.load();
            let request = received.request(&lines);
            let freshness = settings.tolerance_s.map_or(Freshness::Profile, Freshness::Seconds);
            let now_ms = arrival.at.as_millis();
            settings.profile.certificate_url(&verifying.keys, &request, now_ms, freshness)
        };
        let source = || Some(received.source.clone());
        let url = match url {
            Ok(Some(url)) => url,
            Ok(None) => return Ok(None),
            Err(rejection) => {
                return Err(self.unverified(arrival, Refusal::Unverified(rejection), source()));
            }
        };
        match self.certificates.chain(&url, arrival).await {
            Some(chain) => Ok(Some(Fetched { url, chain })),
            None => Err(Refused::of(Refusal::CertificateUnavailable, &received.source)),
        }
    }

    pub(super) fn certified<'c>(&'c self, fetched: &'c Fetched) -> Certified<'c> {
        let roots = &self.certificates.settings.roots;
        Certified { url: &fetched.url, chain: &fetched.chain, roots }
    }
}

impl CertificateStore {
    pub(crate) fn new(settings: Certificates, client: Arc<Client>) -> Self {
        let fetches =
            Rate { count: CERTIFICATE_FETCHES_MAX, period_ms: CERTIFICATE_FETCHES_PERIOD_MS };
        Self {
            settings,
            client,
            kept: Mutex::default(),
            fetches: AddressLimit::new(fetches),
            slots: Semaphore::new(CERTIFICATE_FETCHES_AT_ONCE_MAX),
        }
    }

    /// The chain at a URL, from memory or from there; none where it cannot be had now.
    async fn chain(&self, url: &CertificateUrl, arrival: &Arrival) -> Option<Arc<Chain>> {
        let now = arrival.at;
        if let Some(kept) = self.kept(url, now) {
            return kept.chain;
        }
        self.fetches.take(arrival.address, now.as_millis()).ok()?;
        let limit = Duration::from_millis(CERTIFICATE_FETCH_MS_MAX);
        let _slot = tokio::time::timeout(limit, self.slots.acquire()).await.ok()?.ok()?;
        // Whoever waited may find what the one before has fetched.
        if let Some(kept) = self.kept(url, now) {
            return kept.chain;
        }
        let fetched = tokio::time::timeout(limit, self.fetch(url)).await.ok().flatten();
        let chain = fetched.and_then(|pem| Chain::from_pem(&pem)).map(Arc::new);
        let ends = chain.as_deref().map(|chain| ends(chain, now));
        let until = ends.unwrap_or(after(now, CERTIFICATE_FAILED_MS));
        if chain.is_none() {
            tracing::warn!(
                code = Refusal::CertificateUnavailable.code(),
                request = %arrival.request,
                url = url.as_str(),
                "a certificate could not be fetched: what is signed with it is refused for now"
            );
        }
        self.keep(url, Kept { chain: chain.clone(), until }, now);
        chain
    }

    async fn fetch(&self, url: &CertificateUrl) -> Option<Vec<u8>> {
        match &self.settings.fetch {
            Fetch::Network => get(&self.client, url.as_str(), false).await,
            Fetch::Scripted(script) => script(url.as_str()),
        }
    }

    fn kept(&self, url: &CertificateUrl, now: Timestamp) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).filter(|kept| now < kept.until).cloned()
    }

    /// Keeps what was found. Where too many are kept, the one goes that would end first: what failed
    /// goes before what is in use.
    fn keep(&self, url: &CertificateUrl, found: Kept, now: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, other| now < other.until);
        if kept.len() >= CERTIFICATES_KEPT_MAX {
            let first = kept.iter().min_by_key(|(_, other)| other.until);
            if let Some(first) = first.map(|(url, _)| url.clone()) {
                kept.remove(&first);
            }
        }
        kept.insert(url.clone(), found);
    }
}

fn after(now: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add(millis))
}

/// Until when a chain is kept: its own end, and a day at most.
fn ends(chain: &Chain, now: Timestamp) -> Timestamp {
    let latest = after(now, CERTIFICATE_KEPT_MS_MAX);
    let parsed = x509_parser::parse_x509_certificate(chain.leaf());
    parsed.map_or(now, |(_, leaf)| {
        let seconds = leaf.validity().not_after.timestamp();
        latest.min(Timestamp::from_millis(seconds.saturating_mul(1000)))
    })
}

/// The body that stands at a URL, if it is there and not too long. No redirect is followed.
async fn get(client: &Client, url: &str, allow_private: bool) -> Option<Vec<u8>> {
    let request = Request::get(url).body(Full::<Bytes>::default()).ok()?;
    let answer = client.call(request, allow_private).await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(answer.into_body(), CERTIFICATE_BYTES_MAX).collect().await.ok()?;
    Some(body.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::Resolver;

    /// What is made of an answer, given by a server at a private address.
    async fn answered(answer: Vec<u8>, allow_private: bool) -> Option<Vec<u8>> {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", server.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(&answer).await;
        });
        let got = get(&Client::new(&Resolver::System, None), &url, allow_private).await;
        serving.abort();
        got
    }

    fn ok(body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn only_a_whole_answer_of_bounded_length_is_taken() {
        assert_eq!(answered(ok(b"pem"), true).await.as_deref(), Some(&b"pem"[..]));
        let longest = vec![b'a'; CERTIFICATE_BYTES_MAX];
        assert_eq!(answered(ok(&longest), true).await.map(|b| b.len()), Some(longest.len()));
        assert_eq!(answered(ok(&vec![b'a'; CERTIFICATE_BYTES_MAX + 1]), true).await, None);
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 100_000]].concat();
        assert_eq!(answered(endless, true).await, None);
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npem".to_vec();
        assert_eq!(answered(cut, true).await, None);
        for status in ["404 Not Found", "500 Oops", "301 Moved", "204 No Content", "206 Partial"] {
            let answer = format!(
                "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"
            );
            assert_eq!(answered(answer.into_bytes(), true).await, None, "{status}");
        }
    }

    #[tokio::test]
    async fn nothing_is_fetched_from_a_private_address() {
        assert_eq!(answered(ok(b"pem"), false).await, None);
    }
}
