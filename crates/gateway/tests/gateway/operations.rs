//! What a person does with held events, beside the running gateway.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use gateway::operations::{Desk, Order};
use model::{EventStatus, Timestamp};
use store::{Changed, Note};

use super::harness::{Harness, START_MS, root, source, stripe_event};

const SECRET: &str = "whsec_one2pays_test_secret_0123456789";
const BODY: &str = r#"{"id":"evt_1","type":"payment.succeeded","data":{"id":"pay_1","amount":"1000.00","currency":"THB","status":"succeeded","referenceId":"order-12345"},"createdAt":"2024-01-01T00:00:00Z"}"#;

pub(crate) fn order(reason: &str) -> Order {
    Order {
        actor: "operator_test".to_owned(),
        reason: reason.to_owned(),
        at: Timestamp::from_millis(START_MS),
        request: None,
        address: None,
        agent: None,
    }
}

pub(crate) async fn note(gateway: &Harness, reason: &str) -> Note {
    let desk = Desk::open(gateway.store.clone(), root(), order(reason).at).await.expect("opens");
    desk.note(order(reason)).await.expect("a note")
}

async fn with_a_held_event() -> Harness {
    let gateway = Harness::start(|settings| {
        let mut source = source("weak", "one2pays-body", SECRET);
        source.amount_unit = source.profile.amount_units().first().cloned();
        settings.sources = vec![source];
    })
    .await;
    let request = gateway.signed("one2pays-body", SECRET, BODY);
    assert_eq!(gateway.post("/in/weak", &request).await.status, 200);
    gateway.is_kept_as(EventStatus::Held, Some("needs_confirmation")).await;
    gateway
}

async fn desk_beside(gateway: &Harness) -> Desk {
    let beside = gateway.store_beside().await;
    Desk::open(beside, root(), Timestamp::from_millis(START_MS)).await.expect("a desk")
}

#[tokio::test]
async fn a_released_event_is_delivered_once() {
    let gateway = with_a_held_event().await;
    let desk = desk_beside(&gateway).await;
    let event = gateway.only_event().await;
    let endpoints = [Arc::from("app")];
    let orders = desk.orders(BTreeMap::new());
    let release = async |reason| {
        let released =
            desk.release(event.id, order(reason), &endpoints, (&orders, &|_| true)).await;
        released.map(|released| released.changed)
    };
    assert_eq!(release("checked with the provider").await.expect("releases"), Changed::Done);
    gateway.application.wait_for(1).await;
    assert_eq!(release("again").await.expect("answers"), Changed::NotHeld(EventStatus::Accepted));
    gateway.application.stays_at(1).await;
}

#[tokio::test]
async fn a_refused_event_is_never_delivered() {
    let gateway = with_a_held_event().await;
    let desk = desk_beside(&gateway).await;
    let event = gateway.only_event().await;
    assert_eq!(desk.refuse(event.id, order("not ours")).await.expect("refuses"), Changed::Done);
    let orders = desk.orders(BTreeMap::new());
    let release =
        desk.release(event.id, order("oops"), &[Arc::from("app")], (&orders, &|_| true)).await;
    assert_eq!(release.expect("answers").changed, Changed::NotHeld(EventStatus::Denied));
    gateway.application.stays_at(0).await;
}

#[tokio::test]
async fn a_quarantined_event_is_never_released() {
    let gateway = Harness::stripe().await;
    let live = stripe_event("evt_1", "order-1").replace("\"livemode\":false", "\"livemode\":true");
    gateway.send(&live).await;
    let desk = desk_beside(&gateway).await;
    let event = gateway.only_event().await;
    let orders = desk.orders(BTreeMap::new());
    let release =
        desk.release(event.id, order("please"), &[Arc::from("app")], (&orders, &|_| true)).await;
    assert_eq!(release.expect("answers").changed, Changed::NotHeld(EventStatus::Quarantined));
    gateway.application.stays_at(0).await;
}

/// The files that hold this text, a line each. (A server's are too large for an unoptimized search.)
fn holding(text: &str, files: &[PathBuf]) -> String {
    let mut grep = Command::new("grep");
    let output = grep.args(["-alF", "-e", text, "--"]).args(files).output().expect("grep runs");
    assert!(output.status.code().is_some_and(|code| code <= 1), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn what_is_sealed_opens_at_the_desk_and_nowhere_in_the_file() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_provider_1", "order-4711");
    gateway.send(&body).await;
    let event = gateway.only_event().await;
    let desk = desk_beside(&gateway).await;
    let facts = desk.facts(&event).await.expect("facts");
    assert_eq!(facts.provider_event_id.as_deref(), Some("evt_provider_1"));
    assert_eq!(facts.order.as_deref(), Some("order-4711"));
    assert_eq!(facts.customer.as_deref(), Some("cus_1"));
    assert_eq!(facts.address, "127.0.0.1");
    let opened = desk.body(&event).await.expect("a body").expect("kept");
    assert_eq!(opened.as_slice(), body.as_bytes());

    let files = gateway.files().await;
    for plain in ["evt_provider_1", "order-4711", "cus_1", "127.0.0.1", "cs_test_1"] {
        assert_eq!(holding(plain, &files), "", "{plain}");
    }
    // What is not sealed is found there, so the files are the right ones.
    assert_ne!(holding("checkout.session.completed", &files), "", "the type is no secret");
}

#[tokio::test]
async fn another_root_key_opens_nothing() {
    let gateway = Harness::stripe().await;
    let beside = gateway.store_beside().await;
    let other = vault::RootKey::generate([1; 32]);
    let opened = Desk::open(beside, other, Timestamp::from_millis(START_MS)).await;
    assert!(opened.is_err_and(|error| error.to_string().contains("wrong_root_key")));
}
