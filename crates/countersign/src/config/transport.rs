//! `[server]`, how its listeners are reached: TLS, the PROXY protocol, and who may ask the admin
//! listener and the API.

use ipnet::IpNet;
use model::Environment;

use super::document::{At, Document, Tls};
use super::identity::{CertificateFiles, Shown};
use super::meaning::Listeners;
use super::network;
use super::problem::{Found, Place, Refusal};
use super::reference::Resolver;

/// How the listeners are reached.
pub(super) struct Transport {
    pub(super) tls: Option<Shown>,
    pub(super) admin_tls: Option<Shown>,
    pub(super) api_tls: Option<Shown>,
    pub(super) admin_allow: Vec<IpNet>,
    pub(super) proxy_protocol: bool,
}

/// What `[server]` says of it. A certificate that cannot be used is a fault.
pub(super) fn transport(
    document: &Document,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Transport {
    let server = &document.server;
    let tls = server.tls.as_ref().and_then(|tls| shown("public", tls, resolver, found));
    let admin_tls = server.admin_tls.as_ref().and_then(|tls| shown("admin", tls, resolver, found));
    let api_tls = server.api_tls.as_ref().and_then(|tls| shown("api", tls, resolver, found));
    let admin_allow = network::networks(server.admin_allow.as_ref(), resolver, found);
    if let Some(place) = is_on(server.proxy_protocol.as_ref())
        && is_empty(server.trusted_proxies.as_ref())
    {
        let message = "nobody may speak the PROXY protocol, as no proxy is trusted";
        let fix = "name the proxy in trusted_proxies, or take proxy_protocol out";
        found.add(Refusal::ProxyProtocolAlone, place, message, fix);
    }
    let proxy_protocol = is_on(server.proxy_protocol.as_ref()).is_some();
    Transport { tls, admin_tls, api_tls, admin_allow, proxy_protocol }
}

/// What a live gateway must not be: one that takes nothing but plain HTTP, or whose admin listener
/// is open to everybody.
pub(super) fn live(
    document: &Document,
    environment: Option<Environment>,
    listeners: Option<&Listeners>,
    found: &mut Found,
) {
    let server = &document.server;
    if environment != Some(Environment::Live) {
        return;
    }
    let place = |written: Option<&At<String>>, key: &str| {
        written.map_or(Place { line: 1, key: key.to_owned() }, |text| text.place.clone())
    };
    if server.tls.is_none() && is_empty(server.trusted_proxies.as_ref()) {
        let place = place(server.public.as_ref(), "server.public");
        let message = "a live gateway takes no plain HTTP, and nothing here ends TLS";
        let fix = "add [server.tls], or name the proxy that ends TLS in trusted_proxies";
        found.add(Refusal::PlainHttpInLive, &place, message, fix);
    }
    let is_api_off_loopback = listeners.is_some_and(|l| !l.api.ip().to_canonical().is_loopback());
    if is_api_off_loopback && server.api_tls.is_none() && is_empty(server.trusted_proxies.as_ref())
    {
        let place = place(server.api.as_ref(), "server.api");
        let message = "API keys would cross a network in the clear";
        let fix = "listen on loopback, add [server.api_tls], or name the proxy that ends TLS in \
                   trusted_proxies";
        found.add(Refusal::PlainHttpInLive, &place, message, fix);
    }
    let is_off_loopback = listeners.is_some_and(|l| !l.admin.ip().to_canonical().is_loopback());
    if is_off_loopback && server.admin_tls.is_none() && is_empty(server.admin_allow.as_ref()) {
        let place = place(server.admin.as_ref(), "server.admin");
        let message = "the admin listener is off loopback and open to everybody";
        let fix = "listen on loopback, add [server.admin_tls], or name who may ask in admin_allow";
        found.add(Refusal::AdminExposed, &place, message, fix);
    }
}

fn shown(
    listener: &'static str,
    written: &Tls,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Shown> {
    let mut file = |text: Option<&At<String>>, key: &str, what: &str| match text {
        Some(text) => resolver.file_named(text, found),
        None => {
            let fix = format!("add {key} = \"PATH\" under [{}]", written.place.key);
            found.add(Refusal::MissingKey, &written.place.key(key), what, fix);
            None
        }
    };
    let certificate = file(written.certificate.as_ref(), "certificate", "no certificate is named");
    let key = file(written.key.as_ref(), "key", "no private key is named");
    let client_ca = match listener {
        "admin" => {
            let what = "whose clients are let in is not said";
            Some(file(written.client_ca.as_ref(), "client_ca", what)?)
        }
        _ => None,
    };
    let files = CertificateFiles { certificate: certificate?, key: key?, client_ca };
    let at = |key: &str| {
        let texts = [&written.certificate, &written.key, &written.client_ca];
        let full = written.place.key(key);
        let text = texts.into_iter().flatten().find(|text| text.place.key == full.key);
        text.map_or(full, |text| text.place.clone())
    };
    match Shown::load(listener, files) {
        Ok(shown) => Some(shown),
        Err(fault) => {
            found.add(fault.refusal, &at(fault.key), fault.message, fault.fix);
            None
        }
    }
}

fn is_on(written: Option<&At<bool>>) -> Option<&Place> {
    written.filter(|written| written.value).map(|written| &written.place)
}

fn is_empty(written: Option<&super::document::Texts>) -> bool {
    written.is_none_or(|list| list.value.is_empty())
}
