//! The shared vectors: every line gets its verdict, and so it does without its commentary.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail where it stands"
)]

use schemes::vectors::{Judged, judge};
use schemes::{Profile, embedded};

const LINES: &str = include_str!("vectors/dev.jsonl");

/// Our stand where the reference code is lenient: see "Where the references disagree" in
/// `docs/profiles.md`.
const POLICY: &[(&str, &str)] = &[
    ("stripe-09", "in_future"),
    ("one2pays-v1-17", "malformed_signature"),
    ("one2pays-v1-18", "malformed_signature"),
    ("one2pays-v1-19", "malformed_timestamp"),
    ("one2pays-request-05", "valid"),
    ("x402tele-receipt-12", "valid"),
    ("x402tele-receipt-14", "malformed_body"),
    ("x402tele-receipt-16", "malformed_body"),
    ("x402tele-receipt-17", "malformed_body"),
    ("x402tele-receipt-18", "nested_value"),
    ("x402tele-receipt-19", "nested_value"),
    ("x402tele-webhook-05", "no_matching_key"),
    ("x402tele-webhook-06", "valid"),
    ("cryptopay-guide-10", "malformed_signature"),
    ("cryptopay-guide-11", "malformed_signature"),
    ("koywe-guide-09", "malformed_signature"),
    ("koywe-ramp-08", "valid"),
    ("koywe-ramp-09", "malformed_body"),
];

