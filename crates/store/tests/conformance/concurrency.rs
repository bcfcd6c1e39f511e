//! Many at once, in one process and in two.

use model::{DeliveryStatus, EventStatus};
use store::{Changed, DeliveryQuery, EndpointState, Options, Outcome};
use tokio::task::JoinSet;

use super::fixture::*;

/// A draft of its own, with the dedup key of another.
fn rival(n: u64, key: u64) -> Draft {
    draft(n).to("app").with(|event| event.dedup_key = Some(hash_bytes(key)))
}

pub(crate) async fn one_of_many_tasks_is_first(place: Place) {
    let store = place.open().await;
    let mut tasks = JoinSet::new();
    for n in 0..500 {
        let store = store.clone();
        tasks.spawn(async move { store.record(rival(n, 7).record()).await.unwrap().events });
    }
    let outcomes = tasks.join_all().await.concat();
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::New)).count();
    assert_eq!((outcomes.len(), new), (500, 1));
    let of = all_events(&store).await[0].id;
    assert!(outcomes.iter().all(|o| matches!(o, Outcome::New) || *o == Outcome::Duplicate { of }));
    assert_eq!(store.counts().await.unwrap().pending, 1);
}

pub(crate) async fn two_writers_agree_who_is_first(place: Place) {
    let gateway = place.open().await;
    let beside = place.open_beside().await;
    let mut tasks = JoinSet::new();
    for key in 0..200 {
        for (n, store) in [(key, &gateway), (1_000 + key, &beside)] {
            let store = store.clone();
            tasks.spawn(async move {
                let at = after(i64::try_from(key % 10).unwrap() * DAY_MS);
                let drafted = draft_at(n, at).with(|event| event.dedup_key = Some(hash_bytes(key)));
                store.record(drafted.record()).await.unwrap().events
            });
        }
    }
    let outcomes = tasks.join_all().await.concat();
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::New)).count();
    assert_eq!((outcomes.len(), new), (400, 200));
    let events = all_events(&gateway).await;
    place.check_sequences(&events, 200);
    // What one forgets, the other does not find.
    assert_eq!(beside.forget(after(60 * DAY_MS)).await.unwrap(), 200);
    keep(&gateway, rival(5_000, 3)).await;
}

pub(crate) async fn everything_recorded_at_once_is_there(place: Place) {
    let store = place.open().await;
    let mut tasks = JoinSet::new();
    for n in 0..1_000 {
        let store = store.clone();
        tasks.spawn(async move { keep(&store, draft(n).ordered(n % 10).to("app")).await });
    }
    tasks.join_all().await;
    let mut found: Vec<_> = all_events(&store).await.iter().map(|e| number(e.id)).collect();
    found.sort_unstable();
    assert_eq!(found, (0..1_000).collect::<Vec<_>>());
    assert_eq!(store.counts().await.unwrap().accepted, 1_000);
}

pub(crate) async fn a_full_queue_refuses_and_loses_nothing(place: Place) {
    let options = Options { queue_commands_max: 2, batch_commands_max: 1, ..small() };
    let store = place.open_with(options).await;
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let store = store.clone();
        tasks.spawn(async move { (n, store.record(draft(n).record()).await) });
    }
    let (mut kept, mut refused) = (0, 0);
    while let Some(answer) = tasks.join_next().await {
        let (n, answer) = answer.unwrap();
        let there = store.event(draft(n).event.id).await.unwrap().is_some();
        assert_eq!(there, answer.is_ok(), "{n}");
        match answer {
            Ok(_) => kept += 1,
            Err(error) => {
                assert!(error.is_overloaded(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(kept > 0 && refused > 0, "{kept} kept, {refused} refused");
    assert_eq!(store.counts().await.unwrap().accepted, kept);
}

pub(crate) async fn commands_beside_a_gateway_take_effect(place: Place) {
    let gateway = place.open().await;
    keep(&gateway, draft(1).held()).await;
    keep(&gateway, draft(2).to("app")).await;
    let beside = place.open_beside().await;
    let deliveries = vec![delivery(1, NOON, "app")];
    let id = draft(1).event.id;
    let changed = beside.release(id, note(), deliveries).await.unwrap();
    assert_eq!(changed, Changed::Done);
    assert_eq!(event(&gateway, id).await.status, EventStatus::Accepted);
    beside.set_endpoint_state("app", EndpointState::Paused, note()).await.unwrap();
    assert_eq!(lease(&gateway, after(5_000), "app", 8).await.len(), 0);
    beside.set_endpoint_state("app", EndpointState::Active, note()).await.unwrap();
    assert_eq!(numbers(&lease(&gateway, after(5_000), "app", 8).await), [1, 2]);
    let pending = DeliveryQuery {
        status: Some(DeliveryStatus::Pending),
        limit: 10,
        ..DeliveryQuery::default()
    };
    assert_eq!(beside.deliveries(pending).await.unwrap().len(), 2);
    beside.close().await;
    keep(&gateway, draft(3)).await;
}

/// A client that hangs up drops whatever waits for it, in the middle of a read too.
pub(crate) async fn an_abandoned_read_costs_nobody_a_connection(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    for _ in 0..200 {
        let mut reading = Box::pin(store.counts());
        std::future::poll_fn(|context| {
            let _ = reading.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    }
    for _ in 0..20 {
        assert_eq!(store.counts().await.unwrap().pending, 1);
    }
}

pub(crate) async fn whoever_stops_asking_takes_nothing_along(place: Place) {
    let store = place.open().await;
    for n in 0..50 {
        // Each is asked once and then given up.
        tokio::select! {
            biased;
            _ = store.counts() => {}
            () = std::future::ready(()) => {}
        }
        tokio::select! {
            biased;
            _ = store.record(draft(n).record()) => {}
            () = std::future::ready(()) => {}
        }
    }
    // What was asked for took effect all the same.
    keep(&store, draft(1_000).to("app")).await;
    let store = if place.holds().in_turn {
        store
    } else {
        store.close().await;
        place.open().await
    };
    assert_eq!(all_events(&store).await.len(), 51);
    assert_eq!(lease(&store, NOON, "app", 1).await.len(), 1);
}
