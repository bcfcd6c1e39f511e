//! The files of a listener's certificate: read at the start, and again when they change.

use std::fs::Metadata;
use std::path::PathBuf;
use std::time::SystemTime;

use gateway::{Clock, Identity, IdentityError, Tls};
use model::Timestamp;

use super::problem::Refusal;
use super::reference::{FileFault, read_private, read_text};

/// Where the parts of an identity stand.
pub(crate) struct CertificateFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The authority of the clients, where they must have a certificate.
    pub(crate) client_ca: Option<PathBuf>,
}

/// What tells one state of the files from another, without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(SystemTime, u64, u64)>>);

/// Why an identity cannot be used.
pub(crate) struct IdentityFault {
    pub(crate) refusal: Refusal,
    /// The key of the configuration that names the file.
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) fix: &'static str,
}

/// What a listener shows, and the files that it came from.
pub struct Shown {
    pub(crate) listener: &'static str,
    pub(crate) files: CertificateFiles,
    /// The files as they were when they were read last.
    pub(crate) stamp: Stamp,
    pub(crate) tls: Tls,
}

impl Shown {
    /// Reads the files for the first time.
    pub(super) fn load(
        listener: &'static str,
        files: CertificateFiles,
    ) -> Result<Self, IdentityFault> {
        // Taken first: what changes while it is read is read again.
        let stamp = files.stamp();
        let tls = Tls::new(files.load(Clock::System.now())?);
        Ok(Self { listener, files, stamp, tls })
    }
}

impl CertificateFiles {
    pub(crate) fn stamp(&self) -> Stamp {
        let paths = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let stamps = paths.into_iter().flatten().map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), inode(&metadata)))
        });
        Stamp(stamps.collect())
    }

    /// Reads and judges the files as they are now.
    pub(crate) fn load(&self, now: Timestamp) -> Result<Identity, IdentityFault> {
        let certificate = pem("certificate", read_text(&self.certificate))?;
        let key = pem("key", read_private(&self.key))?;
        let client_ca = match &self.client_ca {
            None => None,
            Some(path) => Some(pem("client_ca", read_text(path))?),
        };
        let client_ca = client_ca.as_ref().map(String::as_bytes);
        let identity = Identity::parse(certificate.as_bytes(), key.as_bytes(), client_ca)?;
        let fault = |refusal, message: &str, fix| {
            Err(IdentityFault { refusal, key: "certificate", message: message.to_owned(), fix })
        };
        if identity.expires() <= now {
            let fix = "renew the certificate; every one of its chain must be valid";
            return fault(Refusal::CertificateExpired, "the certificate has expired", fix);
        }
        if now < identity.valid_from() {
            let fix = "look at the clock (NTP), or wait until the certificate is valid";
            return fault(Refusal::CertificateNotYetValid, "it is not valid yet", fix);
        }
        Ok(identity)
    }
}

fn pem(key: &'static str, read: Result<String, FileFault>) -> Result<String, IdentityFault> {
    read.map_err(|fault| {
        let fix = match fault {
            FileFault::Missing => {
                "correct the path (relative paths start at the configuration's folder)"
            }
            FileFault::Exposed => "chmod 600 the file",
            _ => "it is a PEM file of at most 64 KiB that the gateway's user may read",
        };
        let message = format!("the file {}", fault.message());
        IdentityFault { refusal: fault.refusal(), key, message, fix }
    })
}

impl From<IdentityError> for IdentityFault {
    fn from(error: IdentityError) -> Self {
        let (refusal, key, fix) = match error {
            IdentityError::Certificate => (
                Refusal::BadCertificate,
                "certificate",
                "write the certificate and its chain as PEM, the listener's own first",
            ),
            IdentityError::Key => (
                Refusal::BadTlsKey,
                "key",
                "write the private key as PEM without a passphrase: ECDSA P-256 or P-384, \
                 Ed25519, or RSA of 2048 bits or more",
            ),
            IdentityError::KeyMismatch => (
                Refusal::TlsKeyMismatch,
                "key",
                "take the certificate and the key of one and the same renewal",
            ),
            IdentityError::ClientAuthority => (
                Refusal::BadClientCa,
                "client_ca",
                "write the certificates of the authorities that sign your clients' as PEM",
            ),
        };
        Self { refusal, key, message: error.to_string(), fix }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ino()
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
