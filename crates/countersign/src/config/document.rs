//! The first of two steps: what was written. Types and keys are checked here and nothing else.
//!
//! Every text keeps its line and key. The values are not printable: a literal secret may be one.

mod read;
mod table;

use super::problem::Place;

pub(super) use read::read;

/// A value and where it stands.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A list of texts and where it stands.
pub(super) type Texts = At<Vec<At<String>>>;

/// The whole file.
#[derive(Default)]
pub(super) struct Document {
    pub(super) environment: Option<At<String>>,
    pub(super) server: Server,
    pub(super) store: Store,
    pub(super) vault_key: Option<At<String>>,
    pub(super) providers_directory: Option<At<String>>,
    pub(super) outbound_proxy: Option<At<String>>,
    pub(super) retention: Retention,
    pub(super) orders: Orders,
    pub(super) chains: Vec<Chain>,
    pub(super) assets: Vec<Asset>,
    /// `[limits] redis`.
    pub(super) redis: Option<At<String>>,
    pub(super) audit: Audit,
    /// `[admin] second_person`.
    pub(super) second_person: Option<Texts>,
    pub(super) sources: Vec<Source>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// `[server]`.
#[derive(Default)]
pub(super) struct Server {
    pub(super) public: Option<At<String>>,
    pub(super) api: Option<At<String>>,
    pub(super) admin: Option<At<String>>,
    pub(super) hosts: Option<Texts>,
    pub(super) trusted_proxies: Option<Texts>,
    pub(super) proxy_protocol: Option<At<bool>>,
    pub(super) admin_allow: Option<Texts>,
    pub(super) tls: Option<Tls>,
    pub(super) admin_tls: Option<Tls>,
    pub(super) api_tls: Option<Tls>,
    pub(super) security_txt: Option<SecurityTxt>,
}

/// `[server.security_txt]`.
pub(super) struct SecurityTxt {
    pub(super) place: Place,
    pub(super) contact: Option<Texts>,
    pub(super) expires: Option<At<String>>,
    pub(super) policy: Option<At<String>>,
}

/// `[store]`.
#[derive(Default)]
pub(super) struct Store {
    pub(super) url: Option<At<String>>,
    pub(super) listen_url: Option<At<String>>,
    pub(super) root_certificate: Option<At<String>>,
    pub(super) client_certificate: Option<At<String>>,
    pub(super) client_key: Option<At<String>>,
    pub(super) allow_plaintext: Option<At<bool>>,
    pub(super) connections_max: Option<At<i64>>,
    pub(super) statement_timeout_ms: Option<At<i64>>,
    pub(super) stall_ms: Option<At<i64>>,
}

impl Store {
    /// Where keys stand that mean nothing for a file.
    pub(super) fn keys_of_a_server(&self) -> impl Iterator<Item = &Place> {
        let texts =
            [&self.listen_url, &self.root_certificate, &self.client_certificate, &self.client_key];
        let texts = texts.into_iter().flatten().map(|at| &at.place);
        let numbers = [&self.connections_max, &self.statement_timeout_ms, &self.stall_ms];
        let numbers = numbers.into_iter().flatten().map(|at| &at.place);
        texts.chain(numbers).chain(self.allow_plaintext.iter().map(|at| &at.place))
    }
}

/// `[retention]`.
#[derive(Default)]
pub(super) struct Retention {
    pub(super) events_days: Option<At<i64>>,
    pub(super) bodies_days: Option<At<i64>>,
    pub(super) deliveries_days: Option<At<i64>>,
}

/// `[orders]`.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) currencies: Option<Texts>,
    pub(super) return_hosts: Option<Texts>,
    pub(super) per_customer: Option<At<String>>,
    pub(super) limits: Vec<OrderLimit>,
}

/// `[[orders.limit]]`.
pub(super) struct OrderLimit {
    pub(super) place: Place,
    pub(super) per: Option<At<String>>,
    pub(super) currency: Option<At<String>>,
    pub(super) asset: Option<At<String>>,
    pub(super) chain: Option<At<String>>,
    pub(super) decimals: Option<At<i64>>,
    pub(super) window: Option<At<String>>,
    pub(super) count: Option<At<i64>>,
    pub(super) sum: Option<At<String>>,
}

