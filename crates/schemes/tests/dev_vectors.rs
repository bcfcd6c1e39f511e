//! The shared vectors: every line gets its verdict, and so it does without its commentary.

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
    ("x402tele-receipt-12", "malformed_body"),
    ("x402tele-receipt-14", "malformed_body"),
    ("x402tele-receipt-16", "malformed_body"),
    ("x402tele-receipt-17", "malformed_body"),
    ("x402tele-receipt-18", "malformed_body"),
    ("x402tele-receipt-19", "malformed_body"),
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
