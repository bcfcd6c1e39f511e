//! Retention: what is deleted when it is old, and what never is.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{EventId, EventStatus, Timestamp};
use store::{Changed, DeliveryQuery, Outcome, Removed, Retention, Store, Then};

use super::fixture::*;

#[expect(clippy::disallowed_methods, reason = "a server goes by its own clock")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn days_ago(days: i64) -> Timestamp {
    now().plus_millis(-days * DAY_MS)
}

fn of_events(days: u32) -> Retention {
    Retention { events_days: Some(days), ..Retention::default() }
}

/// As the gateway does it.
async fn retain(store: &Store, retention: Retention) -> Removed {
    store.forget(now()).await.unwrap();
    store.retain(now(), retention).await.unwrap()
}

async fn kept(store: &Store) -> BTreeSet<u64> {
    let events = all_events(store).await;
    // They are counted without being looked at.
    let accepted = events.iter().filter(|event| event.status == EventStatus::Accepted).count();
    let counted = store.counts().await.unwrap().accepted;
    assert_eq!(counted, u64::try_from(accepted).unwrap());
    events.iter().map(|event| number(event.id)).collect()
}

async fn bodies(store: &Store, ids: &[EventId]) -> Vec<bool> {
    let mut found = Vec::new();
    for id in ids {
        found.push(store.body(*id).await.unwrap().is_some());
    }
    found
}

pub(crate) async fn what_is_old_goes_and_what_is_owed_stays(place: Place) {
    let store = place.open().await;
    let old = days_ago(60);
    for n in 1..=6 {
        keep(&store, draft_at(n, old).to("app")).await;
    }
    keep(&store, draft_at(7, now()).to("app")).await;
    let mut owed = Vec::new();
    for leased in lease(&store, old, "app", 8).await {
        match number(leased.event.id) {
            4 | 7 => owed.push(leased),
            _ => {
                settle(&store, &leased, old.plus_millis(5), Then::Delivered).await;
            }
        }
    }
    let ids: Vec<EventId> = all_events(&store).await.iter().map(|event| event.id).collect();
    let deliveries = || async {
        let query = DeliveryQuery { limit: 100, ..DeliveryQuery::default() };
        store.deliveries(query).await.unwrap()
    };
    let before = deliveries().await;

    retain(&store, Retention { bodies_days: Some(8), ..Retention::default() }).await;
    assert_eq!(bodies(&store, &ids).await, [false, false, false, true, false, false, true]);
    assert_eq!(kept(&store).await, (1..=7).collect());
    assert_eq!(deliveries().await, before);

    retain(&store, Retention { deliveries_days: Some(37), ..Retention::default() }).await;
    let left: Vec<_> = deliveries().await.iter().map(|row| number(row.event)).collect();
    assert_eq!(left, [4, 7]);
    assert_eq!(store.attempts(before[0].id).await.unwrap(), []);

    retain(&store, of_events(37)).await;
    let left = kept(&store).await;
    assert!(left.is_superset(&[4, 7].into()) && left.is_disjoint(&[1, 2, 3].into()), "{left:?}");
    assert_eq!(store.event(ids[0]).await.unwrap(), None);

    // What was owed still goes out, and then goes, too.
    for leased in &owed {
        settle(&store, leased, old.plus_millis(9), Then::Delivered).await;
    }
    retain(&store, of_events(37)).await;
    assert_eq!(kept(&store).await, [7].into());
    assert_eq!(bodies(&store, &ids[3..4]).await, [false]);
    // Long enough after, it is new.
    let again = store.record(draft_at(1, now()).record()).await.unwrap();
    assert_eq!(again.events, [Outcome::New]);
}

pub(crate) async fn what_is_not_configured_or_too_young_stays(place: Place) {
    let store = place.open().await;
    keep(&store, draft_at(1, days_ago(60))).await;
    keep(&store, draft_at(2, days_ago(30))).await;
    assert_eq!(retain(&store, Retention::default()).await, Removed::default());
    retain(&store, of_events(90)).await;
    assert_eq!(kept(&store).await, [1, 2].into());
    // Less than the least is the least.
    retain(&store, of_events(0)).await;
    assert_eq!(kept(&store).await, [2].into());
    assert_eq!(bodies(&store, &[draft_at(2, days_ago(30)).event.id]).await, [false]);
}

pub(crate) async fn an_arrival_goes_as_a_whole(place: Place) {
    let store = place.open().await;
    let old = days_ago(60);
    let drafts = (1..=300).map(|n| draft_at(n, old)).collect();
    store.record(arrival(1, drafts)).await.unwrap();
    let last = draft_at(401, old).to("app");
    let (other, owed) = (draft_at(400, old), last.event.id);
    store.record(arrival(2, vec![other, last])).await.unwrap();
    keep(&store, draft_at(500, now())).await;
    retain(&store, of_events(37)).await;
    let left = kept(&store).await;
    assert!(left.contains(&401) && left.contains(&500) && !left.contains(&300), "{left:?}");
    assert_eq!(bodies(&store, &[owed]).await, [true]);
    let leased = lease(&store, now(), "app", 4).await;
    assert_eq!(numbers(&leased), [401]);
    assert_eq!(leased[0].body, sealed("body 2"));
}

pub(crate) async fn without_its_body_nothing_is_delivered(place: Place) {
    let store = place.open().await;
    let old = days_ago(20);
    keep(&store, draft_at(1, old).to("app")).await;
    keep(&store, draft_at(2, old).held()).await;
    let leased = lease(&store, old, "app", 1).await.pop().unwrap();
    settle(&store, &leased, old.plus_millis(5), Then::Dead).await;
    retain(&store, Retention { bodies_days: Some(8), ..Retention::default() }).await;

    assert_eq!(store.redeliver(vec![leased.delivery], note()).await.unwrap(), 0);
    let held = draft_at(2, old).event.id;
    let held = all_events(&store).await.iter().find(|e| number(e.id) == number(held)).unwrap().id;
    let released = store.release(held, note(), vec![delivery(9, now(), "app")]).await;
    assert_eq!(released.unwrap(), Changed::BodyGone);
    assert_eq!(event(&store, held).await.status, EventStatus::Held);
    assert_eq!(store.entries(0, 99).await.unwrap().pop().unwrap().outcome, "refused");
    assert_eq!(store.deny(held, note()).await.unwrap(), Changed::Done);
    // The queue goes on.
    keep(&store, draft_at(3, now()).to("app")).await;
    assert_eq!(numbers(&lease(&store, now(), "app", 8).await), [3]);
}

pub(crate) async fn numbers_go_on_when_everything_is_gone(place: Place) {
    let store = place.open().await;
    for n in 1..=400 {
        keep(&store, draft_at(n, days_ago(50))).await;
    }
    let last = all_events(&store).await.last().unwrap().sequence;
    retain(&store, of_events(37)).await;
    assert_eq!(kept(&store).await, BTreeSet::new());
    store.close().await;
    drop(store);
    let store = place.open().await;
    keep(&store, draft_at(401, now())).await;
    assert!(all_events(&store).await[0].sequence > last);
    assert_eq!(kept(&store).await, [401].into());
}
