//! Leasing, settling and redelivering.

use model::{AttemptOutcome, DeliveryStatus, EventId};
use store::{DeliveryQuery, DeliveryRow, EndpointState, Settled, Store, Then};

use super::fixture::*;

async fn delivery_of(store: &Store, event: EventId) -> DeliveryRow {
    let query = DeliveryQuery { event: Some(event), limit: 10, ..DeliveryQuery::default() };
    let mut found = store.deliveries(query).await.unwrap();
    assert_eq!(found.len(), 1);
    found.pop().unwrap()
}

pub(crate) async fn a_lease_is_exclusive_until_it_ends(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).ordered(9).to("app")).await;
    assert!(store.due(NOON).await.unwrap());
    let leased = lease(&store, after(10), "app", 8).await;
    assert_eq!(leased.len(), 1);
    assert_eq!((leased[0].fence, leased[0].attempt), (1, 1));
    assert_eq!(leased[0].endpoint, "app");
    assert_eq!(leased[0].event, event(&store, draft(1).event.id).await);
    assert_eq!(leased[0].body, sealed("body 1"));

    let row = delivery_of(&store, draft(1).event.id).await;
    assert_eq!((row.status, row.next_at, row.attempts), (DeliveryStatus::Pending, None, 0));
    assert_eq!(row.id, leased[0].delivery);
    assert!(!store.due(after(60_009)).await.unwrap());
    assert_eq!(numbers(&lease(&store, after(60_009), "app", 8).await), [0_u64; 0]);

    assert!(store.due(after(60_010)).await.unwrap());
    let again = lease(&store, after(60_010), "app", 8).await;
    assert_eq!(numbers(&again), [1]);
    // Nobody knows how the first attempt ended, so it is still the first.
    assert_eq!((again[0].fence, again[0].attempt), (2, 1));
}

pub(crate) async fn an_older_fence_is_stale(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    let first = lease(&store, NOON, "app", 1).await.pop().unwrap();
    let second = lease(&store, after(60_000), "app", 1).await.pop().unwrap();
    let settled = settle(&store, &first, after(60_001), Then::Delivered).await;
    assert_eq!(settled, Settled::Stale);
    assert_eq!(delivery_of(&store, draft(1).event.id).await.status, DeliveryStatus::Pending);
    assert_eq!(store.attempts(first.delivery).await.unwrap(), []);

    let settled = settle(&store, &second, after(60_002), Then::Delivered).await;
    assert_eq!(settled, Settled::Done);
    // Settled once is settled.
    let settled = settle(&store, &second, after(60_003), Then::Dead).await;
    assert_eq!(settled, Settled::Stale);
    assert_eq!(delivery_of(&store, draft(1).event.id).await.status, DeliveryStatus::Delivered);
    assert_eq!(store.attempts(first.delivery).await.unwrap().len(), 1);
}

pub(crate) async fn attempts_are_kept_and_tried_again_at_their_time(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    let mut now = NOON;
    for attempt in 1..=10 {
        let leased = lease(&store, now, "app", 1).await.pop().unwrap();
        assert_eq!((leased.attempt, leased.fence), (attempt, i64::from(attempt)));
        let next = now.plus_millis(5_000);
        let then = if attempt == 10 { Then::Dead } else { Then::Again(next) };
        assert_eq!(settle(&store, &leased, now.plus_millis(5), then).await, Settled::Done);
        let row = delivery_of(&store, draft(1).event.id).await;
        assert_eq!((row.attempts, row.parked), (attempt, (4..10).contains(&attempt)));
        assert_eq!(row.next_at, (attempt < 10).then_some(next));
        assert_eq!(row.updated_at, now.plus_millis(5));
        assert_eq!(lease(&store, next.plus_millis(-1), "app", 1).await.len(), 0);
        now = next;
    }
    let row = delivery_of(&store, draft(1).event.id).await;
    assert_eq!(row.status, DeliveryStatus::Dead);
    assert!(!store.due(after(1_000 * DAY_MS)).await.unwrap());
    let attempts = store.attempts(row.id).await.unwrap();
    assert_eq!(attempts.len(), 10);
    assert_eq!(attempts[0].ended_at, after(5));
    assert_eq!(attempts[9].started_at, after(45_000 + 5 - 100));
    assert!(attempts.iter().all(|a| a.outcome == AttemptOutcome::Refused));
    assert!(attempts.iter().all(|a| a.http_status == Some(500)));
}

