//! The PROXY protocol: who is behind a trusted proxy takes its place, and nobody else can.

use std::time::Duration;

use gateway::Settings;
use model::rate::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::certificates::{Authority, Client};
use super::harness::{Harness, Reply, STRIPE_SECRET, raw, stripe_event};

const GOOD: &str = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n";
const OTHER: &str = "PROXY TCP4 198.51.100.9 10.0.0.1 4711 443\r\n";

/// Trusts loopback, and lets in one network behind it.
fn behind(settings: &mut Settings) {
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
    settings.proxy_protocol = true;
    for source in &mut settings.sources {
        source.allow_addresses = vec!["203.0.113.0/24".parse().expect("a range")];
    }
}

/// A good event behind these bytes.
async fn send(gateway: &Harness, before: &[u8], id: &str, forwarded_for: Option<&str>) -> Reply {
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event(id, "order-1"));
    let header = forwarded_for.map(|value| ("x-forwarded-for".to_owned(), value.to_owned()));
    request.headers.extend(header);
    let bytes = [before, &request.bytes("/in/stripe")].concat();
    raw(gateway.public, &bytes).await
}

#[tokio::test]
async fn the_address_that_a_proxy_names_is_the_one_that_counts() {
    let gateway = Harness::start(behind).await;
    assert_eq!(send(&gateway, GOOD.as_bytes(), "evt_1", None).await.status, 200);
    assert_eq!(send(&gateway, OTHER.as_bytes(), "evt_2", None).await.status, 401);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x08\x0a\0\0\x01\x12\x67\x01\xbb";
    assert_eq!(send(&gateway, v2, "evt_3", None).await.status, 200);
    gateway.is_counted_as("address_not_allowed").await;
    assert_eq!(gateway.events().await.len(), 2);
}

#[tokio::test]
async fn whoever_a_proxy_names_cannot_name_another() {
    let gateway = Harness::start(behind).await;
    let spoofed = Some("203.0.113.7");
    assert_eq!(send(&gateway, OTHER.as_bytes(), "evt_1", spoofed).await.status, 401);
    // The proxy says not who it is: the headers may be a stranger's.
    let nobody: [&[u8]; 2] = [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"];
    for header in nobody {
        assert_eq!(send(&gateway, header, "evt_1", spoofed).await.status, 401);
    }
    // A proxy behind the proxy is trusted as if it had connected itself.
    let chained = b"PROXY TCP4 127.0.0.9 10.0.0.1 4711 443\r\n";
    assert_eq!(send(&gateway, chained, "evt_1", Some("198.51.100.9")).await.status, 401);
    assert_eq!(send(&gateway, chained, "evt_1", spoofed).await.status, 200);
}

#[tokio::test]
async fn each_address_behind_a_proxy_has_its_own_limit() {
    let gateway = Harness::start(|settings| {
        behind(settings);
        settings.sources[0].allow_addresses.clear();
        settings.sources[0].rate_limit = Some(Rate { count: 1, period_ms: 60_000 });
    })
    .await;
    assert_eq!(send(&gateway, GOOD.as_bytes(), "evt_1", None).await.status, 200);
    assert_eq!(send(&gateway, GOOD.as_bytes(), "evt_2", None).await.status, 429);
    assert_eq!(send(&gateway, OTHER.as_bytes(), "evt_3", None).await.status, 200);
}

#[tokio::test]
async fn a_trusted_proxy_without_a_good_header_is_cut() {
    let gateway = Harness::start(behind).await;
    let bad: [&[u8]; 5] = [
        b"",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
        b"PROXY TCP4 203.0.113.7.1 10.0.0.1 4711 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\xcb\0\x71\x08\x0a\0\0\x01\x12\x67\x01\xbb",
    ];
    for header in bad {
        let reply = send(&gateway, header, "evt_1", None).await;
        assert_eq!((reply.status, reply.head.as_str()), (0, ""), "{}", header.escape_ascii());
    }
    assert!(gateway.events().await.is_empty());
}

#[tokio::test]
async fn a_stranger_cannot_speak_the_proxy_protocol() {
    let gateway = Harness::start(|settings| {
        behind(settings);
        settings.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a range")];
    })
    .await;
    // Without one it is who it is.
    assert_eq!(send(&gateway, b"", "evt_1", None).await.status, 401);
    gateway.is_counted_as("address_not_allowed").await;
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x08\x0a\0\0\x01\x12\x67\x01\xbb";
    for header in [GOOD.as_bytes(), v2] {
        let reply = send(&gateway, header, "evt_1", None).await;
        assert_eq!(reply.status, 400, "{}", header.escape_ascii());
    }
    assert!(gateway.events().await.is_empty());
}

#[tokio::test]
async fn without_the_setting_nobody_speaks_it() {
    let gateway = Harness::start(|settings| {
        behind(settings);
        settings.proxy_protocol = false;
    })
    .await;
    assert_eq!(send(&gateway, GOOD.as_bytes(), "evt_1", None).await.status, 400);
    assert_eq!(send(&gateway, b"", "evt_1", Some("203.0.113.7")).await.status, 200);
}

#[tokio::test]
async fn tls_follows_the_header() {
    let authority = Authority::new();
    let gateway = Harness::start(|settings| {
        behind(settings);
        settings.tls = Some(authority.tls(None));
    })
    .await;
    let request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    let client = Client { before: GOOD.into(), ..authority.client() };
    let reply = client.ask(gateway.public, &request.bytes("/in/stripe")).await.expect("an answer");
    assert_eq!(reply.status, 200);
    let client = authority.client();
    assert!(client.connect(gateway.public).await.is_err(), "no header, no handshake");
}

#[tokio::test]
async fn the_admin_listener_is_closed_to_who_is_not_named() {
    let health = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let named = |range: &str| vec![range.parse().expect("a range")];
    let gateway = Harness::start(|settings| settings.admin_allow = named("10.0.0.0/8")).await;
    assert_eq!(raw(gateway.admin, health).await.status, 0);
    let gateway = Harness::start(|settings| settings.admin_allow = named("127.0.0.0/8")).await;
    assert_eq!(raw(gateway.admin, health).await.status, 200);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_greeting() {
    let mut gateway = Harness::start(behind).await;
    let mut silent = TcpStream::connect(gateway.public).await.expect("connects");
    silent.write_all(b"PROXY TCP4 ").await.expect("written");
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Before the greeting is too late.
    let stopped = tokio::time::timeout(Duration::from_secs(9), gateway.stop()).await;
    assert!(stopped.is_ok(), "it waits for a connection that has not begun");
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
