//! Keys of notes: one that signs, and the text by which anybody verifies.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::sha256;
use crate::limits::NAME_BYTES_MAX;

/// The type of Ed25519 signatures over the text itself.
const ED25519_TYPE: u8 = 0x01;

/// Why a text or a seed is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The name is empty, too long, or has spaces, control characters or a plus.
    Name,
    /// It is not of the form `name+id+key`.
    Form,
    /// The key is not one of Ed25519.
    Algorithm,
    /// The id is not that of this name and key: a character was changed.
    Id,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a key has no spaces, no control characters and no plus",
            Self::Form => {
                "a verifier key is a name, eight hexadecimal digits and base64, with + between"
            }
            Self::Algorithm => "only keys of Ed25519 (type 1) are known",
            Self::Id => "the key was changed: its id does not fit",
        })
    }
}

impl std::error::Error for KeyError {}

/// Whether a text can name a key.
pub(super) fn is_name(name: &str) -> bool {
    let wrong = |char: char| char.is_whitespace() || char.is_control() || char == '+';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(wrong)
}

/// What verifies a log's signatures. Not secret. Prints as `name+id+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
    id: [u8; 4],
}

impl VerifierKey {
    /// From the public key of Ed25519.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let named = [name.as_bytes(), b"\n", &[ED25519_TYPE], &public].concat();
        let id = *sha256(&named).0.first_chunk().expect("32 bytes hold 4");
        Ok(Self { name: name.to_owned(), public, id })
    }

    /// The name: for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: it tells keys of one name apart.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let typed = [[ED25519_TYPE].as_slice(), &self.public].concat();
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(typed))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Base64 may have a plus, a name may not.
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or(KeyError::Form);
        let (name, _id, key) = (part()?, part()?, part()?);
        let typed = STANDARD.decode(key).map_err(|_| KeyError::Form)?;
        let (kind, public) = typed.split_first().ok_or(KeyError::Form)?;
        let public = <[u8; 32]>::try_from(public);
        let (ED25519_TYPE, Ok(public)) = (*kind, public) else { return Err(KeyError::Algorithm) };
        let key = Self::new(name, public)?;
        // The id as it must be written, so that a key has one text.
        if key.to_string() == text { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// What signs a log's checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SigningKey {
    /// From the 32 bytes of an Ed25519 seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Algorithm)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Algorithm)?;
        Ok(Self { pair, verifier: VerifierKey::new(name, public)? })
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(text).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, …)", self.verifier)
    }
}
