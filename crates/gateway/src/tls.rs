//! What a listener shows of itself over TLS, and whom it lets in.
//!
//! TLS 1.2 and 1.3 with authenticated encryption and forward secrecy only (RFC 9325), and HTTP/1.1
//! only. The certificate can be changed while connections are open: each handshake takes what is
//! shown then.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use model::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedCipherSuite, version};
use sabotage::Defect;

/// In our order of preference. Named one by one, so that a library's new default adds none.
const SUITES: [SupportedCipherSuite; 9] = [
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// A certificate with its key, and the authority of the clients where they must have one.
pub struct Identity {
    config: Arc<ServerConfig>,
    valid_from: Timestamp,
    expires: Timestamp,
}

/// Why an identity cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificates are not PEM, or there is none, or one cannot be read.
    #[error("there is no readable certificate in PEM form")]
    Certificate,
    /// The key is not PEM, or of a kind that is not supported.
    #[error("there is no usable private key in PEM form")]
    Key,
    /// The key is that of another certificate.
    #[error("the private key does not belong to the first certificate")]
    KeyMismatch,
    /// The authority of the clients is not PEM, or empty, or cannot be read.
    #[error("there is no readable certificate of an authority in PEM form")]
    ClientAuthority,
}

impl Identity {
    /// Reads PEM: the certificate and its chain, leaf first; the private key (PKCS #8, SEC 1 or
    /// PKCS #1); and the authorities one of which must have signed each client's certificate.
    ///
    /// # Errors
    /// What cannot be read, or does not fit. Times are not judged here.
    pub fn parse(
        certificate: &[u8],
        key: &[u8],
        client_authority: Option<&[u8]>,
    ) -> Result<Self, IdentityError> {
        let chain = certificates(certificate).ok_or(IdentityError::Certificate)?;
        let (valid_from, expires) = validity(&chain).ok_or(IdentityError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::Key)?;
        let provider = Arc::new(provider());
        let wanted = client_authority.filter(|_| !sabotage::on(Defect::ClientCertificateIgnored));
        let verifier = match wanted {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(pem) => verifier(pem, &provider).ok_or(IdentityError::ClientAuthority)?,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(|_| IdentityError::Key)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    IdentityError::KeyMismatch
                }
                Error::InvalidCertificate(_) => IdentityError::Certificate,
                _ => IdentityError::Key,
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), valid_from, expires })
    }

    /// When all certificates of the chain are valid.
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// When the first certificate of the chain stops being valid.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

fn provider() -> CryptoProvider {
    CryptoProvider { cipher_suites: SUITES.to_vec(), ..aws_lc_rs::default_provider() }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!chain.is_empty()).then_some(chain)
}

/// The time in which every certificate is valid.
fn validity(chain: &[CertificateDer<'_>]) -> Option<(Timestamp, Timestamp)> {
    let mut from = i64::MIN;
    let mut until = i64::MAX;
    for certificate in chain {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        from = from.max(parsed.validity().not_before.timestamp());
        until = until.min(parsed.validity().not_after.timestamp());
    }
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    Some((at(from), at(until)))
}

fn verifier(pem: &[u8], provider: &Arc<CryptoProvider>) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem)? {
        roots.add(authority).ok()?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    built.build().ok()
}

/// The identity of a running listener. Clones are of one and the same.
#[derive(Clone)]
pub struct Tls {
    shown: Arc<RwLock<Identity>>,
    outdated: Arc<AtomicBool>,
}

impl Tls {
    /// Shows this identity.
    pub fn new(identity: Identity) -> Self {
        Self { shown: Arc::new(RwLock::new(identity)), outdated: Arc::default() }
    }

    /// Shows another identity from now on. Open connections stay as they are.
    pub fn renew(&self, identity: Identity) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = identity;
        self.outdated.store(false, Ordering::Relaxed);
    }

    /// Notes that there is a newer identity which cannot be used; for the metrics.
    pub fn keep(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    /// When what is shown expires.
    pub fn expires(&self) -> Timestamp {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).expires
    }

    pub(crate) fn outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, date_time_ymd};

    fn pair(key: &KeyPair, from: i32, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        (params.self_signed(key).expect("signed").pem(), key.serialize_pem())
    }

    fn check(certificate: &str, key: &str, clients: Option<&str>) -> Option<IdentityError> {
        let clients = clients.map(str::as_bytes);
        Identity::parse(certificate.as_bytes(), key.as_bytes(), clients).err()
    }

    #[test]
    fn what_does_not_fit_or_cannot_be_read_is_refused() {
        let (certificate, key) = pair(&KeyPair::generate().expect("a key"), 2020, 2030);
        let (_, foreign) = pair(&KeyPair::generate().expect("a key"), 2020, 2030);
        assert_eq!(check(&certificate, &key, None), None);
        assert_eq!(check(&certificate, &key, Some(&certificate)), None);
        assert_eq!(check(&certificate, &foreign, None), Some(IdentityError::KeyMismatch));
        for bad in ["", "hush", &key, &certificate.replace("MI", "AA")] {
            assert_eq!(check(bad, &key, None), Some(IdentityError::Certificate), "{bad}");
            let clients = check(&certificate, &key, Some(bad));
            assert_eq!(clients, Some(IdentityError::ClientAuthority), "{bad}");
        }
        for bad in ["", "hush", &certificate, &key.replace("MI", "AA")] {
            assert_eq!(check(&certificate, bad, None), Some(IdentityError::Key), "{bad}");
        }
    }

    #[test]
    fn rsa_keys_are_taken_too() {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        let (certificate, key) = pair(&key, 2020, 2030);
        assert_eq!(check(&certificate, &key, None), None);
    }

    #[test]
    fn a_chain_is_as_valid_as_its_weakest_part() {
        let key = KeyPair::generate().expect("a key");
        let ((long, pem), (short, _)) = (pair(&key, 2020, 2040), pair(&key, 2022, 2024));
        let chain = format!("{long}{short}");
        let identity = Identity::parse(chain.as_bytes(), pem.as_bytes(), None).expect("a chain");
        assert_eq!(identity.valid_from().date(), "2022-01-01");
        assert_eq!(identity.expires().date(), "2024-01-01");
    }

    #[test]
    fn every_suite_is_aead_with_forward_secrecy() {
        for suite in provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            assert!(name.contains("GCM") || name.contains("CHACHA20_POLY1305"), "{name}");
            assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
        }
    }
}
