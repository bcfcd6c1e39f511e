//! Signed notes (C2SP signed-note): a text, a blank line, and a line for each signature.
//!
//! ```text
//! text, one line or several
//!
//! — name base64(key id || signature)
//! ```
//!
//! The first character of a signature line is an em dash. A key is known by its **name** and its
//! **key id** together. Only Ed25519 signatures (type 0x01) are made and verified; signatures of
//! keys that nobody gave are left alone, so that keys can be rotated and witnesses can cosign.

mod key;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use key::{KeyError, SigningKey, VerifierKey};

use crate::limits::{NOTE_BYTES_MAX, SIGNATURES_MAX};

/// Why a note is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteError {
    /// It is not of the form of a signed note.
    Malformed,
    /// None of the given keys has signed it.
    Unsigned,
    /// A signature of a given key does not fit the text.
    Signature,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is not a signed note",
            Self::Unsigned => "none of the given keys has signed it",
            Self::Signature => "the signature does not fit the text",
        })
    }
}

impl std::error::Error for NoteError {}

/// A note that was taken apart. Nothing is known of its text before [`verify`](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// One line under a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

impl Signature {
    /// The name of the key that is said to have signed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of that key.
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (key_id, bytes) = bytes.split_first_chunk()?;
        let fits = key::is_name(name) && !bytes.is_empty();
        fits.then(|| Self { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = STANDARD.encode([self.key_id.as_slice(), &self.bytes].concat());
        writeln!(f, "— {} {encoded}", self.name)
    }
}

impl Note {
    /// Takes a note apart. Strict: what is taken prints as the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        Self::read(bytes).ok_or(NoteError::Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > NOTE_BYTES_MAX {
            return None;
        }
        let whole = std::str::from_utf8(bytes).ok()?;
        if whole.chars().any(|char| char < ' ' && char != '\n') {
            return None;
        }
        // The text may have empty lines: the last one divides.
        let divider = whole.rfind("\n\n")?;
        let (text, rest) = whole.split_at(divider + 1);
        let lines = rest.strip_prefix('\n')?.strip_suffix('\n')?;
        let signatures: Vec<Signature> =
            lines.split('\n').map(Signature::parse).collect::<Option<_>>()?;
        let fits = !signatures.is_empty() && signatures.len() <= SIGNATURES_MAX;
        fits.then(|| Self { text: text.to_owned(), signatures })
    }

    /// Signs a text that ends with a line end, with each key in turn. Only a
    /// [`Sealer`](crate::Sealer) signs for a log.
    pub(crate) fn sign(text: String, keys: &[&SigningKey]) -> Result<Self, NoteError> {
        let signatures = keys
            .iter()
            .map(|key| Signature {
                name: key.verifier().name().to_owned(),
                key_id: key.verifier().id(),
                bytes: key.sign(text.as_bytes()),
            })
            .collect();
        let note = Self { text, signatures };
        // What could not be read back must not leave.
        Self::parse(note.to_string().as_bytes())
            .and_then(|read| if read == note { Ok(note) } else { Err(NoteError::Malformed) })
    }

    /// The text, without the blank line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, of known keys and of others.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature of these keys; there must be one at least.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<&'k VerifierKey, NoteError> {
        let mut signer = None;
        for signature in &self.signatures {
            let is_it =
                |key: &&VerifierKey| key.name() == signature.name && key.id() == signature.key_id;
            for key in keys.iter().filter(is_it) {
                if !key.verifies(self.text.as_bytes(), &signature.bytes) {
                    return Err(NoteError::Signature);
                }
                signer = signer.or(Some(key));
            }
        }
        signer.ok_or(NoteError::Unsigned)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}
