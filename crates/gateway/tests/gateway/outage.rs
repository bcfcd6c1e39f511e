//! When the store cannot keep an event: never a 2xx, and the provider is told to come back.

use std::sync::Arc;

use model::DeliveryStatus;
use store::Options;
use tokio::task::JoinSet;

use super::harness::{Harness, raw, small, stripe_event};

#[tokio::test]
async fn not_durable_is_503_and_nothing_is_acknowledged() {
    let gateway = Harness::stripe().await;
    // Its keys are known from then on, so that nothing but the record itself asks the store.
    for n in 1..=2 {
        gateway.send(&stripe_event(&format!("evt_{n}"), "order-1")).await;
        gateway.application.wait_for(n).await;
    }
    gateway.store.close().await;
    let reply = gateway.send(&stripe_event("evt_3", "order-1")).await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
    assert!(!reply.body.contains("store.db") && !reply.body.contains("sqlite"));
    let ready =
        raw(gateway.admin, b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(ready.status, 503);
    let alive =
        raw(gateway.admin, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(alive.status, 200);
}

#[tokio::test]
async fn overloaded_is_503_and_what_was_acknowledged_is_kept() {
    let options = Options { queue_commands_max: 1, batch_commands_max: 1, ..small() };
    let gateway = Arc::new(Harness::with_store(options, |_| {}).await);
    let mut replies = Vec::new();
    // The gateway's own writes take the one place too, and with bad luck all that a round has.
    for round in 0..20 {
        let mut tasks = JoinSet::new();
        for n in 0..100 {
            let (gateway, event) = (gateway.clone(), format!("{round}_{n}"));
            tasks.spawn(async move {
                gateway
                    .send(&stripe_event(&format!("evt_{event}"), &format!("order-{event}")))
                    .await
            });
        }
        replies.extend(tasks.join_all().await);
        if [200, 503].iter().all(|status| replies.iter().any(|reply| reply.status == *status)) {
            break;
        }
    }
    let (kept, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!kept.is_empty() && !refused.is_empty(), "{} kept", kept.len());
    for reply in refused {
        assert_eq!(reply.status, 503);
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(gateway.events().await.len(), kept.len());
    assert!(gateway.tallies().await.iter().all(|tally| tally.reason == "overloaded"));
}

#[tokio::test]
async fn ready_and_counted_while_all_is_well() {
    let gateway = Harness::stripe().await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    gateway.until(|all| all.iter().all(|one| one.status == DeliveryStatus::Delivered)).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(raw(gateway.admin, get("/readyz").as_bytes()).await.status, 200);
    let metrics = raw(gateway.admin, get("/metrics").as_bytes()).await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .body
            .contains(r#"countersign_arrivals_total{source="stripe",outcome="accepted"} 1"#),
        "{}",
        metrics.body
    );
    assert!(metrics.body.contains("countersign_deliveries_pending 0"));
    assert!(metrics.body.ends_with("# EOF\n"));
    assert_eq!(raw(gateway.admin, get("/in/stripe").as_bytes()).await.status, 404);
    assert_eq!(raw(gateway.public, get("/metrics").as_bytes()).await.status, 404);
}
