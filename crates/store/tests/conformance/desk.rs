//! What a person does to events.

use model::{EventStatus, Steps};
use store::{Action, Changed, EndpointState, Then};

use super::fixture::*;

pub(crate) async fn a_released_event_is_delivered(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).held().ordered(9)).await;
    keep(&store, draft(2).ordered(9).to("app")).await;
    let id = draft(1).event.id;
    assert_eq!(event(&store, id).await.status, EventStatus::Held);
    let deliveries = vec![delivery(1, note().at, "app"), delivery(2, note().at, "books")];
    let changed = store.release(id, note(), deliveries).await.unwrap();
    assert_eq!(changed, Changed::Done);
    let row = event(&store, id).await;
    assert_eq!((row.status, row.reason, row.steps), (EventStatus::Accepted, None, Steps::PASSED));
    // It keeps its place in its order.
    assert_eq!(numbers(&lease(&store, after(1_000), "app", 8).await), [1]);
    assert_eq!(numbers(&lease(&store, after(1_000), "books", 8).await), [1]);
}

pub(crate) async fn only_held_events_are_released_or_denied(place: Place) {
    let store = place.open().await;
    let unknown = draft(99).event.id;
    assert_eq!(store.release(unknown, note(), Vec::new()).await.unwrap(), Changed::NotFound);
    assert_eq!(store.deny(unknown, note()).await.unwrap(), Changed::NotFound);
    keep(&store, draft(1)).await;
    keep(&store, draft(2).unreadable()).await;
    keep(&store, draft(3).with(|event| event.status = EventStatus::Denied)).await;
    let delivery = vec![delivery(1, NOON, "app")];
    for (n, status) in
        [(1, EventStatus::Accepted), (2, EventStatus::Quarantined), (3, EventStatus::Denied)]
    {
        let id = draft(n).event.id;
        let released = store.release(id, note(), delivery.clone()).await.unwrap();
        assert_eq!(released, Changed::NotHeld(status));
        assert_eq!(store.deny(id, note()).await.unwrap(), Changed::NotHeld(status));
        assert_eq!(event(&store, id).await.status, status);
    }
    assert_eq!(store.counts().await.unwrap().pending, 0);
    let entry = store.entries(0, 100).await.unwrap().pop().unwrap();
    assert_eq!((entry.action, entry.outcome), (Action::Denied, "refused"));
}

pub(crate) async fn a_denied_event_stays_denied(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).held()).await;
    let id = draft(1).event.id;
    assert_eq!(store.deny(id, note()).await.unwrap(), Changed::Done);
    let row = event(&store, id).await;
    assert_eq!(row.status, EventStatus::Denied);
    assert_eq!(row.reason.as_deref(), Some("needs_confirmation"));
    let released = store.release(id, note(), Vec::new()).await.unwrap();
    assert_eq!(released, Changed::NotHeld(EventStatus::Denied));
}

pub(crate) async fn what_people_do_is_audited(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).held()).await;
    keep(&store, draft(2).held()).await;
    keep(&store, draft(3).to("app")).await;
    let leased = lease(&store, NOON, "app", 1).await.pop().unwrap();
    settle(&store, &leased, after(1), Then::Dead).await;
    let before = store.entries(0, 100).await.unwrap().pop().unwrap().sequence;

    let (first, second) = (draft(1).event.id, draft(2).event.id);
    store.release(first, note(), Vec::new()).await.unwrap();
    store.deny(second, note()).await.unwrap();
    store.redeliver(vec![leased.delivery], note()).await.unwrap();
    store.set_endpoint_state("app", EndpointState::Paused, note()).await.unwrap();

    let entries = store.entries(before, 100).await.unwrap();
    let changes = |changes: &str| format!("[{changes}]");
    let told: Vec<_> =
        entries.iter().map(|e| (e.action, e.resource.clone(), e.changes.clone())).collect();
    let expected = [
        (
            Action::Released,
            first.to_string(),
            changes(r#"["status","held","accepted"],["reason","needs_confirmation",null]"#),
        ),
        (
            Action::Denied,
            second.to_string(),
            changes(
                r#"["status","held","denied"],["reason","needs_confirmation","needs_confirmation"]"#,
            ),
        ),
        (Action::Redelivered, leased.delivery.to_string(), changes(r#"["status",null,"pending"]"#)),
        (Action::EndpointChanged, "app".to_owned(), changes(r#"["state","active","paused"]"#)),
    ];
    assert_eq!(told, expected);
    for entry in entries {
        assert_eq!((entry.at, entry.actor.as_str()), (note().at, "operator ada"));
        assert_eq!((entry.request, entry.outcome), (Some(request(1)), "done"));
        entry.body().unwrap();
    }
}

pub(crate) async fn too_many_deliveries_are_refused_and_nothing_changes(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).held()).await;
    let deliveries = (0..1025).map(|n| delivery(n, NOON, "app")).collect();
    let error = store.release(draft(1).event.id, note(), deliveries).await.unwrap_err();
    assert_eq!(error.code(), "store_too_many_deliveries");
    assert_eq!(event(&store, draft(1).event.id).await.status, EventStatus::Held);
    assert_eq!(store.counts().await.unwrap().pending, 0);
}
