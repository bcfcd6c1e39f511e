//! Standard Webhooks, verified with code of the application's own.
//!
//! Written from the specification and apart from `schemes`, so that a mistake there is not
//! repeated here: the demo would notice.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

/// How far the signed time may lie from ours, seconds, both ways.
const TOLERANCE_S: i64 = 300;

/// The secret shared with the gateway: `whsec_` and base64.
pub struct WebhookSecret(hmac::Key);

impl WebhookSecret {
    /// Reads the secret; `None` if it is not `whsec_` and base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        (24..=64).contains(&key.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }
}

/// Why the application refused a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// One of the three headers is missing, repeated or not text.
    BadHeaders,
    /// The time is not a number, or too far from now.
    BadTime,
    /// No signature of the list is right.
    BadSignature,
    /// Signed, but not one of our documents.
    NotADelivery,
}

/// The `webhook-id` of a delivery that is genuine and fresh.
pub(super) fn check(
    secret: &WebhookSecret,
    headers: &HeaderMap,
    body: &[u8],
    now_ms: i64,
) -> Result<String, Refusal> {
    let id = single(headers, "webhook-id")?;
    let time = single(headers, "webhook-timestamp")?;
    let signatures = single(headers, "webhook-signature")?;
    let signed_s: i64 = time.parse().map_err(|_| Refusal::BadTime)?;
    if (now_ms.div_euclid(1000) - signed_s).abs() > TOLERANCE_S {
        return Err(Refusal::BadTime);
    }
    let message = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    let is_right = |signature: &str| {
        signature
            .strip_prefix("v1,")
            .and_then(|text| STANDARD.decode(text).ok())
            .is_some_and(|tag| hmac::verify(&secret.0, &message, &tag).is_ok())
    };
    if signatures.split(' ').any(is_right) { Ok(id.to_owned()) } else { Err(Refusal::BadSignature) }
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Refusal::BadHeaders)?;
    if values.next().is_some() {
        return Err(Refusal::BadHeaders);
    }
    value.to_str().map_err(|_| Refusal::BadHeaders)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The published vector of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: &str = "1614265330";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const NOW_MS: i64 = 1_614_265_330_000;

    fn judge(
        headers: &[(&'static str, &str)],
        body: &[u8],
        now_ms: i64,
    ) -> Result<String, Refusal> {
        let secret = WebhookSecret::parse(SECRET).expect("a published secret");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        check(&secret, &map, body, now_ms)
    }

    fn good() -> [(&'static str, &'static str); 3] {
        [("webhook-id", ID), ("webhook-timestamp", TIME), ("webhook-signature", SIGNATURE)]
    }

    #[test]
    fn the_published_vector_verifies() {
        assert_eq!(judge(&good(), BODY, NOW_MS), Ok(ID.into()));
        let listed = format!("v1,AAAA v2,xyz {SIGNATURE}");
        let [id, time, _] = good();
        assert_eq!(judge(&[id, time, ("webhook-signature", &listed)], BODY, NOW_MS), Ok(ID.into()));
    }

    #[test]
    fn anything_changed_is_refused() {
        let [id, time, signature] = good();
        assert_eq!(judge(&good(), b"{}", NOW_MS), Err(Refusal::BadSignature));
        let other = ("webhook-id", "msg_other");
        assert_eq!(judge(&[other, time, signature], BODY, NOW_MS), Err(Refusal::BadSignature));
        for text in ["", "v1,", "v1,g0hM9SsE+", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            let wrong = ("webhook-signature", text);
            assert_eq!(
                judge(&[id, time, wrong], BODY, NOW_MS),
                Err(Refusal::BadSignature),
                "{text}"
            );
        }
    }

    #[test]
    fn missing_repeated_and_stale_are_refused() {
        let [id, time, signature] = good();
        assert_eq!(judge(&[id, time], BODY, NOW_MS), Err(Refusal::BadHeaders));
        assert_eq!(judge(&[id, id, time, signature], BODY, NOW_MS), Err(Refusal::BadHeaders));
        assert_eq!(judge(&good(), BODY, NOW_MS + 301_000), Err(Refusal::BadTime));
        assert_eq!(judge(&good(), BODY, NOW_MS - 301_000), Err(Refusal::BadTime));
        assert_eq!(judge(&good(), BODY, NOW_MS + 300_000), Ok(ID.into()));
        let text = ("webhook-timestamp", "soon");
        assert_eq!(judge(&[id, text, signature], BODY, NOW_MS), Err(Refusal::BadTime));
    }

    #[test]
    fn secrets_of_another_shape_are_refused() {
        for text in ["", "whsec_", "whsec_test", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA"] {
            assert!(WebhookSecret::parse(text).is_none(), "{text}");
        }
    }
}
