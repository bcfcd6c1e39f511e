//! Reads each table into what it is.

use toml::de::DeTable;

use super::table::{Reader, Table};
use super::*;
use crate::config::problem::{Found, Refusal};

/// Reads the text of a configuration. Faults are added to `found`; what could be read is given.
pub(in crate::config) fn read(text: &str, found: &mut Found) -> Document {
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

#[cfg(test)]
mod tests;
