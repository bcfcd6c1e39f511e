//! Signed requests: only what was signed verifies, and only what it says is read.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemes::standard_webhooks::SigningKey;
use schemes::{
    Draft, Fields, Freshness, Keys, Profile, Rejection, Request, Secret, embedded, read, sign,
    verify as verify_request,
};

use crate::input::Input;

const NOW_MS: i64 = 1_800_000_000_000;
const URL: &str = "https://gateway.example/in/source";
/// Changes to one request at most.
const EDITS_MAX: usize = 8;

/// A request as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// A profile, a secret, and a request that was signed with it.
pub(super) struct Case {
    pub(super) profile: Profile,
    secret: Secret,
    keys: Keys,
    headers: Vec<(String, String)>,
    good: Sent,
    said: Vec<Fields>,
}

/// One case for each profile that can sign.
pub(super) fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
        embedded().iter().filter_map(|(name, source)| Case::new(name, source)).collect()
    });
    &CASES
}

impl Case {
    /// The first vector of a profile, signed anew; none where only the provider can sign.
    fn new(name: &str, source: &str) -> Option<Self> {
        let profile = Profile::parse(name, source).expect("an embedded profile");
        if profile.takes_certificates() {
            return None;
        }
        let table: toml::Table = source.parse().expect("an embedded profile");
        let vector = table.get("vector").and_then(|list| list.get(0)).expect("it has vectors");
        let text = |key: &str| vector.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        let secret = Secret::new(text("secret").to_owned());
        let keys = profile.keys(std::slice::from_ref(&secret)).expect("the vector's secret");
        // Of the vector's headers, those that signing does not make.
        let given = vector.get("headers").and_then(toml::Value::as_table).into_iter().flatten();
        let headers = given
            .filter(|(name, _)| name.starts_with("X-Shopify-T") || name.starts_with("X-GitHub"))
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        // A time in the body is made fresh.
        let body = text("body")
            .replace("\"created\":1762336800", "\"created\":1800000000")
            .replace("2024-01-01T10:15:30Z", "2027-01-15T08:00:00Z");
        let good = Sent { headers: Vec::new(), body: body.into_bytes() };
        let mut case = Self { profile, secret, keys, headers, good, said: Vec::new() };
        case.good = case.sign(&case.good.body).expect("a vector's body can be signed");
        case.said = case.events(&case.good).expect("what was signed verifies");
        Some(case)
    }

    fn sign(&self, body: &[u8]) -> Option<Sent> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let draft = Draft {
            method: "POST",
            url: URL,
            headers: &headers,
            body,
            now_ms: NOW_MS,
            id: "msg_test_1",
        };
        let signed = sign(&self.profile, &self.secret, draft).ok()?;
        let headers = self.headers.iter().cloned().chain(signed.headers);
        let headers = headers.map(|(name, value)| (name, value.into_bytes())).collect();
        Some(Sent { headers, body: signed.body })
    }

    /// What a request says, if it verifies. What verifies and cannot be read says nothing.
    fn events(&self, sent: &Sent) -> Result<Vec<Fields>, Rejection> {
        let headers: Vec<(&str, &[u8])> =
            sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request { method: "POST", url: URL, headers: &headers, body: &sent.body };
        let verified =
            verify_request(&self.profile, &self.keys, &request, NOW_MS, Freshness::Profile)?;
        assert_eq!(verified.body(), sent.body);
        let unit = self.profile.amount_units().first().map(String::as_str);
        let events = read(&self.profile, &verified, unit);
        // What is kept as evidence is enough to do it all again.
        let kept = verified.evidence();
        let again = Request { headers: &kept, ..request };
        let again = verify_request(&self.profile, &self.keys, &again, NOW_MS, Freshness::Profile)?;
        assert_eq!(events, read(&self.profile, &again, unit));
        Ok(events.unwrap_or_default())
    }
}

/// A signed request, changed: it verifies only if what the signature covers is the same.
pub(super) fn verify(bytes: &[u8]) {
    let mut input = Input(bytes);
    let Some(case) = input.one_of(cases()) else { return };
    let mut sent = case.good.clone();
    for _ in 0..EDITS_MAX {
        if input.0.is_empty() {
            break;
        }
        edit(&mut sent, &mut input);
    }
    let Ok(said) = case.events(&sent) else {
        assert_ne!(sent, case.good, "what was signed does not verify");
        return;
    };
    let name = case.profile.name();
    if !matches!(name, "adyen-item" | "koywe-ramp") {
        assert_eq!(sent.body, case.good.body, "{name}: another body verifies");
        return;
    }
    // These sign what the body says and not its bytes.
    for event in said {
        let same = |other: &Fields| {
            (&event.id, &event.order, &event.amount, &event.currency)
                == (&other.id, &other.order, &other.amount, &other.currency)
        };
        assert!(case.said.iter().any(same), "{name}: another event verifies");
    }
}

fn edit(sent: &mut Sent, input: &mut Input<'_>) {
    let kind = input.byte() % 8;
    if kind < 4 {
        return change(&mut sent.body, kind, input);
    }
    let at = input.place(sent.headers.len());
    match kind {
        4 | 5 => {
            let kind = input.byte() % 4;
            if let Some((_, value)) = sent.headers.get_mut(at) {
                change(value, kind, input);
            }
        }
        6 => {
            let copied = sent.headers.get(at).map(|(name, _)| name.to_uppercase());
            sent.headers.extend(copied.map(|name| (name, input.piece(80).to_vec())));
        }
        _ if at < sent.headers.len() => drop(sent.headers.remove(at)),
        _ => {}
    }
}

