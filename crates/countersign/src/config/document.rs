//! The first of two steps: what was written. Types and keys are checked here and nothing else.
//!
//! Every text keeps its line and key. The values are not printable: a literal secret may be one.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Found, Place, Refusal, nearest, shown};

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

/// Reads the text of a configuration. Faults are added to `found`; what could be read is given.
pub(super) fn read(text: &str, found: &mut Found) -> Document {
    let (table, errors) = DeTable::parse_recoverable(text);
    let reader = Reader { text };
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map_or(0, |span| reader.line(span.start));
            // The parser's own message names what it expected; only its Display quotes the line.
            let message = format!("not TOML: {}", error.message());
            let fix = "write KEY = \"VALUE\" under a [TABLE]; see docs/configuration.md";
            found.add(Refusal::NotToml, &Place { line, key: String::new() }, message, fix);
        }
        return Document::default();
    }
    let root = Table::new(reader, table.get_ref(), Place { line: 1, key: String::new() });
    let document = document(&root, found);
    root.finish(found);
    document
}

fn document(root: &Table<'_>, found: &mut Found) -> Document {
    let mut document = Document { environment: root.text("environment", found), ..<_>::default() };
    if let Some(table) = root.table("server", found) {
        document.server = Server {
            public: table.text("public", found),
            api: table.text("api", found),
            admin: table.text("admin", found),
            hosts: table.texts("hosts", found),
            trusted_proxies: table.texts("trusted_proxies", found),
            proxy_protocol: table.boolean("proxy_protocol", found),
            admin_allow: table.texts("admin_allow", found),
            tls: table.table("tls", found).map(|table| tls(&table, false, found)),
            admin_tls: table.table("admin_tls", found).map(|table| tls(&table, true, found)),
            api_tls: table.table("api_tls", found).map(|table| tls(&table, false, found)),
            security_txt: table.table("security_txt", found).map(|t| security_txt(&t, found)),
        };
        table.finish(found);
    }
    if let Some(table) = root.table("store", found) {
        document.store = Store {
            url: table.text("url", found),
            listen_url: table.text("listen_url", found),
            root_certificate: table.text("root_certificate", found),
            client_certificate: table.text("client_certificate", found),
            client_key: table.text("client_key", found),
            allow_plaintext: table.boolean("allow_plaintext", found),
            connections_max: table.integer("connections_max", found),
            statement_timeout_ms: table.integer("statement_timeout_ms", found),
            stall_ms: table.integer("stall_ms", found),
        };
        table.finish(found);
    }
    if let Some(table) = root.table("vault", found) {
        document.vault_key = table.text("key", found);
        table.finish(found);
    }
    if let Some(table) = root.table("providers", found) {
        document.providers_directory = table.text("directory", found);
        table.finish(found);
    }
    if let Some(table) = root.table("outbound", found) {
        document.outbound_proxy = table.text("proxy", found);
        table.finish(found);
    }
    if let Some(table) = root.table("limits", found) {
        document.redis = table.text("redis", found);
        table.finish(found);
    }
    if let Some(table) = root.table("retention", found) {
        document.retention = Retention {
            events_days: table.integer("events_days", found),
            bodies_days: table.integer("bodies_days", found),
            deliveries_days: table.integer("deliveries_days", found),
        };
        table.finish(found);
    }
    if let Some(table) = root.table("orders", found) {
        document.orders = Orders {
            currencies: table.texts("currencies", found),
            return_hosts: table.texts("return_hosts", found),
            per_customer: table.text("per_customer", found),
            limits: table.tables("limit", found).iter().map(|t| order_limit(t, found)).collect(),
        };
        table.finish(found);
    }
    if let Some(table) = root.table("audit", found) {
        document.audit = Audit {
            origin: table.text("origin", found),
            witnesses: table.tables("witness", found).iter().map(|t| witness(t, found)).collect(),
            sinks: table.tables("sink", found).iter().map(|t| sink(t, found)).collect(),
        };
        table.finish(found);
    }
    if let Some(table) = root.table("admin", found) {
        document.second_person = table.texts("second_person", found);
        table.finish(found);
    }
    document.chains = root.tables("chain", found).iter().map(|t| chain(t, found)).collect();
    document.assets = root.tables("asset", found).iter().map(|t| asset(t, found)).collect();
    document.sources = root.tables("source", found).iter().map(|t| source(t, found)).collect();
    document.endpoints =
        root.tables("endpoint", found).iter().map(|t| endpoint(t, found)).collect();
    document
}

