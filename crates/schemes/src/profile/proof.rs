//! A profile's own vectors: it loads only if every one of them gets the verdict that it states.

use std::collections::BTreeMap;

use toml::Spanned;

use super::Profile;
use super::compile::Lint;
use super::raw::{OneOrMany, RawProfile, RawVector};
use crate::certificate::{Certified, Chain, Roots};
use crate::engine::{self, Terms};
use crate::event::Fields;
use crate::reason::{Rejection, Unreadable};
use crate::request::Request;
use crate::secret::Secret;
use crate::time::Freshness;

const VALID: &str = "valid";

pub(super) fn check(profile: &Profile, raw: &RawProfile) -> Lint<()> {
    let mut accepted = 0;
    let mut refused = 0;
    for vector in &raw.vector {
        let fail = |message: String| (vector.span().start, message);
        let name = &vector.get_ref().name;
        let whole = inherit(vector.get_ref(), &raw.vector).map_err(fail)?;
        let expected = whole.expect.as_deref().unwrap_or(VALID);
        let found = judge(profile, &whole)
            .map_err(|message| fail(format!("vector {name:?}: {message}")))?;
        let verdict = found.as_ref().map_or_else(|code| *code, |_| VALID);
        if verdict != expected {
            return Err(fail(format!("vector {name:?} gives {verdict}, not {expected}")));
        }
        if let Ok(events) = &found {
            compare(events.first(), &whole.event)
                .map_err(|message| fail(format!("vector {name:?}: {message}")))?;
        }
        if whole.section.is_none() {
            if found.is_ok() { accepted += 1 } else { refused += 1 }
        }
    }
    if accepted == 0 || refused == 0 {
        return Err((
            0,
            "a profile needs [[vector]]s: at least one that is valid and one that is refused"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Fills in from the vector that this one is `like`; that one says everything itself.
fn inherit(vector: &RawVector, all: &[Spanned<RawVector>]) -> Result<RawVector, String> {
    let Some(like) = &vector.like else { return Ok(vector.clone()) };
    let base = all
        .iter()
        .map(Spanned::get_ref)
        .find(|other| other.name == *like && other.like.is_none())
        .ok_or_else(|| format!("there is no vector {like:?} that says everything itself"))?;
    let mut headers = base.headers.clone();
    for (name, values) in &vector.headers {
        headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
        headers.insert(name.clone(), values.clone());
    }
    for name in &vector.without {
        let before = headers.len();
        headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
        if headers.len() == before {
            return Err(format!("there is no header {name:?} to leave out"));
        }
    }
    let mut body = vector.body.clone().or_else(|| base.body.clone()).unwrap_or_default();
    for (from, to) in &vector.replace {
        if !body.contains(from.as_str()) {
            return Err(format!("the body has no {from:?} to replace"));
        }
        body = body.replace(from.as_str(), to);
    }
    let accepted = vector.expect.is_none();
    Ok(RawVector {
        name: vector.name.clone(),
        like: None,
        expect: vector.expect.clone(),
        section: vector.section.clone().or_else(|| base.section.clone()),
        secret: vector.secret.clone().or_else(|| base.secret.clone()),
        certificate: vector.certificate.clone().or_else(|| base.certificate.clone()),
        roots: vector.roots.clone().or_else(|| base.roots.clone()),
        now: vector.now.or(base.now),
        method: vector.method.clone().or_else(|| base.method.clone()),
        url: vector.url.clone().or_else(|| base.url.clone()),
        headers,
        without: Vec::new(),
        body: Some(body),
        replace: BTreeMap::new(),
        event: if accepted && vector.event.is_empty() {
            base.event.clone()
        } else {
            vector.event.clone()
        },
    })
}

/// The events, or the code of what is wrong.
fn judge(
    profile: &Profile,
    vector: &RawVector,
) -> Result<Result<Vec<Fields>, &'static str>, String> {
    let section = vector.section.as_deref().unwrap_or("scheme");
    let scheme =
        profile.section(section).ok_or_else(|| format!("there is no section {section:?}"))?;
    let OneOrMany(texts) = vector.secret.clone().unwrap_or_default();
    let secrets: Vec<_> = texts.into_iter().map(Secret::new).collect();
    let shape = if section == "scheme" { profile.secret.as_ref() } else { None };
    let keys = match scheme.keys(&secrets, shape) {
        Ok(keys) => keys,
        Err(error) => return Ok(Err(error.code())),
    };
    let headers: Vec<(&str, &[u8])> = vector
        .headers
        .iter()
        .flat_map(|(name, OneOrMany(values))| {
            values.iter().map(|value| (name.as_str(), value.as_bytes()))
        })
        .collect();
    let request = Request {
        method: vector.method.as_deref().unwrap_or("POST"),
        url: vector.url.as_deref().unwrap_or("https://gateway.example/in/source"),
        headers: &headers,
        body: vector.body.as_deref().unwrap_or_default().as_bytes(),
    };
    let now = vector.now.ok_or("say now, in seconds since 1970")?;
    let now_ms = now.saturating_mul(1000);
    let strict = Terms::strict(now_ms, Freshness::Profile);
    let url = match engine::certificate_url(scheme, &keys, &request, &strict) {
        Ok(url) => url,
        Err(rejection) => return Ok(Err(Rejection::code(rejection))),
    };
    let pem = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let chain = Chain::from_pem(&pem(&vector.certificate));
    let roots = Roots::from_pem(&pem(&vector.roots));
    let fetched = url.as_ref().zip(chain.as_ref()).zip(roots.as_ref());
    let certified = fetched.map(|((url, chain), roots)| Certified { url, chain, roots });
    let proof = match engine::verify(scheme, &keys, &request, &Terms { certified, ..strict }) {
        Ok(proof) => proof,
        Err(rejection) => return Ok(Err(Rejection::code(rejection))),
    };
    if section != "scheme" {
        return Ok(Ok(Vec::new()));
    }
    let unit = profile.amount_units.first().map(String::as_str);
    let events = profile.events.read(&request, proof.document.as_ref(), unit);
    Ok(events.map_err(Unreadable::code))
}

/// The first event says what the vector states of it.
fn compare(event: Option<&Fields>, stated: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, expected) in stated {
        let event = event.ok_or("there is no event to compare")?;
        let live = event.live.map(|live| live.to_string());
        let found = match name.as_str() {
            "id" => event.id.as_ref(),
            "type" => Some(&event.kind),
            "order" => event.order.as_ref(),
            "amount" => event.amount.as_ref(),
            "amount_unit" => event.amount_unit.as_ref(),
            "currency" => event.currency.as_ref(),
            "customer" => event.customer.as_ref(),
            "payee" => event.payee.as_ref(),
            "payment" => event.payment.as_ref(),
            "part" => event.part.as_ref(),
            "refunded" => event.refunded.as_ref(),
            "chain" => event.chain.as_ref(),
            "address" => event.address.as_ref(),
            "sender" => event.sender.as_ref(),
            "card" => event.card.as_ref(),
            "status" => event.status.as_ref(),
            "live" => live.as_ref(),
            _ => return Err(format!("{name:?} is no field of an event")),
        };
        if found != Some(expected) {
            return Err(format!("{name} is {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}
