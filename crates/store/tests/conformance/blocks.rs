//! Blocks: added, lifted, over by themselves, and in the way of orders.

use model::block::{BlockState, PartyKind};
use model::{BlockId, Timestamp};
use store::{
    Action, BlockChanged, BlockQuery, BlockRow, EntryRow, NewBlock, NewOrder, Note, OrderCreated,
    Store,
};

use super::fixture::*;
use super::orders;

pub(crate) fn id(n: u64) -> BlockId {
    BlockId::new(NOON, id_bytes(n))
}

/// A block of the party of that number, until so many milliseconds after noon.
pub(crate) fn block(n: u64, party: u64, ends: Option<i64>) -> NewBlock {
    NewBlock {
        id: id(n),
        kind: PartyKind::Customer,
        of: "stripe".to_owned(),
        party_key: hash_bytes(party),
        ends_at: ends.map(after),
        keys: Vec::new(),
        sealed: sealed(&format!("block {n}")),
    }
}

fn note_at(ms: i64) -> Note {
    Note { at: after(ms), ..note() }
}

pub(crate) async fn add(store: &Store, new: NewBlock, ms: i64) -> BlockChanged {
    store.add_block(new, note_at(ms)).await.unwrap()
}

pub(crate) async fn lift(store: &Store, n: u64, ms: i64) -> BlockChanged {
    store.lift_block(id(n), note_at(ms)).await.unwrap()
}

async fn standing(store: &Store, at: Timestamp) -> Vec<BlockId> {
    store.standing_blocks(at).await.unwrap().into_iter().map(|block| block.id).collect()
}

async fn listed(store: &Store, query: BlockQuery) -> Vec<BlockId> {
    let found: Vec<BlockRow> = store.blocks(query).await.unwrap();
    found.into_iter().map(|row| row.id).collect()
}

async fn entries(store: &Store, action: Action) -> Vec<EntryRow> {
    let all = store.entries(0, 1000).await.unwrap();
    all.into_iter().filter(|entry| entry.action == action).collect()
}

pub(crate) async fn a_block_is_kept_as_it_was_given_and_lifted_once(place: Place) {
    let store = place.open().await;
    let new = NewBlock { kind: PartyKind::Card, ..block(1, 7, Some(9_000)) };
    assert_eq!(add(&store, new, 10).await, BlockChanged::Done);
    let row = store.block(id(1)).await.unwrap().expect("it is kept");
    assert_eq!((row.kind, row.of.as_str()), (PartyKind::Card, "stripe"));
    assert_eq!((row.party_key, row.sealed.clone()), (hash_bytes(7), sealed("block 1")));
    assert_eq!((row.created_at, row.created_by.as_str()), (after(10), "operator ada"));
    assert_eq!((row.life.ends_at, row.life.lifted_at), (Some(after(9_000)), None));
    assert_eq!(row.life.state(after(8_999)), BlockState::Standing);

    assert_eq!(lift(&store, 1, 50).await, BlockChanged::Done);
    let row = store.block(id(1)).await.unwrap().expect("it is kept");
    assert_eq!(row.life.lifted_at, Some(after(50)));
    assert_eq!(row.lifted_by.as_deref(), Some("operator ada"));
    assert_eq!(lift(&store, 1, 60).await, BlockChanged::AlreadyOver);
    assert_eq!(lift(&store, 2, 60).await, BlockChanged::NotFound);
    assert_eq!(store.block(id(2)).await.unwrap(), None);

    let added = entries(&store, Action::BlockAdded).await;
    assert_eq!(added.len(), 1);
    assert_eq!((added[0].resource.as_str(), added[0].outcome), (&*id(1).to_string(), "done"));
    assert!(added[0].changes.contains("card"), "{}", added[0].changes);
    let lifted = entries(&store, Action::BlockLifted).await;
    let outcomes: Vec<_> = lifted.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, ["done", "refused"]);
}

