//! The headers of answers: what the OpenAPI documents say is sent, and what is sent they say.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use std::collections::BTreeSet;

use model::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::admin_api::{Office, get as get_admin, post as post_admin};
use super::api::{Request, Shop, get, json as body_of, post};
use super::certificates::Authority;
use super::harness::Reply;

/// Headers of the connection and of the body, which stand in no document.
const OF_HTTP: [&str; 4] = ["connection", "content-length", "content-type", "date"];

/// Sees that an answer has the headers that the document says it has, and no others; gives them.
pub(crate) fn documented(
    document: &Value,
    method: &str,
    path: &str,
    reply: &Reply,
) -> BTreeSet<String> {
    let place = format!("{method} {path} {}", reply.status);
    let operation = &document["paths"][path][method.to_lowercase()];
    let response = &operation["responses"][reply.status.to_string()];
    let named = response["headers"].as_object().unwrap_or_else(|| panic!("{place}: no headers"));
    let sent: BTreeSet<String> = reply
        .head
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
        .filter(|name| !OF_HTTP.contains(&name.as_str()))
        .collect();
    let mut known = BTreeSet::new();
    for (name, header) in named {
        let pointer = header["$ref"].as_str().expect("a reference").trim_start_matches('#');
        let described = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is nowhere"));
        assert!(described["description"].is_string(), "{name}");
        let name = name.to_ascii_lowercase();
        let is_sent = sent.contains(&name);
        assert!(is_sent || described["required"] == json!(false), "{place}: {name} is not sent");
        known.insert(name);
    }
    let unknown: Vec<_> = sent.difference(&known).collect();
    assert!(unknown.is_empty(), "{place}: {unknown:?} are in no document");
    sent
}

/// Every header that a document describes.
fn described(document: &Value) -> BTreeSet<String> {
    let headers = document["components"]["headers"].as_object().expect("headers");
    headers.keys().map(|name| name.to_ascii_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_header_of_the_api_is_sent() {
    let shop = Shop::open_with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await;
    let document: Value = serde_json::from_str(&gateway::api::openapi()).expect("JSON");
    let key = shop.full_key().await;
    let mut seen = BTreeSet::new();
    let mut ask = async |request: Request<'_>, path: &str, status: u16| {
        let request = request.with("x-forwarded-proto", "https");
        let reply = shop.ask(&request).await;
        assert_eq!(reply.status, status, "{reply:?}");
        seen.extend(documented(&document, request.method, path, &reply));
        reply
    };
    let listed = ask(get("/v1/events", &key), "/v1/events", 200).await;
    for name in ["ratelimit", "ratelimit-policy", "strict-transport-security"] {
        assert!(listed.header(name).is_some(), "{name}: {listed:?}");
    }
    let public = get("/v1/openapi.json", "").without("authorization");
    let public = ask(public, "/v1/openapi.json", 200).await;
    assert_eq!(public.header("ratelimit"), None);
    let released = shop.held(1).await;
    let release = format!("/v1/events/{released}/release");
    let template = "/v1/events/{id}/release";
    let first = ask(post(&release, &key, "once"), template, 200).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = ask(post(&release, &key, "once"), template, 200).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    ask(post(&release, &key, "twice"), template, 409).await;
    let again = ask(post(&release, &key, "twice"), template, 409).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let nobody = ask(get("/v1/events", "cs_test_nobody"), "/v1/events", 401).await;
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
    ask(get("/v1/events/evt_none", &key), "/v1/events/{id}", 404).await;
    ask(get("/v1/events?limit=0", &key), "/v1/events", 400).await;
    // What the gate refuses has no quota.
    let twice = get("/v1/events", &key).with("content-length", "1").with("content-length", "2");
    ask(twice, "/v1/events", 400).await;
    for _ in 0..100 {
        shop.ask(&get("/v1/endpoints", &key)).await;
    }
    let limited = ask(get("/v1/endpoints", &key), "/v1/endpoints", 429).await;
    assert!(limited.header("ratelimit").is_some_and(|left| left.contains("r=0")), "{limited:?}");
    assert!(limited.header("retry-after").is_some());
    assert_eq!(seen, described(&document), "each was sent at least once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_header_of_the_office_is_sent() {
    let authority = Authority::new();
    let office = Office::open_with(|settings| settings.admin_tls = Some(authority.tls(None))).await;
    let document: Value = serde_json::from_str(&gateway::api::admin::openapi()).expect("JSON");
    let mut seen = BTreeSet::new();
    let mut ask = async |request: Request<'_>, path: &str, status: u16| {
        let client = authority.client();
        let mut stream = client.connect(office.gateway.admin).await.expect("a handshake");
        stream.write_all(&request.bytes()).await.expect("written");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let reply = Reply::of(&answer);
        assert_eq!(reply.status, status, "{reply:?}");
        seen.extend(documented(&document, request.method, path, &reply));
        reply
    };
    let openapi = "/admin/v1/openapi.json";
    ask(get_admin(openapi, None), openapi, 200).await;
    let path = "/admin/v1/sign-in";
    let signed_in = ask(post_admin(path, None, &office.shown(Role::Viewer)), path, 200).await;
    assert_eq!(signed_in.header("set-cookie"), None);
    let mut shown = office.shown(Role::Viewer);
    shown["cookie"] = json!(true);
    let signed_in = ask(post_admin(path, None, &shown), path, 200).await;
    assert!(signed_in.header("set-cookie").is_some());
    let token = ask(post_admin(path, None, &office.shown(Role::Viewer)), path, 200).await;
    let token = body_of(&token)["token"].as_str().expect("a token").to_owned();
    let path = "/admin/v1/me";
    ask(get_admin(path, Some(&token)), path, 200).await;
    let path = "/admin/v1/operators";
    ask(get_admin(path, Some(&token)), path, 403).await;
    ask(post_admin(path, Some(&token), &json!({})), path, 403).await;
    let path = "/admin/v1/sign-out";
    let out = ask(post_admin(path, Some(&token), &json!({})), path, 200).await;
    assert!(out.header("set-cookie").is_some());
    let path = "/admin/v1/me";
    for _ in 0..10 {
        let nobody = ask(get_admin(path, Some(&token)), path, 401).await;
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
    }
    let limited = ask(get_admin(path, Some(&token)), path, 429).await;
    assert!(limited.header("retry-after").is_some());
    assert_eq!(seen, described(&document), "each was sent at least once");
}
