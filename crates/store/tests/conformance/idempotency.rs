//! Requests that take effect once.

use store::{Claimed, IdempotencyClaim, Store};
use tokio::task::JoinSet;

use super::fixture::*;

const ADA: [u8; 16] = [1; 16];
const BEN: [u8; 16] = [2; 16];
const MINUTE_MS: i64 = 60_000;

/// At a time, for a minute, the answer for a day.
fn claim(key: u64, asked: u64, holder: [u8; 16], at: i64) -> IdempotencyClaim {
    IdempotencyClaim {
        key: hash_bytes(key),
        fingerprint: hash_bytes(asked),
        holder,
        now: after(at),
        until: after(at + MINUTE_MS),
        kept_until: after(at + DAY_MS),
    }
}

async fn claimed(store: &Store, claim: IdempotencyClaim) -> Claimed {
    store.claim_request(claim).await.unwrap()
}

async fn answer(store: &Store, key: u64, holder: [u8; 16], text: &str) {
    store.keep_answer(hash_bytes(key), holder, sealed(text)).await.unwrap();
}

pub(crate) async fn a_request_is_claimed_once_and_its_answer_kept(place: Place) {
    let store = place.open().await;
    let beside = place.open_beside().await;
    assert_eq!(claimed(&store, claim(1, 7, ADA, 0)).await, Claimed::Yours);
    assert_eq!(claimed(&beside, claim(1, 7, BEN, 1)).await, Claimed::Running);
    assert_eq!(claimed(&store, claim(2, 7, BEN, 1)).await, Claimed::Yours, "another key");
    // What is not the holder's is not answered by it.
    answer(&store, 1, BEN, "of another").await;
    assert_eq!(claimed(&store, claim(1, 7, BEN, 2)).await, Claimed::Running);
    answer(&store, 1, ADA, "done").await;
    answer(&store, 1, ADA, "done differently").await;
    drop(store);
    assert_eq!(claimed(&beside, claim(1, 7, BEN, 3)).await, Claimed::Answered(sealed("done")));
    let much_later = claim(1, 7, BEN, DAY_MS - 1);
    assert_eq!(claimed(&beside, much_later).await, Claimed::Answered(sealed("done")));
}

pub(crate) async fn a_key_with_another_request_is_told_apart(place: Place) {
    let store = place.open().await;
    assert_eq!(claimed(&store, claim(1, 7, ADA, 0)).await, Claimed::Yours);
    assert_eq!(claimed(&store, claim(1, 8, BEN, 1)).await, Claimed::Other);
    answer(&store, 1, ADA, "done").await;
    assert_eq!(claimed(&store, claim(1, 8, BEN, 2)).await, Claimed::Other);
    // However long the first takes, another request does not take its place.
    assert_eq!(claimed(&store, claim(2, 7, ADA, 0)).await, Claimed::Yours);
    assert_eq!(claimed(&store, claim(2, 8, BEN, 2 * MINUTE_MS)).await, Claimed::Other);
}

pub(crate) async fn a_claim_that_was_given_up_or_outlived_is_free(place: Place) {
    let store = place.open().await;
    assert_eq!(claimed(&store, claim(1, 7, ADA, 0)).await, Claimed::Yours);
    store.give_up_claim(hash_bytes(1), BEN).await.unwrap();
    assert_eq!(
        claimed(&store, claim(1, 7, BEN, 1)).await,
        Claimed::Running,
        "not Ben's to give up"
    );
    store.give_up_claim(hash_bytes(1), ADA).await.unwrap();
    assert_eq!(claimed(&store, claim(1, 8, BEN, 2)).await, Claimed::Yours);
    // Ben is gone; Ada asks the same, and Ben comes back too late to answer.
    assert_eq!(claimed(&store, claim(1, 8, ADA, 2 + MINUTE_MS)).await, Claimed::Yours);
    answer(&store, 1, BEN, "late").await;
    answer(&store, 1, ADA, "done").await;
    store.give_up_claim(hash_bytes(1), ADA).await.unwrap();
    let again = claim(1, 8, BEN, 9 * MINUTE_MS);
    assert_eq!(claimed(&store, again).await, Claimed::Answered(sealed("done")));
}

pub(crate) async fn one_of_many_claims_a_request(place: Place) {
    let store = place.open().await;
    let mut tasks = JoinSet::new();
    for holder in 0..20 {
        let store = store.clone();
        tasks.spawn(async move { claimed(&store, claim(1, 7, [holder; 16], 0)).await });
    }
    let all = tasks.join_all().await;
    assert_eq!(all.iter().filter(|one| **one == Claimed::Yours).count(), 1);
    assert_eq!(all.iter().filter(|one| **one == Claimed::Running).count(), 19);
}

pub(crate) async fn answers_are_forgotten_in_time(place: Place) {
    let store = place.open().await;
    assert_eq!(claimed(&store, claim(1, 7, ADA, 0)).await, Claimed::Yours);
    answer(&store, 1, ADA, "done").await;
    assert_eq!(claimed(&store, claim(1, 8, BEN, DAY_MS)).await, Claimed::Yours);
    // Nothing of it is left, so it is the second's alone.
    assert_eq!(claimed(&store, claim(1, 8, ADA, DAY_MS + 1)).await, Claimed::Running);
}
