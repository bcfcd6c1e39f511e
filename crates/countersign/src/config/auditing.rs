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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::problem::Place;
    use crate::config::reference::Variables;

    fn text(text: &str) -> Option<At<String>> {
        let place = Place { line: 1, key: "audit".into() };
        Some(At { value: text.to_owned(), place })
    }

    fn witness(file: Option<&str>, url: Option<&str>, syslog: Option<&str>) -> document::Witness {
        document::Witness {
            place: Place { line: 1, key: "audit.witness".into() },
            file: file.and_then(text),
            url: url.and_then(text),
            allow_private: None,
            syslog: syslog.and_then(text),
        }
    }

    fn judge(origin: Option<&str>, witnesses: Vec<document::Witness>) -> Result<Auditing, Refusal> {
        let written = document::Audit { origin: origin.and_then(text), witnesses };
        let variables = Variables::of(&[]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/folder") };
        let mut found = Found::default();
        let meant = auditing(&written, Environment::Live, &resolver, &mut found);
        found.into_list().first().map_or(Ok(meant), |problem| Err(problem.refusal))
    }

    #[test]
    fn origins_are_names() {
        let good = judge(Some("gateway.example.com/audit"), Vec::new());
        assert_eq!(good.map(|meant| meant.origin), Ok(Some("gateway.example.com/audit".into())));
        assert_eq!(judge(None, Vec::new()).map(|meant| meant.origin), Ok(None));
        for bad in ["", "a b", "a+b", "a\nb", "é", &"x".repeat(129)] {
            let judged = judge(Some(bad), Vec::new()).map(|meant| meant.origin);
            assert_eq!(judged, Err(Refusal::BadAuditOrigin), "{bad}");
        }
    }

    #[test]
    fn a_witness_is_one_place() {
        let places = |witness| judge(None, vec![witness]).map(|meant| meant.witnesses);
        let file = Witness::File(PathBuf::from("/folder/a/b"));
        assert_eq!(places(witness(Some("a/b"), None, None)), Ok(vec![file]));
        let url = "https://witness.example/checkpoints";
        assert_eq!(places(witness(None, Some(url), None)).map(|places| places.len()), Ok(1));
        let syslog = "192.0.2.1:514".parse().map(Witness::Syslog).expect("an address");
        let written = witness(None, None, Some("udp://192.0.2.1:514"));
        assert_eq!(places(written), Ok(vec![syslog]));
        for bad in [
            witness(None, None, None),
            witness(Some("a"), Some(url), None),
            witness(None, None, Some("192.0.2.1:514")),
            witness(None, None, Some("udp://syslog.example:514")),
            witness(None, None, Some("tcp://192.0.2.1:514")),
        ] {
            assert_eq!(places(bad), Err(Refusal::BadWitness));
        }
        let private = witness(None, Some("https://10.0.0.1/"), None);
        assert_eq!(places(private), Err(Refusal::PrivateAddress));
        let plain = witness(None, Some("http://witness.example/"), None);
        assert_eq!(places(plain), Err(Refusal::PlainHttpInLive));
    }
}