fn chain(table: &Table<'_>, found: &mut Found) -> Chain {
    let chain = Chain {
        place: table.place.clone(),
        name: table.text("name", found),
        id: table.text("id", found),
        nodes: table.tables("node", found).iter().map(|t| chain_node(t, found)).collect(),
        nodes_agreeing: table.integer("nodes_agreeing", found),
        final_depth: table.integer("final_depth", found),
        final_by_chain: table.boolean("final_by_chain", found),
        lag_blocks_max: table.integer("lag_blocks_max", found),
        silence_s_max: table.integer("silence_s_max", found),
        look_ms: table.integer("look_ms", found),
    };
    table.finish(found);
    chain
}

fn chain_node(table: &Table<'_>, found: &mut Found) -> ChainNode {
    let node = ChainNode {
        place: table.place.clone(),
        url: table.text("url", found),
        authorization: table.text("authorization", found),
        allow_private: table.boolean("allow_private", found),
    };
    table.finish(found);
    node
}

fn asset(table: &Table<'_>, found: &mut Found) -> Asset {
    let asset = Asset {
        place: table.place.clone(),
        chain: table.text("chain", found),
        symbol: table.text("symbol", found),
        contract: table.text("contract", found),
        decimals: table.integer("decimals", found),
        price: table.text("price", found),
        confirmations: table.texts("confirmations", found),
        dust_below: table.text("dust_below", found),
    };
    table.finish(found);
    asset
}

fn order_limit(table: &Table<'_>, found: &mut Found) -> OrderLimit {
    let limit = OrderLimit {
        place: table.place.clone(),
        per: table.text("per", found),
        currency: table.text("currency", found),
        asset: table.text("asset", found),
        chain: table.text("chain", found),
        decimals: table.integer("decimals", found),
        window: table.text("window", found),
        count: table.integer("count", found),
        sum: table.text("sum", found),
    };
    table.finish(found);
    limit
}

fn sink(table: &Table<'_>, found: &mut Found) -> Sink {
    let sink = Sink {
        place: table.place.clone(),
        name: table.text("name", found),
        url: table.text("url", found),
        allow_private: table.boolean("allow_private", found),
        syslog: table.text("syslog", found),
    };
    table.finish(found);
    sink
}

fn witness(table: &Table<'_>, found: &mut Found) -> Witness {
    let witness = Witness {
        place: table.place.clone(),
        file: table.text("file", found),
        url: table.text("url", found),
        allow_private: table.boolean("allow_private", found),
        syslog: table.text("syslog", found),
        mail: table.text("mail", found),
        from: table.text("from", found),
        smtp: table.text("smtp", found),
    };
    table.finish(found);
    witness
}

fn tls(table: &Table<'_>, is_mutual: bool, found: &mut Found) -> Tls {
    let tls = Tls {
        place: table.place.clone(),
        certificate: table.text("certificate", found),
        key: table.text("key", found),
        client_ca: if is_mutual { table.text("client_ca", found) } else { None },
    };
    table.finish(found);
    tls
}

fn security_txt(table: &Table<'_>, found: &mut Found) -> SecurityTxt {
    let file = SecurityTxt {
        place: table.place.clone(),
        contact: table.texts("contact", found),
        expires: table.text("expires", found),
        policy: table.text("policy", found),
    };
    table.finish(found);
    file
}

fn source(table: &Table<'_>, found: &mut Found) -> Source {
    let source = Source {
        place: table.place.clone(),
        name: table.text("name", found),
        provider: table.text("provider", found),
        secrets: table.texts("secrets", found),
        receipt_secrets: table.texts("receipt_secrets", found),
        confirm_token: table.text("confirm_token", found),
        endpoints: table.texts("endpoints", found),
        allow_addresses: table.texts("allow_addresses", found),
        body_bytes_max: table.integer("body_bytes_max", found),
        tolerance_s: table.integer("tolerance_s", found),
        rate_limit: table.text("rate_limit", found),
        accept_unconfirmed: table.boolean("accept_unconfirmed", found),
        public_url: table.text("public_url", found),
        amount_unit: table.text("amount_unit", found),
        payee: table.text("payee", found),
        unknown_orders: table.text("unknown_orders", found),
    };
    table.finish(found);
    source
}

