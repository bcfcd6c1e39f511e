//! Where to write about a weakness: said by every listener where it is configured, and by none else.

use gateway::SecurityTxt;
use model::{Environment, Timestamp};

use super::harness::{Harness, Reply, raw};

const CONTACT: &str = "mailto:security@shop.example";

fn request(method: &str, more: &str) -> Vec<u8> {
    let head = format!("{method} /.well-known/security.txt HTTP/1.1\r\nconnection: close\r\n");
    format!("{head}{more}\r\n").into_bytes()
}

async fn ask(gateway: &Harness, method: &str, more: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    for listener in [gateway.public, gateway.api, gateway.admin] {
        replies.push(raw(listener, &request(method, more)).await);
    }
    replies
}

fn file() -> SecurityTxt {
    let expires = Timestamp::from_millis(1_798_761_600_000);
    SecurityTxt::new(&[CONTACT.to_owned()], expires, Some("https://shop.example/policy"))
}

#[tokio::test]
async fn without_a_contact_it_is_not_there() {
    let gateway = Harness::stripe().await;
    for reply in ask(&gateway, "GET", "host: x\r\n").await {
        assert_eq!(reply.status, 404, "{reply:?}");
    }
}

#[tokio::test]
async fn every_listener_says_where_to_write() {
    let gateway = Harness::start(|settings| {
        settings.security_txt = Some(file());
        settings.hosts = vec!["hooks.shop.example".to_owned()];
    })
    .await;
    let expected = format!(
        "Contact: {CONTACT}\nExpires: 2027-01-01T00:00:00.000Z\nPolicy: https://shop.example/policy\n"
    );
    for reply in ask(&gateway, "GET", "host: hooks.shop.example\r\n").await {
        assert_eq!((reply.status, &reply.body), (200, &expected), "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    for reply in ask(&gateway, "HEAD", "host: hooks.shop.example\r\n").await {
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{reply:?}");
    }
    // Nothing else is there that was not, whoever asks for it.
    let posted = "host: hooks.shop.example\r\ncontent-length: 0\r\n";
    for reply in ask(&gateway, "POST", posted).await {
        assert!([404, 405].contains(&reply.status), "{reply:?}");
    }
    let another = raw(gateway.public, &request("GET", "host: another.example\r\n")).await;
    assert_eq!(another.status, 404, "{another:?}");
    let twice = request("GET", "host: hooks.shop.example\r\nhost: another.example\r\n");
    assert_eq!(raw(gateway.public, &twice).await.status, 400);
}

#[tokio::test]
async fn a_live_gateway_says_it_over_tls_only() {
    let gateway = Harness::start(|settings| {
        settings.security_txt = Some(file());
        settings.environment = Environment::Live;
    })
    .await;
    let reply = raw(gateway.public, &request("GET", "host: x\r\n")).await;
    assert!(!reply.body.contains(CONTACT), "{reply:?}");
    assert!([308, 403].contains(&reply.status), "{reply:?}");
}
