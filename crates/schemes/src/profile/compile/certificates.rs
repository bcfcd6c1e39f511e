//! Keys that come as certificates: what a profile must pin before any is fetched.

use rustls_pki_types::{DnsName, ServerName};

use super::super::raw::{RawAlternative, Texts};
use super::{Lint, at, pattern, source, wrong};
use crate::certificate::CertificateRule;
use crate::key::{Algorithm, Family};
use crate::source::Place;
use crate::template::Template;

pub(super) fn rule(
    raw: &RawAlternative,
    algorithm: Algorithm,
    messages: &[Template],
) -> Lint<Option<CertificateRule>> {
    let key = &raw.key;
    let (Some(setting), Some(url), Some(host), Some(path), Some(name), Some(from)) =
        (&key.setting, &key.url, &key.host, &key.path, &key.name, &key.from)
    else {
        let texts = [&key.setting, &key.url, &key.path, &key.from];
        let is_begun = texts.iter().any(|text| text.is_some());
        return if is_begun || key.host.is_some() || key.name.is_some() {
            wrong(
                &raw.algo,
                "a key from a certificate needs from, setting, url, host, path and name: nothing \
                 is fetched from, or believed of, anybody else",
            )
        } else {
            Ok(None)
        };
    };
    if from.get_ref() != "certificate" {
        return wrong(from, "from is \"certificate\"");
    }
    if algorithm.family() == Family::Shared {
        return wrong(&raw.algo, "a certificate has a public key: use an algorithm that takes one");
    }
    let place = Place::Setting(setting.get_ref().as_str().into());
    if !messages.iter().all(|message| message.always_signs(&place)) {
        return wrong(
            setting,
            format!(
                "{{cfg:{}}} must stand in every message: without it, what is signed for others \
                 of this provider verifies too",
                setting.get_ref()
            ),
        );
    }
    Ok(Some(CertificateRule {
        url: source(url, &[])?,
        hosts: hosts(host)?,
        path: pattern(path)?,
        names: names(name)?,
        setting: setting.get_ref().clone(),
    }))
}

/// Hosts as they must be written, letter for letter.
fn hosts(texts: &Texts) -> Lint<Vec<String>> {
    dns_names(texts)?;
    Ok(texts.get_ref().0.clone())
}

fn names(texts: &Texts) -> Lint<Vec<ServerName<'static>>> {
    Ok(dns_names(texts)?.into_iter().map(ServerName::DnsName).collect())
}

fn dns_names(texts: &Texts) -> Lint<Vec<DnsName<'static>>> {
    let all = &texts.get_ref().0;
    if all.is_empty() {
        return wrong(texts, "name at least one");
    }
    let read = |text: &String| {
        let is_plain = text.contains('.') && !text.ends_with('.') && *text == text.to_lowercase();
        let name = DnsName::try_from(text.clone()).ok().filter(|_| is_plain);
        at(texts, name.ok_or_else(|| format!("{text:?} is no host name in small letters")))
    };
    all.iter().map(read).collect()
}
