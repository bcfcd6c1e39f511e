//! Orders: created once, changed only from what they were read as, paid by what serves no other.

use model::money::{Asset, Money, Unit};
use model::order::{Expected, Fact, FactKind, Facts, judge};
use model::{OrderId, OrderState, Reach, Timestamp};
use store::{
    Action, EntryRow, EventQuery, NewOrder, OrderChange, OrderChanges, OrderCreated, OrderQuery,
    OrderRow, OrdersChanged, Outcome, Store,
};

use super::fixture::*;

pub(crate) fn order_id(n: u64) -> OrderId {
    OrderId::new(NOON, id_bytes(n))
}

/// An order of 20.00 EUR, in an hour; every third one of the customer 7.
pub(crate) fn order(n: u64) -> NewOrder {
    let unit = Unit::Currency("EUR".parse().unwrap());
    NewOrder {
        id: order_id(n),
        reference_key: hash_bytes(n),
        customer_key: n.is_multiple_of(3).then(|| hash_bytes(7)),
        address_key: n.is_multiple_of(5).then(|| hash_bytes(8)),
        provider: Some("stripe".to_owned()),
        source: n.is_multiple_of(2).then(|| "shop".to_owned()),
        expected: Expected {
            money: Money { minor: 2000, unit },
            tolerance: 0,
            expires_at: Some(after(3_600_000)),
            cancelled_at: None,
        },
        watch: None,
        parties: Vec::new(),
        limits: Vec::new(),
        keys: Vec::new(),
        sealed: sealed(&format!("order {n}")),
    }
}

pub(crate) async fn create(store: &Store, n: u64) -> OrderRow {
    assert_eq!(store.create_order(order(n), note()).await.unwrap(), OrderCreated::Done);
    kept(store, n).await
}

async fn kept(store: &Store, n: u64) -> OrderRow {
    store.order(order_id(n)).await.unwrap().expect("the order is kept")
}

pub(crate) fn fact(payment: u64, kind: FactKind, amount: u128) -> Fact {
    Fact { payment: hash_bytes(payment), kind, part: [0; 16], amount, at: after(10), version: 0 }
}

/// What a fact makes of an order.
pub(crate) fn change(row: &OrderRow, fact: Fact, at: Timestamp) -> OrderChange {
    let mut facts = row.facts.clone();
    facts.add(fact);
    let judged = judge(&row.expected, &facts, at);
    let is_told = judged.state != row.judged.state;
    OrderChange {
        order: row.id,
        reference_key: row.reference_key,
        events: Vec::new(),
        revision: row.revision,
        cancelled_at: row.expected.cancelled_at,
        facts,
        judged,
        version: row.version + i64::from(is_told),
        told: None,
    }
}

pub(crate) fn alone(change: OrderChange) -> OrderChanges {
    OrderChanges {
        record: None,
        chain: None,
        anew: None,
        changes: vec![change],
        note: Some(note()),
        at: after(20),
    }
}

pub(crate) async fn pay(store: &Store, n: u64, payment: u64, amount: u128) -> OrdersChanged {
    let row = kept(store, n).await;
    let change = change(&row, fact(payment, FactKind::Paid, amount), after(10));
    store.change_orders(alone(change)).await.unwrap()
}

fn is_done(changed: &OrdersChanged) -> bool {
    matches!(changed, OrdersChanged::Done(_))
}

async fn entries(store: &Store, action: Action) -> Vec<EntryRow> {
    let all = store.entries(0, 1000).await.unwrap();
    all.into_iter().filter(|entry| entry.action == action).collect()
}

pub(crate) async fn an_order_is_kept_as_it_was_given(place: Place) {
    let store = place.open().await;
    let ether = Unit::Asset(Asset::new("ETH", "ethereum", 18).unwrap());
    let expected = Expected {
        money: Money { minor: u128::MAX, unit: ether },
        tolerance: 3,
        expires_at: None,
        cancelled_at: None,
    };
    let new = NewOrder { expected, provider: None, source: None, ..order(3) };
    assert_eq!(store.create_order(new.clone(), note()).await.unwrap(), OrderCreated::Done);
    let row = kept(&store, 3).await;
    assert_eq!(row.expected, new.expected);
    assert_eq!((row.provider.as_deref(), row.source.as_deref()), (None, None));
    assert_eq!(row.customer_key, Some(hash_bytes(7)));
    assert_eq!(row.sealed, sealed("order 3"));
    assert_eq!((row.created_at, row.created_by.as_str()), (note().at, "operator ada"));
    assert_eq!((row.version, row.revision), (0, 0));
    assert_eq!(row.judged.state, OrderState::Awaiting);
    assert_eq!(row.facts, Facts::default());
    assert_eq!(store.order_by_reference(hash_bytes(3)).await.unwrap(), Some(row));
    assert_eq!(store.order_by_reference(hash_bytes(4)).await.unwrap(), None);
    let told = entries(&store, Action::OrderCreated).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].resource, order_id(3).to_string());
}

