//! Receipts: a transaction answers one request, for good.

use store::{Action, NewReceipt, ReceiptTaken, Store};

use super::fixture::*;
use super::log::deed;

pub(crate) fn receipt(transaction: u64, request: u64) -> NewReceipt {
    let (transaction, request) = (hash_bytes(transaction), hash_bytes(request));
    NewReceipt { transaction, request, at: NOON }
}

async fn take(store: &Store, transaction: u64, request: u64) -> ReceiptTaken {
    let entry = store::Deed { action: Action::ReceiptJudged, ..deed("bot") };
    store.take_receipt(receipt(transaction, request), entry).await.unwrap()
}

pub(crate) async fn a_transaction_answers_one_request(place: Place) {
    let store = place.open().await;
    assert_eq!(take(&store, 1, 10).await, ReceiptTaken::Done);
    // Who shows it again for the same request has it again.
    assert_eq!(take(&store, 1, 10).await, ReceiptTaken::Done);
    assert_eq!(take(&store, 1, 11).await, ReceiptTaken::Reused);
    // One request may be paid twice: that is no fault of the second transaction.
    assert_eq!(take(&store, 2, 10).await, ReceiptTaken::Done);
    let beside = place.open_beside().await;
    assert_eq!(take(&beside, 1, 11).await, ReceiptTaken::Reused);
    assert_eq!(take(&beside, 1, 10).await, ReceiptTaken::Done);
    store.close().await;
    drop((store, beside));
    let store = place.open().await;
    assert_eq!(take(&store, 1, 11).await, ReceiptTaken::Reused);
    assert_eq!(take(&store, 2, 11).await, ReceiptTaken::Reused);
}

pub(crate) async fn each_receipt_that_is_judged_has_its_entry(place: Place) {
    let store = place.open().await;
    take(&store, 1, 10).await;
    take(&store, 1, 11).await;
    let entries = store.entries(0, 10).await.unwrap();
    let judged = |entry: &&store::EntryRow| entry.action == Action::ReceiptJudged;
    let said = |entry: &store::EntryRow| (entry.outcome, entry.changes.clone());
    let said: Vec<_> = entries.iter().filter(judged).map(said).collect();
    let reused = r#"[["entries",null,"7"],["reason",null,"receipt_reused"]]"#;
    let good = r#"[["entries",null,"7"]]"#;
    assert_eq!(said, [("done", good.to_owned()), ("refused", reused.to_owned())]);
}

pub(crate) async fn of_several_requests_at_once_one_has_the_transaction(place: Place) {
    let store = place.open().await;
    let beside = place.open_beside().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..12 {
        let store = if n % 2 == 0 { store.clone() } else { beside.clone() };
        tasks.spawn(async move { (n, take(&store, 1, n).await) });
    }
    let taken = tasks.join_all().await;
    let mut done = taken.iter().filter(|(_, taken)| *taken == ReceiptTaken::Done);
    let (first, _) = done.next().unwrap();
    assert_eq!(done.next(), None, "{taken:?}");
    assert_eq!(take(&store, 1, *first).await, ReceiptTaken::Done);
}
