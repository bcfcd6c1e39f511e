//! Limits on orders: what counts, what does not, and that two at once do not both slip under one.

use model::money::{Asset, Money, Unit};
use model::order::{Expected, Fact, FactKind, LimitPer, OrderLimit};
use store::{Action, EntryRow, NewOrder, Note, OrderChange, OrderCreated, Store};

use super::fixture::*;
use super::orders::{alone, change, order, order_id};

const HOUR_MS: i64 = 3_600_000;

fn euros() -> Unit {
    Unit::Currency("EUR".parse().unwrap())
}

/// At most so many, or so much in euro cents, by one customer in an hour.
fn limit(count_max: Option<u32>, sum_max: Option<u128>) -> OrderLimit {
    let unit = Some(euros());
    OrderLimit { per: LimitPer::Customer, unit, window_ms: HOUR_MS, count_max, sum_max }
}

/// An order of so many cents of the customer 7, to the address 8, that must keep limits.
fn limited(n: u64, cents: u128, limits: &[OrderLimit]) -> NewOrder {
    NewOrder {
        customer_key: Some(hash_bytes(7)),
        address_key: Some(hash_bytes(8)),
        expected: Expected { money: Money { minor: cents, unit: euros() }, ..order(n).expected },
        limits: limits.to_vec(),
        ..order(n)
    }
}

async fn create(store: &Store, new: NewOrder, ms: i64) -> OrderCreated {
    store.create_order(new, Note { at: after(ms), ..note() }).await.unwrap()
}

fn reached(place: usize, retry_after_ms: Option<i64>) -> OrderCreated {
    OrderCreated::LimitReached { place, retry_after_ms }
}

async fn refused(store: &Store) -> Vec<EntryRow> {
    let all = store.entries(0, 1000).await.unwrap();
    let is_it =
        |entry: &EntryRow| entry.action == Action::OrderCreated && entry.outcome == "refused";
    all.into_iter().filter(is_it).collect()
}

pub(crate) async fn a_customer_orders_so_many_and_so_much_in_a_while(place: Place) {
    let store = place.open().await;
    let limits = [limit(Some(3), None), limit(None, Some(5_000))];
    assert_eq!(create(&store, limited(1, 2_000, &limits), 0).await, OrderCreated::Done);
    assert_eq!(create(&store, limited(2, 2_000, &limits), 1_000).await, OrderCreated::Done);
    let too_much = create(&store, limited(3, 1_001, &limits), 2_000).await;
    assert_eq!(too_much, reached(1, Some(HOUR_MS - 2_000)));
    assert_eq!(store.order(order_id(3)).await.unwrap(), None);
    assert_eq!(create(&store, limited(3, 1_000, &limits), 2_000).await, OrderCreated::Done);
    let too_many = create(&store, limited(4, 1, &limits), 3_000).await;
    assert_eq!(too_many, reached(0, Some(HOUR_MS - 3_000)));
    assert_eq!(create(&store, limited(5, 5_001, &limits[1..]), 3_000).await, reached(0, None));
    let entries = refused(&store).await;
    assert_eq!(entries.len(), 3);
    assert!(entries[0].changes.contains("order_limit_reached"), "{}", entries[0].changes);
    assert!(entries[0].changes.contains("at most 50.00 EUR"), "{}", entries[0].changes);
    // The first has left the window.
    assert_eq!(create(&store, limited(4, 1, &limits), HOUR_MS).await, OrderCreated::Done);
    // One that is there is told of before any limit.
    let again = NewOrder { id: order_id(9), ..limited(1, 1, &limits) };
    let taken = OrderCreated::ReferenceTaken(order_id(1));
    assert_eq!(create(&store, again, HOUR_MS).await, taken);
}

