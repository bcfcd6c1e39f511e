//! Secrets that are added, rolled and retired while the gateway runs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::operations::Desk;
use model::api_key::Overlap;
use model::secret::{SecretKind, SecretState};
use model::{DeliveryStatus, SecretId};
use schemes::Secret;
use store::{SecretAdded, SecretRetired};

use super::harness::{Harness, STRIPE_SECRET, root, stripe_event};
use super::operations::order;

const NEW: &str = "whsec_test_the_new_one_0123456789abcdef";
const HOUR_MS: i64 = 3_600_000;

async fn desk(gateway: &Harness) -> Desk {
    Desk::open(gateway.store.clone(), root(), order("").at).await.expect("opens")
}

async fn add(
    gateway: &Harness,
    owner: (SecretKind, &str),
    secret: &str,
    overlap: Option<Overlap>,
) -> SecretId {
    let secret = Secret::new(secret.to_owned());
    let mut told = order("asked");
    told.at = model::Timestamp::from_millis(gateway.now_ms());
    let added = desk(gateway).await.add_secret(owner, &secret, overlap, told).await;
    let (id, added) = added.expect("adds");
    assert_eq!(added, SecretAdded::Done);
    id
}

/// The status of a webhook that is signed with a secret.
async fn status(gateway: &Harness, secret: &str, n: u32) -> u16 {
    let event = stripe_event(&format!("evt_{n}"), "order-1");
    let signed = gateway.signed("stripe", secret, &event);
    gateway.post("/in/stripe", &signed).await.status
}

/// Waits until webhooks that are signed with a secret are answered so.
async fn until(gateway: &Harness, secret: &str, wanted: u16) {
    for n in 0..300 {
        if status(gateway, secret, 10_000 + n).await == wanted {
            return;
        }
        // More of them would be limited.
        tokio::time::sleep(Duration::from_millis(100)).await;
        gateway.advance_ms(100);
    }
    panic!("never {wanted}");
}

async fn state(gateway: &Harness, id: SecretId) -> SecretState {
    let now = model::Timestamp::from_millis(gateway.now_ms());
    let rows = desk(gateway).await.secrets(now).await.expect("reads");
    rows.iter().find(|(row, _)| row.id == id).expect("it is there").1
}

#[tokio::test]
async fn a_source_verifies_with_what_was_added_and_not_with_what_was_retired() {
    let gateway = Harness::stripe().await;
    assert_eq!(status(&gateway, NEW, 1).await, 401);
    let stripe = (SecretKind::Source, "stripe");
    let first = add(&gateway, stripe, NEW, None).await;
    until(&gateway, NEW, 200).await;
    assert_eq!(status(&gateway, STRIPE_SECRET, 2).await, 200);
    // The same on a gateway that starts later.
    let gateway = gateway.restart().await;
    assert_eq!(status(&gateway, NEW, 3).await, 200);
    assert_eq!(status(&gateway, STRIPE_SECRET, 4).await, 200);

    let retired = desk(&gateway).await.retire_secret(first, true, order("leaked")).await;
    assert_eq!(retired.expect("retires"), SecretRetired::Done);
    until(&gateway, NEW, 401).await;
    assert_eq!(status(&gateway, STRIPE_SECRET, 5).await, 200);
}

#[tokio::test]
async fn the_old_one_ends_after_its_overlap_once_the_new_one_has_verified_a_message() {
    let gateway = Harness::stripe().await;
    let stripe = (SecretKind::Source, "stripe");
    let old = add(&gateway, stripe, NEW, None).await;
    until(&gateway, NEW, 200).await;
    let newest = "whsec_test_the_newest_0123456789abcdef";
    gateway.advance_ms(1_000);
    add(&gateway, stripe, newest, Some(Overlap::Hour)).await;
    assert_eq!(state(&gateway, old).await, SecretState::Ending);
    gateway.advance_ms(2 * HOUR_MS);
    // Nothing was signed with the new one: whoever was not told of it is not locked out.
    assert_eq!(state(&gateway, old).await, SecretState::Waiting);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(status(&gateway, NEW, 1).await, 200);
    until(&gateway, newest, 200).await;
    until(&gateway, NEW, 401).await;
    assert_eq!(state(&gateway, old).await, SecretState::Retired);
    assert_eq!(status(&gateway, newest, 2).await, 200);
}

#[tokio::test]
async fn deliveries_are_signed_with_both_until_the_overlap_ends() {
    let gateway = Harness::stripe().await;
    let secret = |byte: u8| format!("whsec_{}", STANDARD.encode([byte; 32]));
    let app = (SecretKind::Endpoint, "app");
    let first = add(&gateway, app, &secret(21), None).await;
    let signatures = async |n: usize| {
        gateway.send(&stripe_event(&format!("evt_{n}"), &format!("order-{n}"))).await;
        let all = gateway.application.wait_for(n).await;
        all[n - 1].header("webhook-signature").split(' ').count()
    };
    let mut n = 0;
    let mut until = async |wanted: usize| {
        for _ in 0..300 {
            n += 1;
            if signatures(n).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {wanted} signatures");
    };
    until(2).await;
    gateway.advance_ms(1_000);
    add(&gateway, app, &secret(22), Some(Overlap::Hour)).await;
    until(3).await;
    // A lease that is over before what became of it is kept lets it go out again.
    gateway.until(|all| all.iter().all(|one| one.status == DeliveryStatus::Delivered)).await;
    gateway.advance_ms(2 * HOUR_MS);
    until(2).await;
    assert_eq!(state(&gateway, first).await, SecretState::Retired);
}

#[tokio::test]
async fn configured_secrets_have_an_age_which_is_told() {
    let gateway = Harness::stripe().await;
    let gateway = gateway.restart().await;
    gateway.advance_ms(80 * 86_400_000);
    for _ in 0..1_500 {
        let metrics = gateway.metrics().await;
        if metrics.contains(r#"countersign_secret_age_days{kind="source",owner="stripe"} 80"#) {
            let now = model::Timestamp::from_millis(gateway.now_ms());
            let rows = desk(&gateway).await.secrets(now).await.expect("reads");
            assert_eq!(rows.len(), 2);
            assert!(rows.iter().all(|(row, _)| row.sealed.is_none() && row.life.is_old(now)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the age is not told");
}
