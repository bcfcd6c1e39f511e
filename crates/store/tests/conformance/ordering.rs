//! One in flight per endpoint and order key, until the head has failed too often.

use std::collections::{BTreeMap, BTreeSet};

use model::retry::HEAD_ATTEMPTS;
use store::{Leased, Then};

use super::fixture::*;

pub(crate) async fn one_is_in_flight_per_key_and_endpoint(place: Place) {
    let store = place.open().await;
    for n in 1..=3 {
        keep(&store, draft(n).ordered(9).to("app").to("books")).await;
    }
    keep(&store, draft(4).ordered(8).to("app")).await;
    let first = lease(&store, NOON, "app", 8).await;
    assert_eq!(numbers(&first), [1, 4]);
    assert_eq!(numbers(&lease(&store, NOON, "app", 8).await), [0_u64; 0]);
    assert_eq!(numbers(&lease(&store, NOON, "books", 8).await), [1], "another endpoint's key");
    settle(&store, &first[0], after(1), Then::Delivered).await;
    let second = lease(&store, after(1), "app", 8).await;
    assert_eq!(numbers(&second), [2]);
    settle(&store, &second[0], after(2), Then::Delivered).await;
    assert_eq!(numbers(&lease(&store, after(2), "app", 8).await), [3]);
}

pub(crate) async fn a_failing_head_holds_its_key_until_it_is_parked(place: Place) {
    let store = place.open().await;
    for n in 1..=3 {
        keep(&store, draft(n).ordered(9).to("app")).await;
    }
    let mut now = NOON;
    for attempt in 1..=HEAD_ATTEMPTS {
        let leased = lease(&store, now, "app", 8).await;
        assert_eq!(numbers(&leased), [1], "attempt {attempt}");
        assert_eq!(store.counts().await.unwrap().parked, 0);
        let next = now.plus_millis(5_000);
        settle(&store, &leased[0], now.plus_millis(1), Then::Again(next)).await;
        now = next;
    }
    // Parked: it goes on by itself, and the key moves on beside it.
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.parked, counts.pending), (1, 3));
    let leased = lease(&store, now, "app", 8).await;
    assert_eq!(numbers(&leased), [2, 1]);
    assert_eq!(leased[1].attempt, HEAD_ATTEMPTS + 1);
    settle(&store, &leased[1], now, Then::Again(now.plus_millis(5_000))).await;
    assert_eq!(numbers(&lease(&store, now, "app", 8).await), [0_u64; 0], "2 is its key's head now");
    settle(&store, &leased[0], now, Then::Delivered).await;
    assert_eq!(numbers(&lease(&store, now, "app", 8).await), [3]);
}

pub(crate) async fn a_dead_head_lets_its_key_go(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).ordered(9).to("app")).await;
    keep(&store, draft(2).ordered(9).to("app")).await;
    let leased = lease(&store, NOON, "app", 8).await;
    assert_eq!(numbers(&lease(&store, NOON, "app", 8).await), [0_u64; 0]);
    settle(&store, &leased[0], after(1), Then::Dead).await;
    assert_eq!(numbers(&lease(&store, after(1), "app", 8).await), [2]);
}

pub(crate) async fn without_a_key_nothing_waits(place: Place) {
    let store = place.open().await;
    for n in 1..=5 {
        keep(&store, draft(n).to("app")).await;
    }
    assert_eq!(numbers(&lease(&store, NOON, "app", 8).await), [1, 2, 3, 4, 5]);
}

pub(crate) async fn a_long_backlog_of_one_key_does_not_hide_another(place: Place) {
    let store = place.open().await;
    for thousand in 0..3 {
        let drafts = (0..1_000).map(|n| draft(thousand * 1_000 + n).ordered(9).to("app")).collect();
        store.record(arrival(100_000 + thousand, drafts)).await.unwrap();
    }
    keep(&store, draft(5_000).ordered(8).to("app")).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(numbers(&lease(&store, NOON, "app", 8).await));
    }
    assert_eq!(seen, [0, 5_000]);
}

