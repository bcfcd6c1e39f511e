//! What the configuration means, once it has been read and judged.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use model::rate::Rate;
use model::{Environment, Permission};

use crate::orders::{Confirm, OrderRules};
use crate::{Auditing, Certificates, Proxy, Resolver, SecurityTxt, Tls, Windows};

/// Everything the gateway needs to know to start.
pub struct Settings {
    /// Test or live: events of the other kind are quarantined.
    pub environment: Environment,
    /// Where providers send webhooks to. Serves `/in` only.
    pub public: SocketAddr,
    /// Where health and metrics are served. Private.
    pub admin: SocketAddr,
    /// Where applications ask. Serves `/v1`.
    pub api: SocketAddr,
    /// Host names accepted on the public listener; empty accepts any.
    pub hosts: Vec<String>,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections of trusted proxies begin with a PROXY header.
    pub proxy_protocol: bool,
    /// What the public listener shows over TLS; without it HTTP is plain.
    pub tls: Option<Tls>,
    /// The same for the admin listener.
    pub admin_tls: Option<Tls>,
    /// The same for the API listener.
    pub api_tls: Option<Tls>,
    /// The only peers of the admin listener; any if there is none.
    pub admin_allow: Vec<IpNet>,
    /// Where to write about a weakness, if every listener says so.
    pub security_txt: Option<SecurityTxt>,
    /// What operators do only after another one has approved it.
    pub second_person: BTreeSet<Permission>,
    /// The key that wraps all others.
    pub root: vault::RootKey,
    /// Where webhooks come from.
    pub sources: Vec<Source>,
    /// Where deliveries go to.
    pub endpoints: Vec<Endpoint>,
    /// Who is asked for the addresses of endpoints.
    pub resolver: Resolver,
    /// What deliveries to endpoints that are not private go through.
    pub proxy: Option<Proxy>,
    /// What orders may be like.
    pub orders: OrderRules,
    /// Chains on which payments of orders are looked for.
    pub chains: Vec<crate::Chain>,
    /// Who gives the certificates that providers sign with, and who vouches for them.
    pub certificates: Certificates,
    /// What is deleted once it is old enough.
    pub retention: store::Retention,
    /// Who counts what gateways share.
    pub windows: Windows,
    /// What the audit log is called and who witnesses it.
    pub auditing: Auditing,
}

/// A configured place webhooks come from: `POST /in/{name}`.
pub struct Source {
    /// Its name in the path.
    pub name: String,
    /// How its provider signs and what its events say.
    pub profile: Arc<schemes::Profile>,
    /// The configured secrets; the first is current, the rest still verify. The store may have more.
    pub secrets: Vec<schemes::Secret>,
    /// What the receipts inside its webhooks are verified with; without it they are not looked at.
    pub receipt_keys: Option<schemes::ReceiptKeys>,
    /// Names of the endpoints that get its events.
    pub endpoints: Vec<String>,
    /// Source addresses that are let in; empty lets in any.
    pub allow_addresses: Vec<IpNet>,
    /// Longest body, bytes.
    pub body_bytes_max: usize,
    /// Allowed distance of the signed time from now, seconds; else the profile's.
    pub tolerance_s: Option<i64>,
    /// Requests of one address, whatever they carry.
    pub rate_limit: Option<Rate>,
    /// Deliver events whose signature covers less than the body without confirming them.
    pub accept_unconfirmed: bool,
    /// The URL as registered with the provider, where the scheme signs it.
    pub public_url: Option<String>,
    /// The unit of amounts, where the profile leaves it open.
    pub amount_unit: Option<String>,
    /// The account that is to be paid, unless an order says another.
    pub payee: Option<String>,
    /// What its provider is asked with whether events are so whose signature covers less than they say;
    /// without it nobody is asked.
    pub confirm: Option<Confirm>,
    /// Hold events that name an order which nobody registered.
    pub hold_unknown_orders: bool,
}

/// A URL of the application that events are delivered to.
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Where to POST.
    pub url: url::Url,
    /// The configured secrets: all of them sign; the first is current. The store may have more.
    pub secrets: Vec<schemes::Secret>,
    /// Private and loopback addresses may be dialled.
    pub allow_private: bool,
    /// What is delivered.
    pub format: Format,
    /// Sent with every delivery beside our own; marked as not to be shown.
    pub headers: http::HeaderMap,
    /// The three headers of a signed delivery are called this and `-id`, `-timestamp` and
    /// `-signature`: `webhook`, unless the application expects another word.
    pub header_prefix: String,
    /// Deliveries are recorded and not sent.
    pub paused: bool,
}

/// What is delivered to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A document that carries what was checked beside the original bytes.
    Event,
    /// The provider's bytes alone.
    Original,
}
