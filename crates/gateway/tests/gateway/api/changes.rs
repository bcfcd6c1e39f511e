//! What is done by the API: decided, delivered again, paused and resumed; and what cannot be.

use store::Action;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_event_is_delivered_and_who_released_it_is_written_down() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let event = shop.held(1).await;
    let path = format!("/v1/events/{event}/release");
    let reply = shop.ask(&post(&path, &key, "once").with("user-agent", "shop/1")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let decided = json(&reply);
    assert_eq!(decided["event"]["status"], "accepted");
    assert_eq!(decided["endpoints"], serde_json::json!(["books"]));
    shop.gateway.application.wait_for(1).await;

    let entries = shop.gateway.store.entries(0, 100).await.expect("entries");
    let released = entries.iter().find(|entry| entry.action == Action::Released).expect("one");
    assert!(released.actor.starts_with("key_"), "{}", released.actor);
    assert_eq!(released.resource, event);
    let request = released.request.map(|request| request.to_string());
    assert_eq!(request.as_deref(), reply.header("x-request-id"));
    let shown = shop.desk.shown(released).await.expect("opens").expect("it says something");
    assert_eq!(shown.agent.as_deref(), Some("shop/1"));
    assert_eq!(shown.address.as_deref(), Some("127.0.0.1"));
    assert_eq!(shown.note.as_deref(), Some("checked with the provider"));

    let again = shop.ask(&post(&path, &key, "twice")).await;
    is_refused(&again, 409, "not_held");
    assert_eq!(json(&again)["place"], "accepted");
    shop.gateway.application.stays_at(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_held_is_what_is_decided_already() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let event = shop.held(1).await;
    let deny = format!("/v1/events/{event}/deny");
    let reply = json(&shop.ask(&post(&deny, &key, "1")).await);
    assert_eq!(reply["event"]["status"], "denied");
    assert_eq!(reply["endpoints"], serde_json::json!([]));
    for (n, path) in [deny, format!("/v1/events/{event}/release")].iter().enumerate() {
        let reply = shop.ask(&post(path, &key, &format!("again {n}").replace(' ', "-"))).await;
        is_refused(&reply, 409, "not_held");
        assert_eq!(json(&reply)["place"], "denied");
    }
    shop.gateway.application.stays_at(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redacted_original_only_has_nobody_to_go_to() {
    let shop = Shop::open_with(|settings| {
        settings.endpoints[1].format = gateway::Format::Original;
    })
    .await;
    let key = shop.full_key().await;
    let good = shop.held(1).await;
    let body = r#"{"id":"evt_w2","type":"payment.succeeded","note":"4242 4242 4242 4242","data":{"id":"pay_2","amount":"1000.00","currency":"THB","status":"succeeded","referenceId":"order-2"},"createdAt":"2024-01-01T00:00:00Z"}"#;
    let request = shop.gateway.signed("one2pays-body", WEAK_SECRET, body);
    assert_eq!(shop.gateway.post("/in/weak", &request).await.status, 200);
    let redacted = shop.newest("weak", EventStatus::Held).await;
    let path = format!("/v1/events/{redacted}/release");
    is_refused(&shop.ask(&post(&path, &key, "1")).await, 409, "redacted_original_only");
    let path = format!("/v1/events/{good}/release");
    assert_eq!(shop.ask(&post(&path, &key, "2")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_goes_again_unless_it_is_on_its_way() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let event = shop.accepted(1).await;
    let delivery = shop.delivered(&event).await;
    let path = format!("/v1/deliveries/{delivery}/redeliver");
    let pause = shop.ask(&post("/v1/endpoints/app/pause", &key, "1")).await;
    assert_eq!(json(&pause)["state"], "paused", "{pause:?}");
    let reply = json(&shop.ask(&post(&path, &key, "2")).await);
    assert_eq!((&reply["id"], &reply["status"]), (&delivery.into(), &"pending".into()));
    is_refused(&shop.ask(&post(&path, &key, "3")).await, 409, "delivery_pending");
    shop.gateway.application.stays_at(1).await;
    let resume = shop.ask(&post("/v1/endpoints/app/resume", &key, "4")).await;
    assert_eq!(json(&resume)["state"], "active", "{resume:?}");
    let sent = shop.gateway.application.wait_for(2).await;
    assert_eq!(sent[0].header("webhook-id"), sent[1].header("webhook-id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_gone_leaves_nothing_to_deliver() {
    let days = store::BODIES_DAYS_MIN;
    let shop = Shop::open().await;
    let held = shop.held(1).await;
    let key = shop.full_key().await;
    let old = model::Timestamp::from_millis(shop.gateway.now_ms())
        .plus_millis((i64::from(days) + 40) * 86_400_000);
    let retention = store::Retention { bodies_days: Some(days), ..Default::default() };
    shop.gateway.store.retain(old, retention).await.expect("retains");
    if shop.gateway.store.body(held.parse().expect("an id")).await.expect("a look").is_some() {
        // Of a server whole partitions go, and this one is young.
        return;
    }
    let path = format!("/v1/events/{held}/release");
    is_refused(&shop.ask(&post(&path, &key, "1")).await, 409, "body_gone");
    let path = format!("/v1/events/{held}/deny");
    assert_eq!(shop.ask(&post(&path, &key, "2")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_several_sources_is_for_keys_that_reach_them_all() {
    let shop = Shop::open_with(|settings| {
        settings.sources[1].endpoints.push("app".to_owned());
    })
    .await;
    let pause = "/v1/endpoints/app/pause";
    for source in ["stripe", "weak"] {
        let key = shop.key(every_permission(), of_source(source)).await;
        is_refused(&shop.ask(&post(pause, &key, "1")).await, 403, "out_of_reach");
    }
    let both = Reach { sources: Some(["stripe".into(), "weak".into()].into()), ..Reach::default() };
    let key = shop.key(every_permission(), both).await;
    is_refused(
        &shop.ask(&post("/v1/endpoints/lonely/pause", &key, "1")).await,
        403,
        "out_of_reach",
    );
    assert_eq!(shop.ask(&post(pause, &key, "2")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_read_strictly() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let event = shop.held(1).await;
    let path = format!("/v1/events/{event}/release");
    let ask = async |request: Request<'_>| shop.ask(&request).await;
    for (body, place) in [
        (r#"{"reason":"a","colour":"red"}"#, "colour"),
        (r#"{"reason":"a","reason":"b"}"#, "reason"),
        (r#"{"reason":["a"]}"#, "reason"),
        (r#"{"reason":"  "}"#, "reason"),
        ("{}", "reason"),
        ("null", "."),
    ] {
        let reply = ask(post(&path, &key, "same").saying(body)).await;
        is_refused(&reply, 400, "body_invalid");
        assert_eq!(json(&reply)["place"], place, "{body}");
    }
    for body in ["", "{", "reason", r#"{"reason":"a"}x"#] {
        is_refused(&ask(post(&path, &key, "same").saying(body)).await, 400, "body_malformed");
    }
    let long = format!(r#"{{"reason":"{}"}}"#, "a".repeat(16 * 1024));
    is_refused(&ask(post(&path, &key, "same").saying(&long)).await, 413, "body_too_large");
    let plain = post(&path, &key, "same").without("content-type");
    is_refused(&ask(plain.clone()).await, 415, "content_type");
    is_refused(&ask(plain.with("content-type", "text/plain")).await, 415, "content_type");
    let packed = post(&path, &key, "same").with("content-encoding", "gzip");
    is_refused(&ask(packed).await, 415, "content_encoding");
    // None of these came so far that its key of idempotency is used up.
    assert_eq!(ask(post(&path, &key, "same")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_ends_early_or_takes_too_long_is_refused() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let path = format!("/v1/events/{}/release", shop.held(1).await);
    let mut bytes = post(&path, &key, "1").bytes();
    bytes.truncate(bytes.len() - 3);
    for (hangs_up, status, code) in [(true, 400, "body_incomplete"), (false, 408, "body_too_slow")]
    {
        let mut stream = tokio::net::TcpStream::connect(shop.gateway.api).await.expect("connects");
        stream.write_all(&bytes).await.expect("written");
        if hangs_up {
            stream.shutdown().await.expect("shut");
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let reply = Reply::of(&answer);
        // Whoever hangs up may not hear of it.
        if !hangs_up || !answer.is_empty() {
            is_refused(&reply, status, code);
        }
    }
    assert_eq!(shop.newest("weak", EventStatus::Held).await.len(), 30);
}
