//! TLS, the PROXY protocol and the admin listener: each refusal beside what starts.

use super::*;
use crate::config::certificates::{Folder, between, until};

const TLS: &str = "[server.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
const ADMIN: &str = "[server.admin_tls]\ncertificate = \"cert.pem\"\nkey = \"${file:key.pem}\"\n\
                     client_ca = \"cert.pem\"\n";

/// Faults of the good configuration with these tables, over these files.
fn with(tables: &str, folder: &Folder) -> Vec<(&'static str, usize, String)> {
    let Err(problems) = judged(tables, folder) else { return Vec::new() };
    let said = format!("{problems}");
    assert!(!said.contains("BEGIN") && !said.contains("hush"), "{said}");
    problems.iter().map(|p| (p.refusal.code(), p.place.line, p.place.key.clone())).collect()
}

fn judged(tables: &str, folder: &Folder) -> Result<Configuration, Problems> {
    judge(&GOOD.replace("[store]", &format!("{tables}[store]")), folder.path(".").as_path())
}

/// One bad file gives exactly this fault; the good one before gives none.
fn check(file: &str, text: &str, refusal: Refusal, line: usize, key: &str) {
    let folder = Folder::with(&until(2090));
    assert_eq!(with(TLS, &folder), []);
    folder.write(file, text, 0o600);
    assert_eq!(with(TLS, &folder), [(refusal.code(), line, key.to_owned())], "{file}");
}

const CERTIFICATE: &str = "server.tls.certificate";
const KEY: &str = "server.tls.key";

#[test]
fn both_listeners_take_certificates() {
    let folder = Folder::with(&until(2090));
    let configuration = judged(&format!("{TLS}{ADMIN}"), &folder);
    let configuration = configuration.unwrap_or_else(|problems| panic!("{problems}"));
    let settings = &configuration.settings;
    assert!(settings.tls.is_some() && settings.admin_tls.is_some());
    let listeners: Vec<_> = configuration.certificates.iter().map(|shown| shown.listener).collect();
    assert_eq!(listeners, ["public", "admin"]);
    assert!(load(GOOD).is_ok_and(|c| c.certificates.is_empty() && c.settings.tls.is_none()));
}

#[test]
fn a_bad_certificate_is_refused() {
    let (file, key) = ("cert.pem", CERTIFICATE);
    check(file, "hush", Refusal::BadCertificate, 8, key);
    check(file, &until(2090).key, Refusal::BadCertificate, 8, key);
    check(file, "", Refusal::FileEmpty, 8, key);
}

#[test]
fn an_expired_certificate_is_refused() {
    let folder = Folder::with(&until(2020));
    assert_eq!(with(TLS, &folder), [("certificate_expired", 8, CERTIFICATE.to_owned())]);
}

#[test]
fn a_certificate_that_is_not_yet_valid_is_refused() {
    let folder = Folder::with(&between(2089, 2090));
    assert_eq!(with(TLS, &folder), [("certificate_not_yet_valid", 8, CERTIFICATE.to_owned())]);
}

#[test]
fn a_bad_key_is_refused() {
    check("key.pem", "hush", Refusal::BadTlsKey, 9, KEY);
    check("key.pem", &until(2090).certificate, Refusal::BadTlsKey, 9, KEY);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    check("key.pem", &until(2090).key, Refusal::TlsKeyMismatch, 9, KEY);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let pair = until(2090);
    let folder = Folder::with(&pair);
    for mode in [0o644, 0o604, 0o620] {
        folder.write("key.pem", &pair.key, mode);
        assert_eq!(with(TLS, &folder), [("file_exposed", 9, KEY.to_owned())]);
    }
    folder.write("key.pem", &pair.key, 0o640);
    assert_eq!(with(TLS, &folder), []);
}

#[test]
fn a_key_in_the_configuration_itself_is_refused() {
    let folder = Folder::with(&until(2090));
    let tables = TLS.replace("key.pem", "-----BEGIN PRIVATE KEY-----hush");
    assert_eq!(with(&tables, &folder), [("literal_secret", 9, KEY.to_owned())]);
}

#[test]
fn files_that_are_not_there_or_not_named_are_refused() {
    let folder = Folder::with(&until(2090));
    let tables = TLS.replace("cert.pem", "other.pem");
    assert_eq!(with(&tables, &folder), [("file_missing", 8, CERTIFICATE.to_owned())]);
    let tables = TLS.replace("key = \"key.pem\"\n", "");
    assert_eq!(with(&tables, &folder), [("missing_key", 7, KEY.to_owned())]);
    let tables = ADMIN.replace("client_ca = \"cert.pem\"\n", "");
    let key = "server.admin_tls.client_ca".to_owned();
    assert_eq!(with(&tables, &folder), [("missing_key", 7, key)]);
    let tables = format!("{TLS}client_ca = \"cert.pem\"\n");
    let key = "server.tls.client_ca".to_owned();
    assert_eq!(with(&tables, &folder), [("unknown_key", 10, key)]);
}

