//! The keys: the root that wraps, and the data keys that records' keys are derived from.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, Zeroizing};

use crate::RootKeyError;

const PREFIX: &str = "cs_root_";
const TEXT_LENGTH: usize = 43;

/// Names a data key. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key ")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key that wraps data keys. It stands in a file or the environment, never in the store.
pub struct RootKey {
    pub(crate) bytes: Zeroizing<[u8; 32]>,
    version: [u8; 8],
}

impl RootKey {
    /// Reads the text form: `cs_root_` and 32 bytes in base64url without padding. A line end after
    /// it is allowed, as files have one.
    pub fn parse(text: &str) -> Result<Self, RootKeyError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let encoded = text.strip_prefix(PREFIX).ok_or(RootKeyError::Prefix)?;
        if encoded.len() != TEXT_LENGTH {
            return Err(RootKeyError::Length);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        let written = URL_SAFE_NO_PAD
            .decode_slice(encoded, bytes.as_mut_slice())
            .map_err(|_| RootKeyError::Encoding)?;
        if written != bytes.len() {
            return Err(RootKeyError::Encoding);
        }
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(RootKeyError::Placeholder);
        }
        Ok(Self::generate(*bytes))
    }

    /// A new root key from 32 bytes of the system's generator.
    pub fn generate(mut random: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(random);
        random.zeroize();
        let mac = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()),
            b"countersign root key version",
        );
        let version = *mac.as_ref().first_chunk().expect("a SHA-256 MAC has 32 bytes");
        Self { bytes, version }
    }

    /// The text form, to be written to a key file once.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TEXT_LENGTH));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.bytes.as_slice(), &mut text);
        text
    }

    /// A fingerprint: tells roots apart and says nothing about the key.
    pub fn version(&self) -> [u8; 8] {
        self.version
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(…)")
    }
}

/// The key of a person, of a source's day, or of the gateway itself. Records' keys come from it.
pub struct DataKey {
    id: KeyId,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

impl DataKey {
    /// A new data key from 32 bytes of the system's generator.
    pub fn new(id: KeyId, mut random: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(random);
        random.zeroize();
        Self { id, bytes }
    }

    /// Which key this is.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({:?}, …)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COUNTING: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
        \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

    proptest! {
        #[test]
        fn text_form_round_trips(random: [u8; 32]) {
            let root = RootKey::generate(random);
            let read = RootKey::parse(&root.to_text()).expect("its own text");
            prop_assert_eq!(read.bytes.as_slice(), random.as_slice());
            prop_assert_eq!(read.version(), root.version());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "(cs_root_)?.{0,60}") {
            let _ = RootKey::parse(&text);
        }
    }

    #[test]
    fn what_is_not_a_root_key_is_refused() {
        let good = RootKey::generate(COUNTING).to_text();
        let refused = |text: &str| RootKey::parse(text).expect_err("not a root key");
        assert!(RootKey::parse(&format!("{}\n", *good)).is_ok());
        assert!(RootKey::parse(&format!("{}\r\n", *good)).is_ok());
        assert_eq!(refused(""), RootKeyError::Prefix);
        assert_eq!(refused(good.trim_start_matches("cs_")), RootKeyError::Prefix);
        assert_eq!(refused(&format!(" {}", *good)), RootKeyError::Prefix);
        assert_eq!(refused("cs_root_"), RootKeyError::Length);
        assert_eq!(refused(&good[..good.len() - 1]), RootKeyError::Length);
        assert_eq!(refused(&format!("{}=", *good)), RootKeyError::Length);
        assert_eq!(refused(&format!("{}\n\n", *good)), RootKeyError::Length);
        assert_eq!(refused(&good.replace('A', "+")), RootKeyError::Encoding);
        // The last character carries two unused bits, which must be zero: one key, one text.
        assert_eq!(refused(&format!("{}_", &good[..good.len() - 1])), RootKeyError::Encoding);
        assert_eq!(refused(&format!("cs_root_{}", "A".repeat(43))), RootKeyError::Placeholder);
    }

    #[test]
    fn roots_are_told_apart_by_version() {
        let one = RootKey::generate([1; 32]);
        let two = RootKey::generate([2; 32]);
        assert_ne!(one.version(), two.version());
        assert_eq!(one.version(), RootKey::generate([1; 32]).version());
    }

    #[test]
    fn debug_shows_no_key() {
        let root = RootKey::generate([0xab; 32]);
        let key = DataKey::new(KeyId([1; 16]), [0xab; 32]);
        assert_eq!(format!("{root:?}"), "RootKey(…)");
        assert!(!format!("{key:?}").contains("abab"));
    }
}
