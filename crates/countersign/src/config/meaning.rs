//! The second of two steps: what was written, and what it means.
//!
//! Everything is judged before anything is refused, so that all faults are said at once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use model::Environment;

use super::document::{At, Document};
use super::problem::{Found, Place, Refusal};
use super::profiles::Profiles;
use super::reference::Resolver;
use super::secrets::Ledger;
use super::store::StorePlace;
use super::transport::Transport;
use super::{
    Beside, Configuration, EndpointNamed, SourceNamed, admin, auditing, chains, endpoint, limits,
    network, orders, retention, security_txt, source, store, transport, web,
};

const NAME_BYTES_MAX: usize = 64;

/// Something that is allowed, and that whoever starts the gateway should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where it stands.
    pub place: Place,
    /// What it means.
    pub text: String,
}

impl Notice {
    /// Where it stands, in words.
    pub(crate) fn about(&self) -> String {
        match (self.place.line, self.place.key.as_str()) {
            (0, key) => key.to_owned(),
            (line, key) => format!("line {line}, {key}"),
        }
    }

    pub(super) fn new(place: &Place, text: impl Into<String>) -> Self {
        Self { place: place.clone(), text: text.into() }
    }
}

/// What every part of the configuration is judged with.
pub(super) struct Scope<'a> {
    pub(super) environment: Environment,
    pub(super) resolver: &'a Resolver<'a>,
    pub(super) found: &'a mut Found,
    pub(super) notices: Vec<Notice>,
    pub(super) ledger: Ledger,
}

/// The names of sources, or of endpoints.
#[derive(Default)]
pub(super) struct Names {
    lines: BTreeMap<String, usize>,
}

