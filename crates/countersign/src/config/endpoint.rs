//! `[[endpoint]]`: a URL of the application that events are delivered to.

use gateway::Format;
use schemes::Secret;
use schemes::standard_webhooks::SigningKey;

use super::document::{At, Endpoint};
use super::headers;
use super::meaning::{Names, Notice, Scope};
use super::problem::Refusal;
use super::secrets::Meaning;
use super::web;

/// What an endpoint means, or nothing if something about it is wrong.
pub(super) fn endpoint(
    written: &Endpoint,
    name: Option<String>,
    scope: &mut Scope<'_>,
) -> Option<gateway::Endpoint> {
    let named = name.clone().unwrap_or_else(|| written.place.key.clone());
    let allow_private = written.allow_private.as_ref().is_some_and(|a| a.value);
    let url = match &written.url {
        Some(url) => {
            web::endpoint(url, allow_private, scope.environment, scope.resolver, scope.found)
        }
        None => {
            let place = written.place.key("url");
            let fix = "add url = \"https://…\", where the application takes deliveries";
            scope.found.add(Refusal::MissingKey, &place, "this endpoint has no URL", fix);
            None
        }
    };
    let secrets = secrets(written, &named, scope);
    let format = format(written.format.as_ref(), scope);
    let header_prefix = headers::prefix(written.header_prefix.as_ref(), scope.found);
    let headers = headers::extra(
        &written.headers,
        header_prefix.as_deref().unwrap_or("webhook"),
        scope.resolver,
        scope.found,
    );
    if let Some(url) = &url
        && !web::is_loopback(url)
    {
        if url.scheme() == "http" {
            let text = "deliveries leave this machine over plain HTTP";
            scope.notices.push(Notice::new(&written.place, text));
        }
        if allow_private {
            let text = "allow_private: this endpoint's name may lead into the private network";
            scope.notices.push(Notice::new(&written.place, text));
        }
    }
    Some(gateway::Endpoint {
        name: name?,
        url: url?,
        secrets: secrets?,
        allow_private,
        format: format?,
        headers: headers?,
        header_prefix: header_prefix?,
        paused: written.paused.as_ref().is_some_and(|p| p.value),
    })
}

/// The names of all endpoints, before the sources are read.
pub(super) fn name(written: &Endpoint, names: &mut Names, scope: &mut Scope<'_>) -> Option<String> {
    names.name(written.name.as_ref(), &written.place, scope.found)
}

fn secrets(written: &Endpoint, name: &str, scope: &mut Scope<'_>) -> Option<Vec<Secret>> {
    let secrets: Vec<&At<String>> = match (&written.secret, &written.secrets) {
        (Some(_), Some(list)) => {
            let message = "this endpoint has both `secret` and `secrets`";
            let fix = "keep `secrets`: all of them sign, so that the application can change over";
            scope.found.add(Refusal::SecretTwice, &list.place, message, fix);
            return None;
        }
        (Some(secret), None) => vec![secret],
        (None, Some(list)) => list.value.iter().collect(),
        (None, None) => Vec::new(),
    };
    if secrets.is_empty() {
        let place = written.place.key("secret");
        let message = "this endpoint has no secret to sign with";
        let fix = "add secret = \"${env:NAME}\", a Standard Webhooks secret (whsec_…)";
        scope.found.add(Refusal::NoSecrets, &place, message, fix);
        return None;
    }
    let meaning = Meaning::Endpoint(name.to_owned());
    let (mut taken, mut keys) = (Vec::new(), Vec::new());
    for written in &secrets {
        let (ledger, resolver) = (&mut scope.ledger, scope.resolver);
        let secret = ledger.take(
            written,
            &meaning,
            scope.environment,
            resolver,
            scope.found,
            &mut Vec::new(),
        );
        let Some(secret) = secret else { continue };
        match SigningKey::parse(&secret) {
            Ok(key) => {
                keys.push(key);
                taken.push(secret);
            }
            Err(error) => {
                let fix = "make one: whsec_ and the base64 of 24 to 64 random bytes, for example \
                           echo whsec_$(openssl rand -base64 32)";
                scope.found.add(Refusal::SecretShape, &written.place, error.to_string(), fix);
            }
        }
    }
    if let (Some(first), true) =
        (secrets.first(), keys.iter().all(|key| key.public_key().is_some()))
        && keys.len() == secrets.len()
    {
        let message = "this endpoint has no secret that the common libraries verify with";
        let fix = "add a whsec_… secret beside the whsk_… one, in `secrets`: no reference library \
                   of Standard Webhooks verifies v1a, so v1 is always sent too";
        scope.found.add(Refusal::OnlyAsymmetric, &first.place, message, fix);
        return None;
    }
    (keys.len() == secrets.len()).then_some(taken)
}

fn format(written: Option<&At<String>>, scope: &mut Scope<'_>) -> Option<Format> {
    let Some(written) = written else { return Some(Format::Event) };
    match written.value.as_str() {
        "event" => Some(Format::Event),
        "original" => Some(Format::Original),
        _ => {
            let message = "this is not a format of deliveries";
            let fix = "write \"event\" (what was checked beside the bytes) or \"original\" (the \
                       provider's bytes alone)";
            scope.found.add(Refusal::BadFormat, &written.place, message, fix);
            None
        }
    }
}
