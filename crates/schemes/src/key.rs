//! From a secret's text to a key that is ready to verify with.

use std::ops::RangeInclusive;
use std::sync::Arc;

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sabotage::Defect;
use zeroize::Zeroizing;

use crate::certificate::CertificateRule;
use crate::secret::{SecretError, SecretFault};

/// How a signature is computed. It comes from the profile, never from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    Ed25519,
    EcdsaP256Sha256,
    RsaPkcs1Sha256,
    /// The secret itself is sent.
    Equals,
}

/// The families that a vector's key can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Shared,
    Ed25519,
    Ecdsa,
    Rsa,
}

impl Algorithm {
    pub(crate) const NAMES: &'static [(&'static str, Self)] = &[
        ("hmac-sha1", Self::HmacSha1),
        ("hmac-sha256", Self::HmacSha256),
        ("hmac-sha384", Self::HmacSha384),
        ("hmac-sha512", Self::HmacSha512),
        ("ed25519", Self::Ed25519),
        ("ecdsa-p256-sha256", Self::EcdsaP256Sha256),
        ("rsa-pkcs1-sha256", Self::RsaPkcs1Sha256),
        ("equals", Self::Equals),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, other)| *other == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn hmac(self) -> Option<hmac::Algorithm> {
        Some(match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
            _ => return None,
        })
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Ed25519 => Family::Ed25519,
            Self::EcdsaP256Sha256 => Family::Ecdsa,
            Self::RsaPkcs1Sha256 => Family::Rsa,
            _ => Family::Shared,
        }
    }

    fn public(self) -> Option<&'static dyn signature::VerificationAlgorithm> {
        Some(match self {
            Self::Ed25519 => &signature::ED25519,
            Self::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            _ => return None,
        })
    }
}

/// How a secret's text becomes bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decode {
    Utf8,
    Hex,
    Base64,
    PrefixBase64(String),
    Sha1,
    Sha256,
    /// HMAC-SHA-256 of the secret under this text as the key.
    Hmac(String),
    SpkiPem,
    SpkiBase64,
}

impl Decode {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.split_once(':') {
            Some(("prefix_base64", prefix)) if !prefix.is_empty() => {
                Self::PrefixBase64(prefix.to_owned())
            }
            Some(("hmac", key)) if !key.is_empty() => Self::Hmac(key.to_owned()),
            _ => match text {
                "utf8" => Self::Utf8,
                "hex" => Self::Hex,
                "base64" => Self::Base64,
                "sha1" => Self::Sha1,
                "sha256" => Self::Sha256,
                "spki_pem" => Self::SpkiPem,
                "spki_b64" => Self::SpkiBase64,
                _ => return None,
            },
        })
    }

    /// What a secret should be, in words.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Utf8 | Self::Sha1 | Self::Sha256 | Self::Hmac(_) => "any text".to_owned(),
            Self::Hex => "hex digits, two for each byte".to_owned(),
            Self::Base64 => "base64 with padding".to_owned(),
            Self::PrefixBase64(prefix) => format!("{prefix} and base64 with padding"),
            Self::SpkiPem => "a public key in PEM (-----BEGIN PUBLIC KEY-----)".to_owned(),
            Self::SpkiBase64 => "the base64 text of a public key in DER".to_owned(),
        }
    }

    pub(crate) fn bytes(&self, text: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Hex => hex::decode(text).ok()?,
            Self::Base64 | Self::SpkiBase64 => STANDARD.decode(text).ok()?,
            Self::PrefixBase64(prefix) => STANDARD.decode(text.strip_prefix(prefix)?).ok()?,
            Self::Sha1 => {
                digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().to_vec()
            }
            Self::Sha256 => digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec(),
            Self::Hmac(key) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
                hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            Self::SpkiPem => {
                let inner = text
                    .trim()
                    .strip_prefix("-----BEGIN PUBLIC KEY-----")?
                    .strip_suffix("-----END PUBLIC KEY-----")?;
                let inner: String = inner.chars().filter(|char| !char.is_whitespace()).collect();
                STANDARD.decode(inner).ok()?
            }
        };
        (!bytes.is_empty() || sabotage::on(Defect::EmptySecret)).then(|| Zeroizing::new(bytes))
    }
}

/// What a scheme's alternative says of its keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyRule {
    pub(crate) decode: Decode,
    /// How the private key is written, for asymmetric algorithms that we can sign with.
    pub(crate) signing: Option<Decode>,
    pub(crate) bytes: RangeInclusive<usize>,
    /// The key comes as a certificate; what is configured is a text that is signed.
    pub(crate) certificate: Option<CertificateRule>,
}

