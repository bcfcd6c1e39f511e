//! `Idempotency-Key`: what is asked for twice is done once.

use super::*;

async fn with_a_delivery() -> (Shop, String, String) {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let delivery = shop.delivered(&shop.accepted(1).await).await;
    (shop, key, format!("/v1/deliveries/{delivery}/redeliver"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_is_done_once_and_answered_alike() {
    let (mut shop, key, path) = with_a_delivery().await;
    let first = shop.ask(&post(&path, &key, "order-4711")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
    shop.gateway.application.wait_for(2).await;
    shop.gateway.until(|rows| rows[0].status == model::DeliveryStatus::Delivered).await;

    let second = shop.ask(&post(&path, &key, "order-4711")).await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(second.header("content-type"), first.header("content-type"));
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    // Another gateway, or this one after a restart, knows it too.
    shop.gateway = shop.gateway.restart().await;
    let third = shop.ask(&post(&path, &key, "order-4711")).await;
    assert_eq!((third.status, &third.body), (200, &first.body));
    shop.gateway.application.stays_at(2).await;
    // A day later it is another request.
    shop.gateway.advance_ms(24 * 3_600_000);
    assert_eq!(shop.ask(&post(&path, &key, "order-4711")).await.status, 200);
    shop.gateway.application.wait_for(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_key_reused_for_something_else_is_refused() {
    let (shop, key, path) = with_a_delivery().await;
    assert_eq!(shop.ask(&post(&path, &key, "1")).await.status, 200);
    let said_otherwise = post(&path, &key, "1").saying(r#"{"reason":"another"}"#);
    is_refused(&shop.ask(&said_otherwise).await, 422, "idempotency_key_reused");
    let elsewhere = "/v1/deliveries/dlv_00000000000000000000000000/redeliver";
    is_refused(&shop.ask(&post(elsewhere, &key, "1")).await, 422, "idempotency_key_reused");
    let asked = format!("{path}?a=b");
    is_refused(&shop.ask(&post(&asked, &key, "1")).await, 422, "idempotency_key_reused");
    // It is the key's own, on this route.
    let other = shop.key([Permission::DeliveriesRedeliver], Reach::default()).await;
    shop.gateway.until(|rows| rows[0].status == model::DeliveryStatus::Delivered).await;
    let reply = shop.ask(&post(&path, &other, "1").saying(r#"{"reason":"another"}"#)).await;
    assert_eq!((reply.status, reply.header("idempotent-replayed")), (200, None), "{reply:?}");
    assert_eq!(shop.ask(&post("/v1/endpoints/app/pause", &key, "1")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_key_missing_or_invalid_is_refused() {
    let (shop, key, path) = with_a_delivery().await;
    let bare = post(&path, &key, "1").without("idempotency-key");
    is_refused(&shop.ask(&bare).await, 400, "idempotency_key_missing");
    for bad in ["", "two words", &"a".repeat(256)] {
        let reply = shop.ask(&bare.clone().with("idempotency-key", bad)).await;
        is_refused(&reply, 400, "idempotency_key_invalid");
    }
    shop.gateway.application.stays_at(1).await;
    let longest = bare.with("idempotency-key", &"a".repeat(255));
    assert_eq!(shop.ask(&longest).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_running_is_told_to_whoever_comes_meanwhile() {
    let (shop, key, path) = with_a_delivery().await;
    let shop = std::sync::Arc::new(shop);
    let mut told = 0;
    for round in 0..20 {
        shop.gateway.until(|rows| rows[0].status == model::DeliveryStatus::Delivered).await;
        shop.gateway.advance_ms(2_000);
        let before = shop.gateway.application.delivered().len();
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (shop, path, key) = (shop.clone(), path.clone(), key.clone());
            let once = format!("round-{round}");
            asked.spawn(async move { shop.ask(&post(&path, &key, &once)).await });
        }
        for reply in asked.join_all().await {
            if reply.status == 409 {
                is_refused(&reply, 409, "request_running");
                told += 1;
            } else {
                assert_eq!(reply.status, 200, "{reply:?}");
            }
        }
        shop.gateway.application.wait_for(before + 1).await;
        assert_eq!(shop.gateway.application.delivered().len(), before + 1, "done once");
        if told > 0 {
            return;
        }
    }
    panic!("nobody came while a request was running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_before_it_began_can_be_asked_for_again() {
    let (shop, key, _) = with_a_delivery().await;
    let event = shop.held(1).await;
    let path = format!("/v1/events/{event}/release");
    let read = shop.key([Permission::EventsRead], Reach::default()).await;
    is_refused(&shop.ask(&post(&path, &read, "1")).await, 403, "permission_missing");
    let bad = shop.ask(&post(&path, &key, "1").saying("{}")).await;
    is_refused(&bad, 400, "body_invalid");
    assert_eq!(shop.ask(&post(&path, &key, "1")).await.status, 200);
    // What was looked at and could not be done is answered alike.
    let twice = shop.ask(&post(&path, &key, "2")).await;
    is_refused(&twice, 409, "not_held");
    let again = shop.ask(&post(&path, &key, "2")).await;
    assert_eq!((again.status, &again.body), (409, &twice.body));
    assert_eq!(again.header("content-type"), Some("application/problem+json"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}
