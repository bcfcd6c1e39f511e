//! What providers sign beside webhooks, and with what: receipts, certificates and their URLs.

use std::sync::LazyLock;

use schemes::{
    Chain, Draft, Freshness, Nested, Profile, Receipt, ReceiptKeys, Request, Roots, Secret,
    embedded,
};
use serde_json::Value;

use crate::input::Input;

const NOW_MS: i64 = 1_767_225_600_000;
const SECRET: &str = "made_up_test_receipt_secret";

fn profile(name: &str) -> (Profile, toml::Table) {
    let (_, source) = embedded().iter().find(|(other, _)| *other == name).expect("embedded");
    (Profile::parse(name, source).expect("it loads"), source.parse().expect("TOML"))
}

/// A receipt of any bytes, signed by its provider: what verifies holds nothing that is not signed,
/// and verifies no more once one bit of what it says is another.
pub(super) fn receipt(bytes: &[u8]) {
    static PROVIDER: LazyLock<(Profile, ReceiptKeys)> = LazyLock::new(|| {
        let (profile, _) = profile("x402tele");
        let secrets = [Secret::new(SECRET.to_owned())];
        let keys = profile.receipt_keys(&secrets).expect("a good secret");
        (profile, keys)
    });
    let (profile, keys) = &*PROVIDER;
    let verify = |form: &str, receipt: &[u8]| -> Option<Receipt> {
        profile.verify_receipt(keys, Some(form), receipt, NOW_MS, Nested::Refused).ok()
    };
    let mut input = Input(bytes);
    let form = if input.byte() % 2 == 0 { "weak" } else { "strong" };
    let (at, bit) = (input.number(), input.byte() % 8);
    assert!(verify(form, input.0).is_none(), "nobody signed this");
    let draft =
        Draft { method: "POST", url: "", headers: &[], body: input.0, now_ms: NOW_MS, id: "" };
    let section = profile.receipt(form).expect("a form");
    let Ok(signed) = section.sign(&Secret::new(SECRET.to_owned()), draft) else { return };
    if verify(form, &signed.body).is_none() {
        return;
    }
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let said = read(&signed.body).expect("another reader takes it too");
    let members = said.as_object().expect("an object");
    let is_flat = members.values().all(|value| !value.is_object() && !value.is_array());
    assert!(is_flat || form == "strong", "a nested value that is not signed");
    let mut changed = signed.body;
    let place = at.checked_rem(changed.len()).unwrap_or(0);
    changed.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << bit);
    if verify(form, &changed).is_some() {
        assert_eq!(read(&changed), Some(said), "another receipt under the same signature");
    }
}

/// The URL of a certificate: what is taken is one of the provider's to whoever reads URLs.
pub(super) fn certificate_url(bytes: &[u8]) {
    static PROVIDER: LazyLock<(Profile, toml::Table)> = LazyLock::new(|| profile("paypal"));
    let (profile, source) = &*PROVIDER;
    let vector = source.get("vector").and_then(|list| list.get(0)).expect("it has vectors");
    let text = |key: &str| vector.get(key).and_then(toml::Value::as_str).unwrap_or_default();
    let keys = profile.keys(&[Secret::new(text("secret").to_owned())]).expect("a good secret");
    let given = vector.get("headers").and_then(toml::Value::as_table).into_iter().flatten();
    let headers: Vec<(&str, &[u8])> = given
        .map(|(name, value)| {
            let value = value.as_str().unwrap_or_default().as_bytes();
            (name.as_str(), if name == "PAYPAL-CERT-URL" { bytes } else { value })
        })
        .collect();
    let request =
        Request { method: "POST", url: "", headers: &headers, body: text("body").as_bytes() };
    let taken = profile.certificate_url(&keys, &request, NOW_MS, Freshness::Profile);
    let Ok(taken) = taken else { return };
    let taken = taken.expect("this scheme takes one");
    assert_eq!(taken.as_str().as_bytes(), bytes, "another URL than the one that was named");
    let url = url::Url::parse(taken.as_str()).expect("it is a URL");
    assert_eq!(url.as_str(), taken.as_str(), "a URL with two spellings");
    assert_eq!((url.scheme(), url.port(), url.username()), ("https", None, ""));
    assert!(url.password().is_none() && url.query().is_none() && url.fragment().is_none());
    let host = url.host_str().expect("a host");
    assert!(host.ends_with(".paypal.com") && host.starts_with("api"), "{host}");
    assert!(url.path().starts_with("/v1/notifications/certs/"), "{}", url.path());
}

/// Certificates in PEM: refused or usable, and a made-up chain is nobody's.
pub(super) fn certificate(bytes: &[u8]) {
    let roots = Roots::from_pem(bytes);
    if let Some(chain) = Chain::from_pem(bytes) {
        assert!(!chain.leaf().is_empty());
    } else {
        assert!(roots.is_none(), "roots are certificates too");
    }
}

/// What a provider answers about a payment: it counts only if it is about that payment, and says nothing
/// that another reader of the same bytes would not find there.
pub(super) fn confirmation(bytes: &[u8]) {
    static PROVIDER: LazyLock<(Profile, toml::Table)> = LazyLock::new(|| profile("paypal"));
    let connector = PROVIDER.0.connector().expect("it asks");
    let event = br#"{"resource":{"id":"42311647XV020574X"}}"#;
    let asked = connector.question(event).expect("a question");
    if let Some(other) = connector.question(bytes) {
        let id = other.path.strip_prefix("/v2/payments/captures/").expect("a capture's path");
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    }
    let Ok(said) = connector.read(bytes, &asked) else { return };
    assert_eq!(said.payment, asked.payment);
    let read: Value = serde_json::from_slice(bytes).expect("another reader takes it too");
    let text = |pointer: &str| match read.pointer(pointer) {
        Some(Value::String(text)) => Some(text.clone()),
        // Digits stay as they are written there, and not here.
        Some(Value::Number(_) | Value::Bool(_)) => None,
        _ => panic!("{pointer} is not there"),
    };
    for (pointer, said) in [
        ("/id", &said.payment),
        ("/amount/value", &said.amount),
        ("/amount/currency_code", &said.currency),
    ] {
        assert!(text(pointer).is_none_or(|text| text == *said), "{pointer}");
    }
    assert!(["paid", "pending", "failed", "refunded"].contains(&said.status.as_str()));
}
