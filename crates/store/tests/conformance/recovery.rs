//! Crashes and closing. (That power cuts lose nothing is shown with real ones, elsewhere.)

use store::{Settled, Then};
use tokio::task::JoinSet;

use super::fixture::*;

pub(crate) async fn what_was_answered_is_there_after_a_crash(place: Place) {
    for round in 0..5_u64 {
        let store = place.open().await;
        let events = all_events(&store).await;
        assert_eq!(events.len(), usize::try_from(round).unwrap() * 20);
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let store = store.clone();
            tasks.spawn(async move { keep(&store, draft(round * 20 + n).to("app")).await });
        }
        tasks.join_all().await;
        // Dropped, not closed.
        drop(store);
    }
    let store = place.open().await;
    place.check_sequences(&all_events(&store).await, 100);
}

pub(crate) async fn a_crash_leaves_no_lease(place: Place) {
    let store = place.open().await;
    for n in 1..=3 {
        keep(&store, draft(n).ordered(9).to("app")).await;
    }
    let before = lease(&store, after(10), "app", 8).await.pop().unwrap();
    drop(store);
    let store = place.open().await;
    // Where others may hold leases, that of the dead one ends by itself.
    let now = if place.holds().start_ends_leases { 11 } else { 60_010 };
    if now > 11 {
        assert!(!store.due(after(now - 1)).await.unwrap());
        assert_eq!(numbers(&lease(&store, after(now - 1), "app", 8).await), [0_u64; 0]);
    }
    assert!(store.due(after(now)).await.unwrap());
    let again = lease(&store, after(now), "app", 8).await;
    assert_eq!(numbers(&again), [1]);
    assert_eq!((again[0].fence, again[0].attempt), (2, 1));
    assert_eq!(settle(&store, &before, after(now + 1), Then::Delivered).await, Settled::Stale);
    assert_eq!(settle(&store, &again[0], after(now + 1), Then::Delivered).await, Settled::Done);
    assert_eq!(numbers(&lease(&store, after(now + 2), "app", 8).await), [2]);
}

pub(crate) async fn opening_beside_leaves_leases_alone(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    let leased = lease(&store, NOON, "app", 1).await.pop().unwrap();
    let beside = place.open_beside().await;
    assert!(!beside.due(after(5)).await.unwrap());
    drop(beside);
    assert_eq!(settle(&store, &leased, after(6), Then::Delivered).await, Settled::Done);
}

pub(crate) async fn closing_finishes_what_waits(place: Place) {
    let store = place.open().await;
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let store = store.clone();
        tasks.spawn(async move { (n, store.record(draft(n).record()).await) });
    }
    tokio::task::yield_now().await;
    store.close().await;
    // Whatever was answered with yes is there, whatever was refused is not.
    let answers = tasks.join_all().await;
    let store = place.open().await;
    for (n, answer) in answers {
        let there = store.event(draft(n).event.id).await.unwrap().is_some();
        assert_eq!(there, answer.is_ok(), "{n}");
    }
}

pub(crate) async fn a_closed_store_refuses(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    store.close().await;
    assert_eq!(store.record(draft(2).record()).await.unwrap_err().code(), "store_closed");
    assert_eq!(store.writable().await.unwrap_err().code(), "store_closed");
    assert!(!store.poisoned());
    store.close().await;
    // It can be opened again while the closed one is still at hand.
    let again = place.open().await;
    keep(&again, draft(2)).await;
}

pub(crate) async fn a_store_that_can_commit_says_so(place: Place) {
    let store = place.open().await;
    store.writable().await.unwrap();
    assert!(!store.poisoned());
}

pub(crate) async fn transactions_are_counted(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    let mut failing = draft(2).record();
    failing.body.key = vault::KeyId([99; 16]);
    store.record(failing).await.unwrap_err();
    let counts = store.transactions();
    let of = |name| counts.iter().find(|count| count.name == name).unwrap();
    assert_eq!((of("record").committed, of("record").failed), (1, 1));
    assert_eq!((of("add_key").committed, of("settle").committed), (1, 0));
}
