//! Every embedded profile signs what it verifies, and verifies nothing else.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail where it stands"
)]

use std::sync::LazyLock;

use proptest::prelude::*;
use schemes::{
    Covers, Draft, Fields, Freshness, Keys, Profile, Rejection, Request, Secret, Signed, embedded,
    read, sign, verify,
};

/// A profile with the secret, body and headers of its first vector.
struct Case {
    profile: Profile,
    secret: Secret,
    keys: Keys,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

const NOW_MS: i64 = 1_800_000_000_000;
const URL: &str = "https://gateway.example/in/source";

fn text(table: &toml::Table, key: &str) -> String {
    table.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

fn cases() -> Vec<Case> {
    embedded()
        .iter()
        .map(|(name, source)| {
            (Profile::parse(name, source).unwrap_or_else(|error| panic!("{error}")), source)
        })
        // Only the provider holds the key of its certificate.
        .filter(|(profile, _)| !profile.takes_certificates())
        .map(|(profile, source)| {
            let table: toml::Table = source.parse().unwrap();
            let vector = table["vector"].as_array().unwrap()[0].as_table().unwrap().clone();
            let secret = Secret::new(text(&vector, "secret"));
            let keys = profile.keys(std::slice::from_ref(&secret)).unwrap();
            // Of the vector's headers, those that signing does not make.
            let headers = vector.get("headers").and_then(|value| value.as_table()).cloned();
            let headers = headers
                .unwrap_or_default()
                .iter()
                .filter(|(name, _)| name.starts_with("X-Shopify-T") || name.starts_with("X-GitHub"))
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect();
            // A time in the body is made fresh.
            let body = text(&vector, "body")
                .replace("\"created\":1762336800", "\"created\":1800000000")
                .replace("2024-01-01T10:15:30Z", "2027-01-15T08:00:00Z")
                .into_bytes();
            Case { profile, secret, keys, headers, body }
        })
        .collect()
}

impl Case {
    fn sign(&self) -> Signed {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let draft = Draft {
            method: "POST",
            url: URL,
            headers: &headers,
            body: &self.body,
            now_ms: NOW_MS,
            id: "msg_test_1",
        };
        sign(&self.profile, &self.secret, draft)
            .unwrap_or_else(|error| panic!("{}: {error}", self.profile.name()))
    }

    fn events(&self, signed: &Signed, now_ms: i64) -> Result<Vec<Fields>, Rejection> {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .chain(&signed.headers)
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = Request { method: "POST", url: URL, headers: &headers, body: &signed.body };
        let verified = verify(&self.profile, &self.keys, &request, now_ms, Freshness::Profile)?;
        assert_eq!(verified.body(), signed.body);
        // What is kept as evidence is enough to do it all again.
        let kept = verified.evidence();
        let again = Request { headers: &kept, ..request };
        let again = verify(&self.profile, &self.keys, &again, now_ms, Freshness::Profile)?;
        let unit = self.profile.amount_units().first().map(String::as_str);
        let events = read(&self.profile, &again, unit);
        Ok(events.unwrap_or_else(|error| panic!("{}: {error}", self.profile.name())))
    }
}

#[test]
fn what_a_profile_signs_it_verifies_and_reads() {
    for case in &*CASES {
        let events = case.events(&case.sign(), NOW_MS);
        let events = events.unwrap_or_else(|error| panic!("{}: {error}", case.profile.name()));
        assert_eq!(events.len(), 1, "{}", case.profile.name());
        assert!(events.iter().all(|event| !event.dedup_key.is_empty()));
    }
}

#[test]
fn a_signed_time_bounds_the_past_and_the_future() {
    let month_ms = 31 * 24 * 3_600_000;
    for case in CASES.iter().filter(|case| case.profile.signs_time()) {
        let signed = case.sign();
        let at = |now_ms| case.events(&signed, now_ms).err();
        assert_eq!(at(NOW_MS + month_ms), Some(Rejection::TooOld), "{}", case.profile.name());
        assert_eq!(at(NOW_MS - month_ms), Some(Rejection::InFuture), "{}", case.profile.name());
    }
}

#[test]
fn a_secret_signs_for_its_own_position_in_the_list() {
    for case in &*CASES {
        let other = match case.profile.name() {
            "adyen-item" | "adyen-platform" => "C0".repeat(32),
            "standard-webhooks" => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            "stripe" => "whsec_test_another_one".to_owned(),
            _ => "another_test_secret".to_owned(),
        };
        let secrets = [Secret::new(other), case.secret.clone()];
        let keys = case.profile.keys(&secrets).unwrap();
        let signed = case.sign();
        let headers: Vec<(&str, &[u8])> = case
            .headers
            .iter()
            .chain(&signed.headers)
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = Request { method: "POST", url: URL, headers: &headers, body: &signed.body };
        let verified = verify(&case.profile, &keys, &request, NOW_MS, Freshness::Profile).unwrap();
        assert_eq!(verified.key(), 1, "{}", case.profile.name());
    }
}

#[test]
fn asymmetric_signatures_are_made_with_the_private_key_and_verified_with_the_public_one() {
    // RFC 8032, 7.1, test 1.
    let private = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
    let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let (name, source) = embedded().iter().find(|(name, _)| *name == "standard-webhooks").unwrap();
    let profile = Profile::parse(name, source).unwrap();
    let body = br#"{"type":"invoice.paid"}"#;
    let draft = Draft { method: "POST", url: URL, headers: &[], body, now_ms: NOW_MS, id: "msg_1" };
    let signed = sign(&profile, &Secret::new(private.to_owned()), draft).unwrap();
    let keys = profile.keys(&[Secret::new(public.to_owned())]).unwrap();
    let headers: Vec<(&str, &[u8])> =
        signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: "POST", url: URL, headers: &headers, body: &signed.body };
    let verified = verify(&profile, &keys, &request, NOW_MS, Freshness::Profile).unwrap();
    assert_eq!((verified.alternative(), verified.covers()), ("v1a", Covers::Full));
    assert_eq!(verified.signed_at_ms(), Some(NOW_MS));
    assert!(sign(&profile, &Secret::new(public.to_owned()), draft).is_err());
}

#[test]
fn batches_keep_the_bytes_of_each_event() {
    let case = cases().into_iter().find(|case| case.profile.name() == "adyen-item").unwrap();
    let one = String::from_utf8(case.body.clone()).unwrap();
    let (start, end) = (one.find('[').unwrap() + 1, one.rfind(']').unwrap());
    let item = &one[start..end];
    let two = format!("{}{item} , {}{}", &one[..start], item.replace("psp1", "psp2"), &one[end..]);
    let case = Case { body: two.into_bytes(), ..case };
    let signed = case.sign();
    let events = case.events(&signed, NOW_MS).unwrap();
    let texts: Vec<_> = events
        .iter()
        .map(|event| String::from_utf8_lossy(&signed.body[event.range.clone()]).into_owned())
        .collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].starts_with("{\"pspReference\":\"psp1\""), "{}", texts[0]);
    assert!(texts[1].starts_with("{\"pspReference\":\"psp2\"") && texts[1].ends_with('}'));
    assert_ne!(events[0].dedup_key, events[1].dedup_key);
    assert_eq!(events[0].projection, events[1].projection);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A changed request verifies only if what is covered says the same.
    #[test]
    fn a_changed_request_is_refused(at: prop::sample::Index, bit in 0_u8..8, in_body: bool) {
        for case in &*CASES {
            let good = case.sign();
            let mut bad = Signed { headers: good.headers.clone(), body: good.body.clone() };
            if in_body || bad.headers.is_empty() {
                let at = at.index(bad.body.len());
                bad.body[at] ^= 1 << bit;
            } else {
                let header = at.index(bad.headers.len());
                let mut bytes = bad.headers[header].1.clone().into_bytes();
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << (bit % 7);
                bad.headers[header].1 = String::from_utf8(bytes).unwrap();
            }
            let (before, after) = (case.events(&good, NOW_MS).unwrap(), case.events(&bad, NOW_MS));
            if let Ok(after) = after {
                let bytewise = !matches!(case.profile.name(), "adyen-item" | "koywe-ramp");
                prop_assert!(!bytewise, "{}", case.profile.name());
                let said = |events: &[Fields]| {
                    events.iter().map(|event| (event.dedup_key.clone(), event.projection.clone())).collect::<Vec<_>>()
                };
                prop_assert_eq!(said(&before), said(&after));
            }
        }
    }

    #[test]
    fn nothing_made_up_verifies_or_panics(
        value in "[ -~]{0,80}",
        known in prop::sample::select(vec!["t=1800000000,v1=", "sha256=", "v1,", "ts=1800000000;h1=", "v0=", ""]),
        body in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        for case in &*CASES {
            let mut signed = case.sign();
            for (name, text) in &mut signed.headers {
                if name.contains("sig") || name.contains("hmac") {
                    *text = format!("{known}{value}");
                }
            }
            signed.body = body.clone();
            prop_assert!(case.events(&signed, NOW_MS).is_err(), "{}", case.profile.name());
        }
    }

    #[test]
    fn no_damage_to_a_profile_makes_it_panic(
        which: prop::sample::Index,
        at: prop::sample::Index,
        length in 1_usize..40,
        with in prop::sample::select(vec!["", "\"", "[", "]", "{", "}", "=", "\n", "json:", "9", "|", "\\"]),
    ) {
        let (name, source) = embedded()[which.index(embedded().len())];
        let mut chars: Vec<char> = source.chars().collect();
        let at = at.index(chars.len());
        let end = (at + length).min(chars.len());
        chars.splice(at..end, with.chars());
        let damaged: String = chars.into_iter().collect();
        if let Err(error) = Profile::parse(name, &damaged) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
