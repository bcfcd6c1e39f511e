//! API keys at running gateways: what an operator does beside them counts within a second, and no
//! request fails that should not.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gateway::api_keys::{ApiKeys, Denied, Wanted};
use gateway::operations::{Desk, Order};
use model::api_key::{ApiKey, Cause, Grant, Overlap};
use model::{Environment, Permission, Timestamp};
use store::ApiKeyRow;

use super::harness::{Harness, START_MS, root};

/// How soon what was done with a key counts at every gateway. A second is promised, and measured by
/// `./prove keys`; the machine may be busy with other tests here.
const COUNTS_WITHIN: Duration = Duration::from_secs(5);

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn order() -> Order {
    let at = Timestamp::from_millis(START_MS);
    Order {
        actor: "cli:ada".to_owned(),
        reason: "a test".to_owned(),
        at,
        request: None,
        address: None,
        agent: None,
    }
}

/// A desk beside the gateway.
pub(crate) async fn desk(gateway: &Harness) -> Desk {
    Desk::open(gateway.store_beside().await, root(), order().at).await.expect("a desk")
}

/// A key that every one of these gateways knows.
pub(crate) async fn create(desk: &Desk, gateways: &[&Harness]) -> ApiKey {
    let grant = Grant { permissions: [Permission::EventsRead].into(), ..Grant::default() };
    let wanted = Wanted { name: "shop".to_owned(), grant, days: 90 };
    let made = desk.create_api_key(Environment::Test, wanted, order()).await;
    let key = made.expect("the store answers").expect("there can be such a key").key;
    for gateway in gateways {
        until(|| show(&gateway.api_keys(), &key).is_ok()).await;
    }
    key
}

pub(crate) fn show(keys: &ApiKeys, key: &ApiKey) -> Result<bool, Denied> {
    let now = Timestamp::from_millis(START_MS);
    keys.authenticate(&key.to_text(), HERE, now).map(|caller| caller.is_old_generation)
}

/// Waits until something is so; gives how long it took.
pub(crate) async fn until(so: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if so() {
            return begun.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never became so");
}

async fn row(gateway: &Harness, key: &ApiKey) -> ApiKeyRow {
    gateway.store.api_key(key.id).await.expect("the store answers").expect("the key is kept")
}

/// Revokes a key, and sees that it lets nobody in anywhere a moment later.
pub(crate) async fn revoke_and_see(desk: &Desk, key: &ApiKey, gateways: &[&Harness]) {
    let note = desk.note(order()).await.expect("a note");
    let revoked = desk.store().revoke_api_key(key.id, Cause::Leaked, note).await;
    revoked.expect("the store answers");
    let begun = Instant::now();
    for gateway in gateways {
        until(|| show(&gateway.api_keys(), key) == Err(Denied::Revoked)).await;
    }
    assert!(begun.elapsed() <= COUNTS_WITHIN, "it took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_counts_within_a_second() {
    let gateway = Harness::stripe().await;
    let desk = desk(&gateway).await;
    let key = create(&desk, &[&gateway]).await;
    let kept = create(&desk, &[&gateway]).await;
    revoke_and_see(&desk, &key, &[&gateway]).await;
    assert_eq!(show(&gateway.api_keys(), &kept), Ok(false));
    // A gateway that starts later knows it, too.
    drop(desk);
    let gateway = gateway.restart().await;
    assert_eq!(show(&gateway.api_keys(), &key), Err(Denied::Revoked));
    assert_eq!(show(&gateway.api_keys(), &kept), Ok(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_key_is_used_is_written_by_itself_and_at_the_end() {
    let mut gateway = Harness::stripe().await;
    let desk = desk(&gateway).await;
    let key = create(&desk, &[&gateway]).await;
    let keys = gateway.api_keys();
    let used = row(&gateway, &key).await;
    let mut written = used.uses;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        written = row(&gateway, &key).await.uses;
        if written > 0 {
            break;
        }
    }
    assert!(written > 0, "it was shown until the gateway knew it");
    let address = desk.last_address(&row(&gateway, &key).await).await.expect("it opens");
    assert_eq!(address.as_deref(), Some("127.0.0.1"));
    for _ in 0..7 {
        assert_eq!(show(&keys, &key), Ok(false));
    }
    let before = gateway.store_beside().await;
    gateway.stop().await;
    let after = before.api_key(key.id).await.expect("the store answers").expect("it is kept");
    assert!(after.uses >= written + 7, "{} after {written}", after.uses);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_under_load_lets_both_in_and_the_old_one_no_longer_after_it() {
    let gateway = Harness::stripe().await;
    let desk = desk(&gateway).await;
    let old = create(&desk, &[&gateway]).await;
    let keys = gateway.api_keys();
    let (stop, shown) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = {
        let (keys, old, stop, shown) = (keys.clone(), old.clone(), stop.clone(), shown.clone());
        tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Relaxed) {
                assert!(show(&keys, &old).is_ok(), "it fails within its overlap");
                shown.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let before = row(&gateway, &old).await;
    let rolled = desk.roll_api_key(&before, Overlap::Hour, order()).await;
    let new = rolled.expect("the store answers").expect("it can be rolled").key;
    let took = until(|| show(&keys, &new).is_ok()).await;
    assert!(took <= COUNTS_WITHIN, "it took {took:?}");
    assert_eq!(show(&keys, &old), Ok(true));
    tokio::time::sleep(Duration::from_millis(600)).await;
    stop.store(true, Ordering::Relaxed);
    load.await.expect("no request failed");
    assert!(shown.load(Ordering::Relaxed) > 1_000, "{shown:?}");

    let later = Timestamp::from_millis(START_MS + Overlap::Hour.as_millis());
    let at = |key: &ApiKey| keys.authenticate(&key.to_text(), HERE, later);
    assert_eq!(at(&old), Err(Denied::Expired));
    assert!(at(&new).is_ok_and(|caller| !caller.is_old_generation));
}
