//! Keys and tokens that their shape gives away, wherever they stand.

use crate::context::continues_word;
use crate::{Finding, Kind, Place};

/// How a key begins, what else than letters and digits it may hold, and how long the rest is at
/// least: Stripe, Standard Webhooks, AWS, GitHub, GitLab, Slack, Google.
const SHAPES: [(&str, &[u8], usize); 18] = [
    ("sk_live_", b"_", 8),
    ("sk_test_", b"_", 8),
    ("rk_live_", b"_", 8),
    ("rk_test_", b"_", 8),
    ("whsec_", b"+/=_-", 16),
    ("AKIA", b"", 16),
    ("ASIA", b"", 16),
    ("ghp_", b"", 20),
    ("gho_", b"", 20),
    ("ghu_", b"", 20),
    ("ghs_", b"", 20),
    ("ghr_", b"", 20),
    ("github_pat_", b"_", 20),
    ("glpat-", b"_-", 20),
    ("xoxb-", b"-", 10),
    ("xoxp-", b"-", 10),
    ("xoxa-", b"-", 10),
    ("AIza", b"_-", 30),
];

/// The shortest bearer token, and the shortest part of a signed one.
const BEARER_BYTES_MIN: usize = 16;
const PART_BYTES_MIN: usize = 8;

/// Bytes between `BEGIN` and `PRIVATE KEY`.
const LABEL_BYTES_MAX: usize = 40;

fn run(bytes: &[u8], from: usize, more: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || more.contains(byte)).count()
}

/// A key of a known shape.
pub(super) fn key(bytes: &[u8], start: usize) -> Option<Finding> {
    let rest = bytes.get(start..)?;
    let (prefix, more, least) =
        SHAPES.iter().find(|(prefix, ..)| rest.starts_with(prefix.as_bytes()))?;
    if continues_word(bytes, start) {
        return None;
    }
    let length = run(bytes, start + prefix.len(), more);
    // Words of lower case letters only are names, such as that of a variable.
    let body = rest.get(prefix.len()..prefix.len() + length)?;
    let is_name = body.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    let is_key = length >= *least && !(is_name && *prefix != "whsec_");
    is_key.then(|| Finding::whole(Kind::Key, start..start + prefix.len() + length))
}

/// A bearer token (RFC 6750, 2.1).
pub(super) fn bearer(bytes: &[u8], start: usize) -> Option<Finding> {
    let is_word = bytes.get(start..start + 6)?.eq_ignore_ascii_case(b"bearer");
    if !is_word || continues_word(bytes, start) {
        return None;
    }
    let after = bytes.get(start + 6..)?;
    let spaces = match after {
        [b'%', b'2', b'0', ..] => 3,
        _ => after.iter().take(4).take_while(|byte| matches!(byte, b' ' | b'\t' | b'+')).count(),
    };
    let from = start + 6 + spaces;
    let length = run(bytes, from, b"-._~+/=");
    let token = bytes.get(from..from + length)?;
    let is_token = spaces > 0 && length >= BEARER_BYTES_MIN && token.iter().any(u8::is_ascii_digit);
    is_token.then(|| Finding::whole(Kind::Token, from..from + length))
}

/// A signed token (JWT, RFC 7519). Providers sign whole notifications in this form, so in a payload
/// one is left where no key says that it is a credential.
pub(super) fn signed_token(bytes: &[u8], start: usize, place: Place) -> Option<Finding> {
    if place == Place::Payload || continues_word(bytes, start) {
        return None;
    }
    let mut end = start;
    for part in 0..3 {
        if part > 0 {
            end += usize::from(bytes.get(end) == Some(&b'.'));
        }
        let length = run(bytes, end, b"_-");
        if length < PART_BYTES_MIN {
            return None;
        }
        end += length;
    }
    Some(Finding::whole(Kind::Token, start..end))
}

/// A private key in PEM (RFC 7468): everything between its two lines.
pub(super) fn private_key(bytes: &[u8], start: usize) -> Option<Finding> {
    let label = bytes.get(start..)?.strip_prefix(b"BEGIN ")?;
    let capitals = |byte: &&u8| byte.is_ascii_uppercase() || **byte == b' ';
    let length = label.iter().take(LABEL_BYTES_MAX).take_while(capitals).count();
    let rest = label.get(length..)?.strip_prefix(b"-----")?;
    if !bytes.get(..start)?.ends_with(b"-----") || !label.get(..length)?.ends_with(b"PRIVATE KEY") {
        return None;
    }
    let from = bytes.len() - rest.len();
    let mut end = from;
    loop {
        end += match bytes.get(end..)? {
            [b'-', b'-', ..] => break,
            [b'\\', b'n' | b'r' | b't', ..] => 2,
            [b'+' | b'/' | b'=' | b'-' | b':' | b',', ..] => 1,
            [byte, ..] if byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() => 1,
            _ => break,
        };
    }
    (end > from).then(|| Finding::whole(Kind::PrivateKey, from..end))
}

#[cfg(test)]
mod tests {
    use crate::{Place, find};

    fn found(text: &str, place: Place) -> Vec<&str> {
        let findings = find(text.as_bytes(), place).into_iter();
        findings.map(|f| text.get(f.range).expect("whole characters")).collect()
    }

    #[test]
    fn keys_are_known_by_their_shape() {
        for key in [
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "rk_test_4eC39HqLyjWDarjtT1zdp7dc",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "github_pat_11ABCDEFG0123456789_abcdefghij",
            "xoxb-123456789012-abcdefgh",
            "AIzaSyA-1234567890abcdefghijklmnopqrstu",
        ] {
            for text in [format!("{{\"k\":\"{key}\"}}"), format!("k={key}&x"), format!("\\n{key} ")]
            {
                assert_eq!(found(&text, Place::Payload), [key], "{text}");
            }
        }
        for text in [
            "risk_live_4eC39HqLyjWDarjt",
            "sk_live_key_of_stripe",
            "AKIA",
            "eurasiaabcdefghijklmnop",
        ] {
            assert!(found(text, Place::Payload).is_empty(), "{text}");
        }
    }

    #[test]
    fn bearer_tokens_and_signed_ones_are_found() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMTIz";
        assert_eq!(found(&format!("said Bearer {token} to"), Place::Payload), [token]);
        assert_eq!(found(&format!("token {token}"), Place::Line), [token]);
        assert!(found(&format!("{{\"signedPayload\":\"{token}\"}}"), Place::Payload).is_empty());
        assert!(found("Bearer authentication-is-required", Place::Line).is_empty());
        assert!(found("eyJhbGciOiJIUzI1NiJ9 alone", Place::Line).is_empty());
    }

    #[test]
    fn private_keys_lose_what_stands_between_their_lines() {
        let pem = "-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEE+/=\\n-----END EC PRIVATE KEY-----";
        assert_eq!(found(pem, Place::Payload), ["\\nMHcCAQEE+/=\\n"]);
        let cut = "{\"k\":\"-----BEGIN PRIVATE KEY-----MHcCAQEE\"}";
        assert_eq!(found(cut, Place::Payload), ["MHcCAQEE"]);
        assert!(found("-----BEGIN PUBLIC KEY-----\\nMHcCAQEE", Place::Payload).is_empty());
    }
}
