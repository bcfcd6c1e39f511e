//! Plain HTTP at a live gateway, and what a proxy may say about it.

use gateway::Settings;
use model::{Environment, EventStatus};

use super::harness::{Harness, Reply, STRIPE_SECRET, Signed, raw, stripe_event};

/// A live event, correctly signed, with more headers.
fn live(gateway: &Harness, id: &str, headers: &[(&str, &str)]) -> Signed {
    let body = stripe_event(id, "order-1").replace("\"livemode\":false", "\"livemode\":true");
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &body);
    let more = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    request.headers.extend(more);
    request
}

async fn live_gateway(change: impl FnOnce(&mut Settings)) -> Harness {
    Harness::start(|settings| {
        settings.environment = Environment::Live;
        change(settings);
    })
    .await
}

fn trust_loopback(settings: &mut Settings) {
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
}

async fn read(gateway: &Harness, method: &str, host: &str) -> Reply {
    let text =
        format!("{method} /in/stripe?a=b HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    raw(gateway.public, text.as_bytes()).await
}

#[tokio::test]
async fn plain_http_is_refused_where_it_is_live() {
    let gateway = live_gateway(|_| {}).await;
    let reply = gateway.post("/in/stripe", &live(&gateway, "evt_1", &[])).await;
    assert_eq!((reply.status, reply.header("connection")), (403, Some("close")));
    assert!(reply.body.contains("https_required"), "{}", reply.body);
    assert_eq!(reply.header("strict-transport-security"), None, "it means nothing over plain HTTP");
    gateway.is_counted_as("plain_http").await;
    // What strangers say of themselves changes nothing.
    for header in [("x-forwarded-proto", "https"), ("forwarded", "proto=https")] {
        let reply = gateway.post("/in/stripe", &live(&gateway, "evt_1", &[header])).await;
        assert_eq!(reply.status, 403, "{header:?}");
    }
    assert!(gateway.events().await.is_empty());
}

#[tokio::test]
async fn a_reader_is_sent_to_https() {
    let gateway = live_gateway(|s| s.hosts = vec!["hooks.example.com".to_owned()]).await;
    for method in ["GET", "HEAD"] {
        let reply = read(&gateway, method, "hooks.example.com:8480").await;
        let there = Some("https://hooks.example.com/in/stripe?a=b");
        assert_eq!((reply.status, reply.header("location")), (308, there), "{method}");
    }
    // Nobody is sent to a host that is not ours, and no webhook is sent anywhere.
    for (method, host) in [("GET", "elsewhere.example"), ("PUT", "hooks.example.com")] {
        let reply = read(&gateway, method, host).await;
        assert_eq!((reply.status, reply.header("location")), (403, None), "{method} {host}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_say_that_it_was_https() {
    let gateway = live_gateway(trust_loopback).await;
    let https = ("x-forwarded-proto", "https");
    let plain = ("x-forwarded-proto", "http");
    for headers in
        [vec![], vec![plain], vec![https, https], vec![https, ("forwarded", "proto=http")]]
    {
        let reply = gateway.post("/in/stripe", &live(&gateway, "evt_1", &headers)).await;
        assert_eq!(reply.status, 403, "{headers:?}");
    }
    for (id, header) in [("evt_1", https), ("evt_2", ("forwarded", "for=192.0.2.1;proto=https"))] {
        let reply = gateway.post("/in/stripe", &live(&gateway, id, &[header])).await;
        assert_eq!(reply.status, 200, "{header:?}");
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=63072000"));
    }
    let events = gateway.events().await;
    assert!(events.iter().all(|event| event.status == EventStatus::Accepted));
    assert_eq!(events.len(), 2);
}

#[tokio::test]
async fn a_test_gateway_takes_plain_http_and_sends_no_obsolete_header() {
    let gateway = Harness::stripe().await;
    let reply = gateway.send(&stripe_event("evt_1", "order-1")).await;
    assert_eq!((reply.status, reply.header("strict-transport-security")), (200, None));
    let refused = gateway.post("/elsewhere", &live(&gateway, "evt_2", &[])).await;
    for reply in [reply, refused] {
        assert_eq!(reply.header("x-xss-protection"), None);
    }
}
