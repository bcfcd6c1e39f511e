//! The application over HTTP: what it accepts, once, and how it misbehaves when told to.

use super::*;
use crate::wire::{Answer, Request, Route, send};
use aws_lc_rs::hmac;

const KEY: [u8; 32] = [7; 32];

fn secret() -> WebhookSecret {
    WebhookSecret::parse(&format!("whsec_{}", STANDARD.encode(KEY))).expect("well formed")
}

fn delivery(id: &str, body: &str) -> Request {
    let time = (now_ms() / 1000).to_string();
    let message = format!("{id}.{time}.{body}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), message.as_bytes());
    Request::post_json("/webhooks", body.into())
        .with("webhook-id", id)
        .with("webhook-timestamp", time)
        .with("webhook-signature", format!("v1,{}", STANDARD.encode(tag)))
}

fn document(order: u32) -> String {
    let data = STANDARD.encode(format!("{{\"order\":{order}}}"));
    format!(
        r#"{{"id":"evt_x","type":"payment.succeeded","source":"stripe","covers":"full","sequence":{order},"body_base64":"{data}"}}"#
    )
}

async fn post(app: &Application, request: &Request) -> Answer {
    send(app.address(), Route::BALANCER, Route::Direct, request, 5000).await.expect("an answer")
}

#[tokio::test]
async fn a_genuine_delivery_is_taken_once() {
    let app = Application::start(secret()).await.expect("it starts");
    let request = delivery("evt_1", &document(1));
    assert_eq!(post(&app, &request).await.status, 200);
    assert_eq!(post(&app, &request).await.status, 200);
    let diary = app.diary();
    assert_eq!(diary.accepted.len(), 1);
    assert_eq!(diary.repeated, 1);
    let first = diary.accepted.first().expect("one");
    assert_eq!(first.webhook_id, "evt_1");
    assert_eq!(first.source, "stripe");
    assert_eq!(first.body, b"{\"order\":1}");
    assert_eq!(first.sequence, Some(1));
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_noted() {
    let app = Application::start(secret()).await.expect("it starts");
    let forged = delivery("evt_1", &document(1)).replacing("webhook-id", "evt_2");
    assert_eq!(post(&app, &forged).await.status, 401);
    assert_eq!(post(&app, &delivery("evt_3", "[]")).await.status, 401);
    assert_eq!(post(&app, &Request::post_json("/elsewhere", Vec::new())).await.status, 404);
    let diary = app.diary();
    assert!(diary.accepted.is_empty());
    assert_eq!(diary.refused, [Refusal::BadSignature, Refusal::NotADelivery]);
}

#[tokio::test]
async fn moods_wear_off() {
    let app = Application::start(secret()).await.expect("it starts");
    app.feel(Mood::Failing { status: 410, times: 2 });
    let request = delivery("evt_1", &document(1));
    assert_eq!(post(&app, &request).await.status, 410);
    assert_eq!(post(&app, &request).await.status, 410);
    assert_eq!(post(&app, &request).await.status, 200);
    app.feel(Mood::Slow { wait_ms: 50, times: 1 });
    let second = delivery("evt_2", &document(2));
    assert!(send(app.address(), Route::BALANCER, Route::Direct, &second, 10).await.is_err());
    assert_eq!(post(&app, &second).await.status, 200);
    let diary = app.diary();
    assert_eq!(diary.failed, 2);
    assert_eq!(diary.accepted.len(), 2);
}

#[tokio::test]
async fn a_losing_application_says_yes_and_keeps_nothing() {
    let app = Application::start(secret()).await.expect("it starts");
    app.feel(Mood::Losing);
    assert_eq!(post(&app, &delivery("evt_1", &document(1))).await.status, 200);
    assert_eq!(app.accepted(), 0);
}

#[tokio::test]
async fn the_log_can_be_read_over_http() {
    let app = Application::start(secret()).await.expect("it starts");
    post(&app, &delivery("evt_1", &document(1))).await;
    let mut request = Request::post_json("/log", Vec::new());
    request.method = "GET".into();
    let log: Value = serde_json::from_slice(&post(&app, &request).await.body).expect("JSON");
    assert_eq!(log.as_array().map(Vec::len), Some(1));
}
