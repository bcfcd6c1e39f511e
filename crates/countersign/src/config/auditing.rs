//! `[audit]`: what the log is called, and where its checkpoints go.

use std::net::SocketAddr;

use gateway::{Auditing, BadMail, Mail, Sink, Syslog, Way, Witness};
use model::Environment;

use super::document::{self, At};
use super::problem::{Found, Refusal};
use super::reference::Resolver;
use super::{meaning, web};

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
    let mut sinks: Vec<Sink> = Vec::new();
    for written in &written.sinks {
        let Some(sink) = sink(written, environment, resolver, found) else { continue };
        if sinks.iter().any(|other| other.name == sink.name) {
            let fix = "give each sink a name of its own: what it has got is remembered under it";
            found.add(Refusal::BadSink, &written.place, "another sink has this name", fix);
        }
        sinks.push(sink);
    }
    Auditing { origin, witnesses, sinks, ..Auditing::default() }
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
    match (&written.file, &written.url, &written.syslog, &written.mail) {
        (Some(file), None, None, None) => {
            Some(Witness::File(resolver.path(&resolver.text(file, found)?)))
        }
        (None, Some(url), None, None) => {
            let url = web::endpoint(url, allow_private, environment, resolver, found)?;
            Some(Witness::Http { url, allow_private })
        }
        (None, None, Some(address), None) => syslog(address, resolver, found).map(Witness::Syslog),
        (None, None, None, Some(to)) => mail(written, to, environment, resolver, found),
        _ => {
            let message = "a witness is one place";
            let fix = "write one of file, url, syslog and mail, and another [[audit.witness]] for another";
            found.add(Refusal::BadWitness, &written.place, message, fix);
            None
        }
    }
}

