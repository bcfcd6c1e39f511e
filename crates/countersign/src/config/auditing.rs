//! `[audit]`: what the log is called, and where its checkpoints go.

use std::net::SocketAddr;

use gateway::{Auditing, Witness};
use model::Environment;

use super::document::{self, At};
use super::problem::{Found, Refusal};
use super::reference::Resolver;
use super::web;

/// What the configuration says of the audit log.
pub(super) fn auditing(
    written: &document::Audit,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Auditing {
    let origin = origin(written.origin.as_ref(), resolver, found);
    let witnesses = written
        .witnesses
        .iter()
        .filter_map(|witness| place(witness, environment, resolver, found))
        .collect();
    Auditing { origin, witnesses, ..Auditing::default() }
}

/// What the log is called, if it is not called after its key.
pub(super) fn origin(
    written: Option<&At<String>>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<String> {
    let written = written?;
    let origin = resolver.text(written, found)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./:_-".contains(&byte);
    if origin.is_empty() || origin.len() > 128 || !origin.bytes().all(plain) {
        let message = "this cannot name a log";
        let fix = "write a host and a path, such as gateway.example.com/audit, and never change it";
        found.add(Refusal::BadAuditOrigin, &written.place, message, fix);
        return None;
    }
    Some(origin)
}

fn place(
    written: &document::Witness,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Witness> {
    let allow_private = written.allow_private.as_ref().is_some_and(|allow| allow.value);
    match (&written.file, &written.url, &written.syslog) {
        (Some(file), None, None) => {
            Some(Witness::File(resolver.path(&resolver.text(file, found)?)))
        }
        (None, Some(url), None) => {
            let url = web::endpoint(url, allow_private, environment, resolver, found)?;
            Some(Witness::Http { url, allow_private })
        }
        (None, None, Some(address)) => syslog(address, resolver, found),
        _ => {
            let message = "a witness is one place";
            let fix =
                "write one of file, url and syslog, and another [[audit.witness]] for another";
            found.add(Refusal::BadWitness, &written.place, message, fix);
            None
        }
    }
}

fn syslog(written: &At<String>, resolver: &Resolver<'_>, found: &mut Found) -> Option<Witness> {
    let text = resolver.text(written, found)?;
    let address = text.strip_prefix("udp://").and_then(|rest| rest.parse::<SocketAddr>().ok());
    if address.is_none() {
        let message = "this is no address of a syslog server";
        let fix = "write udp://ADDRESS:PORT, such as udp://192.0.2.1:514";
        found.add(Refusal::BadWitness, &written.place, message, fix);
    }
    address.map(Witness::Syslog)
}
