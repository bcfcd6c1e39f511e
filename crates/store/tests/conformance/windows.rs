//! Counts that are shared.

use store::{Store, WindowAdd, WindowCounts};
use tokio::task::JoinSet;

use super::fixture::*;

const MINUTE_MS: i64 = 60_000;

fn add(key: u64, minute: i64, add: u32) -> WindowAdd {
    let period_start = after(minute * MINUTE_MS);
    WindowAdd { key: hash_bytes(key), period_start, period_ms: MINUTE_MS, add }
}

async fn count(store: &Store, adds: &[WindowAdd]) -> Vec<(u32, u32)> {
    let counts = store.count_windows("checkouts", adds.to_vec()).await.unwrap();
    counts.iter().map(|WindowCounts { current, previous }| (*current, *previous)).collect()
}

pub(crate) async fn counts_are_those_of_a_sliding_window(place: Place) {
    let store = place.open().await;
    assert_eq!(count(&store, &[]).await, []);
    assert_eq!(count(&store, &[add(1, 0, 3), add(2, 0, 1)]).await, [(3, 0), (1, 0)]);
    assert_eq!(count(&store, &[add(2, 0, 4), add(1, 0, 0)]).await, [(5, 0), (3, 0)]);
    assert_eq!(count(&store, &[add(1, 1, 1)]).await, [(1, 3)]);
    assert_eq!(count(&store, &[add(1, 2, 0)]).await, [(0, 1)]);
    assert_eq!(count(&store, &[add(1, 3, 0)]).await, [(0, 0)]);
    // Another limit counts for itself.
    let other = store.count_windows("requests", vec![add(1, 0, 1)]).await.unwrap();
    assert_eq!(other, [WindowCounts { current: 1, previous: 0 }]);
}

pub(crate) async fn what_is_counted_twice_at_once_adds_up(place: Place) {
    let store = place.open().await;
    let adds = [add(1, 0, 3), add(1, 1, 2), add(1, 0, 4)];
    assert_eq!(count(&store, &adds).await, [(7, 0), (2, 7), (7, 0)]);
    let most = [add(2, 0, u32::MAX), add(2, 0, u32::MAX)];
    assert_eq!(count(&store, &most).await, [(u32::MAX, 0); 2]);
}

pub(crate) async fn counts_of_many_add_up(place: Place) {
    let stores = [place.open().await, place.open_beside().await];
    let mut tasks = JoinSet::new();
    for n in 0..40_u64 {
        let store = stores[usize::try_from(n % 2).unwrap()].clone();
        tasks.spawn(async move {
            // In opposite orders, so that they would get in each other's way.
            let mut adds: Vec<_> = (0..10).map(|key| add(key, 0, 1)).collect();
            if n % 3 == 0 {
                adds.reverse();
            }
            count(&store, &adds).await
        });
    }
    tasks.join_all().await;
    assert_eq!(count(&stores[0], &[add(0, 0, 0), add(9, 0, 0)]).await, [(40, 0); 2]);
}

pub(crate) async fn periods_that_are_over_are_forgotten(place: Place) {
    let store = place.open().await;
    for key in 0..50 {
        count(&store, &[add(key, 0, 1)]).await;
    }
    // Long after, each call forgets some of what is over; what counts stays.
    count(&store, &[add(1_000, 99, 5)]).await;
    assert_eq!(count(&store, &[add(1_000, 100, 1)]).await, [(1, 5)]);
    assert_eq!(count(&store, &[add(7, 1, 0)]).await, [(0, 0)], "its minute is long over");
}
