//! `verify`: one request, or a file of test vectors, judged as the gateway would.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use schemes::vectors::{self, Judged};
use schemes::{
    Certified, Chain, Freshness, Keys, Profile, Rejection, Request, Roots, Unreadable, Verified,
};
use serde::Serialize;

use super::{Ended, bytes, now, profiles, receipt, say, unknown_provider};
use crate::args::{Arguments, Verify};
use crate::config;
use crate::failure::{Failure, Outcome};
use crate::filtered::Filtered;
use crate::table::tame;

/// Bytes of one line of a vector file at most: a body of 5 MiB, escaped.
const LINE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Judges what the arguments name.
pub(super) fn run(verify: &Verify, arguments: &Arguments) -> Ended {
    match &verify.vectors {
        Some(file) => vectors(file, verify.known_only, arguments),
        None => request(verify, arguments),
    }
}

/// One line of output a vector.
#[derive(Serialize)]
struct Line<'a> {
    id: Option<&'a str>,
    verdict: &'a str,
    reason: Option<&'a str>,
    covers: Option<&'a str>,
}

fn vectors(file: &Path, known_only: bool, arguments: &Arguments) -> Ended {
    let profiles: Vec<Profile> = profiles(arguments)?.all()?;
    let cannot = |error: std::io::Error| {
        let message = format!("{} cannot be read ({})", file.display(), error.kind());
        Failure::new("unreadable_file", message, "name a file of one JSON object a line")
    };
    let mut input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(file).map_err(cannot)?))
    };
    let mut output = BufWriter::new(std::io::stdout().lock());
    let (mut judged, mut differing) = (0_usize, Vec::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        let limited = &mut std::io::Read::take(&mut input, LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line).map_err(cannot)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        judged += 1;
        let verdict = match std::str::from_utf8(&line) {
            Ok(text) => vectors::judge(&profiles, text),
            Err(_) => unreadable(),
        };
        if differs(&verdict, known_only) {
            differing.push(verdict.id.clone().unwrap_or_else(|| format!("line {judged}")));
        }
        let printed = Line {
            id: verdict.id.as_deref(),
            verdict: verdict.verdict,
            reason: verdict.reason.as_deref(),
            covers: verdict.covers,
        };
        let text = serde_json::to_string(&printed).expect("texts always serialise");
        writeln!(output, "{text}")?;
    }
    output.flush()?;
    summary(judged, &differing)?;
    Ok(if differing.is_empty() { Outcome::Done } else { Outcome::No })
}

fn unreadable() -> Judged {
    Judged {
        id: None,
        verdict: "unsupported",
        reason: Some(Unreadable::NotUtf8.code().to_owned()),
        covers: None,
        expected: None,
        differs: true,
    }
}

fn differs(judged: &Judged, known_only: bool) -> bool {
    // A line that is no vector at all is not excused.
    judged.differs && !(known_only && judged.reason.as_deref() == Some("no_profile"))
}

fn summary(judged: usize, differing: &[String]) -> Result<(), Failure> {
    let mut error = Filtered(std::io::stderr());
    let differ = differing.len();
    writeln!(error, "{judged} judged, {differ} differ from what they expect")?;
    for id in differing.iter().take(20) {
        writeln!(error, "  differs: {}", tame(id))?;
    }
    if differ > 20 {
        writeln!(error, "  and {} more", differ - 20)?;
    }
    Ok(())
}

fn request(verify: &Verify, arguments: &Arguments) -> Ended {
    let profiles = profiles(arguments)?;
    let name = verify.provider.as_deref().unwrap_or_default();
    let profile = profiles.find(name)?.ok_or_else(|| unknown_provider(&profiles))?;
    let from = &verify.secret;
    let secrets =
        config::secrets_of(&from.secret_env, &from.secret_file, arguments.env_file.as_deref())?;
    let section = verify.receipt.as_deref().map(|form| receipt(&profile, form)).transpose()?;
    let keys = match section {
        Some(section) => section.keys(&secrets),
        None => profile.keys(&secrets),
    };
    let keys = keys.map_err(|error| {
        Failure::new(error.code(), error, "give the secret as the provider's dashboard shows it")
    })?;
    let body = bytes(verify.body.as_deref().unwrap_or(Path::new("-")))?;
    let headers: Vec<(&str, &[u8])> =
        verify.header.iter().map(|h| (h.name.as_str(), h.value.as_bytes())).collect();
    let request =
        Request { method: &verify.method, url: &verify.url, headers: &headers, body: &body };
    let at = verify.at.map_or_else(now, |moment| moment.resolve(now()));
    let at_ms = at.as_millis();
    let verdict = match section {
        Some(section) => section.verify(&keys, &request, at_ms, Freshness::Profile),
        None => webhook(verify, &profile, &keys, &request, at_ms)?,
    };
    match verdict {
        Ok(verified) => {
            // A receipt is no event: there is nothing more to read.
            let reader = section.is_none().then_some(&profile);
            say_valid(reader, &verified, arguments.json)?;
            Ok(Outcome::Done)
        }
        Err(rejection) => {
            if arguments.json {
                let reason = Some(rejection.code());
                say(serde_json::json!({ "verdict": "invalid", "reason": reason, "covers": null }))?;
            } else {
                say(format_args!("invalid: {}", rejection.code()))?;
            }
            Ok(Outcome::No)
        }
    }
}

