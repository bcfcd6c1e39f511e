//! Every algorithm and every rule about keys, by profiles made for the purpose.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use schemes::{
    Covers, Draft, Freshness, Keys, Profile, ProfileError, Rejection, Request, Secret, SecretError,
    SignError, sign, verify,
};

const BODY: &str = r#"{"id":"1","type":"t"}"#;

/// A profile with this [scheme] whose vector is this secret and this header.
fn profile(scheme: &str, secret: &str, signature: &str) -> Result<Profile, ProfileError> {
    let source = format!(
        r#"
title = "Test"
version = 1
docs = []
reviewed = "2026-11-22"
[scheme]
{scheme}
[event]
id = "json:/id"
type = "json:/type"
[[vector]]
name = "good"
secret = """{secret}"""
now = 0
headers = {{ x-sig = "{signature}" }}
body = '{BODY}'
[[vector]]
name = "another signature"
like = "good"
headers = {{ x-sig = "AAAA" }}
expect = "EXPECT"
"#
    );
    // Some algorithms know the length of a signature, the others only compare.
    let first = Profile::parse("test", &source.replace("EXPECT", "no_matching_key"));
    first.or_else(|_| Profile::parse("test", &source.replace("EXPECT", "malformed_signature")))
}

fn alternative(algorithm: &str, decode: &str, encoding: &str) -> String {
    let (covers, message) =
        if algorithm == "equals" { ("none", "") } else { ("full", "message = [\"{body}\"]") };
    format!(
        r#"
covers = "{covers}"
[scheme.alt]
algo = "{algorithm}"
key = {{ decode = "{decode}" }}
sig = {{ from = "header:x-sig", enc = "{encoding}" }}
{message}
"#
    )
}

fn judge(
    profile: &Profile,
    keys: &Keys,
    headers: &[(&str, &[u8])],
    body: &str,
) -> Result<usize, Rejection> {
    let request = Request { method: "POST", url: "/", headers, body: body.as_bytes() };
    verify(profile, keys, &request, 0, Freshness::Profile).map(|verified| verified.key())
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new((*text).to_owned())).collect()
}

// Made with OpenSSL for this test; the private keys were thrown away.
const EC_PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuq8w6aL3jfSEzkH5hFm9HOBztQIHGjuQ65mLTzQy5IR+9CY6LqAUTD7Lu0VANYO4rnsQEwTaSsnIjxWoUYrqOw==";
const EC_SIGNATURE: &str = "MEUCIQCY1VSGCXaz1oDgcv9D2b7HezH8OnENkN5FeDgz7RJ3rAIgV5ZdooQpZEFlpwqCdrpkrez923wH9cFslBUWPgBwOyA=";
const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqT0gz2GJYqljjA1j8Dxh\nPpt0l1o04IqbnM4owtao5E3uGm9UjmGSCYuhRluZf9mGvGn/U7N114vx9SzXTZVS\nFYyNHgypj8qjRveZN/fkXl+Rm75J18Y8E26jRItpdRfnks2I+qiMFkzI1AqGFTNO\naqrMO6kfg6HqXnRmY9wwcrtD3w9oBQhAfeWGqk67hvVTzbUDcdhQnpoEAkc632D1\nae8GwuaxOlCG2z5C6uWlPhRkJ/WCrrIwNe5i8X+x0uiHV7mexto9G28ME/1BW3PC\nt2654jLADLxlpURueI4fxM1NYDgfopNupk+V7MikgZTcHKEoG3a5KY/b+JzxQv8B\nTwIDAQAB\n-----END PUBLIC KEY-----";
const RSA_SIGNATURE: &str = "W0Fpm6t905V7YRjVwCPWY/CHTclo7IxeQONRsKmFgFzM46lt0VnfG6Atw+4/OgXwHUoOLBP2KEvs7lx9wOIJxmplCSt9c9lGiMe9y+p4+O4HiVkmZD/E6wdTOZj5POrq+2B35zUPMu3J9L6MlHzSwA3/a1FJ57PTx1o2DbfmDGz74OeG1cD/UWpJCW8cobRoUr3oTAAGxpkX9csOOa1hO7vWU2gs8Nt6hSWNGoe+3ZHyi8hyq2Ff+43w26WmosmkoK8ybyr/A2RHegXDNB/zOR76c3l/f9Oaiq24aMI80cSy03cMpCEzQ6lz+Znogq+pvzCESEIIWKSWOBTG/B33wQ==";