pub(crate) async fn blocked_ones_go_in_order(place: Place) {
    let store = place.open().await;
    for n in 1..=20 {
        keep(&store, draft(n).ordered(n % 2).to("app")).await;
    }
    let mut order: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut added = 100;
    loop {
        let leased = lease(&store, NOON, "app", 1).await;
        let Some(one) = leased.first() else { break };
        let n = number(one.event.id);
        order.entry(n % 2).or_default().push(n);
        // Others arrive while it is under way.
        if added < 110 {
            keep(&store, draft(added).ordered(added % 2).to("app")).await;
            added += 1;
        }
        settle(&store, one, after(1), Then::Delivered).await;
    }
    for (key, order) in order {
        assert_eq!(order.len(), 15, "key {key}");
        assert!(order.is_sorted(), "key {key}: {order:?}");
    }
}

pub(crate) async fn a_redelivered_one_goes_before_younger_ones(place: Place) {
    let store = place.open().await;
    for n in 1..=4 {
        keep(&store, draft(n).ordered(9).to("app")).await;
    }
    let first = lease(&store, NOON, "app", 8).await.pop().unwrap();
    settle(&store, &first, after(1), Then::Dead).await;
    let second = lease(&store, after(1), "app", 8).await.pop().unwrap();
    store.redeliver(vec![first.delivery], note()).await.unwrap();
    assert_eq!(numbers(&lease(&store, after(2_000), "app", 8).await), [0_u64; 0], "2 is under way");
    settle(&store, &second, after(2_000), Then::Delivered).await;
    // 3 was freed by 2 or 1 was found first: either way one at a time, and all of them.
    let mut seen = Vec::new();
    while let Some(leased) = lease(&store, after(2_000), "app", 8).await.pop() {
        seen.push(number(leased.event.id));
        settle(&store, &leased, after(2_001), Then::Delivered).await;
    }
    assert_eq!(seen, [1, 3, 4]);
}

/// Many keys, endpoints and fates, from a fixed seed: never two of a key in flight unless parked,
/// never a younger one before an older one that is not parked, and in the end everything is over.
pub(crate) async fn random_histories_keep_the_order(place: Place) {
    let store = place.open().await;
    for n in 0..150 {
        keep(&store, draft(n).ordered(n % 6).to("app").to("books")).await;
    }
    let mut random = 42_u64;
    let mut next = |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut in_flight: Vec<Leased> = Vec::new();
    let mut open: BTreeSet<(String, u64)> =
        (0..150).flat_map(|n| [("app".to_owned(), n), ("books".to_owned(), n)]).collect();
    let mut now = NOON;
    for step in 0..20_000 {
        if open.is_empty() {
            return;
        }
        now = now.plus_millis(i64::try_from(next(2_000)).unwrap());
        let slots = usize::try_from(next(4)).unwrap();
        for leased in lease_many(&store, now, slots, &[("app", slots), ("books", slots)]).await {
            let n = number(leased.event.id);
            if leased.attempt <= HEAD_ATTEMPTS {
                let rival = in_flight.iter().find(|other| {
                    other.endpoint == leased.endpoint
                        && other.attempt <= HEAD_ATTEMPTS
                        && number(other.event.id) % 6 == n % 6
                        && other.delivery != leased.delivery
                });
                assert!(rival.is_none(), "step {step}: {n} beside {rival:?}");
            }
            in_flight.retain(|other| other.delivery != leased.delivery);
            in_flight.push(leased);
        }
        // A lease is settled in time, or lost.
        if !in_flight.is_empty() {
            let at = usize::try_from(next(in_flight.len() as u64)).unwrap();
            let leased = in_flight.remove(at);
            let then = match next(10) {
                0..6 => Then::Delivered,
                _ if leased.attempt >= 10 => Then::Dead,
                _ => Then::Again(now.plus_millis(i64::try_from(next(20_000)).unwrap())),
            };
            let settled = settle(&store, &leased, now, then).await;
            if settled == store::Settled::Done && !matches!(then, Then::Again(_)) {
                open.remove(&(leased.endpoint.clone(), number(leased.event.id)));
            }
        }
    }
    panic!("{} deliveries are still open", open.len());
}