fn profiles() -> Vec<Profile> {
    embedded()
        .iter()
        .map(|(name, toml)| Profile::parse(name, toml).unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

fn verdict(judged: &Judged) -> String {
    judged.reason.clone().unwrap_or_else(|| judged.verdict.to_owned())
}

#[test]
fn every_line_gets_its_verdict() {
    let profiles = profiles();
    let mut wrong = Vec::new();
    let mut policies = 0;
    for line in LINES.lines() {
        let judged = judge(&profiles, line);
        let id = judged.id.clone().unwrap();
        if judged.expected.as_deref() == Some("policy") {
            policies += 1;
            let stand = POLICY.iter().find(|(other, _)| *other == id).map(|(_, stand)| *stand);
            if stand != Some(verdict(&judged).as_str()) {
                wrong.push(format!("{id}: {} is not our stand {stand:?}", verdict(&judged)));
            }
        } else if judged.differs {
            wrong.push(format!("{id}: {} for {:?}", verdict(&judged), judged.expected));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((LINES.lines().count(), policies), (160, POLICY.len()));
}

#[test]
fn the_commentary_of_a_line_takes_no_part() {
    let profiles = profiles();
    for line in LINES.lines() {
        let whole = judge(&profiles, line);
        let mut bare: serde_json::Value = serde_json::from_str(line).unwrap();
        bare.as_object_mut().unwrap().retain(|name, _| {
            !name.starts_with("oracle")
                && !matches!(
                    name.as_str(),
                    "id" | "expected" | "divergence" | "case" | "tags" | "note"
                )
        });
        let judged = judge(&profiles, &bare.to_string());
        assert_eq!((judged.verdict, judged.reason), (whole.verdict, whole.reason), "{line}");
        assert_eq!(judged.covers, whole.covers);
    }
}

#[test]
fn what_is_no_line_or_no_known_provider_is_unsupported() {
    let profiles = profiles();
    for line in ["", "{}", "[]", "null", "{\"provider\":1}"] {
        let judged = judge(&profiles, line);
        assert_eq!((judged.verdict, judged.differs), ("unsupported", true), "{line}");
    }
    let stranger = LINES.lines().next().unwrap().replace("\"standard_v1\"", "\"nothing\"");
    assert_eq!(judge(&profiles, &stranger).reason.as_deref(), Some("no_profile"));
}

/// Headers that a scheme does not sign: what stands in them proves nothing.
fn is_unsigned(scheme: &str, header: &str) -> bool {
    let read = match scheme {
        "raw_hmac_sha256_hex" => &[
            "x-webhook-signature",
            "koywe-signature",
            "x-razorpay-signature",
            "x-hub-signature-256",
            "btcpay-sig",
        ][..],
        "one2pays_request_v1" | "bropay_request_v1" => &["x-signature", "x-timestamp"],
        "shopify" => &["x-shopify-hmac-sha256"],
        "adyen_header" => &["hmacsignature"],
        _ => return false,
    };
    !read.contains(&header.to_ascii_lowercase().as_str())
}

/// What is signed of a body that is not signed byte by byte.
fn covered(scheme: &str, body: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(body) else {
        return body.to_owned();
    };
    match scheme {
        "adyen_item" => {
            let item = &value["notificationItems"][0]["NotificationRequestItem"];
            let fields = [
                "pspReference",
                "originalReference",
                "merchantAccountCode",
                "merchantReference",
                "eventCode",
                "success",
            ];
            // An absent field is signed as an empty one.
            let texts: Vec<_> =
                fields.iter().map(|name| item[name].as_str().unwrap_or_default()).collect();
            format!("{texts:?} {} {}", item["amount"]["value"], item["amount"]["currency"])
        }
        "koywe_ramp_legacy" | "x402tele_receipt" | "receipt" => {
            value.as_object_mut().unwrap().remove("signature");
            value.to_string()
        }
        _ => body.to_owned(),
    }
}

/// For every byte, the text with one of its bits flipped, where that is still text.
fn flipped(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).filter_map(|at| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1 << (at % 7);
        String::from_utf8(bytes).ok()
    })
}

#[test]
fn one_flipped_bit_in_what_is_signed_is_refused() {
    let profiles = profiles();
    for line in LINES.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["expected"] != "valid" {
            continue;
        }
        let scheme = line["scheme"].as_str().unwrap();
        let is_valid =
            |line: &serde_json::Value| judge(&profiles, &line.to_string()).verdict == "valid";
        assert!(is_valid(&line));

        let body = line["body"].as_str().unwrap();
        for changed in flipped(body) {
            let mut line = line.clone();
            line["body"] = changed.clone().into();
            if is_valid(&line) {
                assert_eq!(covered(scheme, body), covered(scheme, &changed), "{}", line["id"]);
            }
        }

        for (name, value) in line["headers"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let with = |value: &str| {
                let mut line = line.clone();
                line["headers"][name] = value.into();
                is_valid(&line)
            };
            if is_unsigned(scheme, name) {
                assert!(flipped(value).all(|changed| with(&changed)), "{} {name}", line["id"]);
                continue;
            }
            // In a list, only the elements without which it does not verify are signed.
            let elements = |text: &str| -> Vec<String> {
                text.split([',', ';', ' ']).map(str::to_owned).collect()
            };
            let needed: Vec<String> = elements(value)
                .into_iter()
                .filter(|element| !with(&value.replacen(element.as_str(), "", 1)))
                .collect();
            assert!(!needed.is_empty(), "{} {name}", line["id"]);
            for changed in flipped(value).filter(|changed| with(changed)) {
                let left = elements(&changed);
                assert!(
                    needed.iter().all(|element| left.contains(element)),
                    "{} {changed}",
                    line["id"]
                );
            }
        }

        let mut wrong_key = line.clone();
        wrong_key["secret"]["value"] = match line["secret"]["decoding"].as_str().unwrap() {
            "hex" => "00".repeat(32),
            "whsec_base64" => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            "whpk_base64" => "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned(),
            _ => "another_test_secret".to_owned(),
        }
        .into();
        assert_eq!(
            judge(&profiles, &wrong_key.to_string()).reason.as_deref(),
            Some("no_matching_key")
        );
        wrong_key["secret"]["value"] = "".into();
        assert_eq!(
            judge(&profiles, &wrong_key.to_string()).reason.as_deref(),
            Some("empty_secret")
        );
    }
}