/// `[[chain]]`.
pub(super) struct Chain {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) id: Option<At<String>>,
    pub(super) nodes: Vec<ChainNode>,
    pub(super) nodes_agreeing: Option<At<i64>>,
    pub(super) final_depth: Option<At<i64>>,
    pub(super) final_by_chain: Option<At<bool>>,
    pub(super) lag_blocks_max: Option<At<i64>>,
    pub(super) silence_s_max: Option<At<i64>>,
    pub(super) look_ms: Option<At<i64>>,
}

/// `[[chain.node]]`.
pub(super) struct ChainNode {
    pub(super) place: Place,
    pub(super) url: Option<At<String>>,
    pub(super) authorization: Option<At<String>>,
    pub(super) allow_private: Option<At<bool>>,
}

/// `[[asset]]`.
pub(super) struct Asset {
    pub(super) place: Place,
    pub(super) chain: Option<At<String>>,
    pub(super) symbol: Option<At<String>>,
    pub(super) contract: Option<At<String>>,
    pub(super) decimals: Option<At<i64>>,
    pub(super) price: Option<At<String>>,
    pub(super) confirmations: Option<Texts>,
    pub(super) dust_below: Option<At<String>>,
}

/// `[audit]`.
#[derive(Default)]
pub(super) struct Audit {
    pub(super) origin: Option<At<String>>,
    pub(super) witnesses: Vec<Witness>,
    pub(super) sinks: Vec<Sink>,
}

/// `[[audit.sink]]`: exactly one of its places.
pub(super) struct Sink {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) url: Option<At<String>>,
    pub(super) allow_private: Option<At<bool>>,
    pub(super) syslog: Option<At<String>>,
}

/// `[[audit.witness]]`: exactly one of its places.
pub(super) struct Witness {
    pub(super) place: Place,
    pub(super) file: Option<At<String>>,
    pub(super) url: Option<At<String>>,
    pub(super) allow_private: Option<At<bool>>,
    pub(super) syslog: Option<At<String>>,
    pub(super) mail: Option<At<String>>,
    /// Of `mail`: who sends it, and through which server.
    pub(super) from: Option<At<String>>,
    pub(super) smtp: Option<At<String>>,
}

/// `[server.tls]` and `[server.admin_tls]`.
pub(super) struct Tls {
    pub(super) place: Place,
    pub(super) certificate: Option<At<String>>,
    pub(super) key: Option<At<String>>,
    /// Of the admin listener only.
    pub(super) client_ca: Option<At<String>>,
}

/// `[[source]]`.
pub(super) struct Source {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) provider: Option<At<String>>,
    pub(super) secrets: Option<Texts>,
    pub(super) receipt_secrets: Option<Texts>,
    pub(super) confirm_token: Option<At<String>>,
    pub(super) endpoints: Option<Texts>,
    pub(super) allow_addresses: Option<Texts>,
    pub(super) body_bytes_max: Option<At<i64>>,
    pub(super) tolerance_s: Option<At<i64>>,
    pub(super) rate_limit: Option<At<String>>,
    pub(super) accept_unconfirmed: Option<At<bool>>,
    pub(super) public_url: Option<At<String>>,
    pub(super) amount_unit: Option<At<String>>,
    pub(super) payee: Option<At<String>>,
    pub(super) unknown_orders: Option<At<String>>,
}

/// `[[endpoint]]`.
pub(super) struct Endpoint {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) url: Option<At<String>>,
    pub(super) secret: Option<At<String>>,
    pub(super) secrets: Option<Texts>,
    pub(super) allow_private: Option<At<bool>>,
    pub(super) format: Option<At<String>>,
    pub(super) headers: Vec<(String, At<String>)>,
    pub(super) header_prefix: Option<At<String>>,
    pub(super) paused: Option<At<bool>>,
}
