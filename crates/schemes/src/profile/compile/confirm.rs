//! The `[confirm]` section: whom to ask about an event, and how an answer is read.

use std::collections::BTreeMap;

use rustls_pki_types::DnsName;

use super::super::raw::{RawConfirm, Text};
use super::{Lint, choice, pattern, pointer, wrong};
use crate::confirm::{AnswerPlaces, Authorization, Connector};

/// Our words for the state of a payment that an answer may be translated to.
const STATUSES: [&str; 7] =
    ["paid", "pending", "processing", "failed", "cancelled", "expired", "refunded"];

/// Where the id goes.
const ID: &str = "{payment}";

pub(in crate::profile) fn confirm(raw: &RawConfirm) -> Lint<Connector> {
    if raw.types.get_ref().0.is_empty() {
        return wrong(&raw.types, "name the types of events that are about what is asked for");
    }
    let units = [("major", "major"), ("minor", "minor")];
    let answer = &raw.answer;
    Ok(Connector {
        live: base(&raw.live)?,
        test: base(&raw.test)?,
        path: path(&raw.path)?,
        authorization: choice(&raw.auth, Authorization::NAMES, "way to show a token")?,
        types: raw.types.get_ref().0.clone(),
        payment: pointer(&raw.payment)?,
        pattern: pattern(&raw.pattern)?,
        answer: AnswerPlaces {
            payment: pointer(&answer.payment)?,
            status: pointer(&answer.status)?,
            amount: pointer(&answer.amount)?,
            currency: pointer(&answer.currency)?,
            order: answer.order.iter().map(pointer).collect::<Lint<_>>()?,
            payee: answer.payee.as_ref().map(pointer).transpose()?,
        },
        status: statuses(raw)?,
        amount_unit: choice(&raw.amount_unit, &units, "unit of an answer")?.to_owned(),
    })
}

/// `https://` and a host name in small letters: nothing else can be asked.
fn base(text: &Text) -> Lint<String> {
    let host = text.get_ref().strip_prefix("https://").unwrap_or_default();
    let is_plain = host.contains('.') && !host.ends_with('.') && *host == host.to_lowercase();
    // A name of digits alone at its end is an address.
    let ends_in_letters = host
        .rsplit('.')
        .next()
        .is_some_and(|end| end.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()));
    if is_plain && ends_in_letters && DnsName::try_from(host).is_ok() {
        Ok(text.get_ref().clone())
    } else {
        wrong(text, "a base is https:// and a host name in small letters, and nothing after it")
    }
}

/// What stands before and after the id.
fn path(text: &Text) -> Lint<(String, String)> {
    let is_plain = |part: &str| {
        let bytes = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        part.bytes().all(bytes) && !part.contains("//") && !part.contains("..")
    };
    match text.get_ref().split_once(ID) {
        Some((before, after)) if before.starts_with('/') && is_plain(before) && is_plain(after) => {
            Ok((before.to_owned(), after.to_owned()))
        }
        _ => wrong(text, format!("a path is like /v1/payments/{ID}: the id once, no query")),
    }
}

fn statuses(raw: &RawConfirm) -> Lint<BTreeMap<String, String>> {
    if raw.status.is_empty() {
        return wrong(&raw.auth, "[confirm.status] translates at least one word");
    }
    let read = |(theirs, ours): (&String, &Text)| {
        if !STATUSES.contains(&ours.get_ref().as_str()) {
            return wrong(ours, format!("a status here is one of {}", STATUSES.join(" ")));
        }
        Ok((theirs.clone(), ours.get_ref().clone()))
    };
    raw.status.iter().map(read).collect()
}
