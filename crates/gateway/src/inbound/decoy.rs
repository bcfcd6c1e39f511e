//! A verification that always fails, so that an unknown source answers no faster than a known one.

use schemes::{Freshness, Keys, Profile, Request, Secret};

const PROFILE: &str = r#"
title = "Decoy"
version = 1
docs = ["docs/adr/0005-one-answer-for-whatever-is-not-authentic.md"]
reviewed = "2026-11-22"

[scheme]
covers = "full"

[[scheme.alt]]
algo = "hmac-sha256"
key = { decode = "utf8" }
sig = { from = "header:x-decoy-signature", enc = "hex_lower" }
message = ["{body}"]

[event]
type = "json:/type"

[dedup]
key = ["type"]
compare = ["type"]

[secret]
expected = "64 hex digits"
from = "made at every start"

[[vector]]
name = "signed"
secret = "decoy_test_secret_that_nobody_has"
now = 0
headers = { X-Decoy-Signature = "aba69145c9c6cdacde13508890a5aa4eae27b0294cbe0d65aa7d1584ee06bae0" }
body = '{"type":"decoy"}'

[[vector]]
name = "changed"
like = "signed"
expect = "no_matching_key"
replace = { "decoy" = "other" }
"#;

const SIGNATURE: &[u8] = &[b'0'; 64];

/// A profile and a key that nobody has.
pub(super) struct Decoy {
    profile: Profile,
    keys: Keys,
}

impl Decoy {
    pub(super) fn new() -> Self {
        let profile = Profile::parse("decoy", PROFILE).expect("a constant that a test parses");
        let secret = Secret::new(hex_of(crate::entropy::bytes()));
        let keys = profile.keys(&[secret]).expect("64 hex digits are a secret");
        Self { profile, keys }
    }

    /// Does the work of judging a request, and nothing with the result.
    pub(super) fn judge(&self, body: &[u8]) {
        let headers: [(&str, &[u8]); 1] = [("x-decoy-signature", SIGNATURE)];
        let request = Request { method: "POST", url: "/", headers: &headers, body };
        let verdict = schemes::verify(&self.profile, &self.keys, &request, 0, Freshness::Profile);
        debug_assert!(verdict.is_err(), "nobody signs for the decoy");
    }
}

fn hex_of(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoy_parses_and_refuses() {
        Decoy::new().judge(b"{}");
    }
}
