//! Approvals: one operator asks, another one decides, and what was approved is used once.

use model::{ApprovalId, Permission, Role};
use store::{
    Action, ApprovalJudged, ApprovalRow, NewApproval, NewOperator, Note, OperatorChange, Party,
    SealedRow, Store,
};
use vault::KeyId;

use super::fixture::*;
use super::operators::{operator, operator_id};

const MINUTE_MS: i64 = 60_000;

fn id(n: u64) -> ApprovalId {
    ApprovalId::new(NOON, id_bytes(n))
}

/// What the first operator asks.
fn wanted(n: u64) -> NewApproval {
    NewApproval {
        id: id(n),
        operator: operator_id(1),
        permission: Permission::KeysChange,
        fingerprint: hash_bytes(n),
        request: sealed(&format!("request {n}")),
    }
}

fn note_at(ms: i64) -> Note {
    Note { at: after(ms), ..note() }
}

/// A store with administrators.
async fn with(place: &Place, operators: &[u64]) -> Store {
    let store = place.open().await;
    for n in operators {
        let new = NewOperator { role: Role::Administrator, ..operator(*n) };
        store.add_operator(new, note()).await.unwrap();
    }
    store
}

async fn ask(store: &Store, new: NewApproval, ms: i64) -> ApprovalJudged {
    store.ask_approval(new, note_at(ms)).await.unwrap()
}

async fn approve(store: &Store, n: u64, by: u64, ms: i64) -> ApprovalJudged {
    store.decide_approval(id(n), operator_id(by), true, note_at(ms)).await.unwrap()
}

async fn refuse(store: &Store, n: u64, by: u64, ms: i64) -> ApprovalJudged {
    store.decide_approval(id(n), operator_id(by), false, note_at(ms)).await.unwrap()
}

async fn take(store: &Store, n: u64, by: u64, ms: i64) -> ApprovalJudged {
    store.use_approval(id(n), operator_id(by), hash_bytes(n), note_at(ms)).await.unwrap()
}

async fn open(store: &Store, ms: i64) -> Vec<u64> {
    let rows = store.approvals(after(ms)).await.unwrap();
    rows.iter().map(|row| (1..100).find(|n| id(*n) == row.id).unwrap()).collect()
}

/// The entries about approvals: what, whether it was refused, and what they say.
async fn told(store: &Store) -> Vec<(Action, bool, String)> {
    let entries = store.entries(0, 1_000).await.unwrap().into_iter();
    let about = entries.filter(|entry| entry.resource.starts_with("apr_"));
    about.map(|entry| (entry.action, entry.outcome == "refused", entry.changes)).collect()
}

const PERMISSION: &str = r#"["permission",null,"keys:change"]"#;

fn done(action: Action) -> (Action, bool, String) {
    (action, false, format!("[{PERMISSION}]"))
}

