//! What is refused before anything is recorded: what the sender sees, and what operators see.

use std::time::Duration;

use model::rate::Rate;
use model::{EventStatus, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Harness, STRIPE_SECRET, Signed, raw, source, stripe_event};

/// A Stripe request with a signature that nobody made.
fn forged(gateway: &Harness) -> Signed {
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    request.body.push(b' ');
    request
}

async fn nothing_happened(gateway: &Harness) {
    assert!(gateway.events().await.is_empty());
    gateway.application.stays_at(0).await;
}

#[tokio::test]
async fn a_forged_webhook_is_refused_and_counted() {
    let gateway = Harness::stripe().await;
    let reply = gateway.post("/in/stripe", &forged(&gateway)).await;
    assert_eq!(reply.status, 401);
    assert!(reply.body.contains("\"request\":\"req_"), "{}", reply.body);
    assert!(!reply.body.contains("no_matching_key"));
    gateway.is_counted_as("no_matching_key").await;
    assert_eq!(gateway.tallies().await[0].step, Step::Verify);
    nothing_happened(&gateway).await;
}

#[tokio::test]
async fn whatever_is_not_authentic_looks_the_same() {
    let gateway = Harness::start(|settings| {
        let mut barred = source("barred", "stripe", STRIPE_SECRET);
        barred.allow_addresses = vec!["203.0.113.0/24".parse().expect("a range")];
        settings.sources.push(barred);
    })
    .await;
    let good = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    let stale = good.clone();
    let missing = Signed { headers: Vec::new(), body: good.body.clone() };
    let forged = gateway.post("/in/stripe", &forged(&gateway)).await.outside();
    assert_eq!(gateway.post("/in/nowhere", &good).await.outside(), forged, "unknown source");
    assert_eq!(gateway.post("/in/barred", &good).await.outside(), forged, "barred address");
    assert_eq!(gateway.post("/in/stripe", &missing).await.outside(), forged, "no signature");
    gateway.advance_ms(301_000);
    assert_eq!(gateway.post("/in/stripe", &stale).await.outside(), forged, "stale");
    gateway.advance_ms(-700_000);
    assert_eq!(gateway.post("/in/stripe", &stale).await.outside(), forged, "future");
    nothing_happened(&gateway).await;
}

#[tokio::test]
async fn unknown_source_is_counted_without_a_name() {
    let gateway = Harness::stripe().await;
    assert_eq!(gateway.post("/in/nowhere", &forged(&gateway)).await.status, 401);
    gateway.is_counted_as("unknown_source").await;
    assert_eq!(gateway.tallies().await[0].source, None);
}

#[tokio::test]
async fn not_found_for_every_other_path() {
    let gateway = Harness::stripe().await;
    for path in ["/", "/in", "/in/", "/in/stripe/", "/in/stripe/x", "/healthz", "/metrics"] {
        assert_eq!(gateway.post(path, &forged(&gateway)).await.status, 404, "{path}");
    }
    let reasons: Vec<_> = gateway.tallies().await.into_iter().map(|t| t.reason).collect();
    assert_eq!(reasons, ["not_found"]);
}

#[tokio::test]
async fn method_not_allowed() {
    let gateway = Harness::stripe().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /in/stripe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let reply = raw(gateway.public, request.as_bytes()).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method}");
    }
    gateway.is_counted_as("method_not_allowed").await;
}

#[tokio::test]
async fn host_not_allowed() {
    let gateway = Harness::start(|s| s.hosts = vec!["hooks.example.com".to_owned()]).await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 400);
    gateway.is_counted_as("host_not_allowed").await;
    let request = gateway.signed("stripe", STRIPE_SECRET, &body);
    let signature = &request.headers[0];
    for (host, status) in [("hooks.example.com", 200), ("HOOKS.example.com:443", 200), ("x", 400)] {
        let text = format!(
            "POST /in/stripe HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{}: {}\r\ncontent-length: {}\r\n\r\n{body}",
            signature.0,
            signature.1,
            body.len()
        );
        assert_eq!(raw(gateway.public, text.as_bytes()).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn body_too_large_is_refused_before_it_is_sent() {
    let gateway = Harness::start(|s| s.sources[0].body_bytes_max = 1000).await;
    let announced = b"POST /in/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n";
    let reply = raw(gateway.public, announced).await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    gateway.is_counted_as("body_too_large").await;
    nothing_happened(&gateway).await;
}

#[tokio::test]
async fn content_encoding_is_refused_but_identity() {
    let gateway = Harness::stripe().await;
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    request.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    assert_eq!(gateway.post("/in/stripe", &request).await.status, 415);
    gateway.is_counted_as("content_encoding").await;
    request.headers.pop();
    request.headers.push(("content-encoding".to_owned(), "identity".to_owned()));
    assert_eq!(gateway.post("/in/stripe", &request).await.status, 200);
}

#[tokio::test]
async fn body_incomplete_is_not_an_event() {
    let gateway = Harness::stripe().await;
    let mut stream = TcpStream::connect(gateway.public).await.expect("connects");
    let head = b"POST /in/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc";
    stream.write_all(head).await.expect("writes");
    stream.shutdown().await.expect("closes its side");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 400"));
    gateway.is_counted_as("body_incomplete").await;
    nothing_happened(&gateway).await;
}

#[tokio::test]
async fn body_too_slow_is_cut() {
    let gateway = Harness::stripe().await;
    let mut stream = TcpStream::connect(gateway.public).await.expect("connects");
    let head = b"POST /in/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc";
    stream.write_all(head).await.expect("writes");
    let mut answer = Vec::new();
    let patience = Duration::from_secs(20);
    let read = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection was cut");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"));
    gateway.is_counted_as("body_too_slow").await;
}