pub(crate) async fn a_party_is_blocked_while_any_block_stands(place: Place) {
    let store = place.open().await;
    assert_eq!(add(&store, block(1, 7, Some(1_000)), 0).await, BlockChanged::Done);
    // One that ends later, and one that ends no later.
    assert_eq!(add(&store, block(2, 7, Some(2_000)), 1).await, BlockChanged::Done);
    let shorter = add(&store, block(3, 7, Some(2_000)), 2).await;
    assert_eq!(shorter, BlockChanged::AlreadyBlocked(id(2)));
    assert_eq!(store.block(id(3)).await.unwrap(), None);
    assert_eq!(entries(&store, Action::BlockAdded).await.pop().unwrap().outcome, "refused");
    assert_eq!(add(&store, block(4, 7, None), 3).await, BlockChanged::Done);
    assert_eq!(add(&store, block(5, 7, None), 4).await, BlockChanged::AlreadyBlocked(id(4)));
    assert_eq!(add(&store, block(6, 8, None), 4).await, BlockChanged::Done);
    assert_eq!(standing(&store, after(999)).await, [id(1), id(2), id(4), id(6)]);
    assert_eq!(standing(&store, after(1_000)).await, [id(2), id(4), id(6)]);
    assert_eq!(lift(&store, 1, 1_000).await, BlockChanged::AlreadyOver);
    assert_eq!(lift(&store, 4, 1_500).await, BlockChanged::Done);
    assert_eq!(standing(&store, after(1_500)).await, [id(2), id(6)]);
    assert_eq!(standing(&store, after(2_000)).await, [id(6)]);
    // Over, it may come again.
    assert_eq!(add(&store, block(7, 7, Some(9_000)), 3_000).await, BlockChanged::Done);
}

pub(crate) async fn blocks_are_listed_page_by_page(place: Place) {
    let store = place.open().await;
    for n in 1..=4 {
        add(&store, block(n, n, Some(i64::try_from(n).unwrap() * 1_000)), 0).await;
    }
    let all = |limit| BlockQuery { limit, ..BlockQuery::default() };
    assert_eq!(listed(&store, all(2)).await, [id(4), id(3)]);
    let before = store.block(id(3)).await.unwrap().unwrap().sequence;
    let rest = BlockQuery { before: Some(before), ..all(9) };
    assert_eq!(listed(&store, rest).await, [id(2), id(1)]);
    let standing = |ms| BlockQuery { standing_at: Some(after(ms)), ..all(9) };
    assert_eq!(listed(&store, standing(2_000)).await, [id(4), id(3)]);
    lift(&store, 4, 100).await;
    assert_eq!(listed(&store, standing(2_000)).await, [id(3)]);
    assert_eq!(listed(&store, all(9)).await.len(), 4);
}

pub(crate) async fn every_change_of_a_block_is_a_new_version(place: Place) {
    let store = place.open().await;
    let mut last = store.blocks_version().await.unwrap();
    let mut grew = async |what: &str, should: bool| {
        let now = store.blocks_version().await.unwrap();
        assert_eq!(now > last, should, "{what}");
        last = now;
    };
    add(&store, block(1, 7, None), 0).await;
    grew("added", true).await;
    store.block(id(1)).await.unwrap();
    grew("read", false).await;
    lift(&store, 1, 5).await;
    grew("lifted", true).await;
}

pub(crate) async fn of_several_that_block_at_once_one_does(place: Place) {
    let store = place.open().await;
    let tasks: Vec<_> = (1..=8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { add(&store, block(n, 7, None), 0).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            BlockChanged::Done => done += 1,
            BlockChanged::AlreadyBlocked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, standing(&store, after(1)).await.len()), (1, 1));
}

pub(crate) async fn no_order_is_created_for_who_is_blocked(place: Place) {
    let store = place.open().await;
    add(&store, block(1, 7, Some(5_000)), 0).await;
    let of = |n, parties: &[u64]| NewOrder {
        parties: parties.iter().map(|party| hash_bytes(*party)).collect(),
        ..orders::order(n)
    };
    let create = async |new, ms| store.create_order(new, note_at(ms)).await.unwrap();
    let blocked = OrderCreated::PartyBlocked { place: 1, block: id(1) };
    assert_eq!(create(of(1, &[8, 7]), 100).await, blocked);
    assert_eq!(store.order(orders::order_id(1)).await.unwrap(), None);
    let refused = entries(&store, Action::OrderCreated).await;
    assert_eq!((refused.len(), refused[0].outcome), (1, "refused"));
    assert!(refused[0].changes.contains("party_blocked"), "{}", refused[0].changes);
    assert_eq!(create(of(2, &[8]), 100).await, OrderCreated::Done);
    // Its time is over.
    assert_eq!(create(of(1, &[8, 7]), 5_000).await, OrderCreated::Done);
    add(&store, block(2, 9, None), 0).await;
    lift(&store, 2, 1).await;
    assert_eq!(create(of(3, &[9]), 100).await, OrderCreated::Done);
}

pub(crate) async fn a_block_sealed_under_an_unknown_key_is_refused(place: Place) {
    let store = place.open().await;
    let mut new = block(1, 7, None);
    new.sealed.key = vault::KeyId([99; 16]);
    assert!(store.add_block(new, note()).await.is_err());
    assert_eq!(standing(&store, NOON).await, []);
    assert_eq!(entries(&store, Action::BlockAdded).await.len(), 0);
}