#[test]
fn public_keys_verify_what_openssl_signed() {
    let cases = [
        ("ecdsa-p256-sha256", "spki_b64", EC_PUBLIC, EC_SIGNATURE),
        ("rsa-pkcs1-sha256", "spki_pem", RSA_PUBLIC, RSA_SIGNATURE),
    ];
    for (algorithm, decode, public, signature) in cases {
        let scheme = alternative(algorithm, decode, "base64");
        let profile = profile(&scheme, public, signature).unwrap_or_else(|error| panic!("{error}"));
        assert!(profile.asymmetric());
        let keys = profile.keys(&secrets(&[public])).unwrap();
        let headers: &[(&str, &[u8])] = &[("x-sig", signature.as_bytes())];
        assert_eq!(judge(&profile, &keys, headers, BODY), Ok(0));
        let changed = BODY.replace('1', "2");
        assert_eq!(judge(&profile, &keys, headers, &changed), Err(Rejection::NoMatchingKey));
        assert_eq!(
            profile.keys(&secrets(&["AAAA"])).err().unwrap().code(),
            "wrong_secret_encoding"
        );
        let draft =
            Draft { method: "POST", url: "/", headers: &[], body: b"{}", now_ms: 0, id: "" };
        let refused = sign(&profile, &Secret::new(public.to_owned()), draft).err();
        assert!(matches!(refused, Some(SignError::Unsupported(_))));
    }
}

#[test]
fn every_hmac_signs_what_it_verifies() {
    for (algorithm, bytes) in
        [("hmac-sha1", 20), ("hmac-sha256", 32), ("hmac-sha384", 48), ("hmac-sha512", 64)]
    {
        for encoding in ["hex", "hex_lower", "base64", "base64url"] {
            let scheme = alternative(algorithm, "utf8", encoding);
            let secret = "made_up_test_secret";
            // The signature comes from a first profile that cannot load for want of it.
            let hex = hmac_hex(algorithm, secret);
            assert_eq!(hex.len(), bytes * 2);
            let signature = encode(&hex, encoding);
            let profile =
                profile(&scheme, secret, &signature).unwrap_or_else(|error| panic!("{error}"));
            let draft = Draft {
                method: "POST",
                url: "/",
                headers: &[],
                body: BODY.as_bytes(),
                now_ms: 0,
                id: "",
            };
            let signed = sign(&profile, &Secret::new(secret.to_owned()), draft).unwrap();
            assert_eq!(signed.headers, [("x-sig".to_owned(), signature)]);
        }
    }
}

fn hmac_hex(algorithm: &str, secret: &str) -> String {
    use aws_lc_rs::hmac;
    let algorithm = match algorithm {
        "hmac-sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "hmac-sha256" => hmac::HMAC_SHA256,
        "hmac-sha384" => hmac::HMAC_SHA384,
        _ => hmac::HMAC_SHA512,
    };
    hex::encode(hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), BODY.as_bytes()))
}

fn encode(hex_text: &str, encoding: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let bytes = hex::decode(hex_text).unwrap();
    match encoding {
        "base64" => STANDARD.encode(bytes),
        "base64url" => URL_SAFE_NO_PAD.encode(bytes),
        _ => hex_text.to_owned(),
    }
}

#[test]
fn a_secret_that_is_sent_as_it_is_vouches_for_nothing() {
    let secret = "made_up_test_token";
    let profile = profile(&alternative("equals", "utf8", "text"), secret, secret).unwrap();
    assert_eq!(profile.covers(), Covers::None);
    let keys = profile.keys(&secrets(&["older_test_token", secret])).unwrap();
    let judge = |token: &str| judge(&profile, &keys, &[("x-sig", token.as_bytes())], BODY);
    assert_eq!(judge(secret), Ok(1));
    assert_eq!(judge("made_up_test_toke"), Err(Rejection::NoMatchingKey));
    assert_eq!(judge(""), Err(Rejection::MalformedSignature));
}