pub(crate) async fn a_reference_is_of_one_order(place: Place) {
    let store = place.open().await;
    create(&store, 1).await;
    let other = NewOrder { id: order_id(2), ..order(1) };
    let created = store.create_order(other, note()).await.unwrap();
    assert_eq!(created, OrderCreated::ReferenceTaken(order_id(1)));
    assert_eq!(store.order(order_id(2)).await.unwrap(), None);
    assert_eq!(entries(&store, Action::OrderCreated).await.len(), 1);
}

pub(crate) async fn an_arrival_and_what_it_pays_are_recorded_together(place: Place) {
    let store = place.open().await;
    let row = create(&store, 1).await;
    let told = draft(2).from("countersign").to("app").record();
    let change = OrderChange {
        events: vec![0],
        told: Some(told),
        ..change(&row, fact(1, FactKind::Paid, 2000), after(10))
    };
    let record = Some(draft(1).to("app").record());
    let changes = OrderChanges {
        record,
        changes: vec![change],
        anew: None,
        chain: None,
        note: None,
        at: after(20),
    };
    let changed = store.change_orders(changes.clone()).await.unwrap();
    let OrdersChanged::Done(recorded) = changed else { panic!("{changed:?}") };
    assert_eq!(recorded.events, [Outcome::New]);
    let row = kept(&store, 1).await;
    assert_eq!((row.judged.state, row.version, row.revision), (OrderState::Paid, 1, 1));
    assert_eq!((row.judged.paid, row.updated_at), (2000, after(20)));
    let query = || EventQuery { limit: 10, ..EventQuery::default() };
    assert_eq!(store.events(query()).await.unwrap().len(), 2);
    let told = entries(&store, Action::OrderChanged).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].changes.contains("paid"), "{}", told[0].changes);

    // The same arrival again, decided on anew: it is known, so it changes nothing.
    let mut again = changes;
    again.changes[0].revision = row.revision;
    let changed = store.change_orders(again).await.unwrap();
    let OrdersChanged::Done(recorded) = changed else { panic!("{changed:?}") };
    assert!(matches!(recorded.events[..], [Outcome::Duplicate { .. }]));
    assert_eq!(kept(&store, 1).await, row);
    assert_eq!(store.events(query()).await.unwrap().len(), 2);
}

pub(crate) async fn what_was_decided_on_an_older_state_is_stale(place: Place) {
    let store = place.open().await;
    let row = create(&store, 1).await;
    assert!(is_done(&pay(&store, 1, 1, 500).await));
    let change =
        OrderChange { events: vec![0], ..change(&row, fact(2, FactKind::Paid, 1500), after(10)) };
    let record = Some(draft(1).record());
    let changes = OrderChanges {
        record,
        changes: vec![change],
        anew: None,
        chain: None,
        note: None,
        at: after(20),
    };
    assert_eq!(store.change_orders(changes).await.unwrap(), OrdersChanged::Stale);
    let events = store.events(EventQuery { limit: 10, ..EventQuery::default() }).await.unwrap();
    assert!(events.is_empty(), "nothing of it was recorded");
    let unknown = OrderChange { order: order_id(9), ..alone_change(&row) };
    let changed = store.change_orders(alone(unknown)).await.unwrap();
    assert_eq!(changed, OrdersChanged::Stale);
}

fn alone_change(row: &OrderRow) -> OrderChange {
    change(row, fact(5, FactKind::Paid, 1), after(10))
}

pub(crate) async fn a_payment_serves_one_order(place: Place) {
    let store = place.open().await;
    create(&store, 1).await;
    create(&store, 2).await;
    assert!(is_done(&pay(&store, 1, 1, 2000).await));
    assert_eq!(store.order_of_payment(hash_bytes(1)).await.unwrap(), Some(order_id(1)));
    let taken = pay(&store, 2, 1, 2000).await;
    let (payment, order) = (hash_bytes(1), order_id(1));
    assert_eq!(taken, OrdersChanged::PaymentTaken { payment, order });
    assert_eq!(kept(&store, 2).await.judged.state, OrderState::Awaiting);
    assert_eq!(store.order_of_payment(hash_bytes(2)).await.unwrap(), None);
}

pub(crate) async fn of_two_orders_that_one_payment_is_for_one_gets_it(place: Place) {
    let store = place.open().await;
    for n in 1..=8 {
        create(&store, n).await;
    }
    let mut paying = tokio::task::JoinSet::new();
    for n in 1..=8 {
        let store = store.clone();
        paying.spawn(async move { is_done(&pay(&store, n, 1, 2000).await) });
    }
    let done = paying.join_all().await;
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    let query = OrderQuery { states: vec![OrderState::Paid], limit: 10, ..OrderQuery::default() };
    assert_eq!(store.orders(query).await.unwrap().len(), 1);
}

