//! Judges lines of a vector file: signed requests with the verdict that they should get.
//!
//! A line's `decoding`, `tolerance` and `now` stand in for the profile's: the vectors probe the
//! engine, also with secrets that no provider would hand out. Emptiness is refused all the same.

use std::collections::BTreeMap;

use crate::engine::Terms;
use crate::key::{Decode, Family};
use crate::profile::Profile;
use crate::request::Request;
use crate::scheme::Scheme;
use crate::time::Freshness;
use crate::verify::verify_by;

/// The verdict on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The line's own id.
    pub id: Option<String>,
    /// `valid`, `invalid` or `unsupported`.
    pub verdict: &'static str,
    /// Why it is not valid.
    pub reason: Option<String>,
    /// What the signature covers, when it is valid.
    pub covers: Option<&'static str>,
    /// What the line expects.
    pub expected: Option<String>,
    /// Whether verdict and expectation differ; where a line allows either verdict, they never do.
    pub differs: bool,
}

/// What of a line takes part in the verdict; everything else in it is commentary.
#[derive(serde::Deserialize)]
struct Line {
    id: Option<String>,
    expected: Option<String>,
    provider: String,
    scheme: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    secret: LineSecret,
    now: i64,
    tolerance: Option<i64>,
}

#[derive(serde::Deserialize)]
struct LineSecret {
    kind: String,
    value: String,
    decoding: String,
}

/// Judges one line with the profile that answers for its provider and scheme.
pub fn judge(profiles: &[Profile], line: &str) -> Judged {
    let line: Line = match serde_json::from_str(line) {
        Ok(line) => line,
        Err(_) => {
            return Judged {
                id: None,
                verdict: "unsupported",
                reason: Some("malformed_line".to_owned()),
                covers: None,
                expected: None,
                differs: true,
            };
        }
    };
    let name = format!("{}/{}", line.provider, line.scheme);
    let scheme = profiles
        .iter()
        .flat_map(Profile::schemes)
        .find(|scheme| scheme.vector_names.contains(&name));
    let (verdict, reason, covers) = match scheme {
        None => ("unsupported", Some("no_profile".to_owned()), None),
        Some(scheme) => match judge_by(scheme, &line) {
            Ok(covers) => ("valid", None, Some(covers)),
            Err(reason) => ("invalid", Some(reason.to_owned()), None),
        },
    };
    let differs = match line.expected.as_deref() {
        _ if verdict == "unsupported" => true,
        Some("policy") | None => false,
        Some(expected) => expected != verdict,
    };
    Judged { id: line.id, verdict, reason, covers, expected: line.expected, differs }
}

fn judge_by(scheme: &Scheme, line: &Line) -> Result<&'static str, &'static str> {
    if line.secret.value.trim().is_empty() {
        return Err("empty_secret");
    }
    let family = match line.secret.kind.as_str() {
        "hmac" => Family::Shared,
        "ed25519_public" => Family::Ed25519,
        "ecdsa_public" => Family::Ecdsa,
        "rsa_public" => Family::Rsa,
        _ => return Err("unknown_key_kind"),
    };
    let decode = match line.secret.decoding.as_str() {
        "whsec_base64" => Some(Decode::PrefixBase64("whsec_".to_owned())),
        "whpk_base64" => Some(Decode::PrefixBase64("whpk_".to_owned())),
        other => Decode::parse(other),
    };
    let decode = decode.ok_or("unknown_key_decoding")?;
    let keys =
        scheme.vector_keys(&line.secret.value, &decode, family).ok_or("wrong_secret_encoding")?;
    let headers: Vec<(&str, &[u8])> =
        line.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request {
        method: &line.method,
        url: &line.url,
        headers: &headers,
        body: line.body.as_bytes(),
    };
    let freshness = line.tolerance.map_or(Freshness::DangerUntested, Freshness::Seconds);
    let now_ms = line.now.saturating_mul(1000);
    verify_by(scheme, &keys, &request, &Terms::strict(now_ms, freshness))
        .map(|verified| verified.covers().code())
        .map_err(crate::reason::Rejection::code)
}
