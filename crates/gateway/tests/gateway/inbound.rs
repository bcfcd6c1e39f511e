//! What is authentic: accepted, held, quarantined, repeated; and what it leads to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{EventStatus, Step, Verdict};

use super::harness::{Harness, STRIPE_SECRET, endpoint_secret, source, stripe_event};

/// The application's own check of a delivery, independent of the code that signed it.
fn signed_by_us(headers: &http::HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let key = STANDARD.decode(endpoint_secret().trim_start_matches("whsec_")).expect("base64");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let mut signed = format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(body);
    let tag = aws_lc_rs::hmac::sign(&key, &signed);
    text("webhook-signature") == format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

#[tokio::test]
async fn a_signed_webhook_is_kept_and_delivered_countersigned() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    let reply = gateway.send(&body).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));

    let delivered = gateway.application.wait_for(1).await;
    assert!(signed_by_us(&delivered[0].headers, &delivered[0].body));
    let document = delivered[0].document();
    let event = gateway.only_event().await;
    assert_eq!(event.status, EventStatus::Accepted);
    assert!(Step::ALL.iter().all(|step| event.steps.verdict(*step) == Verdict::Pass));
    assert_eq!(document["id"], event.id.to_string());
    assert_eq!(delivered[0].header("webhook-id"), event.id.to_string());
    assert_eq!(document["type"], "checkout.session.completed");
    assert_eq!(document["source"], "stripe");
    assert_eq!(document["environment"], "test");
    assert_eq!(document["covers"], "full");
    assert_eq!(document["decision"], "permit");
    assert_eq!(document["order"], "order-1");
    assert_eq!(document["data"]["data"]["object"]["amount_total"], 2900);
    let original =
        STANDARD.decode(document["body_base64"].as_str().expect("text")).expect("base64");
    assert_eq!(original, body.as_bytes());
}

#[tokio::test]
async fn a_repeated_webhook_is_acknowledged_and_delivered_once() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    gateway.until(|d| d.len() == 1 && d[0].status == model::DeliveryStatus::Delivered).await;
    gateway.advance_ms(60_000);
    assert_eq!(gateway.send(&body).await.status, 200);
    gateway.application.wait_for(1).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
    gateway.is_counted_as("duplicate").await;
}

#[tokio::test]
async fn honest_retries_change_bytes_and_are_still_duplicates() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    let retried = body.replace("\"created\"", "\"pending_webhooks\":1,\"created\"");
    assert_eq!(gateway.send(&retried).await.status, 200);
    gateway.application.wait_for(1).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

#[tokio::test]
async fn concurrent_copies_become_one_event() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    let copies = (0..16).map(|_| gateway.send(&body));
    let replies = futures(copies).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    gateway.application.wait_for(1).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

async fn futures<F: std::future::Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut results = Vec::new();
    let mut pending: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                results.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    results
}

#[tokio::test]
async fn dedup_survives_a_restart() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    gateway.application.wait_for(1).await;
    let gateway = gateway.restart().await;
    assert_eq!(gateway.send(&body).await.status, 200);
    gateway.application.stays_at(1).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

#[tokio::test]
async fn the_same_id_from_two_sources_is_two_events() {
    let second = "whsec_test_8hR3mWz6tB1pK5sN9xG2vJ4q";
    let add = |s: &mut gateway::Settings| s.sources.push(source("other", "stripe", second));
    let gateway = Harness::start(add).await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    let request = gateway.signed("stripe", second, &body);
    assert_eq!(gateway.post("/in/other", &request).await.status, 200);
    gateway.application.wait_for(2).await;
    let events = gateway.events().await;
    assert!(events.iter().all(|event| event.status == EventStatus::Accepted), "{events:?}");
}

#[tokio::test]
async fn conflict_is_quarantined_and_overwrites_nothing() {
    let gateway = Harness::stripe().await;
    let body = stripe_event("evt_1", "order-1");
    assert_eq!(gateway.send(&body).await.status, 200);
    gateway.application.wait_for(1).await;
    let other = body.replace("\"amount_total\":2900", "\"amount_total\":290000");
    assert_eq!(gateway.send(&other).await.status, 200);
    assert_eq!(gateway.send(&other).await.status, 200);
    gateway.application.stays_at(1).await;
    let events = gateway.events().await;
    let states: Vec<_> = events.iter().map(|e| (e.status, e.reason.as_deref(), e.count)).collect();
    assert_eq!(
        states,
        [(EventStatus::Accepted, None, 1), (EventStatus::Quarantined, Some("conflict"), 2)]
    );
}

