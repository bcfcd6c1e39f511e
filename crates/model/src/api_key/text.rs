//! The text form of an API key, which scanners for leaked secrets know by its shape.
//!
//! `cs_{test|live}_{id}_{secret}_{checksum}`: the 26 characters of the key's id, 52 of its 256 random
//! bits in the same alphabet, and in eight hexadecimal digits the CRC-32 of everything before the
//! last underscore. The checksum proves nothing: it lets whoever finds such a text tell a key from
//! something that looks like one, without asking anybody.

use std::fmt;

use zeroize::Zeroizing;

use crate::id::ALPHABET;
use crate::{ApiKeyId, Environment};

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;

const SECRET_CHARACTERS: usize = 52;
const CHECKSUM_CHARACTERS: usize = 8;

/// The random bits of a key. They are never printed, and wiped when they are dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

impl Secret {
    /// From random bytes.
    pub fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text is not an API key: another shape, another alphabet, or a checksum that is not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an API key: its shape or its checksum is wrong")
    }
}

impl std::error::Error for Malformed {}

/// An API key as an application shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Where it is for.
    pub environment: Environment,
    /// Which key it is.
    pub id: ApiKeyId,
    /// What only its owner knows.
    pub secret: Secret,
}

impl ApiKey {
    /// Reads the text form, of which each key has one.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::read(text).ok_or(Malformed)
    }

    fn read(text: &str) -> Option<Self> {
        let (body, checksum) = text.rsplit_once('_')?;
        let mut parts = body.strip_prefix("cs_")?.split('_');
        let environment = Environment::from_code(parts.next()?)?;
        let id = ApiKeyId::from_characters(parts.next()?)?;
        let secret = read_secret(parts.next()?)?;
        let is_whole = parts.next().is_none() && *checksum == *checksum_of(body);
        is_whole.then_some(Self { environment, id, secret })
    }

    /// The text form. It is the secret itself: show it once.
    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = write_secret(&self.secret);
        let (environment, id) = (self.environment.code(), self.id.characters());
        let body = Zeroizing::new(format!("cs_{environment}_{id}_{}", secret.as_str()));
        Zeroizing::new(format!("{}_{}", body.as_str(), checksum_of(&body)))
    }
}

fn checksum_of(body: &str) -> String {
    format!("{:0CHECKSUM_CHARACTERS$x}", crc32fast::hash(body.as_bytes()))
}

/// Five bits a character, the first of which carries one.
fn write_secret(secret: &Secret) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(SECRET_CHARACTERS));
    for character in 0..SECRET_CHARACTERS {
        let digit = (0..5).fold(0, |digit, bit| {
            // The text has four bits more than the secret: they are the first ones, and zero.
            let at = (character * 5 + bit).checked_sub(SECRET_CHARACTERS * 5 - SECRET_BYTES * 8);
            let byte = at.and_then(|at| secret.0.get(at / 8)).copied().unwrap_or(0);
            digit << 1 | usize::from(byte >> (7 - at.unwrap_or(0) % 8) & 1)
        });
        text.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
    }
    text
}

fn read_secret(text: &str) -> Option<Secret> {
    if text.len() != SECRET_CHARACTERS {
        return None;
    }
    let mut bytes = Zeroizing::new([0_u8; SECRET_BYTES]);
    let mut held = 0_u32;
    let mut bits = 0;
    let mut places = bytes.iter_mut();
    for (place, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        if place == 0 && digit > 1 {
            return None;
        }
        held = (held << 5) | u32::try_from(digit).ok()?;
        bits += if place == 0 { 1 } else { 5 };
        if bits >= 8 {
            bits -= 8;
            *places.next()? = u8::try_from(held >> bits).ok()?;
            held &= (1 << bits) - 1;
        }
    }
    Some(Secret(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use proptest::prelude::*;

    fn key(environment: Environment, secret: [u8; 32]) -> ApiKey {
        let id = ApiKeyId::new(Timestamp::from_millis(1_767_225_600_000), [7; 10]);
        ApiKey { environment, id, secret: Secret::new(secret) }
    }

    /// The text with its checksum put right.
    fn summed(body: &str) -> String {
        format!("{body}_{}", checksum_of(body))
    }

    proptest! {
        #[test]
        fn the_text_form_is_read_back(live: bool, millis in 0_i64..4_102_444_800_000, random: [u8; 10],
            secret: [u8; 32])
        {
            let environment = if live { Environment::Live } else { Environment::Test };
            let id = ApiKeyId::new(Timestamp::from_millis(millis), random);
            let key = ApiKey { environment, id, secret: Secret::new(secret) };
            let text = key.to_text();
            prop_assert_eq!(text.len(), 96);
            prop_assert_eq!(ApiKey::parse(&text), Ok(key.clone()));
            let said = format!("{key:?}");
            prop_assert!(!said.contains(write_secret(&key.secret).as_str()), "{}", said);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,120}") {
            if let Ok(key) = ApiKey::parse(&text) {
                let printed = key.to_text();
                prop_assert_eq!(printed.as_str(), text);
            }
        }

        #[test]
        fn another_character_is_another_checksum(secret: [u8; 32], at in 0_usize..96, to in 0x21_u8..0x7f) {
            let text = key(Environment::Test, secret).to_text();
            let mut changed = text.as_bytes().to_vec();
            prop_assume!(changed[at] != to);
            changed[at] = to;
            let changed = String::from_utf8(changed).expect("ASCII");
            prop_assert_eq!(ApiKey::parse(&changed), Err(Malformed));
        }
    }

    #[test]
    fn known_answer() {
        // The checksum is that of zlib.crc32 and of `crc32` of everybody else.
        let text = key(Environment::Test, [0xff; 32]).to_text();
        let body = "cs_test_01kdvdna00ew3re1r70w3ge1r7_1zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
        assert_eq!(*text, format!("{body}_f132b6a2"));
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn there_is_one_spelling() {
        let good = key(Environment::Live, [5; 32]).to_text();
        let (body, _) = good.rsplit_once('_').expect("it has a checksum");
        assert!(ApiKey::parse(&summed(body)).is_ok());
        let parts: Vec<&str> = body.split('_').collect();
        let [_, _, id, secret] = parts[..] else { panic!("four parts") };
        for bad in [
            String::new(),
            body.to_owned(),
            good.to_uppercase(),
            format!(" {}", good.as_str()),
            format!("{}\n", good.as_str()),
            summed(&body.replace("cs_", "sk_")),
            summed(&body.replace("live", "LIVE")),
            summed(&body.replace("live", "prod")),
            summed(&format!("cs_live_{id}")),
            summed(&format!("cs_live_{id}_{secret}_{secret}")),
            summed(&format!("cs_live_{id}_{secret}0")),
            summed(&format!("cs_live_{id}_")),
            summed(&format!("cs_live_key_{id}_{secret}")),
            // Four bits more than there are, and letters that are left out.
            summed(&format!("cs_live_{id}_2{}", &secret[1..])),
            summed(&format!("cs_live_{id}_u{}", &secret[1..])),
            summed(&format!("cs_live_8{}_{secret}", &id[1..])),
            format!("{body}_{}", checksum_of(body).to_uppercase()),
            format!("{body}_0{}", checksum_of(body)),
        ] {
            assert_eq!(ApiKey::parse(&bad), Err(Malformed), "{bad}");
        }
    }
}