fn change(bytes: &mut Vec<u8>, kind: u8, input: &mut Input<'_>) {
    let at = input.place(bytes.len());
    match kind {
        0 => {
            let bit = input.byte() % 8;
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
        }
        1 => {
            let piece = input.piece(64);
            bytes.splice(at..at, piece.iter().copied());
        }
        2 => {
            let end = (at + usize::from(input.byte())).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let piece = input.piece(64);
            let end = (at + piece.len()).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
    }
}

/// Any body, signed by its provider: what is read of it stands in it, and has a key.
pub(super) fn event(bytes: &[u8]) {
    let mut input = Input(bytes);
    let Some(case) = input.one_of(cases()) else { return };
    let Some(sent) = case.sign(input.0) else { return };
    for event in case.events(&sent).unwrap_or_default() {
        assert!(!event.dedup_key.is_empty(), "no key");
        assert!(sent.body.get(event.range.clone()).is_some(), "outside of the body");
        assert!(event.amount.as_deref().is_none_or(is_plain), "{:?}", event.amount);
    }
}

fn is_plain(amount: &str) -> bool {
    !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte))
}

/// An amount is kept as it was written, or the event is refused.
pub(super) fn money(bytes: &[u8]) {
    let Some(case) = cases().iter().find(|case| case.profile.name() == "stripe") else { return };
    let Ok(written) = std::str::from_utf8(bytes) else { return };
    let body = format!(
        r#"{{"id":"evt_1","object":"event","type":"payment_intent.succeeded","livemode":false,"data":{{"object":{{"id":"pi_1","amount":{written},"currency":"usd","status":"succeeded"}}}}}}"#
    );
    let Some(sent) = case.sign(body.as_bytes()) else { return };
    for event in case.events(&sent).unwrap_or_default() {
        let Some(amount) = event.amount else { continue };
        assert!(is_plain(&amount), "{amount}");
        let theirs: serde_json::Value = serde_json::from_str(&body).expect("another reads it too");
        // What was received stands before what was asked for.
        let received = theirs.pointer("/data/object/amount_received");
        let received = received.filter(|value| !value.is_null() && *value != "");
        match received.or_else(|| theirs.pointer("/data/object/amount")) {
            Some(serde_json::Value::String(text)) => assert_eq!(*text, amount),
            Some(serde_json::Value::Number(_)) => assert!(body.contains(&amount), "{amount}"),
            other => panic!("{amount} was read of {other:?}"),
        }
    }
}

/// What we sign for an application verifies, and nothing else does.
pub(super) fn delivery(bytes: &[u8]) {
    static SECRET: LazyLock<Secret> =
        LazyLock::new(|| Secret::new(format!("whsec_{}", STANDARD.encode([7; 32]))));
    let ours = |case: &&Case| case.profile.name() == "standard-webhooks";
    let Some(case) = cases().iter().find(ours) else { return };
    let keys = case.profile.keys(std::slice::from_ref(&*SECRET)).expect("a good secret");
    let key = SigningKey::parse(&SECRET).expect("a good secret");
    let mut input = Input(bytes);
    let (at, bit) = (input.number(), input.byte() % 8);
    let id = format!("evt_{}", u32::from(input.byte()));
    let now_s = NOW_MS / 1000;
    let signature = key.sign(&id, now_s, input.0);
    let verifies = |id: &str, time_s: i64, signature: &[u8], body: &[u8]| {
        let time = time_s.to_string();
        let headers: [(&str, &[u8]); 3] = [
            ("webhook-id", id.as_bytes()),
            ("webhook-timestamp", time.as_bytes()),
            ("webhook-signature", signature),
        ];
        let request = Request { method: "POST", url: "/", headers: &headers, body };
        verify_request(&case.profile, &keys, &request, NOW_MS, Freshness::Profile).is_ok()
    };
    let good = signature.as_bytes();
    assert!(verifies(&id, now_s, good, input.0), "our own signature");
    assert!(!verifies(&format!("{id}0"), now_s, good, input.0), "another id");
    assert!(!verifies(&id, now_s + 1, good, input.0), "another time");
    let flip = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let at = at.checked_rem(bytes.len()).unwrap_or(0);
        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
        bytes
    };
    assert!(!verifies(&id, now_s, &flip(good), input.0), "another signature");
    let changed = flip(input.0);
    assert!(changed == input.0 || !verifies(&id, now_s, good, &changed), "another body");
}

/// Lines of a vector file: each gets a verdict.
pub(super) fn vectors(bytes: &[u8]) {
    static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
        embedded().iter().flat_map(|(name, source)| Profile::parse(name, source)).collect()
    });
    let line = std::str::from_utf8(bytes).unwrap_or_default();
    let judged = schemes::vectors::judge(&PROFILES, line);
    assert!(["valid", "invalid", "unsupported"].contains(&judged.verdict));
    assert_eq!(judged.verdict == "valid", judged.reason.is_none());
    if serde_json::from_str::<serde_json::Value>(line).is_err() {
        assert_eq!(judged.verdict, "unsupported");
    }
}
