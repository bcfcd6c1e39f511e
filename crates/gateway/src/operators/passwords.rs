//! Passwords: argon2id with what OWASP recommends (19 MiB, two passes, one lane), few at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use model::limits::{PASSWORD_BYTES_MAX, PASSWORDS_HASHED_MAX, SIGN_INS_WAITING_MAX};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use crate::entropy;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Characters of a random password: a hundred bits of them.
const RANDOM_CHARS: usize = 20;

/// Letters and digits that are not taken for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotHashed {
    /// Too many wait already.
    Busy,
    /// What it was to be compared with is no hash, or there was no memory.
    Failed,
}

/// Hashes passwords, a few at once; some more may wait.
pub(super) struct Hasher {
    at_once: Semaphore,
    waiting: Semaphore,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            at_once: Semaphore::new(PASSWORDS_HASHED_MAX),
            waiting: Semaphore::new(PASSWORDS_HASHED_MAX + SIGN_INS_WAITING_MAX),
        }
    }
}

/// A turn to hash, for as long as it is held.
pub(crate) struct Turn<'h> {
    _place: SemaphorePermit<'h>,
    _turn: SemaphorePermit<'h>,
}

impl Hasher {
    /// Waits for a turn, if not too many do already.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, NotHashed> {
        let place = self.waiting.try_acquire().map_err(|_| NotHashed::Busy)?;
        let turn = self.at_once.acquire().await.map_err(|_| NotHashed::Failed)?;
        Ok(Turn { _place: place, _turn: turn })
    }

    /// Whether a password is the one that this is the hash of.
    pub(super) async fn is_right(
        &self,
        password: Zeroizing<String>,
        phc: Zeroizing<Vec<u8>>,
    ) -> Result<bool, NotHashed> {
        let _turn = self.turn().await?;
        let judged = tokio::task::spawn_blocking(move || is_right(&password, &phc)).await;
        judged.map_err(|_| NotHashed::Failed)?
    }
}

fn is_right(password: &str, phc: &[u8]) -> Result<bool, NotHashed> {
    let phc = std::str::from_utf8(phc).map_err(|_| NotHashed::Failed)?;
    let hash = PasswordHash::new(phc).map_err(|_| NotHashed::Failed)?;
    // None is longer, so it is wrong; the same work all the same.
    let hashed = password.as_bytes().get(..PASSWORD_BYTES_MAX).unwrap_or(password.as_bytes());
    let is_right = argon2().ok_or(NotHashed::Failed)?.verify_password(hashed, &hash).is_ok();
    Ok(is_right && password.len() <= PASSWORD_BYTES_MAX)
}

/// The hash of a password, with its salt and parameters (a PHC string); none if there is no memory
/// for it.
pub(super) fn hash(password: &str) -> Option<Zeroizing<String>> {
    let salt: [u8; 16] = entropy::bytes();
    let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt).ok()?;
    Some(Zeroizing::new(hash.to_string()))
}

/// A hash that no password has.
pub(super) fn of_nobody() -> String {
    let (salt, hash): ([u8; 16], [u8; 32]) = (entropy::bytes(), entropy::bytes());
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
}

/// A password that nobody guesses, in groups.
pub(super) fn random() -> Zeroizing<String> {
    let drawn: Zeroizing<[u8; RANDOM_CHARS]> = Zeroizing::new(entropy::bytes());
    let mut password = Zeroizing::new(String::with_capacity(RANDOM_CHARS + 3));
    for (place, byte) in drawn.iter().enumerate() {
        if place > 0 && place % 5 == 0 {
            password.push('-');
        }
        let letter = ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'0');
        password.push(char::from(letter));
    }
    password
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
impl Hasher {
    /// Takes every place, for as long as this is kept.
    pub(super) fn take_all(&self) -> tokio::sync::SemaphorePermit<'_> {
        let places = u32::try_from(self.waiting.available_permits()).expect("few");
        self.waiting.try_acquire_many(places).expect("every place")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeroizing(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_its_hashs_and_no_other() {
        let hasher = Hasher::default();
        let long = "a".repeat(PASSWORD_BYTES_MAX);
        for password in ["correct horse", "pässwörd of ada", &long] {
            let phc = hash(password).expect("a hash");
            assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc:?}");
            let phc = || Zeroizing::new(phc.as_bytes().to_vec());
            assert_eq!(hasher.is_right(zeroizing(password), phc()).await, Ok(true));
            for wrong in ["", "correct Horse", &format!("{password}a")] {
                assert_eq!(hasher.is_right(zeroizing(wrong), phc()).await, Ok(false), "{wrong}");
            }
        }
        assert_ne!(hash("correct horse"), hash("correct horse"), "each has its own salt");
    }

    #[tokio::test]
    async fn what_is_no_hash_is_an_error_and_nobodys_is_one() {
        let hasher = Hasher::default();
        let nobody = of_nobody();
        let judge = |phc: &str| {
            hasher.is_right(zeroizing("correct horse"), Zeroizing::new(phc.as_bytes().to_vec()))
        };
        assert_eq!(judge(&nobody).await, Ok(false));
        assert_eq!(judge("").await, Err(NotHashed::Failed));
        assert_eq!(judge("$argon2id$").await, Err(NotHashed::Failed));
        assert_eq!(nobody.len(), hash("correct horse").expect("a hash").len());
    }

    #[tokio::test]
    async fn few_are_hashed_at_once_and_not_many_wait() {
        let hasher = Hasher::default();
        let places = hasher.take_all();
        let phc = Zeroizing::new(of_nobody().into_bytes());
        let judged = hasher.is_right(zeroizing("correct horse"), phc.clone()).await;
        assert_eq!(judged, Err(NotHashed::Busy));
        drop(places);
        assert_eq!(hasher.is_right(zeroizing("correct horse"), phc).await, Ok(false));
    }

    #[test]
    fn a_random_password_may_be_an_operators() {
        let login = "ada".parse().expect("a login");
        let (one, other) = (random(), random());
        assert_ne!(one, other);
        assert_eq!(model::operator::check_password(&login, &one), Ok(()));
        assert_eq!(one.len(), 23);
    }
}