/// A whole request on a connection that is kept.
fn kept(request: &Signed) -> String {
    String::from_utf8_lossy(&request.bytes("/in/stripe")).replace("connection: close\r\n", "")
}

/// What the gate refuses is counted, answered once, and ends the connection. Every case of it:
/// `crates/countersign/tests/hostile.rs`.
#[tokio::test]
async fn malformed_http_is_refused_once_and_closed() {
    let gateway = Harness::stripe().await;
    let request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    let good = kept(&request);
    let twice = format!("stripe-signature: {}\r\ncontent-length", request.headers[0].1);
    for (bad, status, reason) in [
        (good.replace("\r\nhost", "\nhost"), 400, "head_malformed"),
        (good.replace("host: gateway\r\n", ""), 400, "host_invalid"),
        (good.replace("content-length", &twice), 400, "header_repeated"),
        (good.replace("content-length", "transfer-encoding: chunked\r\nx"), 411, "length_required"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 505, "http_version"),
    ] {
        let reply = raw(gateway.public, format!("{bad}{good}").as_bytes()).await;
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{bad}");
        assert!(!reply.body.contains("HTTP/1.1"), "a second answer: {}", reply.body);
        let counted = async |reason: &str| {
            gateway.tallies().await.iter().any(|tally| tally.reason.as_str() == reason)
        };
        for _ in 0..1_500 {
            if counted(reason).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(counted(reason).await, "{reason}");
    }
    nothing_happened(&gateway).await;
}

#[tokio::test]
async fn what_follows_a_request_before_its_answer_is_not_read() {
    let gateway = Harness::stripe().await;
    let text = |id| kept(&gateway.signed("stripe", STRIPE_SECRET, &stripe_event(id, "order-1")));
    let reply = raw(gateway.public, format!("{}{}", text("evt_1"), text("evt_2")).as_bytes()).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""), "one answer, then the end");
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

#[tokio::test]
async fn address_not_allowed_and_a_header_does_not_help() {
    let gateway = Harness::start(|settings| {
        settings.sources[0].allow_addresses = vec!["203.0.113.0/24".parse().expect("a range")];
    })
    .await;
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    request.headers.push(("x-forwarded-for".to_owned(), "203.0.113.7".to_owned()));
    assert_eq!(gateway.post("/in/stripe", &request).await.status, 401);
    gateway.is_counted_as("address_not_allowed").await;
    nothing_happened(&gateway).await;
}

#[tokio::test]
async fn an_address_behind_a_trusted_proxy_is_believed() {
    let gateway = Harness::start(|settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
        settings.sources[0].allow_addresses = vec!["203.0.113.0/24".parse().expect("a range")];
    })
    .await;
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    request.headers.push(("x-forwarded-for".to_owned(), "198.51.100.9".to_owned()));
    assert_eq!(gateway.post("/in/stripe", &request).await.status, 401);
    request.headers.pop();
    let spoofed = "203.0.113.7, 198.51.100.9".to_owned();
    request.headers.push(("x-forwarded-for".to_owned(), spoofed));
    assert_eq!(gateway.post("/in/stripe", &request).await.status, 401);
    request.headers.pop();
    request.headers.push(("x-forwarded-for".to_owned(), "198.51.100.9, 203.0.113.7".to_owned()));
    assert_eq!(gateway.post("/in/stripe", &request).await.status, 200);
}

#[tokio::test]
async fn rate_limited_where_a_rate_is_set_whatever_the_header_says() {
    let gateway = Harness::start(|settings| {
        settings.sources[0].rate_limit = Some(Rate { count: 10, period_ms: 60_000 });
    })
    .await;
    for n in 0..10 {
        let body = stripe_event(&format!("evt_{n}"), "order-1");
        assert_eq!(gateway.send(&body).await.status, 200);
    }
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_11", "order-1"));
    request.headers.push(("x-forwarded-for".to_owned(), "203.0.113.7".to_owned()));
    let reply = gateway.post("/in/stripe", &request).await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(reply.header("ratelimit-limit"), Some("10"));
    assert_eq!(reply.header("ratelimit-remaining"), Some("0"));
    gateway.is_counted_as("rate_limited").await;
    gateway.advance_ms(121_000);
    assert_eq!(gateway.send(&stripe_event("evt_11", "order-1")).await.status, 200);
}

#[tokio::test]
async fn failed_signatures_are_limited_and_never_stop_a_good_one() {
    let gateway = Harness::stripe().await;
    let forged = forged(&gateway);
    for _ in 0..10 {
        assert_eq!(gateway.post("/in/stripe", &forged).await.status, 401);
    }
    for _ in 0..5 {
        let reply = gateway.post("/in/stripe", &forged).await;
        assert_eq!(reply.status, 429);
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(gateway.send(&stripe_event("evt_1", "order-1")).await.status, 200);
    gateway.application.wait_for(1).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
    let counts = |tallies: &[store::TallyRow]| tallies.iter().map(|t| t.count).collect::<Vec<_>>();
    for _ in 0..1_500 {
        if counts(&gateway.tallies().await) == [15] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("one row with all of them: {:?}", counts(&gateway.tallies().await));
}
