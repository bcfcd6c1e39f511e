//! TLS on both listeners, with real handshakes.

use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::certificates::{Authority, Client};
use super::harness::{Harness, STRIPE_SECRET, stripe_event};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn event(gateway: &Harness, id: &str) -> Vec<u8> {
    gateway.signed("stripe", STRIPE_SECRET, &stripe_event(id, "order-1")).bytes("/in/stripe")
}

#[tokio::test]
async fn webhooks_come_over_tls_12_and_13_and_http_11() {
    let authority = Authority::new();
    let gateway = Harness::start(|settings| settings.tls = Some(authority.tls(None))).await;
    let versions = [
        ("evt_1", &rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        ("evt_2", &rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ];
    for (id, offered, spoken) in versions {
        let client = Client { versions: vec![offered], ..authority.client() };
        let mut stream = client.connect(gateway.public).await.expect("a handshake");
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(spoken));
        assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        stream.write_all(&event(&gateway, id)).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer that ends well");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age=63072000"), "{answer}");
    }
    assert_eq!(gateway.events().await.len(), 2);
}

/// A ClientHello with the newest version that it knows (3, 2 is TLS 1.1) and these suites.
fn hello(version: [u8; 2], suites: &[u8]) -> Vec<u8> {
    // supported_groups: x25519, P-256; signature_algorithms: ecdsa_secp256r1_sha256.
    let extensions = b"\0\x0a\0\x06\0\x04\0\x1d\0\x17\0\x0d\0\x04\0\x02\x04\x03";
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let mut body = [version.as_slice(), &[7; 32], &[0]].concat();
    body.extend_from_slice(&[&length(suites), suites, &[1, 0]].concat());
    body.extend_from_slice(&[length(extensions).as_slice(), extensions].concat());
    let handshake = [&[1, 0], length(&body).as_slice(), &body].concat();
    [&[0x16, 3, 1], length(&handshake).as_slice(), &handshake].concat()
}

async fn first_bytes(gateway: &Harness, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(gateway.public).await.expect("connects");
    stream.write_all(bytes).await.expect("written");
    let mut answer = Vec::new();
    // A handshake that goes on waits for its next message, and does not end.
    for _ in 0..15 {
        let read = stream.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(2), read).await;
        if ended.is_ok() || !answer.is_empty() {
            break;
        }
    }
    answer
}

#[tokio::test]
async fn old_versions_and_suites_are_refused() {
    let authority = Authority::new();
    let gateway = Harness::start(|settings| settings.tls = Some(authority.tls(None))).await;
    // ECDHE-ECDSA with AES-128-GCM, then with CBC; RSA key exchange with AES-128-GCM.
    let (good, cbc, rsa) = ([0xc0, 0x2b], [0xc0, 0x09], [0x00, 0x9c]);
    let (tls_11, tls_12) = ([3, 2], [3, 3]);
    let accepted = first_bytes(&gateway, &hello(tls_12, &good)).await;
    assert_eq!(accepted.first(), Some(&0x16), "a handshake goes on: {accepted:02x?}");
    let refused = [(tls_11, good), (tls_12, cbc), (tls_12, rsa)];
    for (version, suite) in refused {
        let answer = first_bytes(&gateway, &hello(version, &suite)).await;
        // A fatal alert: protocol_version (70) or handshake_failure (40).
        let [0x15, 3, _, 0, 2, 2, alert] = answer.as_slice() else {
            panic!("{version:?} {suite:02x?}: {answer:02x?}");
        };
        assert_eq!(*alert, if version == tls_11 { 70 } else { 40 });
    }
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_cut_unanswered() {
    let authority = Authority::new();
    let gateway = Harness::start(|settings| settings.tls = Some(authority.tls(None))).await;
    let answer = first_bytes(&gateway, &event(&gateway, "evt_1")).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:02x?}");
    assert!(gateway.events().await.is_empty());
}

#[tokio::test]
async fn a_client_that_speaks_http_2_only_is_refused() {
    let authority = Authority::new();
    let gateway = Harness::start(|settings| settings.tls = Some(authority.tls(None))).await;
    // ALPN with h2 alone: the extension, the list, the name.
    let mut bytes = hello([3, 3], &[0xc0, 0x2b]);
    bytes.extend_from_slice(b"\0\x10\0\x05\0\x03\x02h2");
    for (at, more) in [(4, 9), (8, 9), (5 + 4 + 2 + 32 + 1 + 4 + 2 + 1, 9)] {
        bytes[at] += more;
    }
    let answer = first_bytes(&gateway, &bytes).await;
    // no_application_protocol (120)
    assert_eq!(answer.last(), Some(&120), "{answer:02x?}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_at_once_and_no_connection_is_dropped() {
    let authority = Authority::new();
    let (old, new) = (authority.pair(), authority.pair());
    let tls = gateway::Tls::new(old.identity(None));
    let gateway = Harness::start(|settings| settings.tls = Some(tls.clone())).await;
    let client = authority.client();
    let mut open = client.connect(gateway.public).await.expect("a handshake");

    tls.renew(new.identity(None));
    let fresh = client.connect(gateway.public).await.expect("a handshake");
    let shown = fresh.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    assert_eq!(shown, Some(new.der()));

    let shown = open.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    assert_eq!(shown, Some(old.der()));
    open.write_all(&event(&gateway, "evt_1")).await.expect("it is still open");
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_admin_listener_lets_in_clients_of_its_authority_only() {
    let (ours, theirs, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let tls = ours.tls(Some(&theirs));
    let gateway = Harness::start(|settings| settings.admin_tls = Some(tls.clone())).await;
    let (good, wrong) = (theirs.pair(), strangers.pair());

    let client = Client { pair: Some(&good), ..ours.client() };
    let reply = client.ask(gateway.admin, HEALTH).await.expect("an answer");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("strict-transport-security"), Some("max-age=63072000"));

    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for pair in [None, Some(&wrong)] {
            let client = Client { pair, versions: vec![version], ..ours.client() };
            let refused = client.ask(gateway.admin, HEALTH).await.expect_err("no answer");
            let text = refused.to_string();
            assert!(text.contains("alert") || text.contains("reset"), "{text}");
        }
    }

    // The metrics say when the certificate expires, and that a newer one cannot be used.
    let expiry = format!(
        "countersign_certificate_expiry_timestamp_seconds{{listener=\"admin\"}} {}\n",
        tls.expires().as_seconds()
    );
    let outdated =
        |value| format!("countersign_certificate_outdated{{listener=\"admin\"}} {value}\n");
    let metrics = client.ask(gateway.admin, METRICS).await.expect("metrics").body;
    assert!(metrics.contains(&expiry) && metrics.contains(&outdated(0)), "{metrics}");
    tls.keep();
    let metrics = client.ask(gateway.admin, METRICS).await.expect("metrics").body;
    assert!(metrics.contains(&outdated(1)), "{metrics}");
    tls.renew(ours.pair().identity(Some(&theirs)));
    let metrics = client.ask(gateway.admin, METRICS).await.expect("metrics").body;
    assert!(metrics.contains(&outdated(0)), "{metrics}");
}
