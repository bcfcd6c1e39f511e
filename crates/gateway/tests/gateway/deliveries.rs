//! What the way out does when the application is slow, broken, overloaded or gone.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{AttemptOutcome, DeliveryStatus};
use schemes::Secret;
use schemes::standard_webhooks::SigningKey;
use store::EndpointState;

use super::application::Behaviour;
use super::harness::{Harness, source, stripe_event};

#[tokio::test]
async fn a_failed_delivery_is_tried_again_under_the_same_id() {
    let gateway = Harness::stripe().await;
    gateway.application.then([Behaviour::Answer(500)]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let first = gateway.application.wait_for(1).await;
    gateway.application.stays_at(1).await;
    gateway.advance_ms(6_000);
    let both = gateway.application.wait_for(2).await;
    assert_eq!(both[1].header("webhook-id"), first[0].header("webhook-id"));
    assert_ne!(both[1].header("webhook-timestamp"), first[0].header("webhook-timestamp"));
    assert_ne!(both[1].header("webhook-signature"), first[0].header("webhook-signature"));
    let deliveries = gateway.until(|d| d[0].status == DeliveryStatus::Delivered).await;
    assert_eq!(deliveries[0].attempts, 2);
    let attempts = gateway.store.attempts(deliveries[0].id).await.expect("attempts");
    let outcomes: Vec<_> = attempts.iter().map(|a| (a.outcome, a.http_status)).collect();
    assert_eq!(
        outcomes,
        [(AttemptOutcome::Refused, Some(500)), (AttemptOutcome::Delivered, Some(200))]
    );
}

#[tokio::test]
async fn ten_attempts_and_then_a_dead_letter_that_can_be_redelivered() {
    let gateway = Harness::stripe().await;
    gateway.application.then((0..10).map(|_| Behaviour::Answer(503)));
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    for attempt in 1..=10 {
        gateway.application.wait_for(attempt).await;
        gateway.until(|d| d[0].attempts == u32::try_from(attempt).expect("small")).await;
        gateway.advance_ms(2 * 86_400_000);
    }
    let dead = gateway.until(|d| d[0].status == DeliveryStatus::Dead).await;
    gateway.application.stays_at(10).await;
    let note = super::operations::note(&gateway, "fixed the application").await;
    assert_eq!(gateway.store.redeliver(vec![dead[0].id], note).await.expect("redelivers"), 1);
    let all = gateway.application.wait_for(11).await;
    assert_eq!(all[10].header("webhook-id"), all[0].header("webhook-id"));
    let deliveries = gateway.until(|d| d[0].status == DeliveryStatus::Delivered).await;
    assert_eq!(deliveries[0].attempts, 11);
}

#[tokio::test]
async fn gone_disables_the_endpoint_until_a_person_enables_it() {
    let gateway = Harness::stripe().await;
    gateway.application.then([Behaviour::Answer(410)]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.until(|d| d[0].status == DeliveryStatus::Dead).await;
    gateway.send(&stripe_event("evt_2", "order-2")).await;
    gateway.application.stays_at(1).await;
    let states = gateway.store.endpoint_states().await.expect("states");
    assert_eq!(states[0].1, EndpointState::Disabled);
    let note = super::operations::note(&gateway, "it is back").await;
    gateway.store.set_endpoint_state("app", EndpointState::Active, note).await.expect("enables");
    gateway.application.wait_for(2).await;
}

#[tokio::test]
async fn retry_after_is_honoured_within_bounds() {
    let gateway = Harness::stripe().await;
    gateway.application.then([Behaviour::Answer(500), Behaviour::RetryAfter(503, "550")]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.until(|d| d[0].attempts == 1).await;
    gateway.advance_ms(6_000);
    gateway.application.wait_for(2).await;
    let waiting = gateway.until(|d| d[0].attempts == 2).await;
    let wait_ms = waiting[0].next_at.expect("it will be tried").as_millis() - gateway.now_ms();
    assert!((550_000..=600_000).contains(&wait_ms), "{wait_ms}");
}

#[tokio::test]
async fn events_of_one_order_go_in_order_and_a_stuck_head_is_parked() {
    let gateway = Harness::stripe().await;
    gateway.application.then((0..4).map(|_| Behaviour::Answer(500)));
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.send(&stripe_event("evt_2", "order-1")).await;
    gateway.application.stays_at(1).await;
    gateway.until(|d| d[0].attempts == 1).await;
    for attempt in 2..=3 {
        gateway.advance_ms(9_000_000);
        gateway.application.wait_for(attempt).await;
        gateway.until(|d| d[0].attempts == u32::try_from(attempt).expect("small")).await;
    }
    // The head fails for the fourth time: it is parked, and the next one goes.
    gateway.advance_ms(9_000_000);
    let all = gateway.application.wait_for(5).await;
    assert_ne!(all[4].header("webhook-id"), all[0].header("webhook-id"));
    let deliveries = gateway.until(|d| d[1].status == DeliveryStatus::Delivered).await;
    assert!(deliveries[0].parked);
    let sequence = |n: usize| all[n].document()["sequence"].as_i64().expect("a number");
    assert!(sequence(4) > sequence(0));
}

#[tokio::test]
async fn other_orders_do_not_wait_for_a_stuck_one() {
    let gateway = Harness::stripe().await;
    gateway.application.then([Behaviour::Answer(500)]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.send(&stripe_event("evt_2", "order-2")).await;
    gateway.application.wait_for(2).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let gateway = Harness::stripe().await;
    let elsewhere = super::application::Application::start().await;
    let to = format!("http://{}/webhooks", elsewhere.address);
    gateway.application.then([Behaviour::Redirect(to)]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    let deliveries = gateway.until(|d| d[0].attempts == 1).await;
    assert_eq!(deliveries[0].status, DeliveryStatus::Pending);
    elsewhere.stays_at(0).await;
}

#[tokio::test]
async fn a_private_address_is_forbidden_unless_allowed() {
    let gateway = Harness::start(|settings| settings.endpoints[0].allow_private = false).await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let deliveries = gateway.until(|d| !d.is_empty() && d[0].attempts == 1).await;
    let attempts = gateway.store.attempts(deliveries[0].id).await.expect("attempts");
    assert_eq!(attempts[0].outcome, AttemptOutcome::Forbidden);
    gateway.application.stays_at(0).await;
}

#[tokio::test]
async fn an_endless_answer_is_read_no_further_than_a_bound() {
    let gateway = Harness::stripe().await;
    gateway.application.then([Behaviour::Endless]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.until(|d| d[0].status == DeliveryStatus::Delivered).await;
}

#[tokio::test]
async fn a_paused_endpoint_keeps_its_deliveries() {
    let gateway = Harness::start(|settings| settings.endpoints[0].paused = true).await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.stays_at(0).await;
    assert_eq!(gateway.deliveries().await.len(), 1);
    let gateway = gateway.restart().await;
    gateway.application.wait_for(1).await;
}

#[tokio::test]
async fn format_original_delivers_the_providers_bytes() {
    let gateway =
        Harness::start(|settings| settings.endpoints[0].format = gateway::Format::Original).await;
    let body = stripe_event("evt_1", "order-1");
    gateway.send(&body).await;
    let delivered = gateway.application.wait_for(1).await;
    assert_eq!(delivered[0].body, body.as_bytes());
    assert_eq!(delivered[0].header("content-type"), "application/json");
    assert!(delivered[0].header("webhook-signature").starts_with("v1,"));
}

#[tokio::test]
async fn every_endpoint_of_a_source_gets_its_own_delivery() {
    let second = super::application::Application::start().await;
    let address = second.address;
    let gateway = Harness::start(move |settings| {
        settings.endpoints.push(super::harness::endpoint("second", address));
        let mut both = source("stripe", "stripe", super::harness::STRIPE_SECRET);
        both.endpoints = vec!["app".to_owned(), "second".to_owned()];
        settings.sources = vec![both];
    })
    .await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let one = gateway.application.wait_for(1).await;
    let two = second.wait_for(1).await;
    assert_eq!(one[0].header("webhook-id"), two[0].header("webhook-id"));
}

#[tokio::test]
async fn stopping_waits_for_the_attempt_in_flight() {
    let mut gateway = Harness::stripe().await;
    gateway.application.then([Behaviour::Delay(Duration::from_millis(300))]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.stop().await;
    let gateway = gateway.restart().await;
    gateway.until(|d| d[0].status == DeliveryStatus::Delivered).await;
    gateway.application.stays_at(1).await;
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone_and_costs_no_attempts() {
    let gateway = Harness::stripe().await;
    gateway.application.then((0..7).map(|_| Behaviour::Answer(500)));
    for n in 1..=5 {
        gateway.send(&stripe_event(&format!("evt_{n}"), &format!("order-{n}"))).await;
        gateway.application.wait_for(n).await;
    }
    gateway.until(|all| all.iter().all(|delivery| delivery.attempts == 1)).await;
    let rests = gateway.store.endpoint_rests().await.expect("rests");
    assert_eq!(rests[0].0, "app");
    assert!(gateway.metrics().await.contains(r#"countersign_breaker_open{endpoint="app"} 1"#));

    // Fresh work waits without an attempt until the pause is over; then one goes at a time.
    gateway.send(&stripe_event("evt_6", "order-6")).await;
    gateway.application.stays_at(5).await;
    gateway.advance_ms(6_000);
    gateway.application.wait_for(6).await;
    gateway.application.stays_at(6).await;
    gateway.advance_ms(11_000);
    gateway.application.wait_for(7).await;
    let attempts: u32 = gateway.deliveries().await.iter().map(|d| d.attempts).sum();
    assert!(attempts <= 7, "{attempts}");

    // The next probe succeeds, and everything that waits goes.
    gateway.advance_ms(600_000);
    gateway.until(|all| all.iter().all(|d| d.status == DeliveryStatus::Delivered)).await;
    assert_eq!(gateway.store.endpoint_rests().await.expect("rests"), []);
    assert!(gateway.metrics().await.contains(r#"countersign_breaker_open{endpoint="app"} 0"#));
}

#[tokio::test]
async fn a_start_leaves_no_endpoint_alone() {
    let gateway = Harness::stripe().await;
    gateway.application.then((0..5).map(|_| Behaviour::Answer(500)));
    for n in 1..=5 {
        gateway.send(&stripe_event(&format!("evt_{n}"), &format!("order-{n}"))).await;
    }
    gateway.until(|all| all.iter().filter(|delivery| delivery.attempts == 1).count() == 5).await;
    let gateway = gateway.restart().await;
    let rests = gateway.store.endpoint_rests().await.expect("rests");
    gateway.send(&stripe_event("evt_6", "order-6")).await;
    if !crate::backend().is_alone {
        // A gateway beside this one may have found out a moment ago that the endpoint fails.
        assert_eq!(rests.len(), 1);
        gateway.application.stays_at(5).await;
        gateway.advance_ms(600_000);
        gateway.until(|all| all.iter().all(|d| d.status == DeliveryStatus::Delivered)).await;
        return;
    }
    assert_eq!(rests, []);
    gateway.application.wait_for(6).await;
}

#[tokio::test]
async fn extra_headers_and_another_prefix_go_with_every_delivery() {
    let gateway = Harness::start(|settings| {
        let endpoint = &mut settings.endpoints[0];
        endpoint.header_prefix = "svix".to_owned();
        endpoint.headers.insert("x-api-key", "key_test_1".parse().expect("a value"));
    })
    .await;
    gateway.application.then([Behaviour::Answer(500)]);
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.until(|d| d[0].attempts == 1).await;
    gateway.advance_ms(6_000);
    for delivered in gateway.application.wait_for(2).await {
        assert_eq!(delivered.header("x-api-key"), "key_test_1");
        assert!(delivered.header("svix-id").starts_with("evt_"));
        assert!(delivered.header("svix-signature").starts_with("v1,"));
        assert!(!delivered.header("svix-timestamp").is_empty());
        assert_eq!(delivered.header("webhook-id"), "");
    }
}

#[tokio::test]
async fn every_secret_signs_so_that_a_rotation_loses_nothing() {
    let second = format!("whsec_{}", STANDARD.encode([8_u8; 32]));
    let gateway = Harness::start(|settings| {
        settings.endpoints[0].secrets.push(Secret::new(second));
    })
    .await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let delivered = gateway.application.wait_for(1).await;
    let signatures: Vec<_> = delivered[0].header("webhook-signature").split(' ').collect();
    assert_eq!(signatures.len(), 2);
    for (signature, byte) in signatures.iter().zip([7_u8, 8]) {
        let secret = format!("whsec_{}", STANDARD.encode([byte; 32]));
        let key = SigningKey::parse(&Secret::new(secret)).expect("a key");
        let time = delivered[0].header("webhook-timestamp").parse().expect("a number");
        let id = delivered[0].header("webhook-id");
        assert_eq!(*signature, key.sign(id, time, &delivered[0].body));
    }
}

#[tokio::test]
async fn a_body_that_is_past_its_retention_is_gone_and_the_event_is_not() {
    const DAY_MS: i64 = 86_400_000;
    let gateway = Harness::stripe().await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.until(|all| all.iter().any(|d| d.status == DeliveryStatus::Delivered)).await;
    let event = gateway.only_event().await;
    // The days pass one by one: a clock that jumps makes nothing old.
    for _ in 0..10 {
        gateway.advance_ms(DAY_MS);
        let now = model::Timestamp::from_millis(gateway.now_ms());
        gateway.store.forget(now).await.expect("forgets");
    }
    let gateway = gateway.restart_with(|settings| settings.retention.bodies_days = Some(8)).await;
    for _ in 0..3_000 {
        if gateway.store.body(event.id).await.expect("reads").is_none() {
            assert_eq!(gateway.only_event().await, event);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the body is still there");
}
