//! Texts that people and providers write: configuration, profiles, secrets, ids, rates, times.

use std::str::FromStr;

use model::api_key::{self, ApiKey};
use model::money::{self, Notation};
use model::rate::Rate;
use model::{ApiKeyId, ArrivalId, EventId, Timestamp};
use schemes::standard_webhooks::SigningKey;
use schemes::{Profile, Secret};

use crate::input::Input;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The profile language: refused with a message, or usable.
pub(super) fn profile(bytes: &[u8]) {
    match Profile::parse("fuzzed", text(bytes)) {
        Ok(profile) => assert!(!profile.title().is_empty() && profile.facts().is_object()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Secrets of every kind: taken or refused, and never said.
pub(super) fn secret(bytes: &[u8]) {
    let mut input = Input(bytes);
    let case = input.one_of(super::requests::cases());
    let text = text(input.0);
    let secret = || Secret::new(text.to_owned());
    if let Some(case) = case
        && let Err(error) = case.profile.keys(&[secret()])
    {
        never_said(text, &error.to_string());
    }
    match SigningKey::parse(&secret()) {
        Ok(key) => assert!(key.sign("id", 1, b"").starts_with("v1,")),
        Err(error) => never_said(text, &error.to_string()),
    }
    if let Ok(root) = vault::RootKey::parse(text) {
        assert_eq!(text.trim_end_matches(['\r', '\n']), root.to_text().as_str());
    }
}

/// Whatever is long enough to be a secret is in no message.
fn never_said(secret: &str, message: &str) {
    let has_digits = secret.bytes().any(|byte| byte.is_ascii_digit());
    assert!(secret.len() < 12 || !has_digits || !message.contains(secret), "{message}");
}

/// A configuration without faults is TOML to others too, and a secret in it is a reference.
pub(super) fn config(bytes: &[u8]) {
    let text = text(bytes);
    if countersign::config::fuzzing::faults(text).is_empty() {
        assert!(text.parse::<toml::Table>().is_ok(), "taken, and not TOML");
    }
    if countersign::config::fuzzing::secret(text).is_some() {
        assert!(text.starts_with("${file:"), "a literal secret was taken");
    }
}

/// Amounts: what is read is what the digits say, with no more decimals than there are.
pub(super) fn amount(bytes: &[u8]) {
    let mut input = Input(bytes);
    let decimals = input.one_of(&[0_u8, 2, 3, 18, 38]).copied().unwrap_or_default();
    let text = text(input.0);
    if let Ok(minor) = money::parse(text, Notation::Major, decimals) {
        let written = money::major(minor, decimals);
        assert_eq!(plain(text), plain(&written), "{text}");
    }
    if let Ok(minor) = money::parse(text, Notation::Minor, decimals) {
        assert_eq!(minor.to_string(), text);
    }
}

/// A decimal without zeros at its end.
fn plain(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Ids: what is read prints as it was, and is no other kind's.
pub(super) fn ids(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(id) = EventId::from_str(text) {
        assert_eq!(id.to_string(), text);
        assert_eq!(EventId::from_bytes(*id.as_bytes()), id);
        assert!(ArrivalId::from_str(text).is_err());
    }
}

/// API keys: what is read prints as it was, is one key, and says no secret.
pub(super) fn api_key(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(key) = ApiKey::parse(text) {
        assert_eq!(key.to_text().as_str(), text);
        never_said(text.rsplit('_').nth(1).unwrap_or_default(), &format!("{key:?}"));
    }
    // With any secret and a checksum that is right: it is read, and is the same.
    let mut input = Input(bytes);
    let (id, secret) = (input.piece(16), input.piece(32));
    if let (Ok(id), Ok(secret)) = (<[u8; 16]>::try_from(id), <[u8; 32]>::try_from(secret)) {
        let environment = model::Environment::Live;
        let (id, secret) = (ApiKeyId::from_bytes(id), api_key::Secret::new(secret));
        let key = ApiKey { environment, id, secret };
        assert_eq!(ApiKey::parse(&key.to_text()), Ok(key));
    }
}

/// Rates: a limit is never passed, however the calls fall.
pub(super) fn rate(bytes: &[u8]) {
    let mut input = Input(bytes);
    let piece = input.piece(24);
    if let Ok(rate) = Rate::from_str(text(piece)) {
        assert!(rate.count > 0 && rate.period_ms >= 1000);
        let mut window = model::rate::Window::default();
        let mut now_ms = 0;
        for byte in input.0 {
            now_ms += i64::from(*byte);
            let before = window.count(rate, now_ms);
            assert!(before >= window.count(rate, now_ms + rate.period_ms * 3), "it never empties");
        }
    }
}

/// Times: what is written is read, to the same moment.
pub(super) fn time(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(time) = Timestamp::from_str(text) {
        let printed = time.to_string();
        assert_eq!(Timestamp::from_str(&printed), Ok(time), "{printed}");
    }
    for unit in ["s", "ms", "auto", "rfc3339"] {
        let Some(millis) = schemes::fuzzing::signed_time(unit, bytes) else { continue };
        let unit = if unit == "auto" && bytes.len() == 13 { "ms" } else { unit };
        let written = schemes::fuzzing::write_time(unit, millis).unwrap_or_default();
        let again = schemes::fuzzing::signed_time(unit, written.as_bytes());
        assert_eq!(again, Some(millis), "{unit} {written}");
        if unit != "rfc3339" {
            assert_eq!(written.as_bytes(), bytes, "a number has one spelling");
        }
    }
}
