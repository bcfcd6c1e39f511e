//! Events that may be decided on anew: found by their order, taken by one, decided once and as a whole.

use model::order::FactKind;
use model::{EventStatus, OrderState, RequestId, Steps, Timestamp};
use store::{
    Action, Anew, Awaits, Changed, DeliveryQuery, DeliveryRow, EntryRow, EventRow, Later,
    OrderChange, OrderChanges, OrdersChanged, Outcome, Store, TakeUndecided, Undecided,
};

use super::fixture::*;
use super::orders::{alone, change, create, fact, order_id, pay};

/// Later than what is looked at once whatever happens.
const LATE_MS: i64 = 11_000;

pub(crate) fn waiting(n: u64, awaits: Awaits) -> Draft {
    draft(n).held().with(|event| {
        event.reason = Some("amount_under");
        event.awaits = Some(awaits);
    })
}

async fn taken(store: &Store, now: Timestamp) -> Vec<Undecided> {
    let until = now.plus_millis(1_000);
    store.take_undecided(TakeUndecided { now, until, limit: 10 }).await.unwrap()
}

/// How an event is accepted that waits as [`waiting`] has it.
pub(crate) fn accepting(n: u64) -> Anew {
    Anew {
        event: draft(n).event.id,
        from: (EventStatus::Held, Some("amount_under".to_owned())),
        to: EventStatus::Accepted,
        reason: None,
        steps: Steps::PASSED,
        facts: Some(sealed("what it says then")),
        deliveries: vec![delivery(n * 100, after(20), "app")],
        awaits: None,
        unordered: None,
        request: RequestId::new(NOON, id_bytes(n)),
    }
}

pub(crate) fn by_itself(anew: Anew, changes: Vec<OrderChange>) -> OrderChanges {
    OrderChanges { record: None, anew: Some(anew), changes, chain: None, note: None, at: after(20) }
}

async fn all_deliveries(store: &Store) -> Vec<DeliveryRow> {
    let query = DeliveryQuery { limit: 100, ..DeliveryQuery::default() };
    store.deliveries(query).await.unwrap()
}

async fn event(store: &Store, n: u64) -> EventRow {
    store.event(draft(n).event.id).await.unwrap().expect("the event is kept")
}

async fn told(store: &Store, action: Action) -> Vec<EntryRow> {
    let all = store.entries(0, 1000).await.unwrap();
    all.into_iter().filter(|entry| entry.action == action).collect()
}

pub(crate) async fn what_waits_for_an_order_is_woken_by_it(place: Place) {
    let store = place.open().await;
    keep(&store, waiting(1, Awaits::Order(hash_bytes(1)))).await;
    keep(&store, waiting(2, Awaits::Order(hash_bytes(2)))).await;
    keep(&store, draft(3)).await;
    assert!(!store.any_undecided(after(9_000)).await.unwrap());
    assert_eq!(taken(&store, after(9_000)).await, []);

    create(&store, 1).await;
    assert!(store.any_undecided(after(1_000)).await.unwrap());
    let first = taken(&store, after(1_000)).await;
    let [one] = first[..] else { panic!("{first:?}") };
    assert_eq!((one.event, one.awaits), (draft(1).event.id, Awaits::Order(hash_bytes(1))));
    assert_eq!(one.since, NOON);
    assert_eq!(taken(&store, after(1_500)).await, [], "somebody has it");

    store.put_off(one, Later::WithItsOrder).await.unwrap();
    assert_eq!(taken(&store, after(60_000)).await, [], "no order of theirs has changed");
    pay(&store, 1, 1, 500).await;
    assert_eq!(taken(&store, after(60_000)).await.len(), 1);
}

pub(crate) async fn who_was_overtaken_puts_nothing_off(place: Place) {
    let store = place.open().await;
    create(&store, 1).await;
    keep(&store, waiting(1, Awaits::Order(hash_bytes(1)))).await;
    let first = taken(&store, after(LATE_MS)).await;
    let [one] = first[..] else { panic!("{first:?}") };
    pay(&store, 1, 1, 500).await;
    store.put_off(one, Later::WithItsOrder).await.unwrap();
    let again = taken(&store, after(LATE_MS)).await;
    assert_eq!(again.len(), 1, "the order has changed meanwhile");
    store.put_off(one, Later::Never).await.unwrap();
    assert_eq!(taken(&store, after(10 * LATE_MS)).await.len(), 1);
}

