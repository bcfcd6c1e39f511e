//! What one does for all.

use tokio::task::JoinSet;

use super::fixture::*;

const ADA: [u8; 16] = [1; 16];
const BEN: [u8; 16] = [2; 16];

pub(crate) async fn a_duty_has_one_holder(place: Place) {
    let store = place.open().await;
    let beside = place.open_beside().await;
    let take = async |store: &store::Store, name, holder, at: i64| {
        store.take_duty(name, holder, after(at), after(at + 100)).await.unwrap()
    };
    let fence = take(&store, "sealer", ADA, 0).await;
    assert!(fence.is_some());
    assert_eq!(take(&beside, "sealer", BEN, 50).await, None);
    // Renewed in time it is the same duty.
    assert_eq!(take(&store, "sealer", ADA, 90).await, fence);
    assert_eq!(take(&beside, "sealer", BEN, 150).await, None);
    // Another duty is another's.
    assert!(take(&beside, "sweeper", BEN, 150).await.is_some());
}

pub(crate) async fn a_duty_that_is_over_changes_hands(place: Place) {
    let store = place.open().await;
    let take = async |holder, at: i64| {
        store.take_duty("sealer", holder, after(at), after(at + 100)).await.unwrap()
    };
    let first = take(ADA, 0).await.unwrap();
    let second = take(BEN, 100).await.unwrap();
    assert!(second > first);
    assert_eq!(take(ADA, 150).await, None);
    // Whoever comes too late to renew its own cannot know what happened meanwhile.
    let third = take(BEN, 200).await.unwrap();
    assert!(third > second);
}

pub(crate) async fn a_duty_that_is_given_up_is_free(place: Place) {
    let store = place.open().await;
    let take = async |holder, at: i64| {
        store.take_duty("sealer", holder, after(at), after(at + 100)).await.unwrap()
    };
    let first = take(ADA, 0).await.unwrap();
    store.release_duty("sealer", BEN).await.unwrap();
    assert_eq!(take(BEN, 1).await, None, "it was not Ben's to give up");
    store.release_duty("sealer", ADA).await.unwrap();
    assert!(take(BEN, 1).await.unwrap() > first);
    store.release_duty("unheard of", ADA).await.unwrap();
}

pub(crate) async fn one_of_many_gets_a_duty(place: Place) {
    let store = place.open().await;
    let mut tasks = JoinSet::new();
    for holder in 0..20 {
        let store = store.clone();
        tasks.spawn(async move {
            store.take_duty("sealer", [holder; 16], after(0), after(100)).await.unwrap()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().flatten().count(), 1);
}