pub(crate) async fn each_limit_counts_what_it_is_about(place: Place) {
    let store = place.open().await;
    let one = [limit(Some(1), None)];
    assert_eq!(create(&store, limited(1, 100, &one), 0).await, OrderCreated::Done);
    let of = |n, change: &dyn Fn(&mut NewOrder)| {
        let mut new = limited(n, 100, &one);
        change(&mut new);
        new
    };
    // Another customer, none at all, and other money.
    let other = of(2, &|new| new.customer_key = Some(hash_bytes(70)));
    assert_eq!(create(&store, other, 1).await, OrderCreated::Done);
    let none = of(3, &|new| new.customer_key = None);
    assert_eq!(create(&store, none, 1).await, OrderCreated::Done);
    let yen = of(4, &|new| new.expected.money.unit = Unit::Currency("JPY".parse().unwrap()));
    assert_eq!(create(&store, yen, 1).await, OrderCreated::Done);
    assert_eq!(create(&store, of(5, &|_| {}), 1).await, reached(0, Some(HOUR_MS - 1)));
    // Whatever the money is, and by address.
    let any = OrderLimit { unit: None, ..limit(Some(2), None) };
    let over = of(5, &|new| new.limits = vec![any.clone()]);
    assert_eq!(create(&store, over, 1).await, reached(0, Some(HOUR_MS - 1)));
    let per_address = OrderLimit { per: LimitPer::Address, ..any };
    let over = of(5, &|new| new.limits = vec![per_address.clone()]);
    assert!(matches!(create(&store, over, 2).await, OrderCreated::LimitReached { .. }));
    let elsewhere = of(5, &|new| {
        new.limits = vec![per_address.clone()];
        new.address_key = Some(hash_bytes(80));
    });
    assert_eq!(create(&store, elsewhere, 2).await, OrderCreated::Done);
    // The same symbol on another chain is another asset.
    let on = |chain: &str| Unit::Asset(Asset::new("USDC", chain, 6).unwrap());
    let asset = OrderLimit { unit: Some(on("base")), ..limit(None, Some(100)) };
    for (n, chain, expected) in [
        (6, "base", OrderCreated::Done),
        (7, "ethereum", OrderCreated::Done),
        (8, "base", reached(0, Some(HOUR_MS))),
    ] {
        let new = of(n, &|new| {
            new.limits = vec![asset.clone()];
            new.expected.money.unit = on(chain);
        });
        assert_eq!(create(&store, new, 2).await, expected, "{chain}");
    }
}

pub(crate) async fn orders_that_came_to_nothing_do_not_count(place: Place) {
    let store = place.open().await;
    let one = [limit(Some(1), None)];
    let kept = async |n| store.order(order_id(n)).await.unwrap().expect("it is kept");
    assert_eq!(create(&store, limited(1, 2_000, &one), 0).await, OrderCreated::Done);
    assert_eq!(create(&store, limited(2, 2_000, &one), 10).await, reached(0, Some(HOUR_MS - 10)));
    // Failed, cancelled, expired: each makes room for the next.
    let row = kept(1).await;
    let failed = Fact {
        payment: hash_bytes(1),
        kind: FactKind::Failed,
        part: [0; 16],
        amount: 0,
        at: after(10),
        version: 0,
    };
    store.change_orders(alone(change(&row, failed, after(10)))).await.unwrap();
    assert_eq!(kept(1).await.judged.state, model::OrderState::Failed);
    assert_eq!(create(&store, limited(2, 2_000, &one), 20).await, OrderCreated::Done);
    let judged = async |n, cancelled: bool, ms| {
        let mut row = kept(n).await;
        row.expected.cancelled_at = cancelled.then(|| after(ms));
        let judged = model::order::judge(&row.expected, &row.facts, after(ms));
        let change = OrderChange {
            order: row.id,
            reference_key: row.reference_key,
            events: Vec::new(),
            revision: row.revision,
            cancelled_at: row.expected.cancelled_at,
            facts: row.facts.clone(),
            judged,
            version: row.version + 1,
            told: None,
        };
        store.change_orders(alone(change)).await.unwrap();
        judged.state
    };
    assert_eq!(judged(2, true, 30).await, model::OrderState::Cancelled);
    let mut short = limited(3, 2_000, &one);
    short.expected.expires_at = Some(after(100));
    assert_eq!(create(&store, short, 40).await, OrderCreated::Done);
    assert!(matches!(
        create(&store, limited(4, 2_000, &one), 50).await,
        OrderCreated::LimitReached { .. }
    ));
    assert_eq!(judged(3, false, 100).await, model::OrderState::Expired);
    assert_eq!(create(&store, limited(4, 2_000, &one), 110).await, OrderCreated::Done);
}

pub(crate) async fn of_several_at_once_no_more_than_the_limit_are_created(place: Place) {
    let store = place.open().await;
    let limits = [limit(Some(3), None), limit(None, Some(6_000))];
    let tasks: Vec<_> = (1..=12)
        .map(|n| {
            let (store, new) = (store.clone(), limited(n, 2_000, &limits));
            tokio::spawn(async move { create(&store, new, 0).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            OrderCreated::Done => done += 1,
            OrderCreated::LimitReached { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(done, 3);
    assert_eq!(refused(&store).await.len(), 9);
}