pub(crate) async fn what_waits_for_an_answer_is_asked_by_one(place: Place) {
    let store = place.open().await;
    for n in 1..=6 {
        keep(&store, waiting(n, Awaits::Answer)).await;
    }
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        asking.spawn(async move { taken(&store, after(1)).await });
    }
    let mut all: Vec<_> = asking.join_all().await.concat();
    all.sort_unstable_by_key(|one| one.event);
    let events: Vec<_> = all.iter().map(|one| one.event).collect();
    assert_eq!(events, (1..=6).map(|n| draft(n).event.id).collect::<Vec<_>>(), "each once");

    store.put_off(all[0], Later::At(after(500))).await.unwrap();
    store.put_off(all[1], Later::Never).await.unwrap();
    let again = taken(&store, after(500)).await;
    assert_eq!(again.iter().map(|one| one.event).collect::<Vec<_>>(), [all[0].event]);
    assert_eq!(again[0].tries, 2);
    // The others were taken by somebody who died: their leases are over.
    assert_eq!(taken(&store, after(20_000)).await.len(), 5);
}

pub(crate) async fn an_event_and_its_order_change_together(place: Place) {
    let store = place.open().await;
    let row = create(&store, 1).await;
    keep(&store, waiting(1, Awaits::Order(hash_bytes(1)))).await;
    let paid = change(&row, fact(1, FactKind::Paid, 2000), after(20));
    let changes = by_itself(accepting(1), vec![paid.clone()]);
    let changed = store.change_orders(changes.clone()).await.unwrap();
    assert!(matches!(changed, OrdersChanged::Done(_)));

    let kept = event(&store, 1).await;
    assert_eq!(
        (kept.status, kept.reason, kept.steps),
        (EventStatus::Accepted, None, Steps::PASSED)
    );
    assert_eq!(kept.facts, sealed("what it says then"));
    assert_eq!(all_deliveries(&store).await.len(), 1);
    let order = store.order(order_id(1)).await.unwrap().unwrap();
    assert_eq!((order.judged.state, order.judged.paid), (OrderState::Paid, 2000));
    let entries = told(&store, Action::DecidedAnew).await;
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.resource.as_str(), entry.actor.as_str()), (&*kept.id.to_string(), "gateway"));
    assert!(entry.changes.contains("amount_under"), "{}", entry.changes);
    assert_eq!(taken(&store, after(10 * LATE_MS)).await, [], "it waits for nothing");

    // Once more: it is not what it was, so neither of the two changes.
    assert_eq!(store.change_orders(changes).await.unwrap(), OrdersChanged::Stale);
    let again = OrderChange { revision: order.revision, ..paid };
    let again = store.change_orders(by_itself(accepting(1), vec![again])).await.unwrap();
    assert_eq!(again, OrdersChanged::Stale);
    assert_eq!(store.order(order_id(1)).await.unwrap(), Some(order));
    assert_eq!(all_deliveries(&store).await.len(), 1);
}

pub(crate) async fn what_comes_with_a_conflict_is_looked_at_alone(place: Place) {
    let store = place.open().await;
    let row = create(&store, 1).await;
    keep(&store, draft(1)).await;
    // The first says something else than before; the second pays.
    let mut record = draft(1).with(|event| event.projection = hash_bytes(99)).record();
    record.events[0].id = draft(7).event.id;
    record.arrival = draft(7).record().arrival;
    record.events.extend(draft(2).record().events);
    let paid = change(&row, fact(2, FactKind::Paid, 2000), after(20));
    let changes = OrderChanges {
        record: Some(record),
        anew: None,
        changes: vec![OrderChange { events: vec![0, 1], ..paid }],
        chain: None,
        note: None,
        at: after(20),
    };
    let changed = store.change_orders(changes).await.unwrap();
    let OrdersChanged::Done(recorded) = changed else { panic!("{changed:?}") };
    assert!(matches!(recorded.events[..], [Outcome::Conflict { .. }, Outcome::New]));
    assert_eq!(store.order(order_id(1)).await.unwrap(), Some(row), "nothing changed");
    let waits: Vec<_> = taken(&store, after(20 + LATE_MS)).await;
    let [alone] = &waits[..] else { panic!("{waits:?}") };
    assert_eq!((alone.event, alone.awaits), (draft(2).event.id, Awaits::Order(hash_bytes(1))));
}

pub(crate) async fn an_event_whose_order_has_changed_is_not_decided_on(place: Place) {
    let store = place.open().await;
    let row = create(&store, 1).await;
    keep(&store, waiting(1, Awaits::Order(hash_bytes(1)))).await;
    let paid = change(&row, fact(1, FactKind::Paid, 2000), after(20));
    pay(&store, 1, 2, 100).await;
    let changed = store.change_orders(by_itself(accepting(1), vec![paid])).await.unwrap();
    assert_eq!(changed, OrdersChanged::Stale);
    assert_eq!(event(&store, 1).await.status, EventStatus::Held);
    assert!(all_deliveries(&store).await.is_empty());
}