impl KeyRule {
    pub(crate) fn expected(&self) -> String {
        let (low, high) = (self.bytes.start(), self.bytes.end());
        let expected = self.decode.expected();
        match (low, high) {
            (1, &usize::MAX) => expected,
            (low, high) if low == high => format!("{expected} of {low} bytes"),
            (low, &usize::MAX) => format!("{expected} of at least {low} bytes"),
            (low, high) => format!("{expected} of {low} to {high} bytes"),
        }
    }
}

/// A key, ready to verify with.
#[derive(Clone)]
pub(crate) enum Material {
    Hmac(Arc<hmac::Key>),
    Public(Arc<ParsedPublicKey>),
    /// The SHA-256 of a secret that is sent as it is: equal lengths, compared in constant time.
    Equals([u8; 32]),
    /// A text that is signed with the key of a certificate, which comes with the request.
    Named(Arc<str>),
}

impl Material {
    /// Decodes and prepares a secret; none where it is no key for this algorithm.
    pub(crate) fn prepare(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        if let Some(algorithm) = algorithm.hmac() {
            return Some(Self::Hmac(Arc::new(hmac::Key::new(algorithm, bytes))));
        }
        match algorithm.public() {
            Some(public) => {
                ParsedPublicKey::new(public, bytes).ok().map(|key| Self::Public(Arc::new(key)))
            }
            None => Some(Self::Equals(sha256(bytes))),
        }
    }
}

/// The public key of a certificate (SPKI, DER); none where it is too short or of another kind.
pub(crate) fn certified(algorithm: Algorithm, spki: &[u8]) -> Option<ParsedPublicKey> {
    // Refuses RSA of less than 2048 bits, which parsing alone leaves to verifying.
    if algorithm.family() == Family::Rsa && PublicEncryptingKey::from_der(spki).is_err() {
        return None;
    }
    ParsedPublicKey::new(algorithm.public()?, spki).ok()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

/// What every secret must be, whatever its scheme.
pub(crate) fn check_text(index: usize, text: &str) -> Result<(), SecretError> {
    let fault = if text.trim().is_empty() && !sabotage::on(Defect::EmptySecret) {
        SecretFault::Empty
    } else if text.contains("-----BEGIN") {
        return Ok(());
    } else if text.trim() != text || text.chars().any(char::is_control) {
        SecretFault::Whitespace
    } else {
        return Ok(());
    };
    Err(SecretError::new(Some(index), fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_decoded_as_the_profile_says() {
        let decode = |how: &str, text: &str| {
            Decode::parse(how).unwrap().bytes(text).map(|bytes| hex::encode(&*bytes))
        };
        assert_eq!(decode("utf8", "whsec_a").as_deref(), Some("77687365635f61"));
        assert_eq!(decode("hex", "00fF").as_deref(), Some("00ff"));
        assert_eq!(decode("base64", "AP8=").as_deref(), Some("00ff"));
        assert_eq!(decode("prefix_base64:whsec_", "whsec_AP8=").as_deref(), Some("00ff"));
        assert_eq!(
            decode("sha1", "a").as_deref(),
            Some("86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")
        );
        assert_eq!(decode("sha256", "").map(|hex| hex.len()), Some(64));
        assert_eq!(decode("hmac:WebAppData", "1:t").map(|hex| hex.len()), Some(64));
        for (how, wrong) in [
            ("hex", "0"),
            ("hex", "zz"),
            ("hex", ""),
            ("base64", "AP8"),
            ("base64", "AP9="),
            ("prefix_base64:whsec_", "AP8="),
            ("prefix_base64:whsec_", "whsec_"),
            ("spki_pem", "-----BEGIN PUBLIC KEY-----"),
            ("spki_b64", "!"),
        ] {
            assert_eq!(decode(how, wrong), None, "{how} {wrong}");
        }
        assert_eq!(Decode::parse("rot13"), None);
        assert_eq!(Decode::parse("hmac:"), None);
    }

    #[test]
    fn a_public_key_must_be_one() {
        assert!(Material::prepare(Algorithm::Ed25519, &[1; 31]).is_none());
        assert!(Material::prepare(Algorithm::RsaPkcs1Sha256, b"no key").is_none());
        assert!(Material::prepare(Algorithm::EcdsaP256Sha256, b"no key").is_none());
    }

    #[test]
    fn blank_and_padded_secrets_are_refused() {
        let code = |text: &str| check_text(0, text).err().map(|error| error.code());
        assert_eq!(code("ok"), None);
        assert_eq!(code("It's a Secret"), None);
        assert_eq!(code(""), Some("empty_secret"));
        assert_eq!(code(" \n"), Some("empty_secret"));
        assert_eq!(code("secret\n"), Some("whitespace_in_secret"));
        assert_eq!(code(" secret"), Some("whitespace_in_secret"));
        assert_eq!(code("two\nlines"), Some("whitespace_in_secret"));
    }
}
