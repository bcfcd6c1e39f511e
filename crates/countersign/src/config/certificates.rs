//! Certificates in files, for tests.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::identity::{CertificateFiles, IdentityFault, Shown};

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A pair that is valid from 2010 to the first day of a year.
pub(crate) fn until(year: i32) -> Pair {
    between(2010, year)
}

/// A pair that is valid from the first day of one year to that of another.
pub(crate) fn between(from: i32, until: i32) -> Pair {
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed").pem();
    Pair { certificate, key: key.serialize_pem() }
}

/// A folder with `cert.pem` and `key.pem`.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn with(pair: &Pair) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("cert.pem", &pair.certificate, 0o644);
        folder.write("key.pem", &pair.key, 0o600);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file, as renewal programs do.
    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        let new = self.path("new");
        std::fs::write(&new, text).expect("written");
        std::fs::set_permissions(&new, PermissionsExt::from_mode(mode)).expect("set");
        std::fs::rename(&new, self.path(name)).expect("replaced");
    }

    pub(crate) fn shown(&self) -> Result<Shown, IdentityFault> {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        Shown::load("public", CertificateFiles { certificate, key, client_ca: None })
    }
}