fn no(action: Action, because: &str) -> (Action, bool, String) {
    (action, true, format!(r#"[{PERMISSION},["because",null,"{because}"]]"#))
}

pub(crate) async fn what_is_asked_is_kept_approved_and_used_once(place: Place) {
    let store = with(&place, &[1, 2]).await;
    assert_eq!(ask(&store, wanted(1), 0).await, ApprovalJudged::Done);
    assert_eq!(ask(&store, wanted(2), 1).await, ApprovalJudged::Done);
    let row = ApprovalRow {
        id: id(1),
        operator: operator_id(1),
        permission: Permission::KeysChange,
        request: sealed("request 1"),
        asked_at: NOON,
        approved: None,
    };
    assert_eq!(store.approvals(after(1_000)).await.unwrap()[0], row);
    assert_eq!(open(&store, 1_000).await, [1, 2]);
    assert_eq!(take(&store, 1, 1, 1_000).await, ApprovalJudged::Waits);
    assert_eq!(approve(&store, 1, 2, 2_000).await, ApprovalJudged::Done);
    let approved = ApprovalRow { approved: Some((operator_id(2), after(2_000))), ..row };
    // It is so for another gateway and after a restart, too.
    let beside = place.open_beside().await;
    assert_eq!(beside.approvals(after(3_000)).await.unwrap()[0], approved);
    assert_eq!(take(&beside, 1, 1, 3_000).await, ApprovalJudged::Done);
    assert_eq!(take(&store, 1, 1, 3_000).await, ApprovalJudged::Used);
    assert_eq!(approve(&store, 1, 2, 3_000).await, ApprovalJudged::Used);
    assert_eq!(open(&store, 3_000).await, [2]);
    let (asked, given) = (Action::ApprovalAsked, Action::ApprovalApproved);
    let used = Action::ApprovalUsed;
    assert_eq!(
        told(&store).await,
        [
            done(asked),
            done(asked),
            no(used, "waits"),
            done(given),
            done(used),
            no(used, "used"),
            no(given, "used"),
        ]
    );
}

pub(crate) async fn nobody_approves_their_own_or_uses_anothers(place: Place) {
    let store = with(&place, &[1, 2, 3]).await;
    ask(&store, wanted(1), 0).await;
    assert_eq!(approve(&store, 1, 1, 1_000).await, ApprovalJudged::Own);
    assert_eq!(refuse(&store, 1, 1, 1_000).await, ApprovalJudged::Own);
    assert_eq!(approve(&store, 1, 2, 2_000).await, ApprovalJudged::Done);
    for other in [2, 3] {
        assert_eq!(take(&store, 1, other, 3_000).await, ApprovalJudged::NotYours);
    }
    let other = store.use_approval(id(1), operator_id(1), hash_bytes(9), note_at(3_000));
    assert_eq!(other.await.unwrap(), ApprovalJudged::OtherRequest);
    // None of it has used it up.
    assert_eq!(take(&store, 1, 1, 4_000).await, ApprovalJudged::Done);
    let (given, used) = (Action::ApprovalApproved, Action::ApprovalUsed);
    assert_eq!(
        told(&store).await[1..],
        [
            no(given, "own"),
            no(Action::ApprovalRefused, "own"),
            done(given),
            no(used, "not_yours"),
            no(used, "not_yours"),
            no(used, "other_request"),
            done(used),
        ]
    );
}

pub(crate) async fn what_is_decided_stays_so(place: Place) {
    let store = with(&place, &[1, 2, 3]).await;
    for n in [1, 2] {
        ask(&store, wanted(n), 0).await;
    }
    assert_eq!(refuse(&store, 1, 2, 1_000).await, ApprovalJudged::Done);
    assert_eq!(approve(&store, 1, 3, 2_000).await, ApprovalJudged::Refused);
    assert_eq!(take(&store, 1, 1, 2_000).await, ApprovalJudged::Refused);
    assert_eq!(approve(&store, 2, 2, 1_000).await, ApprovalJudged::Done);
    assert_eq!(refuse(&store, 2, 3, 2_000).await, ApprovalJudged::Approved);
    assert_eq!(open(&store, 3_000).await, [2]);
    assert_eq!(approve(&store, 9, 2, 1_000).await, ApprovalJudged::NotFound);
    assert_eq!(take(&store, 9, 1, 1_000).await, ApprovalJudged::NotFound);
}

pub(crate) async fn it_counts_for_a_quarter_of_an_hour(place: Place) {
    let store = with(&place, &[1, 2]).await;
    for n in [1, 2, 3] {
        ask(&store, wanted(n), 0).await;
    }
    let last = 15 * MINUTE_MS - 1;
    assert_eq!(open(&store, last).await, [1, 2, 3]);
    assert_eq!(approve(&store, 1, 2, 1_000).await, ApprovalJudged::Done);
    assert_eq!(approve(&store, 2, 2, last).await, ApprovalJudged::Done);
    assert_eq!(take(&store, 2, 1, last).await, ApprovalJudged::Done);
    assert_eq!(open(&store, last + 1).await, Vec::<u64>::new());
    assert_eq!(take(&store, 1, 1, last + 1).await, ApprovalJudged::Expired);
    assert_eq!(approve(&store, 3, 2, last + 1).await, ApprovalJudged::Expired);
    assert_eq!(take(&store, 3, 1, last + 1).await, ApprovalJudged::Expired);
    let said = told(&store).await;
    let expired = said.iter().filter(|told| told.2.contains("expired"));
    assert_eq!(expired.count(), 3, "{said:?}");
}

pub(crate) async fn both_must_still_be_trusted_with_it(place: Place) {
    let store = with(&place, &[1, 2]).await;
    let change = async |n, change| {
        store.change_operator(operator_id(n), change, note()).await.unwrap();
    };
    let void = ApprovalJudged::Void;
    let takes = [OperatorChange::Disable, OperatorChange::Role(Role::Operator)];
    let gives = [OperatorChange::Enable, OperatorChange::Role(Role::Administrator)];
    for (n, (taken, given)) in (1..).zip(takes.into_iter().zip(gives)) {
        ask(&store, wanted(n), 0).await;
        for (who, party) in [(1, Party::Asking), (2, Party::Approving)] {
            change(who, taken.clone()).await;
            assert_eq!(approve(&store, n, 2, 1_000).await, void(party));
            change(who, given.clone()).await;
        }
        assert_eq!(approve(&store, n, 2, 2_000).await, ApprovalJudged::Done);
        for (who, party) in [(1, Party::Asking), (2, Party::Approving)] {
            change(who, taken.clone()).await;
            assert_eq!(take(&store, n, 1, 3_000).await, void(party));
            change(who, given.clone()).await;
        }
        assert_eq!(take(&store, n, 1, 4_000).await, ApprovalJudged::Done);
    }
    let said = told(&store).await;
    for because in ["asking_void", "approving_void"] {
        assert_eq!(said.iter().filter(|told| told.2.contains(because)).count(), 4, "{said:?}");
    }
}

pub(crate) async fn of_several_that_use_it_at_once_one_does(place: Place) {
    let store = with(&place, &[1, 2]).await;
    let beside = place.open_beside().await;
    ask(&store, wanted(1), 0).await;
    approve(&store, 1, 2, 1_000).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { store.clone() } else { beside.clone() };
        tasks.spawn(async move { take(&store, 1, 1, 2_000).await });
    }
    let judged = tasks.join_all().await;
    let done = judged.iter().filter(|one| **one == ApprovalJudged::Done).count();
    assert_eq!(done, 1, "{judged:?}");
    assert!(judged.iter().all(|o| [ApprovalJudged::Done, ApprovalJudged::Used].contains(o)));
}

pub(crate) async fn not_too_many_wait_and_old_ones_are_forgotten(place: Place) {
    let store = with(&place, &[1, 2]).await;
    let max = u64::try_from(model::limits::APPROVALS_WAITING_MAX).unwrap();
    for n in 1..=max {
        assert_eq!(ask(&store, wanted(n), 0).await, ApprovalJudged::Done);
    }
    assert_eq!(ask(&store, wanted(90), 1_000).await, ApprovalJudged::TooMany);
    let last = told(&store).await.pop().unwrap();
    assert_eq!(last, no(Action::ApprovalAsked, "too_many"));
    // What is another's, decided or over makes room.
    let others = NewApproval { operator: operator_id(2), ..wanted(91) };
    assert_eq!(ask(&store, others, 1_000).await, ApprovalJudged::Done);
    assert_eq!(refuse(&store, 1, 2, 1_000).await, ApprovalJudged::Done);
    assert_eq!(ask(&store, wanted(92), 2_000).await, ApprovalJudged::Done);
    assert_eq!(ask(&store, wanted(93), 15 * MINUTE_MS).await, ApprovalJudged::Done);
    // A day later nothing is left of them but what the log says.
    assert_eq!(take(&store, 2, 1, 16 * MINUTE_MS).await, ApprovalJudged::Expired);
    assert_eq!(ask(&store, wanted(94), DAY_MS + 1_000).await, ApprovalJudged::Done);
    assert_eq!(take(&store, 2, 1, DAY_MS + 1_000).await, ApprovalJudged::NotFound);
    assert_eq!(take(&store, 93, 1, DAY_MS + 1_000).await, ApprovalJudged::Expired);
}

pub(crate) async fn what_nobody_could_open_is_refused(place: Place) {
    let store = with(&place, &[1]).await;
    let request = SealedRow { key: KeyId([99; 16]), ..sealed("nobody") };
    let refused = store.ask_approval(NewApproval { request, ..wanted(1) }, note()).await;
    assert_eq!(refused.unwrap_err().code(), "store_unknown_key");
    assert_eq!(open(&store, 1_000).await, Vec::<u64>::new());
    assert_eq!(told(&store).await, []);
    ask(&store, wanted(1), 0).await;
    let again = store.ask_approval(wanted(1), note()).await.unwrap_err();
    assert_eq!(again.code(), "store_constraint");
}