pub(crate) async fn a_delivered_one_is_over(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app").to("books")).await;
    let leased = lease(&store, NOON, "app", 4).await.pop().unwrap();
    settle(&store, &leased, after(5), Then::Delivered).await;
    assert_eq!(lease(&store, after(1_000 * DAY_MS), "app", 4).await.len(), 0);
    assert_eq!(numbers(&lease(&store, NOON, "books", 4).await), [1]);
}

pub(crate) async fn redelivery_starts_a_new_round_and_keeps_history(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    let first = lease(&store, NOON, "app", 1).await.pop().unwrap();
    // What is pending goes on by itself.
    assert_eq!(store.redeliver(vec![first.delivery], note()).await.unwrap(), 0);
    settle(&store, &first, after(5), Then::Dead).await;
    assert_eq!(store.redeliver(vec![first.delivery], note()).await.unwrap(), 1);

    let row = delivery_of(&store, draft(1).event.id).await;
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Pending, 1));
    assert_eq!(row.next_at, Some(note().at));
    let again = lease(&store, after(1_000), "app", 1).await.pop().unwrap();
    assert_eq!((again.attempt, again.fence), (1, 2));
    assert_eq!(again.event.id, first.event.id);
    // The old fence stays stale.
    assert_eq!(settle(&store, &first, after(1_001), Then::Dead).await, Settled::Stale);
    settle(&store, &again, after(1_001), Then::Delivered).await;
    assert_eq!(store.attempts(first.delivery).await.unwrap().len(), 2);
    assert_eq!(store.redeliver(vec![first.delivery], note()).await.unwrap(), 1);
}

pub(crate) async fn redelivery_of_many_counts_what_it_changed(place: Place) {
    let store = place.open().await;
    let drafts: Vec<_> = (0..1_500).map(|n| draft(n).to("app")).collect();
    store.record(arrival(9_999, drafts)).await.unwrap();
    let mut ids = Vec::new();
    loop {
        let leased = lease(&store, NOON, "app", 500).await;
        if leased.is_empty() {
            break;
        }
        for leased in leased {
            settle(&store, &leased, after(1), Then::Delivered).await;
            ids.push(leased.delivery);
        }
    }
    assert_eq!(ids.len(), 1_500);
    ids.push(delivery(77, after(5), "app").id);
    assert_eq!(store.redeliver(ids.clone(), note()).await.unwrap(), 1_500);
    assert_eq!(store.redeliver(ids, note()).await.unwrap(), 0);
    assert_eq!(store.counts().await.unwrap().pending, 1_500);
}

pub(crate) async fn endpoints_that_are_not_active_get_nothing(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    for state in [EndpointState::Paused, EndpointState::Disabled] {
        store.set_endpoint_state("app", state, note()).await.unwrap();
        assert!(!store.due(after(DAY_MS)).await.unwrap());
        assert_eq!(lease(&store, after(DAY_MS), "app", 8).await.len(), 0);
        let states = store.endpoint_states().await.unwrap();
        assert_eq!(states, [("app".to_owned(), state, note().at)]);
    }
    // What is recorded meanwhile waits; an endpoint nobody ever delivered to may be paused, too.
    keep(&store, draft(2).to("app")).await;
    store.set_endpoint_state("books", EndpointState::Paused, note()).await.unwrap();
    keep(&store, draft(3).to("books")).await;
    assert!(!store.due(after(DAY_MS)).await.unwrap());
    store.set_endpoint_state("app", EndpointState::Active, note()).await.unwrap();
    assert_eq!(numbers(&lease(&store, after(DAY_MS), "app", 8).await), [1, 2]);
    assert_eq!(lease(&store, after(DAY_MS), "books", 8).await.len(), 0);
}

