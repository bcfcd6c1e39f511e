//! What must not be kept: masked before it is written, flagged, and never sent as it came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateway::Format;
use gateway::operations::Desk;
use model::{EventStatus, Timestamp};
use store::EventRow;

use super::harness::{Harness, START_MS, endpoint, raw, root, stripe_event};

const NOTE: &str = r#""metadata":{"note":"card 4242 4242 4242 4242, call me","cvc":"123","#;
const MASKED: &str = r#""metadata":{"note":"card 4242 42** **** 4242, call me","cvc":"***","#;

/// An event in whose metadata somebody wrote a card.
fn with_card(id: &str, order: &str) -> String {
    stripe_event(id, order).replace(r#""metadata":{"#, NOTE)
}

async fn kept(gateway: &Harness, event: &EventRow) -> (String, gateway::Facts) {
    let desk = Desk::open(gateway.store.clone(), root(), Timestamp::from_millis(START_MS));
    let desk = desk.await.expect("the desk opens");
    let body = desk.body(event).await.expect("it opens").expect("it is kept");
    let facts = desk.facts(event).await.expect("they open");
    (String::from_utf8_lossy(&body).into_owned(), facts)
}

#[tokio::test]
async fn a_card_is_truncated_before_it_is_kept_and_delivered() {
    let gateway = Harness::stripe().await;
    let body = with_card("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);

    let truncated = body.replace(NOTE, MASKED);
    let event = gateway.only_event().await;
    assert_eq!(event.status, EventStatus::Accepted);
    assert!(event.original.is_some());
    assert_eq!(kept(&gateway, &event).await.0, truncated);

    let delivered = gateway.application.wait_for(1).await;
    let document = delivered[0].document();
    assert_eq!(document["redacted"], true);
    assert_eq!(document["data"]["data"]["object"]["metadata"]["cvc"], "***");
    let sent = STANDARD.decode(document["body_base64"].as_str().expect("text")).expect("base64");
    assert_eq!(String::from_utf8_lossy(&sent), truncated);
    let scrape = b"GET /metrics HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n";
    let metrics = raw(gateway.admin, scrape).await.body;
    for kind in ["card", "security_code"] {
        let line = format!("countersign_redacted_total{{source=\"stripe\",kind=\"{kind}\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn what_holds_nothing_is_kept_byte_for_byte() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    let event = gateway.only_event().await;
    assert_eq!(event.original, None);
    assert_eq!(kept(&gateway, &event).await.0, body);
    assert_eq!(gateway.application.wait_for(1).await[0].document()["redacted"], false);
}

#[tokio::test]
async fn redacted_original_only_holds_what_no_endpoint_may_get() {
    let gateway = Harness::start(|settings| settings.endpoints[0].format = Format::Original).await;
    assert_eq!(gateway.send(&with_card("evt_1", "order-1")).await.status, 200);
    gateway.is_kept_as(EventStatus::Held, Some("redacted_original_only")).await;
    assert!(gateway.deliveries().await.is_empty());
    gateway.application.stays_at(0).await;
}

#[tokio::test]
async fn an_endpoint_for_original_bytes_gets_nothing_of_a_redacted_event() {
    let gateway = Harness::start(|settings| {
        let address = settings.endpoints[0].url.socket_addrs(|| None).expect("an address")[0];
        let mut books = endpoint("books", address);
        books.format = Format::Original;
        settings.endpoints.push(books);
        settings.sources[0].endpoints.push("books".to_owned());
    })
    .await;
    assert_eq!(gateway.send(&with_card("evt_1", "order-1")).await.status, 200);
    gateway.application.wait_for(1).await;
    let endpoints: Vec<_> = gateway.deliveries().await.into_iter().map(|d| d.endpoint).collect();
    assert_eq!(endpoints, ["app"]);
    // Of an event that is whole it gets the bytes.
    assert_eq!(gateway.send(&stripe_event("evt_2", "order-2")).await.status, 200);
    gateway.application.wait_for(3).await;
}

#[tokio::test]
async fn repeats_and_conflicts_are_told_by_what_came() {
    let gateway = Harness::stripe().await;
    let body = with_card("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    assert_eq!(gateway.send(&body).await.status, 200);
    gateway.is_kept_as(EventStatus::Accepted, None).await;
    gateway.is_counted_as("duplicate").await;
    assert_eq!(gateway.send(&body.replace("2900", "2901")).await.status, 200);
    let events = gateway.events().await;
    assert_eq!(events[1].reason.as_deref(), Some("conflict"));
    // Another original, another hash; both are redacted.
    assert!(events[1].original.is_some_and(|hash| Some(hash) != events[0].original));
}

#[tokio::test]
async fn what_is_quarantined_is_kept_truncated_too() {
    let gateway = Harness::stripe().await;
    let body = with_card("evt_1", "order-1").replace(r#""object":"event","#, r#""id":"evt_2","#);
    assert_eq!(gateway.send(&body).await.status, 200);
    let event = gateway.only_event().await;
    assert_eq!(event.status, EventStatus::Quarantined);
    assert!(event.original.is_some());
    assert_eq!(kept(&gateway, &event).await.0, body.replace(NOTE, MASKED));
}

#[tokio::test]
async fn facts_and_plain_columns_are_truncated_too() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "4242 4242 4242 4242");
    let body = body.replace("checkout.session.completed", "of ada@example.com");
    assert_eq!(gateway.send(&body).await.status, 200);
    let event = gateway.only_event().await;
    assert_eq!(event.kind.as_deref(), Some("of ***************"));
    let facts = kept(&gateway, &event).await.1;
    assert_eq!(facts.order.as_deref(), Some("4242 42** **** 4242"));
}