impl Names {
    /// A name that is well-formed and new.
    pub(super) fn name(
        &mut self,
        written: Option<&At<String>>,
        table: &Place,
        found: &mut Found,
    ) -> Option<String> {
        let Some(At { value, place }) = written else {
            let fix = "add name = \"…\": lower-case letters, digits, - and _";
            found.add(Refusal::MissingKey, &table.key("name"), "this has no name", fix);
            return None;
        };
        if !is_name(value) {
            let message = "this cannot be a name";
            let fix = "write up to 64 lower-case letters, digits, - and _, a letter or digit first";
            found.add(Refusal::BadName, place, message, fix);
            return None;
        }
        if let Some(line) = self.lines.get(value) {
            let message = format!("line {line} has this name already");
            found.add(Refusal::DuplicateName, place, message, "give each a name of its own");
            return None;
        }
        self.lines.insert(value.clone(), place.line);
        Some(value.clone())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lines.contains_key(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= NAME_BYTES_MAX
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b"-_".contains(&b))
}

/// Everything that `serve` needs.
pub(super) fn configuration(
    document: &Document,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Configuration> {
    let environment = environment(document, found);
    let listeners = listeners(document, resolver, found);
    let hosts = network::hosts(document.server.hosts.as_ref(), resolver, found);
    let trusted_proxies =
        network::networks(document.server.trusted_proxies.as_ref(), resolver, found);
    let transport = transport::transport(document, resolver, found);
    transport::live(document, environment, listeners.as_ref(), found);
    let store = store::place(&document.store, environment, resolver, found);
    let root = root(document, resolver, found);
    let profiles = profiles(document, resolver, found);
    let proxy =
        document.outbound_proxy.as_ref().map(|written| web::proxy(written, resolver, found));

    let kept = retention::retention(&document.retention, found);
    let orders = orders::orders(&document.orders, found);
    let windows = limits::windows(document, environment, resolver, found);

    // Without an environment the start is refused anyway; test lets the rest be judged.
    let judged = environment.unwrap_or(Environment::Test);
    let second_person = admin::second_person(document.second_person.as_ref(), resolver, found);
    let auditing = auditing::auditing(&document.audit, judged, resolver, found);

    let mut scope = Scope {
        environment: judged,
        resolver,
        found,
        notices: Vec::new(),
        ledger: Ledger::default(),
    };
    let file = security_txt::security_txt(document.server.security_txt.as_ref(), &mut scope);
    let mut names = Names::default();
    let endpoints: Vec<_> = document
        .endpoints
        .iter()
        .map(|written| {
            let name = endpoint::name(written, &mut names, &mut scope);
            endpoint::endpoint(written, name, &mut scope)
        })
        .collect();
    let mut source_names = Names::default();
    let sources: Vec<_> = document
        .sources
        .iter()
        .map(|written| source::source(written, &profiles, &mut source_names, &names, &mut scope))
        .collect();
    original_takes_one_source(document, &mut scope);
    let chains = chains::chains(&document.chains, &mut scope);
    let assets = chains.as_deref().and_then(|c| chains::assets(&document.assets, c, &mut scope));
    surroundings(document, listeners.as_ref(), &hosts, &mut scope);
    let notices = scope.notices;

    if !found.is_empty() {
        return None;
    }
    let Listeners { public, api, admin } = listeners?;
    let Transport { tls, admin_tls, api_tls, admin_allow, proxy_protocol } = transport;
    let settings = gateway::Settings {
        environment: environment?,
        public,
        admin,
        api,
        hosts,
        trusted_proxies,
        proxy_protocol,
        tls: tls.as_ref().map(|shown| shown.tls.clone()),
        admin_tls: admin_tls.as_ref().map(|shown| shown.tls.clone()),
        api_tls: api_tls.as_ref().map(|shown| shown.tls.clone()),
        admin_allow,
        security_txt: file,
        second_person,
        root: root?,
        sources: sources.into_iter().collect::<Option<_>>()?,
        endpoints: endpoints.into_iter().collect::<Option<_>>()?,
        resolver: gateway::Resolver::System,
        proxy: proxy.flatten(),
        orders: gateway::OrderRules { assets: assets?, ..orders },
        chains: chains?,
        certificates: gateway::Certificates::default(),
        retention: kept,
        windows: windows?,
        auditing,
    };
    let certificates = tls.into_iter().chain(admin_tls).chain(api_tls).collect();
    Some(Configuration { settings, store: store?, certificates, notices })
}

/// What a command needs that works beside a running gateway: no provider's secret.
pub(super) fn beside(
    document: &Document,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Beside> {
    let store = beside_store(document, resolver, found);
    let root = root(document, resolver, found);
    let environment = document.environment.as_ref();
    let environment = environment.and_then(|written| Environment::from_code(&written.value));
    let text = |written: Option<&At<String>>| written.map(|text| text.value.clone());
    let sources = document.sources.iter().filter_map(|source| {
        let endpoints = source.endpoints.iter().flat_map(|list| &list.value);
        let endpoints = endpoints.map(|endpoint| endpoint.value.clone()).collect();
        let provider = text(source.provider.as_ref());
        Some((text(source.name.as_ref())?, SourceNamed { provider, endpoints }))
    });
    let sources = sources.collect();
    let endpoints = document.endpoints.iter().filter_map(|endpoint| {
        let paused = endpoint.paused.as_ref().is_some_and(|paused| paused.value);
        let takes_originals =
            endpoint.format.as_ref().is_some_and(|format| format.value == "original");
        Some(EndpointNamed { name: text(endpoint.name.as_ref())?, paused, takes_originals })
    });
    let endpoints = endpoints.collect();
    let audit_origin = auditing::origin(document.audit.origin.as_ref(), resolver, found);
    if !found.is_empty() {
        return None;
    }
    Some(Beside { store: store?, root: root?, environment, sources, endpoints, audit_origin })
}

/// The store alone, for what works without a root key.
pub(super) fn beside_store(
    document: &Document,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<StorePlace> {
    let written = document.environment.as_ref();
    let environment = written.and_then(|written| Environment::from_code(&written.value));
    store::place(&document.store, environment, resolver, found)
}

/// The embedded profiles and those of `[providers] directory`.
pub(super) fn profiles(
    document: &Document,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Profiles {
    let Some(directory) = &document.providers_directory else { return Profiles::embedded() };
    match resolver.text(directory, found) {
        Some(path) => Profiles::of_folder(&resolver.path(&path), &directory.place, found),
        None => Profiles::embedded(),
    }
}

fn environment(document: &Document, found: &mut Found) -> Option<Environment> {
    let fix = "write environment = \"test\" or environment = \"live\" at the top";
    let Some(written) = &document.environment else {
        let place = Place { line: 1, key: "environment".into() };
        found.add(Refusal::MissingKey, &place, "the environment is not said", fix);
        return None;
    };
    let environment = Environment::from_code(&written.value);
    if environment.is_none() {
        let message = "this is no environment";
        found.add(Refusal::BadEnvironment, &written.place, message, fix);
    }
    environment
}

/// Where the listeners are.
pub(super) struct Listeners {
    public: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) admin: SocketAddr,
}

fn listeners(document: &Document, resolver: &Resolver<'_>, found: &mut Found) -> Option<Listeners> {
    let server = &document.server;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let written = [
        ("public", server.public.as_ref(), local(8480)),
        ("api", server.api.as_ref(), local(8482)),
        ("admin", server.admin.as_ref(), local(8481)),
    ];
    let mut bound: Vec<(&str, Option<SocketAddr>)> = Vec::new();
    for (name, text, default) in written {
        let address = network::listener(text, default, resolver, found);
        let other = bound.iter().find(|(_, other)| {
            address.zip(*other).is_some_and(|(one, other)| network::collide(one, other))
        });
        if let Some((other, _)) = other {
            let key = format!("server.{name}");
            let place = text.map_or(Place { line: 1, key }, |text| text.place.clone());
            let message = format!("server.{other} listens on this address already");
            let fix = "give each listener an address or a port of its own";
            found.add(Refusal::ListenerTaken, &place, message, fix);
        }
        bound.push((name, address));
    }
    match bound.as_slice() {
        [(_, Some(public)), (_, Some(api)), (_, Some(admin))] => {
            Some(Listeners { public: *public, api: *api, admin: *admin })
        }
        _ => None,
    }
}

fn root(document: &Document, resolver: &Resolver<'_>, found: &mut Found) -> Option<vault::RootKey> {
    let Some(written) = &document.vault_key else {
        let place = Place { line: 1, key: "vault.key".into() };
        let message = "the key that seals what is kept is not said";
        let fix = "write [vault] key = \"${file:countersign.key}\"; `countersign init` makes one";
        found.add(Refusal::MissingKey, &place, message, fix);
        return None;
    };
    let text = resolver.secret(written, found)?;
    match vault::RootKey::parse(&text) {
        Ok(root) => Some(root),
        Err(error) => {
            let fix = "`countersign init` makes one; a lost key cannot be made again, so keep a \
                       copy apart from the database";
            found.add(Refusal::BadRootKey, &written.place, error.to_string(), fix);
            None
        }
    }
}

/// Original bytes carry no word of ours about whose they are, so they come from one source.
fn original_takes_one_source(document: &Document, scope: &mut Scope<'_>) {
    for endpoint in &document.endpoints {
        let Some(format) = endpoint.format.as_ref().filter(|f| f.value == "original") else {
            continue;
        };
        let Some(name) = &endpoint.name else { continue };
        let sources = document.sources.iter().filter(|source| {
            let mut names = source.endpoints.iter().flat_map(|list| &list.value);
            names.any(|written| written.value == name.value)
        });
        if sources.count() > 1 {
            let message = "an endpoint with original bytes gets them from more than one source";
            let fix = "give each source an endpoint of its own, or take format = \"event\"";
            scope.found.add(Refusal::OriginalNeedsOneSource, &format.place, message, fix);
        }
    }
}

/// What is not safe for production, beside what the sources and endpoints say of themselves.
fn surroundings(
    document: &Document,
    listeners: Option<&Listeners>,
    hosts: &[String],
    scope: &mut Scope<'_>,
) {
    let place = |key: &str| Place { line: 0, key: key.to_owned() };
    let mut notice = |key: &str, text: &str| scope.notices.push(Notice::new(&place(key), text));
    if document.sources.is_empty() {
        notice("source", "no source: every webhook is refused");
    }
    let Some(listeners) = listeners else { return };
    if !listeners.public.ip().is_loopback() {
        if document.server.tls.is_none() {
            let text = "plain HTTP off loopback: add [server.tls], or let a proxy end TLS";
            notice("server.public", text);
        }
        if hosts.is_empty() {
            notice("server.hosts", "any Host name is accepted: list the public one");
        }
    }
    let speaks_proxy = document.server.proxy_protocol.as_ref().is_some_and(|on| on.value);
    if speaks_proxy && document.server.tls.is_none() {
        let text = "whoever is behind a TCP proxy speaks plain HTTP to us: add [server.tls]; live \
                    refuses it";
        notice("server.proxy_protocol", text);
    }
    let is_named = document.server.admin_allow.as_ref().is_some_and(|l| !l.value.is_empty());
    if !listeners.admin.ip().is_loopback() && document.server.admin_tls.is_none() && !is_named {
        notice("server.admin", "the admin listener is off loopback and open to everybody");
    }
    if !listeners.api.ip().is_loopback() && document.server.api_tls.is_none() {
        let text = "API keys come in the clear: add [server.api_tls], or let a proxy end TLS";
        notice("server.api", text);
    }
    if scope.environment == Environment::Test {
        notice("environment", "test: live events are quarantined");
    }
}