pub(crate) async fn of_several_changes_at_once_none_is_lost(place: Place) {
    let store = place.open().await;
    create(&store, 1).await;
    let mut paying = tokio::task::JoinSet::new();
    for payment in 1..=8 {
        let store = store.clone();
        // Whoever is stale decides again.
        paying.spawn(async move { while !is_done(&pay(&store, 1, payment, 250).await) {} });
    }
    paying.join_all().await;
    let row = kept(&store, 1).await;
    assert_eq!((row.judged.state, row.judged.paid), (OrderState::Paid, 2000));
    assert_eq!(row.revision, 8);
}

pub(crate) async fn no_more_is_paid_back_than_was_paid(place: Place) {
    let store = place.open().await;
    create(&store, 1).await;
    assert!(is_done(&pay(&store, 1, 1, 2000).await));
    let row = kept(&store, 1).await;
    let refund = |amount| change(&row, fact(1, FactKind::Refunded, amount), after(10));
    // Whoever judges otherwise is refused.
    let mut too_much = refund(2001);
    assert_eq!(too_much.judged.refunded, 2000);
    too_much.judged.refunded = 2001;
    assert!(store.change_orders(alone(too_much)).await.is_err());
    assert_eq!(kept(&store, 1).await, row);
    assert!(is_done(&store.change_orders(alone(refund(2000))).await.unwrap()));
    assert_eq!(kept(&store, 1).await.judged.state, OrderState::Refunded);
}

pub(crate) async fn orders_are_found_by_what_they_are(place: Place) {
    let store = place.open().await;
    for n in 1..=6 {
        create(&store, n).await;
    }
    assert!(is_done(&pay(&store, 4, 1, 2000).await));
    let found = async |query: OrderQuery| -> Vec<OrderId> {
        store.orders(query).await.unwrap().iter().map(|row| row.id).collect()
    };
    let ids = |numbers: &[u64]| numbers.iter().map(|n| order_id(*n)).collect::<Vec<_>>();
    let all = || OrderQuery { limit: 10, ..OrderQuery::default() };
    assert_eq!(found(all()).await, ids(&[6, 5, 4, 3, 2, 1]));
    let states = vec![OrderState::Paid];
    assert_eq!(found(OrderQuery { states, ..all() }).await, ids(&[4]));
    let shop = |name: &str| Some([name.to_owned()].into_iter().collect());
    let reach = Reach { sources: shop("shop"), ..Reach::default() };
    assert_eq!(found(OrderQuery { reach, ..all() }).await, ids(&[6, 4, 2]));
    let reach = Reach { providers: shop("adyen"), ..Reach::default() };
    assert_eq!(found(OrderQuery { reach, ..all() }).await, ids(&[]));
    let reach = Reach { customer: Some(hash_bytes(7)), ..Reach::default() };
    assert_eq!(found(OrderQuery { reach, ..all() }).await, ids(&[6, 3]));
    let first = store.orders(OrderQuery { limit: 2, ..all() }).await.unwrap();
    let before = first.last().map(|row| row.sequence);
    assert_eq!(found(OrderQuery { before, limit: 2, ..all() }).await, ids(&[4, 3]));
}

pub(crate) async fn orders_are_due_once_their_time_is_over(place: Place) {
    let store = place.open().await;
    for n in 1..=3 {
        create(&store, n).await;
    }
    assert!(is_done(&pay(&store, 2, 1, 2000).await));
    let due = async |ms| store.orders_due(after(ms), 10).await.unwrap();
    assert!(due(3_599_999).await.is_empty());
    let over = due(3_600_000).await;
    assert_eq!(over.iter().map(|row| row.id).collect::<Vec<_>>(), [order_id(1), order_id(3)]);
    for row in over {
        let at = after(3_600_000);
        let judged = judge(&row.expected, &row.facts, at);
        assert_eq!(judged.state, OrderState::Expired);
        let change = OrderChange { judged, facts: row.facts.clone(), ..alone_change(&row) };
        let changes = OrderChanges { note: None, at, ..alone(change) };
        assert!(is_done(&store.change_orders(changes).await.unwrap()));
    }
    assert!(due(9_600_000).await.is_empty());
}

pub(crate) async fn an_order_sealed_under_an_unknown_key_is_refused(place: Place) {
    let store = place.open().await;
    let mut new = order(1);
    new.sealed.key = vault::KeyId([99; 16]);
    assert!(store.create_order(new, note()).await.is_err());
    assert_eq!(store.order(order_id(1)).await.unwrap(), None);
    // With its key it is not.
    let sealed = store::SealedRow { key: vault::KeyId([99; 16]), ..order(1).sealed };
    let created = store.create_order(NewOrder { sealed, keys: vec![key(99)], ..order(1) }, note());
    assert_eq!(created.await.unwrap(), OrderCreated::Done);
}