/// The server's URL may hold a password, so it is a reference. In live it is spoken to over TLS.
fn mail(
    written: &document::Witness,
    to: &At<String>,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Witness> {
    let (Some(from), Some(smtp)) = (&written.from, &written.smtp) else {
        let fix = "add from = \"gateway@example.com\" and smtp = \"${env:SMTP_URL}\"";
        found.add(Refusal::BadWitness, &to.place, "a mail needs a sender and a server", fix);
        return None;
    };
    let server = resolver.text(smtp, found)?;
    let (from, to) = (resolver.text(from, found)?, resolver.text(to, found)?);
    let is_plain = !server.starts_with("smtps://") && !server.ends_with("?tls=required");
    if is_plain && environment == Environment::Live {
        let fix = "write smtps://…, or smtp://…?tls=required for STARTTLS";
        let message = "a live gateway does not mail in the clear";
        found.add(Refusal::BadWitness, &smtp.place, message, fix);
        return None;
    }
    match Mail::new(&server, &from, &to) {
        Ok(mail) => Some(Witness::Mail(mail)),
        Err(bad) => {
            let (message, fix) = match bad {
                BadMail::Address => {
                    ("an address is none", "write NAME@HOST in mail and in from".to_owned())
                }
                BadMail::Server => (
                    "this is not the URL of a mail server",
                    "write smtps://USER:PASSWORD@HOST:465".to_owned(),
                ),
            };
            found.add(Refusal::BadWitness, &written.place, message, fix);
            None
        }
    }
}

fn sink(
    written: &document::Sink,
    environment: Environment,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Sink> {
    let name = written.name.as_ref().map(|name| name.value.clone());
    let Some(name) = name.filter(|name| meaning::is_name(name)) else {
        let fix = "write name = \"siem\" or the like: lower-case letters, digits, - and _";
        found.add(Refusal::BadSink, &written.place, "a sink needs a name", fix);
        return None;
    };
    let allow_private = written.allow_private.as_ref().is_some_and(|allow| allow.value);
    let way = match (&written.url, &written.syslog) {
        (Some(url), None) => {
            let url = web::endpoint(url, allow_private, environment, resolver, found)?;
            Way::Http { url, allow_private }
        }
        (None, Some(address)) => Way::Syslog(syslog(address, resolver, found)?),
        _ => {
            let fix = "write one of url and syslog, and another [[audit.sink]] for another";
            found.add(Refusal::BadSink, &written.place, "a sink is one place", fix);
            return None;
        }
    };
    Some(Sink { name, way })
}

fn syslog(written: &At<String>, resolver: &Resolver<'_>, found: &mut Found) -> Option<Syslog> {
    let text = resolver.text(written, found)?;
    let address = |scheme: &str| text.strip_prefix(scheme)?.parse::<SocketAddr>().ok();
    let udp = || address("udp://").map(Syslog::Udp);
    let server = udp().or_else(|| address("tcp://").map(Syslog::Tcp));
    if server.is_none() {
        let message = "this is no address of a syslog server";
        let fix = "write udp://ADDRESS:PORT or tcp://ADDRESS:PORT, such as udp://192.0.2.1:514";
        found.add(Refusal::BadSyslog, &written.place, message, fix);
    }
    server
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
            mail: None,
            from: None,
            smtp: None,
        }
    }

    fn judge(origin: Option<&str>, witnesses: Vec<document::Witness>) -> Result<Auditing, Refusal> {
        judge_all(document::Audit { origin: origin.and_then(text), witnesses, sinks: Vec::new() })
    }

    fn judge_all(written: document::Audit) -> Result<Auditing, Refusal> {
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
        let address = "192.0.2.1:514".parse().expect("an address");
        for (text, syslog) in [
            ("udp://192.0.2.1:514", Syslog::Udp(address)),
            ("tcp://192.0.2.1:514", Syslog::Tcp(address)),
        ] {
            let written = witness(None, None, Some(text));
            assert_eq!(places(written), Ok(vec![Witness::Syslog(syslog)]));
        }
        for bad in [witness(None, None, None), witness(Some("a"), Some(url), None)] {
            assert_eq!(places(bad), Err(Refusal::BadWitness));
        }
        let private = witness(None, Some("https://10.0.0.1/"), None);
        assert_eq!(places(private), Err(Refusal::PrivateAddress));
        let plain = witness(None, Some("http://witness.example/"), None);
        assert_eq!(places(plain), Err(Refusal::PlainHttpInLive));
    }

    fn sink(name: Option<&str>, url: Option<&str>, syslog: Option<&str>) -> document::Sink {
        document::Sink {
            place: Place { line: 1, key: "audit.sink".into() },
            name: name.and_then(text),
            url: url.and_then(text),
            allow_private: None,
            syslog: syslog.and_then(text),
        }
    }

    #[test]
    fn a_sink_has_a_name_and_one_place() {
        let judge = |sinks| judge_all(document::Audit { sinks, ..document::Audit::default() });
        let url = Some("https://siem.example/entries");
        let both = judge(vec![
            sink(Some("siem"), url, None),
            sink(Some("syslog"), None, Some("tcp://192.0.2.1:601")),
        ]);
        assert_eq!(both.map(|meant| meant.sinks.len()), Ok(2));
        for bad in [
            vec![sink(None, url, None)],
            vec![sink(Some("A siem"), url, None)],
            vec![sink(Some("siem"), None, None)],
            vec![sink(Some("siem"), url, Some("udp://192.0.2.1:514"))],
            vec![sink(Some("siem"), url, None), sink(Some("siem"), url, None)],
        ] {
            assert_eq!(judge(bad).map(|meant| meant.sinks), Err(Refusal::BadSink));
        }
    }

    #[test]
    fn a_syslog_server_is_an_address() {
        let judged = |text: &str| {
            judge(None, vec![witness(None, None, Some(text))]).map(|meant| meant.witnesses)
        };
        assert!(judged("tcp://[2001:db8::1]:601").is_ok());
        for bad in ["192.0.2.1:514", "udp://syslog.example:514", "tls://192.0.2.1:6514", "udp://"] {
            assert_eq!(judged(bad), Err(Refusal::BadSyslog), "{bad}");
        }
    }

    #[test]
    fn a_mailbox_has_a_sender_and_a_server_that_is_spoken_to_over_tls() {
        let mail = |to: &str, from: Option<&str>, smtp: Option<&str>| {
            let witness = document::Witness {
                mail: text(to),
                from: from.and_then(text),
                smtp: smtp.and_then(text),
                ..witness(None, None, None)
            };
            judge(None, vec![witness]).map(|meant| meant.witnesses.len())
        };
        let (from, tls) = (Some("gateway@shop.example"), Some("smtps://mail.example"));
        assert_eq!(mail("auditor@bank.example", from, tls), Ok(1));
        let starttls = Some("smtp://mail.example:587?tls=required");
        assert_eq!(mail("auditor@bank.example", from, starttls), Ok(1));
        for (to, from, smtp) in [
            ("auditor@bank.example", None, tls),
            ("auditor@bank.example", from, None),
            ("auditor@bank.example", from, Some("smtp://mail.example")),
            ("auditor@bank.example", from, Some("smtps:mail")),
            ("nobody", from, tls),
        ] {
            assert_eq!(mail(to, from, smtp), Err(Refusal::BadWitness), "{to} {from:?} {smtp:?}");
        }
    }
}
