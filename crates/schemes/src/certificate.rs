//! Keys that come as certificates: which URL may name one, and whose it is.
//!
//! *Nouns.* A request names the **URL** of a certificate; only one that the profile allows, letter for
//! letter, becomes a [`CertificateUrl`]. Whoever may fetch does so, and gives the **chain** that stood
//! there. The chain is then judged at every request, by the clock that is given: it must lead to one
//! of the **roots**, be inside its dates, be for servers, and be for a name of the provider's.
//! Nothing here fetches, and nothing here remembers.

use std::time::Duration;

use regex::bytes::Regex;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use crate::bounds::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, URL_BYTES_MAX};
use crate::engine::{self, Terms};
use crate::profile::Profile;
use crate::reason::Rejection;
use crate::request::Request;
use crate::scheme::Keys;
use crate::source::{Scope, Source};
use crate::time::Freshness;

/// What a profile says of the certificates that its provider signs with.
#[derive(Debug, Clone)]
pub(crate) struct CertificateRule {
    /// Where the request names the URL.
    pub(crate) url: Source,
    pub(crate) hosts: Vec<String>,
    pub(crate) path: Regex,
    /// The certificate is for one of these.
    pub(crate) names: Vec<ServerName<'static>>,
    /// What the configured text is called in messages (`cfg:`).
    pub(crate) setting: String,
}

/// The URL of a certificate, checked against the profile: safe to fetch by those who may fetch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateUrl(String);

impl CertificateUrl {
    /// `https://`, a host of the profile's, and a path of letters that mean nothing but themselves.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stood at the URL of a certificate: it and those that vouch for it.
#[derive(Debug, Clone)]
pub struct Chain {
    leaf: CertificateDer<'static>,
    issuers: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads certificates in PEM (RFC 7468), the provider's own first; none where there is none, too
    /// many, or anything that is cut off or broken.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let mut certificates = certificates(pem)?.into_iter();
        Some(Self { leaf: certificates.next()?, issuers: certificates.collect() })
    }

    /// The provider's own certificate (X.509, DER).
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    if pem.len() > CERTIFICATE_BYTES_MAX {
        return None;
    }
    let found = CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX + 1);
    let found: Vec<_> = found.collect::<Result<_, _>>().ok()?;
    // A label that is cut off begins nothing, so it is counted.
    let begun = pem.windows(BEGIN.len()).filter(|part| *part == BEGIN).count();
    (!found.is_empty() && found.len() <= CERTIFICATES_MAX && found.len() == begun).then_some(found)
}

const BEGIN: &[u8] = b"-----BEGIN";

/// Who is trusted to say whose a certificate is.
#[derive(Debug, Clone)]
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// Those that Mozilla trusts.
    pub fn mozilla() -> Self {
        Self(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }

    /// Certificates in PEM; none where one of them cannot be a root.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let certificates = certificates(pem)?;
        let anchor = |certificate: &CertificateDer<'_>| {
            webpki::anchor_from_trusted_cert(certificate).ok().map(|anchor| anchor.to_owned())
        };
        certificates.iter().map(anchor).collect::<Option<_>>().map(Self)
    }
}

/// A chain as it was fetched, where from, and who is trusted to vouch for it.
#[derive(Debug, Clone, Copy)]
pub struct Certified<'c> {
    /// Where it was fetched.
    pub url: &'c CertificateUrl,
    /// What stood there.
    pub chain: &'c Chain,
    /// Who is trusted.
    pub roots: &'c Roots,
}

impl Profile {
    /// The certificate that verifying this request takes; none where it takes none.
    ///
    /// Everything that can be refused without it is refused here, so that nobody fetches for a
    /// request that could not verify.
    pub fn certificate_url(
        &self,
        keys: &Keys,
        request: &Request<'_>,
        now_ms: i64,
        freshness: Freshness,
    ) -> Result<Option<CertificateUrl>, Rejection> {
        engine::certificate_url(self.scheme(), keys, request, &Terms::strict(now_ms, freshness))
    }

    /// Whether webhooks are verified with certificates that have to be fetched.
    pub fn takes_certificates(&self) -> bool {
        self.scheme().alternatives.iter().any(|one| one.key.certificate.is_some())
    }
}

impl CertificateRule {
    /// The URL that a request names, if it is one of the provider's.
    ///
    /// It is compared as text and not as a URL, so that there is nothing to be understood in two
    /// ways: no other spelling of the scheme or host, no user, port, query, fragment, escape or dots.
    pub(crate) fn url(&self, scope: &Scope<'_, '_>) -> Result<CertificateUrl, Rejection> {
        let found = self.url.find(scope)?.ok_or(Rejection::MissingHeader)?;
        let url = std::str::from_utf8(&found).ok().filter(|url| url.len() <= URL_BYTES_MAX);
        let (host, path) = url
            .and_then(|url| url.strip_prefix("https://"))
            .and_then(|rest| rest.split_once('/'))
            .ok_or(Rejection::CertificateUrl)?;
        let path = format!("/{path}");
        let is_plain = path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.'))
            && !path.contains("//")
            && !path.split('/').any(|part| part.starts_with('.'));
        let is_ours = self.hosts.iter().any(|other| other == host);
        if is_plain && is_ours && self.path.is_match(path.as_bytes()) {
            Ok(CertificateUrl(format!("https://{host}{path}")))
        } else {
            Err(Rejection::CertificateUrl)
        }
    }

    /// The public key of a certificate that is the provider's at this time (SPKI, DER).
    pub(crate) fn key(&self, certified: &Certified<'_>, now_ms: i64) -> Result<Vec<u8>, Rejection> {
        let chain = certified.chain;
        let leaf = EndEntityCert::try_from(&chain.leaf).map_err(refused)?;
        let seconds = u64::try_from(now_ms / 1000).map_err(|_| Rejection::CertificateExpired)?;
        leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &certified.roots.0,
            &chain.issuers,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(refused)?;
        let is_for = |name| leaf.verify_is_valid_for_subject_name(name).is_ok();
        if !self.names.iter().any(is_for) {
            return Err(Rejection::CertificateName);
        }
        Ok(leaf.subject_public_key_info().to_vec())
    }
}

/// What of a certificate is wrong.
fn refused(error: webpki::Error) -> Rejection {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity => {
            Rejection::CertificateExpired
        }
        Error::CaUsedAsEndEntity
        | Error::EndEntityUsedAsCa
        | Error::EmptyEkuExtension
        | Error::RequiredEkuNotFoundContext(_) => Rejection::CertificateUse,
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => {
            Rejection::CertificateUnreadable
        }
        _ => Rejection::CertificateUntrusted,
    }
}