fn endpoint(table: &Table<'_>, found: &mut Found) -> Endpoint {
    let endpoint = Endpoint {
        place: table.place.clone(),
        name: table.text("name", found),
        url: table.text("url", found),
        secret: table.text("secret", found),
        secrets: table.texts("secrets", found),
        allow_private: table.boolean("allow_private", found),
        format: table.text("format", found),
        headers: table.texts_by_name("headers", found),
        header_prefix: table.text("header_prefix", found),
        paused: table.boolean("paused", found),
    };
    table.finish(found);
    endpoint
}

/// Turns byte offsets into lines.
#[derive(Clone, Copy)]
struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn line(self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
    }
}

/// One table, which remembers the keys that were asked for: the others are unknown.
struct Table<'t> {
    reader: Reader<'t>,
    entries: &'t DeTable<'t>,
    place: Place,
    asked: std::cell::RefCell<Vec<&'static str>>,
}

impl<'t> Table<'t> {
    fn new(reader: Reader<'t>, entries: &'t DeTable<'t>, place: Place) -> Self {
        Self { reader, entries, place, asked: std::cell::RefCell::default() }
    }

    /// The value of a key, with its place.
    fn entry(&self, key: &'static str) -> Option<At<&'t DeValue<'t>>> {
        self.asked.borrow_mut().push(key);
        let (name, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(self.at(name, value))
    }

    fn at(
        &self,
        name: &Spanned<std::borrow::Cow<'t, str>>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> At<&'t DeValue<'t>> {
        let line = self.reader.line(name.span().start);
        let key = self.place.key(name.get_ref()).key;
        At { value: value.get_ref(), place: Place { line, key } }
    }

    fn text(&self, key: &'static str, found: &mut Found) -> Option<At<String>> {
        let At { value, place } = self.entry(key)?;
        text(value, place, found)
    }

    fn boolean(&self, key: &'static str, found: &mut Found) -> Option<At<bool>> {
        let At { value, place } = self.entry(key)?;
        let Some(value) = value.as_bool() else {
            wrong(value, &place, "true or false", found);
            return None;
        };
        Some(At { value, place })
    }

    fn integer(&self, key: &'static str, found: &mut Found) -> Option<At<i64>> {
        let At { value, place } = self.entry(key)?;
        let number = value
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        let Some(number) = number else {
            wrong(value, &place, "a whole number", found);
            return None;
        };
        Some(At { value: number, place })
    }

    fn texts(&self, key: &'static str, found: &mut Found) -> Option<Texts> {
        let At { value, place } = self.entry(key)?;
        let Some(array) = value.as_array() else {
            wrong(value, &place, "a list of texts, such as [\"…\"]", found);
            return None;
        };
        let items = array
            .iter()
            .enumerate()
            .filter_map(|(i, item)| {
                let line = self.reader.line(item.span().start);
                text(item.get_ref(), Place { line, key: format!("{}[{i}]", place.key) }, found)
            })
            .collect();
        Some(At { value: items, place })
    }

    /// A table whose keys are the writer's own.
    fn texts_by_name(&self, key: &'static str, found: &mut Found) -> Vec<(String, At<String>)> {
        let Some(table) = self.table(key, found) else { return Vec::new() };
        let named = table.entries.iter().filter_map(|(name, value)| {
            let At { value, place } = table.at(name, value);
            Some((name.get_ref().to_string(), text(value, place, found)?))
        });
        named.collect()
    }

    fn table(&self, key: &'static str, found: &mut Found) -> Option<Table<'t>> {
        let At { value, place } = self.entry(key)?;
        let Some(entries) = value.as_table() else {
            wrong(value, &place, &format!("a table: write it as [{}]", place.key), found);
            return None;
        };
        Some(Table::new(self.reader, entries, place))
    }

    fn tables(&self, key: &'static str, found: &mut Found) -> Vec<Table<'t>> {
        let Some(At { value, place }) = self.entry(key) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            wrong(value, &place, &format!("a list of tables: write each as [[{key}]]"), found);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (i, item) in array.iter().enumerate() {
            let line = self.reader.line(item.span().start);
            let place = Place { line, key: format!("{key}[{i}]") };
            match item.get_ref().as_table() {
                Some(entries) => tables.push(Table::new(self.reader, entries, place)),
                None => wrong(item.get_ref(), &place, &format!("a table: write [[{key}]]"), found),
            }
        }
        tables
    }

    /// Says which keys nobody asked for.
    fn finish(&self, found: &mut Found) {
        let asked = self.asked.borrow();
        for (name, value) in self.entries {
            if asked.iter().any(|key| key == name.get_ref()) {
                continue;
            }
            let line = self.at(name, value).place.line;
            let place = Place { line, key: self.place.key(&shown(name.get_ref())).key };
            let fix = match nearest(name.get_ref(), asked.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("take it out; keys known here: {}", asked.join(", ")),
            };
            found.add(Refusal::UnknownKey, &place, "this key is unknown", fix);
        }
    }
}

fn text(value: &DeValue<'_>, place: Place, found: &mut Found) -> Option<At<String>> {
    let Some(text) = value.as_str() else {
        wrong(value, &place, "a text in quotes", found);
        return None;
    };
    Some(At { value: text.to_owned(), place })
}

fn wrong(value: &DeValue<'_>, place: &Place, wanted: &str, found: &mut Found) {
    let message = format!("this is of type {}", value.type_str());
    found.add(Refusal::WrongType, place, message, format!("write {wanted}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(Refusal, usize, String)> {
        let mut found = Found::default();
        read(text, &mut found);
        found.into_list().into_iter().map(|p| (p.refusal, p.place.line, p.place.key)).collect()
    }

    #[test]
    fn keeps_the_line_and_key_of_every_text() {
        let mut found = Found::default();
        let text = "environment = \"test\"\n\n[[source]]\nname = \"a\"\nsecrets = [\n  \"x\",\n  \
                    \"y\",\n]\n[[source]]\nname = \"b\"\nbody_bytes_max = 1_000\n";
        let document = read(text, &mut found);
        assert!(found.is_empty());
        let places: Vec<_> = document.sources.iter().map(|s| s.place.line).collect();
        assert_eq!(places, [3, 9]);
        let secrets = document.sources[0].secrets.as_ref().expect("it is there");
        let lines: Vec<_> = secrets.value.iter().map(|s| (s.place.line, &*s.place.key)).collect();
        assert_eq!(lines, [(6, "source[0].secrets[0]"), (7, "source[0].secrets[1]")]);
        assert_eq!(document.sources[1].body_bytes_max.as_ref().map(|n| n.value), Some(1000));
    }

    #[test]
    fn unknown_keys_are_refused_everywhere() {
        let text =
            "enviroment = \"test\"\n[server]\nport = 1\n[[endpoint]]\nurll = \"x\"\n[extra]\n";
        let mut got = faults(text);
        got.sort_by_key(|(_, line, _)| *line);
        let unknown = |line, key: &str| (Refusal::UnknownKey, line, key.to_owned());
        let want = [
            unknown(1, "enviroment"),
            unknown(3, "server.port"),
            unknown(5, "endpoint[0].urll"),
            unknown(6, "extra"),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn wrong_types_are_refused() {
        let wrong = |line, key: &str| (Refusal::WrongType, line, key.to_owned());
        assert_eq!(faults("environment = 1"), [wrong(1, "environment")]);
        assert_eq!(faults("server = \"x\""), [wrong(1, "server")]);
        assert_eq!(faults("[source]\nname = \"x\""), [wrong(1, "source")]);
        assert_eq!(faults("source = [1]"), [wrong(1, "source[0]")]);
        assert_eq!(faults("[[source]]\nsecrets = \"x\""), [wrong(2, "source[0].secrets")]);
        assert_eq!(faults("[[source]]\nsecrets = [1]"), [wrong(2, "source[0].secrets[0]")]);
        assert_eq!(faults("[[source]]\ntolerance_s = 1.5"), [wrong(2, "source[0].tolerance_s")]);
        let huge = "[[source]]\ntolerance_s = 99999999999999999999";
        assert_eq!(faults(huge), [wrong(2, "source[0].tolerance_s")]);
        assert_eq!(faults("[[endpoint]]\npaused = \"no\""), [wrong(2, "endpoint[0].paused")]);
    }

    #[test]
    fn broken_toml_is_refused_and_never_quoted() {
        let whole = "environment = \"test\"\n[[source]]\nsecrets = [\"whsec_test_hush\"]\n";
        for end in 0..whole.len() {
            for extra in ["", "\"", "=", "[", "\u{0}", "]]\n= 1"] {
                let text = format!("{}{extra}whsec_test_hush", &whole[..end]);
                let mut found = Found::default();
                read(&text, &mut found);
                for problem in found.into_list() {
                    let said = format!("{problem:?}");
                    assert!(!said.contains("hush"), "{said}");
                }
            }
        }
        assert_eq!(faults("a = = 1")[0].0, Refusal::NotToml);
        assert_eq!(faults("environment = \"a\"\nenvironment = \"b\"")[0].0, Refusal::NotToml);
    }
}