#[test]
fn a_bad_authority_of_clients_is_refused() {
    let folder = Folder::with(&until(2090));
    folder.write("ca.pem", "hush", 0o644);
    let tables = ADMIN.replace("client_ca = \"cert.pem\"", "client_ca = \"ca.pem\"");
    let key = "server.admin_tls.client_ca".to_owned();
    assert_eq!(with(&tables, &folder), [("bad_client_ca", 10, key)]);
}

/// The good configuration, live.
fn live() -> String {
    GOOD.replace("\"test\"", "\"live\"").replace("STRIPE_WEBHOOK_SECRET", "LIVE_SECRET")
}

const PROXIES: &str = "trusted_proxies = [\"10.0.0.0/8\"]";

#[test]
fn a_live_gateway_that_nothing_ends_tls_for_is_refused() {
    let plain = ("plain_http_in_live", 3, "server.public".to_owned());
    assert_eq!(faults(&live()), [plain]);
    assert_eq!(faults(&live().replace("trusted_proxies = []", PROXIES)), []);
    let folder = Folder::with(&until(2090));
    let text = live().replace("[store]", &format!("{TLS}[store]"));
    assert!(judge(&text, folder.path(".").as_path()).is_ok());
}

#[test]
fn an_admin_listener_that_is_open_to_everybody_is_refused_where_it_is_live() {
    let text = live().replace("trusted_proxies = []", PROXIES);
    let open = text.replace("127.0.0.1:8481", "0.0.0.0:8481");
    assert_eq!(faults(&open), [("admin_exposed", 5, "server.admin".to_owned())]);
    let named = open.replace(PROXIES, &format!("{PROXIES}\nadmin_allow = [\"10.0.0.0/8\"]"));
    let settings = load(&named).unwrap_or_else(|problems| panic!("{problems}")).settings;
    assert_eq!(settings.admin_allow.len(), 1);
    let folder = Folder::with(&until(2090));
    let mutual = open.replace("[store]", &format!("{ADMIN}[store]"));
    assert!(judge(&mutual, folder.path(".").as_path()).is_ok());
    // A test gateway is warned.
    let test = GOOD.replace("127.0.0.1:8481", "0.0.0.0:8481");
    assert!(notices(&test).iter().any(|notice| notice.starts_with("server.admin:")));
    let test = test.replace("trusted_proxies = []", "admin_allow = [\"10.0.0.0/8\"]");
    assert!(!notices(&test).iter().any(|notice| notice.starts_with("server.admin:")));
}

#[test]
fn api_keys_cross_no_network_in_the_clear_where_it_is_live() {
    let folder = Folder::with(&until(2090));
    let judged = |text: &str| judge(text, folder.path(".").as_path());
    let over_tls = live().replace("[store]", &format!("{TLS}[store]"));
    let open = over_tls.replace("127.0.0.1:8482", "0.0.0.0:8482");
    assert!(judged(&over_tls).is_ok());
    let problems = judged(&open).err().expect("it is refused");
    let refused: Vec<_> = problems.iter().map(|p| (p.refusal, p.place.key.as_str())).collect();
    assert_eq!(refused, [(Refusal::PlainHttpInLive, "server.api")]);
    let proxied = open.replace("trusted_proxies = []", PROXIES);
    assert!(judged(&proxied).is_ok());
    let api = TLS.replace("server.tls", "server.api_tls");
    let started = judged(&open.replace("[store]", &format!("{api}[store]")));
    assert!(started.unwrap_or_else(|problems| panic!("{problems}")).settings.api_tls.is_some());
    // A test gateway is warned.
    let test = GOOD.replace("127.0.0.1:8482", "0.0.0.0:8482");
    assert!(notices(&test).iter().any(|notice| notice.starts_with("server.api:")));
    assert!(!notices(GOOD).iter().any(|notice| notice.starts_with("server.api:")));
}

#[test]
fn the_proxy_protocol_needs_a_trusted_proxy() {
    let on = "trusted_proxies = []\nproxy_protocol = true";
    super::check(
        "trusted_proxies = []",
        on,
        Refusal::ProxyProtocolAlone,
        7,
        "server.proxy_protocol",
    );
    let text = GOOD.replace("trusted_proxies = []", &on.replace("[]", "[\"10.0.0.0/8\"]"));
    assert!(load(&text).is_ok_and(|c| c.settings.proxy_protocol));
    assert!(notices(&text).iter().any(|notice| notice.starts_with("server.proxy_protocol:")));
    let off = GOOD.replace("trusted_proxies = []", "proxy_protocol = false");
    assert!(load(&off).is_ok_and(|c| !c.settings.proxy_protocol));
}