#[tokio::test]
async fn wrong_environment_is_quarantined() {
    let gateway = Harness::stripe().await;
    let live = stripe_event("evt_1", "order-1").replace("\"livemode\":false", "\"livemode\":true");
    assert_eq!(gateway.send(&live).await.status, 200);
    gateway.application.stays_at(0).await;
    gateway.is_kept_as(EventStatus::Quarantined, Some("wrong_environment")).await;

    let gateway = Harness::start(|settings| {
        settings.environment = model::Environment::Live;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a range")];
    })
    .await;
    let mut test = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    test.headers.push(("x-forwarded-proto".to_owned(), "https".to_owned()));
    assert_eq!(gateway.post("/in/stripe", &test).await.status, 200);
    gateway.application.stays_at(0).await;
    gateway.is_kept_as(EventStatus::Quarantined, Some("wrong_environment")).await;
}

#[tokio::test]
async fn authentic_bytes_that_cannot_be_read_are_quarantined_once_and_counted() {
    let gateway = Harness::stripe().await;
    let twice = stripe_event("evt_1", "order-1").replace("{\"id\"", "{\"id\":\"evt_0\",\"id\"");
    for _ in 0..3 {
        assert_eq!(gateway.send(&twice).await.status, 200);
    }
    gateway.application.stays_at(0).await;
    let event = gateway.only_event().await;
    assert_eq!(event.status, EventStatus::Quarantined);
    assert_eq!(event.reason.as_deref(), Some("duplicate_key"));
    assert_eq!(event.steps.failed(), Some(Step::Read));
    assert_eq!(event.count, 3);
    assert_eq!(event.kind, None);
}

#[tokio::test]
async fn bytes_that_no_reader_agrees_on_never_become_an_event() {
    let good = stripe_event("evt_1", "order-1");
    let not_utf8 = [good.as_bytes(), b"\xff"].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not utf-8", not_utf8),
        ("nul", good.replace("order-1", "order\\u0000").into_bytes()),
        ("null", b"null".to_vec()),
        ("array", format!("[{good}]").into_bytes()),
        ("nan", good.replace("2900", "NaN").into_bytes()),
        ("infinity", good.replace("2900", "Infinity").into_bytes()),
        ("1e400", good.replace("2900", "1e400").into_bytes()),
        (
            "depth",
            good.replace("2900", &format!("{}{}", "[".repeat(500), "]".repeat(500))).into_bytes(),
        ),
        ("trailing", format!("{good}{{}}").into_bytes()),
        ("megabyte id", good.replace("evt_1", &"x".repeat(700_000)).into_bytes()),
        ("empty", Vec::new()),
    ];
    for (case, body) in cases {
        let gateway = Harness::stripe().await;
        let draft = schemes::Draft {
            method: "POST",
            url: "/",
            headers: &[],
            body: &body,
            now_ms: gateway.now_ms(),
            id: "msg_test_1",
        };
        let secret = schemes::Secret::new(STRIPE_SECRET.to_owned());
        let signed =
            schemes::sign(&super::harness::profile("stripe"), &secret, draft).expect("signs");
        let request = super::harness::Signed { headers: signed.headers, body: signed.body };
        assert_eq!(gateway.post("/in/stripe", &request).await.status, 200, "{case}");
        let event = gateway.only_event().await;
        assert_eq!(event.status, EventStatus::Quarantined, "{case}: {:?}", event.reason);
        assert!(gateway.deliveries().await.is_empty(), "{case}");
    }
}

#[tokio::test]
async fn needs_confirmation_holds_a_weak_form_and_a_source_may_accept_it() {
    let secret = "whsec_one2pays_test_secret_0123456789";
    let body = r#"{"id":"evt_1","type":"payment.succeeded","data":{"id":"pay_1","amount":"1000.00","currency":"THB","status":"succeeded","referenceId":"order-12345"},"createdAt":"2024-01-01T00:00:00Z"}"#;
    let weak = |accept: bool| {
        move |settings: &mut gateway::Settings| {
            let mut source = source("weak", "one2pays-body", secret);
            source.amount_unit = source.profile.amount_units().first().cloned();
            source.accept_unconfirmed = accept;
            settings.sources = vec![source];
        }
    };
    let gateway = Harness::start(weak(false)).await;
    let request = gateway.signed("one2pays-body", secret, body);
    assert_eq!(gateway.post("/in/weak", &request).await.status, 200);
    gateway.application.stays_at(0).await;
    gateway.is_kept_as(EventStatus::Held, Some("needs_confirmation")).await;

    let gateway = Harness::start(weak(true)).await;
    assert_eq!(gateway.post("/in/weak", &request).await.status, 200);
    gateway.application.wait_for(1).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}