pub(crate) async fn slots_and_maximum_are_kept(place: Place) {
    let store = place.open().await;
    for n in 0..20 {
        keep(&store, draft(n).to("app").to("books")).await;
    }
    assert_eq!(lease_many(&store, NOON, 0, &[("app", 5)]).await.len(), 0);
    assert_eq!(lease_many(&store, NOON, 5, &[]).await.len(), 0);
    assert_eq!(lease_many(&store, NOON, 5, &[("app", 0), ("nowhere", 9)]).await.len(), 0);
    assert_eq!(lease_many(&store, NOON, 9, &[("app", 3)]).await.len(), 3);
    assert_eq!(lease_many(&store, NOON, 4, &[("app", 9)]).await.len(), 4);
    // An endpoint that is not asked for gets nothing, and rows are not leased twice.
    assert_eq!(lease_many(&store, NOON, 100, &[("app", 100)]).await.len(), 13);
    assert_eq!(lease_many(&store, NOON, 100, &[("app", 100)]).await.len(), 0);
}

pub(crate) async fn one_endpoint_does_not_take_all(place: Place) {
    let store = place.open().await;
    for n in 0..20 {
        keep(&store, draft(n).to("app").to("books").to("crm")).await;
    }
    let leased = lease_many(&store, NOON, 9, &[("app", 9), ("books", 9), ("crm", 9)]).await;
    for endpoint in ["app", "books", "crm"] {
        let count = leased.iter().filter(|leased| leased.endpoint == endpoint).count();
        assert_eq!(count, 3, "{endpoint}");
    }
    // What one does not need goes to the others.
    let leased = lease_many(&store, NOON, 9, &[("nowhere", 9), ("app", 1), ("books", 9)]).await;
    assert_eq!(leased.len(), 9);
}

/// Fails `count` deliveries so that they are due again from `again` on.
async fn make_retries(store: &Store, count: u64, again: i64) {
    for n in 0..count {
        keep(store, draft(n).to("app")).await;
    }
    for leased in lease(store, NOON, "app", usize::try_from(count).unwrap()).await {
        settle(store, &leased, after(5), Then::Again(after(again))).await;
    }
}

pub(crate) async fn fresh_work_is_not_starved_by_retries(place: Place) {
    let store = place.open().await;
    make_retries(&store, 200, 1_000).await;
    for n in 1_000..1_050 {
        keep(&store, draft_at(n, after(500_000)).to("app")).await;
    }
    let leased = lease(&store, after(500_000), "app", 32).await;
    let fresh = numbers(&leased).into_iter().filter(|n| *n >= 1_000).count();
    assert_eq!((leased.len(), fresh), (32, 8));
    // Fresh ones are over soon; their slots are not all lost to retries that take long.
    for _ in 0..30 {
        let free = {
            let done = leased.iter().find(|leased| number(leased.event.id) >= 1_000).unwrap();
            settle(&store, done, after(500_001), Then::Delivered).await;
            1
        };
        let next = lease(&store, after(500_001), "app", free).await;
        assert_eq!(next.len(), 1);
        assert!(number(next[0].event.id) >= 1_000);
        settle(&store, &next[0], after(500_002), Then::Delivered).await;
    }
}

pub(crate) async fn retries_are_not_starved_by_fresh_work(place: Place) {
    let store = place.open().await;
    make_retries(&store, 20, 900_000).await;
    for n in 1_000..1_200 {
        keep(&store, draft(n).to("app")).await;
    }
    let leased = lease(&store, after(900_000), "app", 32).await;
    let retries = numbers(&leased).into_iter().filter(|n| *n < 1_000).count();
    assert_eq!((leased.len(), retries), (32, 8));
}

pub(crate) async fn an_unknown_delivery_is_stale(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    let mut leased = lease(&store, NOON, "app", 1).await.pop().unwrap();
    leased.delivery = delivery(77, NOON, "app").id;
    assert_eq!(settle(&store, &leased, after(5), Then::Delivered).await, Settled::Stale);
    assert_eq!(store.attempts(leased.delivery).await.unwrap(), []);
}
