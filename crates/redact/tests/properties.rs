//! What holds for any bytes: no panic, the same length, JSON stays JSON, and once is enough.

use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::Config;
use redact::{line, payload};

/// Texts that are full of what is looked for.
fn crowded() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("4242424242424242".to_owned()),
        Just("4242 4242 4242 4242".to_owned()),
        Just("%B4111111111111111^A/B^2512101?".to_owned()),
        Just("\\u0034242424242424242".to_owned()),
        Just("４２４２４２４２４２４２４２４２".to_owned()),
        Just("password".to_owned()),
        Just("password=".to_owned()),
        Just("api_key: '".to_owned()),
        Just("passwd='a".to_owned()),
        Just("\"cvc\":\"123\"".to_owned()),
        Just("Bearer abcdefgh12345678".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("https://a:b@c.de".to_owned()),
        "[ \"\\\\:=,{}\\[\\]a-f0-9%é卡]{0,12}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Some(redacted) = payload(&bytes) {
            prop_assert_eq!(redacted.bytes.len(), bytes.len());
        }
    }

    #[test]
    fn text_stays_text_and_once_is_enough(text in crowded()) {
        if let Some(redacted) = payload(text.as_bytes()) {
            prop_assert_eq!(redacted.bytes.len(), text.len());
            prop_assert!(std::str::from_utf8(&redacted.bytes).is_ok());
        }
        prop_assert_eq!(line(&text).len(), text.len());
    }

    #[test]
    fn json_stays_json(value in crowded(), number in any::<u64>(), code in 100_u16..9999) {
        let json = serde_json::json!({
            "a": value, "card": number, "b": { "cvc": code, "pan": 4242424242424242_u64 },
            "password": value, "nested": serde_json::json!({ "password": value }).to_string(),
        });
        let redacted = payload(json.to_string().as_bytes()).expect("there is a card in it");
        let after: serde_json::Value = serde_json::from_slice(&redacted.bytes).expect("JSON");
        let logged = line(&json.to_string()).into_owned();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&logged).is_ok(), "{}", logged);
        prop_assert_eq!(&after["b"]["cvc"], &serde_json::json!(0));
        prop_assert_eq!(&after["b"]["pan"], &serde_json::json!(4_242_429_999_994_242_u64));
    }
}

#[test]
fn no_text_takes_more_than_linear_time() {
    let hostile = [
        "1 ",
        "4",
        "4-",
        "password=",
        "password:\"",
        "cvv=",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ.",
        "Bearer ",
        "%B4111111111111111^",
        "\\u0034",
        "%34",
        "@",
        "a@a.",
        "authorization: bearer ",
        "4242424242424242 ",
        "sk_live_",
        "\\",
        "é",
        "4111111111111111D2512101",
        "api_key:'a ",
        "{\"a\":\"password=\\\"",
    ];
    for text in hostile {
        let long = text.repeat(256 * 1024 / text.len());
        let started = Instant::now();
        drop(payload(long.as_bytes()));
        drop(line(&long));
        // Many times what the slowest takes unoptimised; quadratic time would take many minutes.
        let seconds = started.elapsed().as_secs_f64();
        println!("{text:?}: {seconds:.3} s");
        assert!(seconds < 30.0, "{text:?}: {seconds} s");
    }
}