#[test]
fn a_list_of_secrets_has_one_to_four_of_the_right_shape() {
    let secret = "made_up_test_secret";
    let signature = hmac_hex("hmac-sha256", secret);
    let profile = profile(&alternative("hmac-sha256", "utf8", "hex"), secret, &signature).unwrap();
    let error = |texts: &[&str]| {
        profile.keys(&secrets(texts)).err().map(|error: SecretError| (error.code(), error.index()))
    };
    assert_eq!(error(&[]), Some(("no_secret", None)));
    assert_eq!(error(&["a", "b", "c", "d"]), None);
    assert_eq!(error(&["a", "b", "c", "d", "e"]), Some(("too_many_secrets", None)));
    assert_eq!(error(&["a", ""]), Some(("empty_secret", Some(1))));
    assert_eq!(error(&["a", "\t"]), Some(("empty_secret", Some(1))));
    assert_eq!(error(&["a\n"]), Some(("whitespace_in_secret", Some(0))));
    let shown = profile.keys(&secrets(&["very_secret_test\n"])).err().unwrap().to_string();
    assert!(!shown.contains("very_secret_test"), "{shown}");
}

const TWO: &str = r#"
covers = "full"
[[scheme.alt]]
name = "strong"
when = { present = "header:x-sig" }
algo = "hmac-sha256"
key = { decode = "utf8" }
sig = { from = "header:x-sig", enc = "hex" }
message = ["{cfg:endpoint?}{body}"]
[[scheme.alt]]
name = "old"
algo = "hmac-sha1"
key = { decode = "utf8" }
sig = { from = "header:x-old", enc = "hex" }
message = ["{body}"]
"#;

#[test]
fn the_first_alternative_whose_condition_holds_decides() {
    let secret = "made_up_test_secret";
    let (strong, old) = (hmac_hex("hmac-sha256", secret), hmac_hex("hmac-sha1", secret));
    let profile = profile(TWO, secret, &strong).unwrap();
    let keys = profile.keys(&secrets(&[secret])).unwrap();
    let judge = |headers: &[(&str, &[u8])]| judge(&profile, &keys, headers, BODY);
    assert_eq!(judge(&[("x-old", old.as_bytes())]), Ok(0));
    assert_eq!(judge(&[("x-sig", strong.as_bytes()), ("x-old", b"00")]), Ok(0));
    // A wrong strong signature is never made good by the old one.
    let wrong = "0".repeat(64);
    let both: &[(&str, &[u8])] = &[("x-sig", wrong.as_bytes()), ("x-old", old.as_bytes())];
    assert_eq!(judge(both), Err(Rejection::NoMatchingKey));
    assert_eq!(judge(&[]), Err(Rejection::MissingHeader));
}

#[test]
fn a_setting_that_is_signed_changes_the_signature() {
    let secret = "made_up_test_secret";
    let strong = hmac_hex("hmac-sha256", secret);
    let profile = profile(TWO, secret, &strong).unwrap();
    let keys = profile.keys(&secrets(&[secret])).unwrap();
    let headers: &[(&str, &[u8])] = &[("x-sig", strong.as_bytes())];
    assert_eq!(judge(&profile, &keys, headers, BODY), Ok(0));
    let keys = keys.with_setting("endpoint", "we_1");
    assert_eq!(judge(&profile, &keys, headers, BODY), Err(Rejection::NoMatchingKey));
}

#[test]
fn every_rejection_happens() {
    let proven = [
        include_str!("../../../providers/stripe.toml"),
        include_str!("../../../providers/adyen-item.toml"),
        include_str!("../../../providers/koywe-ramp.toml"),
        include_str!("../../../providers/x402tele.toml"),
        include_str!("../../../providers/paypal.toml"),
    ];
    for reason in Rejection::ALL {
        let vector = format!("expect = \"{reason}\"");
        assert!(proven.iter().any(|profile| profile.contains(&vector)), "{reason}");
    }
}
