//! Chains: their state changes together with what it makes known, and an address is of one order at a time.

use model::OrderState;
use model::order::FactKind;
use store::{
    ChainChange, ChainRow, NewOrder, NewWatch, OrderChanges, OrderCreated, OrdersChanged, Store,
};
use tokio::task::JoinSet;

use super::fixture::*;
use super::orders::{change, fact, order, order_id};

/// An order of the chain `ether`, at an address.
pub(crate) fn watched(n: u64, address: u64) -> NewOrder {
    let watch = NewWatch { chain: "ether".to_owned(), address_key: hash_bytes(address) };
    NewOrder { watch: Some(watch), ..order(n) }
}

pub(crate) fn read_to(revision: i64, text: &str) -> ChainChange {
    ChainChange {
        name: "ether".to_owned(),
        revision,
        keys: Vec::new(),
        sealed: sealed(text),
        taken: Vec::new(),
        left: Vec::new(),
    }
}

pub(crate) fn of_chain(chain: ChainChange) -> OrderChanges {
    let (record, changes) = (None, Vec::new());
    OrderChanges { record, anew: None, changes, chain: Some(chain), note: None, at: after(20) }
}

async fn created(store: &Store, n: u64, address: u64) -> OrderCreated {
    store.create_order(watched(n, address), note()).await.unwrap()
}

async fn waiting(store: &Store) -> Vec<model::OrderId> {
    let rows = store.orders_to_watch("ether", 10).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

fn is_done(changed: &OrdersChanged) -> bool {
    matches!(changed, OrdersChanged::Done(_))
}

pub(crate) async fn what_was_read_and_what_it_makes_known_are_kept_together(place: Place) {
    let store = place.open().await;
    assert_eq!(created(&store, 1, 7).await, OrderCreated::Done);
    let row = store.order(order_id(1)).await.unwrap().unwrap();
    assert!(row.watched);
    assert_eq!(waiting(&store).await, [order_id(1)]);
    let taken = ChainChange { taken: vec![order_id(1)], ..read_to(0, "block 5") };
    let paid = change(&row, fact(1, FactKind::Counted, 2000), after(10));
    let changes = OrderChanges { changes: vec![paid.clone()], ..of_chain(taken) };
    assert!(is_done(&store.change_orders(changes).await.unwrap()));
    let kept = ChainRow { revision: 1, sealed: sealed("block 5") };
    assert_eq!(store.chain("ether").await.unwrap(), Some(kept.clone()));
    assert_eq!(store.chain("bitcoin").await.unwrap(), None);
    assert_eq!(waiting(&store).await, []);
    let row = store.order(order_id(1)).await.unwrap().unwrap();
    assert_eq!((row.judged.state, row.watched), (OrderState::Paid, true));

    // A stale order keeps the chain as it was, and a stale chain the order.
    let changes = OrderChanges { changes: vec![paid], ..of_chain(read_to(1, "block 6")) };
    assert_eq!(store.change_orders(changes).await.unwrap(), OrdersChanged::Stale);
    assert_eq!(store.chain("ether").await.unwrap(), Some(kept));
    let gone = change(&row, fact(1, FactKind::Undone, 2000), after(10));
    for revision in [0, 2] {
        let changes =
            OrderChanges { changes: vec![gone.clone()], ..of_chain(read_to(revision, "block 9")) };
        assert_eq!(store.change_orders(changes).await.unwrap(), OrdersChanged::Stale);
    }
    assert_eq!(store.order(order_id(1)).await.unwrap(), Some(row));
}

pub(crate) async fn of_gateways_that_read_a_chain_at_once_one_is_first(place: Place) {
    let store = place.open().await;
    for revision in 0..3 {
        let mut reading = JoinSet::new();
        for n in 0..8 {
            let (store, text) = (store.clone(), format!("block {revision} by {n}"));
            let changes = of_chain(read_to(revision, &text));
            reading.spawn(async move { (text, store.change_orders(changes).await.unwrap()) });
        }
        let all = reading.join_all().await;
        let first: Vec<_> = all.iter().filter(|(_, changed)| is_done(changed)).collect();
        assert_eq!(first.len(), 1, "{all:?}");
        let kept = store.chain("ether").await.unwrap().unwrap();
        assert_eq!((kept.revision, kept.sealed), (revision + 1, sealed(&first[0].0)));
    }
}

pub(crate) async fn an_address_is_of_one_order_until_it_is_left(place: Place) {
    let store = place.open().await;
    assert_eq!(created(&store, 1, 7).await, OrderCreated::Done);
    assert_eq!(created(&store, 2, 7).await, OrderCreated::AddressTaken(order_id(1)));
    assert_eq!(store.order(order_id(2)).await.unwrap(), None);
    // A reference that is taken takes no address.
    let again = NewOrder { id: order_id(3), ..watched(1, 8) };
    let taken = store.create_order(again, note()).await.unwrap();
    assert_eq!(taken, OrderCreated::ReferenceTaken(order_id(1)));
    assert_eq!(created(&store, 4, 8).await, OrderCreated::Done);
    let left = ChainChange { left: vec![order_id(1)], ..read_to(0, "block 5") };
    assert!(is_done(&store.change_orders(of_chain(left)).await.unwrap()));
    assert!(store.order(order_id(1)).await.unwrap().unwrap().watched, "it was");
    assert_eq!(waiting(&store).await, [order_id(4)]);
    assert_eq!(created(&store, 2, 7).await, OrderCreated::Done);
    let mut asking = JoinSet::new();
    for n in 10..18 {
        let store = store.clone();
        asking.spawn(async move { created(&store, n, 9).await });
    }
    let created = asking.join_all().await;
    let done = created.iter().filter(|created| **created == OrderCreated::Done).count();
    assert_eq!(done, 1, "{created:?}");
}