pub(crate) async fn what_was_decided_without_an_order_is_stale_once_there_is_one(place: Place) {
    let store = place.open().await;
    keep(&store, waiting(1, Awaits::Order(hash_bytes(1)))).await;
    keep(&store, waiting(2, Awaits::Order(hash_bytes(2)))).await;
    create(&store, 1).await;
    let without =
        |n| by_itself(Anew { unordered: Some(hash_bytes(n)), ..accepting(n) }, Vec::new());
    assert_eq!(store.change_orders(without(1)).await.unwrap(), OrdersChanged::Stale);
    assert_eq!(event(&store, 1).await.status, EventStatus::Held);
    assert!(all_deliveries(&store).await.is_empty());
    let done = store.change_orders(without(2)).await.unwrap();
    assert!(matches!(done, OrdersChanged::Done(_)));
    assert_eq!(event(&store, 2).await.status, EventStatus::Accepted);
}

pub(crate) async fn of_several_that_decide_at_once_one_does(place: Place) {
    let store = place.open().await;
    keep(&store, waiting(1, Awaits::Answer)).await;
    let mut deciding = tokio::task::JoinSet::new();
    for n in 0..6 {
        let store = store.clone();
        let deliveries = vec![delivery(500 + n, after(20), "app")];
        let changes = by_itself(Anew { deliveries, ..accepting(1) }, Vec::new());
        deciding.spawn(async move { store.change_orders(changes).await.unwrap() });
    }
    let all = deciding.join_all().await;
    let done = all.iter().filter(|changed| matches!(changed, OrdersChanged::Done(_))).count();
    assert_eq!(done, 1);
    assert_eq!(all_deliveries(&store).await.len(), 1);
    assert_eq!(told(&store, Action::DecidedAnew).await.len(), 1);
}

pub(crate) async fn what_stays_held_waits_for_something_else(place: Place) {
    let store = place.open().await;
    create(&store, 1).await;
    keep(&store, waiting(1, Awaits::Answer)).await;
    let held = Anew {
        to: EventStatus::Held,
        reason: Some("refund_exceeds_paid"),
        steps: Steps::failed_at(model::Step::Decide),
        deliveries: Vec::new(),
        facts: None,
        awaits: Some(Awaits::Order(hash_bytes(1))),
        ..accepting(1)
    };
    let delivered = Anew { deliveries: accepting(1).deliveries, ..held.clone() };
    let refused = store.change_orders(by_itself(delivered, Vec::new())).await;
    assert!(refused.is_err(), "a held event has no deliveries");
    store.change_orders(by_itself(held, Vec::new())).await.unwrap();
    let kept = event(&store, 1).await;
    assert_eq!(kept.status, EventStatus::Held);
    assert_eq!(kept.reason.as_deref(), Some("refund_exceeds_paid"));
    pay(&store, 1, 1, 500).await;
    let again = taken(&store, after(1_000)).await;
    let [one] = again[..] else { panic!("{again:?}") };
    assert_eq!(one.awaits, Awaits::Order(hash_bytes(1)));
}

pub(crate) async fn what_a_person_decides_waits_for_nothing(place: Place) {
    let store = place.open().await;
    keep(&store, waiting(1, Awaits::Answer)).await;
    keep(&store, waiting(2, Awaits::Answer)).await;
    keep(&store, waiting(3, Awaits::Answer)).await;
    let [one, two] = [1, 2].map(|n| draft(n).event.id);
    assert_eq!(store.release(one, note(), Vec::new()).await.unwrap(), Changed::Done);
    assert_eq!(store.deny(two, note()).await.unwrap(), Changed::Done);
    let released = OrderChanges { note: Some(note()), ..by_itself(accepting(3), Vec::new()) };
    store.change_orders(released).await.unwrap();
    assert_eq!(taken(&store, after(10 * LATE_MS)).await, []);
    let entries = told(&store, Action::Released).await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.actor == "operator ada"));
    assert!(told(&store, Action::DecidedAnew).await.is_empty());
}

pub(crate) async fn a_repeat_of_an_event_waits_for_nothing_of_its_own(place: Place) {
    let store = place.open().await;
    let row = create(&store, 1).await;
    keep(&store, waiting(1, Awaits::Answer)).await;
    let one = taken(&store, after(1)).await;
    store.put_off(one[0], Later::Never).await.unwrap();
    let again = store.record(waiting(1, Awaits::Answer).record()).await.unwrap();
    assert!(matches!(again.events[..], [Outcome::Duplicate { .. }]));
    store.change_orders(alone(change(&row, fact(1, FactKind::Paid, 5), after(10)))).await.unwrap();
    assert_eq!(taken(&store, after(10 * LATE_MS)).await, []);
}

pub(crate) async fn what_has_waited_for_too_long_is_forgotten(place: Place) {
    let store = place.open().await;
    keep(&store, waiting(1, Awaits::Answer)).await;
    store.forget(NOON).await.unwrap();
    let days = model::limits::UNDECIDED_DAYS + 2;
    assert!(store.any_undecided(after(1)).await.unwrap());
    for day in 1..=days {
        store.forget(after(day * 86_400_000)).await.unwrap();
    }
    assert!(!store.any_undecided(after(1)).await.unwrap());
}