/// Verifies a webhook, with the certificate that was given where it takes one.
fn webhook<'r>(
    verify: &Verify,
    profile: &Profile,
    keys: &Keys,
    request: &Request<'r>,
    at_ms: i64,
) -> Result<Result<Verified<'r>, Rejection>, Failure> {
    let freshness = Freshness::Profile;
    if !profile.takes_certificates() {
        return Ok(schemes::verify(profile, keys, request, at_ms, freshness));
    }
    let url = match profile.certificate_url(keys, request, at_ms, freshness) {
        Ok(Some(url)) => url,
        Ok(None) => return Ok(schemes::verify(profile, keys, request, at_ms, freshness)),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let Some(file) = &verify.certificate else {
        let message = "this provider signs with a certificate, which is not given";
        let fix = format!("fetch {}, and give the file with --certificate", url.as_str());
        return Err(Failure::new("certificate_missing", message, fix));
    };
    let Some(chain) = Chain::from_pem(&bytes(file)?) else {
        return Ok(Err(Rejection::CertificateUnreadable));
    };
    let roots = match &verify.certificate_roots {
        Some(file) => Roots::from_pem(&bytes(file)?).ok_or_else(|| {
            let message = format!("{} holds no roots", file.display());
            Failure::new("unreadable_roots", message, "give certificates of authorities, in PEM")
        })?,
        None => Roots::mozilla(),
    };
    let certified = Some(Certified { url: &url, chain: &chain, roots: &roots });
    Ok(schemes::verify_certified(profile, keys, request, at_ms, freshness, certified))
}

/// What verified, and what it says: the reader's view of the same bytes.
fn say_valid(
    profile: Option<&Profile>,
    verified: &Verified<'_>,
    json: bool,
) -> Result<(), Failure> {
    let read = profile.map_or(Ok(Vec::new()), |profile| {
        let unit = profile.amount_units().first().map(String::as_str);
        schemes::read(profile, verified, unit)
    });
    let covers = verified.covers().code();
    let signed_at =
        verified.signed_at_ms().map(|millis| model::Timestamp::from_millis(millis).to_string());
    if json {
        let (events, quarantined) = match &read {
            Ok(events) => (
                events
                    .iter()
                    .map(|event| {
                        serde_json::json!({
                            "provider_event_id": event.id, "type": event.kind, "order": event.order,
                            "amount": event.amount, "currency": event.currency,
                            "status": event.status, "live": event.live,
                        })
                    })
                    .collect(),
                None,
            ),
            Err(unreadable) => (Vec::new(), Some(unreadable.code())),
        };
        return say(serde_json::json!({
            "verdict": "valid", "reason": null, "covers": covers, "weak": verified.weak(),
            "alternative": verified.alternative(), "secret": verified.key(),
            "signed_at": signed_at, "quarantined": quarantined, "events": events,
        }));
    }
    say(format_args!("valid: the signature covers {covers}"))?;
    say(format_args!("  secret: number {} of those given", verified.key() + 1))?;
    if let Some(signed_at) = signed_at {
        say(format_args!("  signed at: {signed_at}"))?;
    }
    if verified.weak() {
        say("  weak: this form is held unless the source accepts it")?;
    }
    match read {
        Ok(events) => {
            for event in events {
                let id = event.id.as_deref().unwrap_or("without an id");
                say(format_args!("  event: {} {}", tame(&event.kind), tame(id)))?;
            }
        }
        Err(unreadable) => say(format_args!("  would be quarantined: {unreadable}"))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(reason: &str, differs: bool) -> Judged {
        Judged { reason: Some(reason.to_owned()), differs, ..unreadable() }
    }

    #[test]
    fn only_unknown_providers_are_excused() {
        assert!(differs(&judged("no_matching_key", true), true));
        assert!(differs(&judged("no_profile", true), false));
        assert!(!differs(&judged("no_profile", true), true));
        assert!(!differs(&judged("no_matching_key", false), false));
        assert!(differs(&judged("malformed_line", true), true));
        assert!(differs(&unreadable(), true));
    }
}
