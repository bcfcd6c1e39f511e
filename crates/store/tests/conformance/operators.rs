//! Operators: how they come, change and sign in, and how their sessions end.

use std::time::{SystemTime, UNIX_EPOCH};

use model::operator::SessionState;
use model::{OperatorId, Role, Timestamp};
use store::{
    Action, NewOperator, NewSession, Note, OperatorChange, OperatorChanged, OperatorRow, Removed,
    Retention, SealedRow, SessionOpened, SessionRow, Store,
};
use vault::KeyId;

use super::fixture::*;

const MINUTE_MS: i64 = 60_000;

pub(crate) fn operator_id(n: u64) -> OperatorId {
    OperatorId::new(NOON, id_bytes(n))
}

/// An operator of the role `operator`, unless it is the second one.
pub(crate) fn operator(n: u64) -> NewOperator {
    NewOperator {
        id: operator_id(n),
        login_key: hash_bytes(n),
        role: if n == 2 { Role::Administrator } else { Role::Operator },
        login: sealed(&format!("login {n}")),
        password: sealed(&format!("password {n}")),
        totp: sealed(&format!("seed {n}")),
    }
}

/// A session of an operator, for the code of a step.
pub(crate) fn session(token: u64, of: u64, step: i64) -> NewSession {
    NewSession {
        token_hash: hash_bytes(token),
        operator: operator_id(of),
        generation: 0,
        step,
        instead_of: None,
    }
}

fn note_at(ms: i64) -> Note {
    Note { at: after(ms), ..note() }
}

async fn with(place: &Place, operators: &[u64]) -> Store {
    let store = place.open().await;
    for n in operators {
        let added = store.add_operator(operator(*n), note()).await.unwrap();
        assert_eq!(added, OperatorChanged::Done);
    }
    store
}

async fn kept(store: &Store, n: u64) -> OperatorRow {
    store.operator(operator_id(n)).await.unwrap().expect("the operator is kept")
}

async fn open(store: &Store, new: NewSession, ms: i64) -> SessionOpened {
    store.open_session(new, note_at(ms)).await.unwrap()
}

async fn look(store: &Store, token: u64) -> Option<SessionRow> {
    store.session(hash_bytes(token)).await.unwrap()
}

async fn state(store: &Store, token: u64, ms: i64) -> SessionState {
    look(store, token).await.expect("the session is kept").life.state(after(ms))
}

/// The entries about operators: what, on which, whether it was refused, and what they say.
async fn told(store: &Store) -> Vec<(Action, String, bool, String)> {
    let entries = store.entries(0, 1_000).await.unwrap().into_iter();
    let about = entries.filter(|entry| entry.resource.starts_with("opr_"));
    about
        .map(|entry| {
            entry.body().unwrap();
            (entry.action, entry.resource, entry.outcome == "refused", entry.changes)
        })
        .collect()
}

fn entry(action: Action, n: u64, refused: bool, changes: &str) -> (Action, String, bool, String) {
    (action, operator_id(n).to_string(), refused, changes.to_owned())
}

pub(crate) async fn an_added_operator_is_kept_as_they_were_given(place: Place) {
    let store = place.open().await;
    assert_eq!(store.operators().await.unwrap(), []);
    for n in [1, 2] {
        let given = operator(n);
        store.add_operator(given.clone(), note()).await.unwrap();
        let row = kept(&store, n).await;
        assert_eq!((row.id, row.role, &row.login), (given.id, given.role, &given.login));
        assert_eq!((&row.password, &row.totp), (&given.password, &given.totp));
        assert_eq!((row.totp_step, row.generation, row.disabled_at), (None, 0, None));
        assert_eq!((row.created_at, row.created_by.as_str()), (after(1_000), "operator ada"));
        assert_eq!(store.operator_by_login(hash_bytes(n)).await.unwrap(), Some(row));
    }
    let ids: Vec<_> = store.operators().await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(ids, [operator_id(1), operator_id(2)]);
    assert_eq!(store.operator_by_login(hash_bytes(3)).await.unwrap(), None);
    let added = Action::OperatorAdded;
    assert_eq!(
        told(&store).await,
        [
            entry(added, 1, false, r#"[["role",null,"operator"]]"#),
            entry(added, 2, false, r#"[["role",null,"administrator"]]"#),
        ]
    );
}

pub(crate) async fn operators_are_read_page_by_page(place: Place) {
    let store = with(&place, &[3, 1, 2]).await;
    let all = store.operators().await.unwrap();
    let mut paged = Vec::new();
    let mut after = 0;
    for expected in [2, 1, 0] {
        let page = store.operators_page(after, 2).await.unwrap();
        assert_eq!(page.len(), expected);
        assert!(page.iter().all(|(number, _)| *number > after));
        after = page.last().map_or(after, |(number, _)| *number);
        paged.extend(page.into_iter().map(|(_, row)| row));
    }
    assert_eq!(paged, all);
    // Whoever comes meanwhile stands on the next page, and nobody twice.
    store.add_operator(operator(4), note()).await.unwrap();
    let page = store.operators_page(after, 9).await.unwrap();
    assert_eq!(page.iter().map(|(_, row)| row.id).collect::<Vec<_>>(), [operator_id(4)]);
    for (after, limit) in [(i64::MAX, 9), (0, 0)] {
        assert_eq!(store.operators_page(after, limit).await.unwrap(), []);
    }
    assert_eq!(store.operators_page(i64::MIN, usize::MAX).await.unwrap().len(), 4);
}

pub(crate) async fn nobody_else_signs_in_as_that(place: Place) {
    let store = with(&place, &[1]).await;
    let other = NewOperator { login_key: hash_bytes(1), ..operator(2) };
    let added = store.add_operator(other, note()).await.unwrap();
    assert_eq!(added, OperatorChanged::LoginTaken);
    assert_eq!(store.operators().await.unwrap().len(), 1);
    let because = r#"[["because",null,"login_taken"]]"#;
    assert_eq!(told(&store).await[1], entry(Action::OperatorAdded, 2, true, because));
    let same_id = NewOperator { login_key: hash_bytes(9), ..operator(1) };
    let refused = store.add_operator(same_id, note()).await.unwrap_err();
    assert_eq!(refused.code(), "store_constraint");
    assert_eq!(told(&store).await.len(), 2);
}

pub(crate) async fn every_change_is_kept_and_told(place: Place) {
    let store = with(&place, &[1, 2]).await;
    let change =
        async |change| store.change_operator(operator_id(1), change, note_at(5_000)).await.unwrap();
    let before = kept(&store, 1).await;
    let role = || OperatorChange::Role(Role::Viewer);
    assert_eq!(change(role()).await, OperatorChanged::Done);
    assert_eq!(change(role()).await, OperatorChanged::AlreadySo);
    assert_eq!(change(OperatorChange::Enable).await, OperatorChanged::AlreadySo);
    assert_eq!(change(OperatorChange::Disable).await, OperatorChanged::Done);
    assert_eq!(change(OperatorChange::Disable).await, OperatorChanged::AlreadySo);
    let row = kept(&store, 1).await;
    assert_eq!((row.role, row.disabled_at), (Role::Viewer, Some(after(5_000))));
    assert_eq!(row.generation, 0);
    assert_eq!(change(OperatorChange::Enable).await, OperatorChanged::Done);
    let password = sealed("another password");
    assert_eq!(change(OperatorChange::Password(password.clone())).await, OperatorChanged::Done);
    let totp = sealed("another seed");
    assert_eq!(change(OperatorChange::Totp(totp.clone())).await, OperatorChanged::Done);
    let row = kept(&store, 1).await;
    let expected =
        OperatorRow { role: Role::Viewer, password, totp, generation: 2, ..before.clone() };
    assert_eq!(row, expected);
    assert_eq!(kept(&store, 2).await.role, Role::Administrator);
    let changed = Action::OperatorChanged;
    assert_eq!(
        told(&store).await[2..],
        [
            entry(changed, 1, false, r#"[["role","operator","viewer"]]"#),
            entry(
                changed,
                1,
                true,
                r#"[["role","viewer","viewer"],["because",null,"already_so"]]"#
            ),
            entry(
                changed,
                1,
                true,
                r#"[["state","disabled","enabled"],["because",null,"already_so"]]"#
            ),
            entry(
                changed,
                1,
                false,
                r#"[["state","enabled","disabled"],["sessions_ended",null,"0"]]"#
            ),
            entry(
                changed,
                1,
                true,
                r#"[["state","enabled","disabled"],["because",null,"already_so"]]"#
            ),
            entry(changed, 1, false, r#"[["state","disabled","enabled"]]"#),
            entry(changed, 1, false, r#"[["password",null,"new"],["sessions_ended",null,"0"]]"#),
            entry(changed, 1, false, r#"[["totp",null,"new"],["sessions_ended",null,"0"]]"#),
        ]
    );
}

pub(crate) async fn what_ends_sessions_ends_all_of_them_and_no_other(place: Place) {
    let store = with(&place, &[1, 2]).await;
    let ends = [
        OperatorChange::Password(sealed("new")),
        OperatorChange::Totp(sealed("new")),
        OperatorChange::Disable,
    ];
    assert_eq!(open(&store, session(99, 2, 1), 0).await, SessionOpened::Done);
    for (token, change) in (1..).zip(ends) {
        let generation = kept(&store, 1).await.generation;
        for (n, step) in [(token, 100), (token + 10, 101)] {
            let new = NewSession { generation, ..session(n, 1, step + 10 * token as i64) };
            assert_eq!(open(&store, new, 1_000).await, SessionOpened::Done);
        }
        // A role counts at once without that.
        let role = OperatorChange::Role(Role::ALL[usize::try_from(token - 1).unwrap()]);
        store.change_operator(operator_id(1), role, note_at(2_000)).await.unwrap();
        assert_eq!(state(&store, token, 2_000).await, SessionState::Open);
        store.change_operator(operator_id(1), change, note_at(3_000)).await.unwrap();
        for n in [token, token + 10] {
            assert_eq!(state(&store, n, 3_000).await, SessionState::Ended);
        }
    }
    assert_eq!(state(&store, 99, 3_000).await, SessionState::Open);
    let told = told(&store).await;
    let said = told.iter().filter(|told| told.3.ends_with(r#"["sessions_ended",null,"2"]]"#));
    assert_eq!(said.count(), 3, "{told:?}");
}

pub(crate) async fn a_code_opens_one_session(place: Place) {
    let store = with(&place, &[1, 2]).await;
    assert_eq!(open(&store, session(1, 1, 7), 1_000).await, SessionOpened::Done);
    let row = look(&store, 1).await.unwrap();
    assert_eq!((row.operator, row.role, row.is_disabled), (operator_id(1), Role::Operator, false));
    assert_eq!(row.life, model::operator::SessionLife::begun(after(1_000)));
    assert_eq!(kept(&store, 1).await.totp_step, Some(7));
    assert_eq!(open(&store, session(2, 1, 7), 2_000).await, SessionOpened::CodeUsed);
    assert_eq!(open(&store, session(2, 1, 6), 2_000).await, SessionOpened::CodeUsed);
    assert_eq!(look(&store, 2).await, None);
    // Codes of others are theirs.
    assert_eq!(open(&store, session(3, 2, 7), 2_000).await, SessionOpened::Done);
    assert_eq!(open(&store, session(2, 1, 8), 3_000).await, SessionOpened::Done);
    let (opened, refused) = (Action::SessionOpened, Action::SessionRefused);
    let because = r#"[["because",null,"code_used"]]"#;
    assert_eq!(
        told(&store).await[2..],
        [
            entry(opened, 1, false, "[]"),
            entry(refused, 1, true, because),
            entry(refused, 1, true, because),
            entry(opened, 2, false, "[]"),
            entry(opened, 1, false, "[]"),
        ]
    );
    // A new seed begins anew.
    let totp = OperatorChange::Totp(sealed("new"));
    store.change_operator(operator_id(1), totp, note_at(4_000)).await.unwrap();
    assert_eq!(kept(&store, 1).await.totp_step, None);
}

pub(crate) async fn of_several_with_one_code_one_is_let_in(place: Place) {
    let store = with(&place, &[1]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 10..18 {
        let store = store.clone();
        tasks.spawn(async move { open(&store, session(n, 1, 7), 1_000).await });
    }
    let opened = tasks.join_all().await;
    let done = opened.iter().filter(|opened| **opened == SessionOpened::Done).count();
    assert_eq!(done, 1, "{opened:?}");
    assert!(opened.iter().all(|o| [SessionOpened::Done, SessionOpened::CodeUsed].contains(o)));
}

pub(crate) async fn nobody_is_let_in_who_is_disabled_or_was_changed_meanwhile(place: Place) {
    let store = with(&place, &[1]).await;
    let change = async |change| {
        store.change_operator(operator_id(1), change, note_at(1_000)).await.unwrap();
    };
    change(OperatorChange::Disable).await;
    assert_eq!(open(&store, session(1, 1, 7), 2_000).await, SessionOpened::Disabled);
    change(OperatorChange::Enable).await;
    change(OperatorChange::Password(sealed("new"))).await;
    assert_eq!(open(&store, session(1, 1, 7), 2_000).await, SessionOpened::Outdated);
    assert_eq!(look(&store, 1).await, None);
    // The code was not used up by it.
    let new = NewSession { generation: 1, ..session(1, 1, 7) };
    assert_eq!(open(&store, new, 2_000).await, SessionOpened::Done);
    let told = told(&store).await;
    let refused: Vec<_> = told.iter().filter(|told| told.2).map(|told| told.3.as_str()).collect();
    let because = [r#"[["because",null,"disabled"]]"#, r#"[["because",null,"outdated"]]"#];
    assert_eq!(refused, because);
}

pub(crate) async fn a_session_goes_on_under_a_new_token(place: Place) {
    let store = with(&place, &[1]).await;
    assert_eq!(open(&store, session(1, 1, 7), 0).await, SessionOpened::Done);
    let again = NewSession { instead_of: Some(hash_bytes(1)), ..session(2, 1, 8) };
    // Its code must be another one.
    let same = NewSession { step: 7, ..again.clone() };
    assert_eq!(open(&store, same, 9 * MINUTE_MS).await, SessionOpened::CodeUsed);
    assert_eq!(state(&store, 1, 9 * MINUTE_MS).await, SessionState::Open);
    assert_eq!(open(&store, again, 10 * MINUTE_MS).await, SessionOpened::Done);
    assert_eq!(state(&store, 1, 10 * MINUTE_MS).await, SessionState::Ended);
    let life = look(&store, 2).await.unwrap().life;
    let now = after(10 * MINUTE_MS);
    assert_eq!((life.created_at, life.last_seen_at, life.confirmed_at), (NOON, now, now));
    let last = told(&store).await.pop().unwrap();
    assert_eq!(last, entry(Action::SessionConfirmed, 1, false, "[]"));
}

pub(crate) async fn a_session_that_is_over_does_not_go_on(place: Place) {
    let store = with(&place, &[1, 2]).await;
    assert_eq!(open(&store, session(1, 1, 7), 0).await, SessionOpened::Done);
    assert_eq!(open(&store, session(5, 2, 7), 0).await, SessionOpened::Done);
    let on =
        |old: u64, step| NewSession { instead_of: Some(hash_bytes(old)), ..session(2, 1, step) };
    // Of somebody else, of nobody, idle, and ended.
    assert_eq!(open(&store, on(5, 8), 1_000).await, SessionOpened::Over);
    assert_eq!(open(&store, on(9, 8), 1_000).await, SessionOpened::Over);
    assert_eq!(open(&store, on(1, 8), 15 * MINUTE_MS).await, SessionOpened::Over);
    assert!(store.end_session(hash_bytes(1), note_at(2_000)).await.unwrap());
    assert_eq!(open(&store, on(1, 8), 3_000).await, SessionOpened::Over);
    assert_eq!(look(&store, 2).await, None);
    assert_eq!(state(&store, 5, 3_000).await, SessionState::Open);
    assert_eq!(kept(&store, 1).await.totp_step, Some(7));
}

pub(crate) async fn a_session_is_ended_once(place: Place) {
    let store = with(&place, &[1, 2]).await;
    for (token, of, step) in [(1, 1, 7), (2, 1, 8), (3, 1, 9), (4, 2, 7)] {
        assert_eq!(open(&store, session(token, of, step), 0).await, SessionOpened::Done);
    }
    let end = async |n| store.end_session(hash_bytes(n), note_at(1_000)).await.unwrap();
    assert!(end(1).await && !end(1).await && !end(9).await);
    assert_eq!(state(&store, 1, 1_000).await, SessionState::Ended);
    assert_eq!(state(&store, 2, 1_000).await, SessionState::Open);
    let all = async || store.end_sessions(operator_id(1), note_at(2_000)).await.unwrap();
    assert_eq!((all().await, all().await), (2, 0));
    assert_eq!(state(&store, 3, 2_000).await, SessionState::Ended);
    assert_eq!(state(&store, 4, 2_000).await, SessionState::Open);
    let ended = Action::SessionEnded;
    assert_eq!(
        told(&store).await[6..],
        [entry(ended, 1, false, "[]"), entry(ended, 1, false, r#"[["sessions_ended",null,"2"]]"#)]
    );
}

pub(crate) async fn sessions_go_a_day_after_they_were_over(place: Place) {
    let store = with(&place, &[1]).await;
    // A server goes by its own clock.
    let at = |hours: i64| Note { at: hours_ago(hours), ..note() };
    // By token: opened, and ended, so many hours ago.
    let sessions = [
        (1, 49, None),
        (2, 30, Some(25)),
        (3, 30, Some(23)),
        (4, 37, None),
        (5, 35, None),
        (6, 0, None),
        (7, 1, Some(0)),
    ];
    for (token, opened, ended) in sessions {
        let new = session(token, 1, 100 + token as i64);
        assert_eq!(store.open_session(new, at(opened)).await.unwrap(), SessionOpened::Done);
        if let Some(ended) = ended {
            assert!(store.end_session(hash_bytes(token), at(ended)).await.unwrap());
        }
    }
    let before = told(&store).await;
    let removed = store.retain(hours_ago(0), Retention::default()).await.unwrap();
    assert_eq!(removed, Removed { sessions: 3, ..Removed::default() });
    for (token, ..) in sessions {
        let is_kept = look(&store, token).await.is_some();
        assert_eq!(is_kept, ![1, 2, 4].contains(&token), "{token}");
    }
    let life = look(&store, 6).await.unwrap().life;
    assert_eq!(life.state(hours_ago(0)), SessionState::Open);
    // What lets nobody in says so as before, and nothing of it is a person's deed.
    let on = NewSession { instead_of: Some(hash_bytes(1)), ..session(9, 1, 200) };
    assert_eq!(store.open_session(on, at(0)).await.unwrap(), SessionOpened::Over);
    assert_eq!(told(&store).await.len(), before.len() + 1);
    let again = store.retain(hours_ago(0), Retention::default()).await.unwrap();
    assert_eq!(again, Removed::default());
}

pub(crate) async fn many_sessions_go_in_slices(place: Place) {
    let store = with(&place, &[1]).await;
    let note = Note { at: hours_ago(60), ..note() };
    for token in 1..=140 {
        let opened = store.open_session(session(token, 1, token as i64), note.clone()).await;
        assert_eq!(opened.unwrap(), SessionOpened::Done);
    }
    let removed = store.retain(hours_ago(0), Retention::default()).await.unwrap();
    assert_eq!(removed.sessions, 140);
    assert_eq!(look(&store, 140).await, None);
}

#[expect(clippy::disallowed_methods, reason = "a server goes by its own clock")]
fn hours_ago(hours: i64) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    now.plus_millis(-hours * 60 * MINUTE_MS)
}

pub(crate) async fn uses_are_noted_and_never_go_back(place: Place) {
    let store = with(&place, &[1]).await;
    assert_eq!(open(&store, session(1, 1, 7), 0).await, SessionOpened::Done);
    let seen = async || look(&store, 1).await.unwrap().life.last_seen_at;
    let before = told(&store).await;
    store.note_session_uses(Vec::new()).await.unwrap();
    let used = |token, ms| (hash_bytes(token), after(ms));
    store.note_session_uses(vec![used(1, 5_000), used(9, 9_000)]).await.unwrap();
    assert_eq!(seen().await, after(5_000));
    // Another gateway is late to tell.
    store.note_session_uses(vec![used(1, 4_000)]).await.unwrap();
    assert_eq!(seen().await, after(5_000));
    store.end_session(hash_bytes(1), note_at(6_000)).await.unwrap();
    store.note_session_uses(vec![used(1, 7_000)]).await.unwrap();
    assert_eq!(seen().await, after(5_000));
    assert_eq!(told(&store).await.len(), before.len() + 1);
}

pub(crate) async fn every_end_is_a_new_version_and_no_use_is(place: Place) {
    let store = place.open().await;
    let mut last = store.operators_version().await.unwrap();
    let mut grown = async || {
        let version = store.operators_version().await.unwrap();
        let has = version > last;
        last = version;
        has
    };
    store.add_operator(operator(1), note()).await.unwrap();
    assert!(grown().await && !grown().await);
    for (token, step) in [(1, 7), (2, 8), (3, 9)] {
        assert_eq!(open(&store, session(token, 1, step), 0).await, SessionOpened::Done);
    }
    store.note_session_uses(vec![(hash_bytes(1), after(1))]).await.unwrap();
    assert!(!grown().await, "what is new was not known before");
    let on = NewSession { instead_of: Some(hash_bytes(1)), ..session(4, 1, 10) };
    assert_eq!(open(&store, on, 1_000).await, SessionOpened::Done);
    assert!(grown().await);
    store.end_session(hash_bytes(2), note()).await.unwrap();
    assert!(grown().await);
    store.end_session(hash_bytes(2), note()).await.unwrap();
    assert!(!grown().await);
    store.end_sessions(operator_id(1), note()).await.unwrap();
    assert!(grown().await);
    for change in [OperatorChange::Role(Role::Viewer), OperatorChange::Disable] {
        store.change_operator(operator_id(1), change, note()).await.unwrap();
        assert!(grown().await);
    }
    let beside = place.open_beside().await;
    let version = store.operators_version().await.unwrap();
    assert_eq!(beside.operators_version().await.unwrap(), version);
}

pub(crate) async fn what_nobody_could_open_is_refused(place: Place) {
    let store = with(&place, &[1]).await;
    let unknown = || SealedRow { key: KeyId([99; 16]), ..sealed("nobody") };
    for new in [
        NewOperator { login: unknown(), password: unknown(), totp: unknown(), ..operator(2) },
        NewOperator { totp: unknown(), ..operator(2) },
    ] {
        let refused = store.add_operator(new, note()).await.unwrap_err();
        assert_eq!(refused.code(), "store_unknown_key");
    }
    for change in [OperatorChange::Password(unknown()), OperatorChange::Totp(unknown())] {
        let refused = store.change_operator(operator_id(1), change, note()).await.unwrap_err();
        assert_eq!(refused.code(), "store_unknown_key");
    }
    assert_eq!(store.operators().await.unwrap().len(), 1);
    assert_eq!(kept(&store, 1).await.generation, 0);
    assert_eq!(told(&store).await.len(), 1);
}

pub(crate) async fn what_is_unknown_changes_nothing(place: Place) {
    let store = place.open().await;
    let disable = OperatorChange::Disable;
    let changed = store.change_operator(operator_id(1), disable, note()).await.unwrap();
    assert_eq!(changed, OperatorChanged::NotFound);
    assert_eq!(open(&store, session(1, 1, 7), 0).await, SessionOpened::NotFound);
    assert_eq!(store.end_sessions(operator_id(1), note()).await.unwrap(), 0);
    assert_eq!(look(&store, 1).await, None);
    assert_eq!(store.operators().await.unwrap(), []);
    let because = r#"[["because",null,"unknown"]]"#;
    assert_eq!(told(&store).await, [entry(Action::SessionRefused, 1, true, because)]);
}

pub(crate) async fn the_last_administrator_is_spared_where_it_is_asked_for(place: Place) {
    let store = with(&place, &[1, 2]).await;
    let spared = async |n, change| {
        store.change_operator_but_the_last(operator_id(n), change, note()).await.unwrap()
    };
    let takes = [
        OperatorChange::Role(Role::Operator),
        OperatorChange::Role(Role::Viewer),
        OperatorChange::Disable,
        OperatorChange::Password(sealed("new")),
        OperatorChange::Totp(sealed("new")),
    ];
    // An operator of another role, and one who is disabled, cannot take the place of the last one.
    store.add_operator(another_administrator(3), note()).await.unwrap();
    store.change_operator(operator_id(3), OperatorChange::Disable, note()).await.unwrap();
    let before = kept(&store, 2).await;
    for change in takes.clone() {
        assert_eq!(spared(2, change).await, OperatorChanged::LastAdministrator);
    }
    assert_eq!(kept(&store, 2).await, before);
    let last = told(&store).await.pop().unwrap();
    let because = r#"[["totp",null,"new"],["because",null,"last_administrator"]]"#;
    assert_eq!(last, entry(Action::OperatorChanged, 2, true, because));
    // Nothing of it is about others, or about what locks nobody out.
    assert_eq!(spared(1, OperatorChange::Disable).await, OperatorChanged::Done);
    assert_eq!(spared(2, OperatorChange::Enable).await, OperatorChanged::AlreadySo);
    assert_eq!(spared(3, OperatorChange::Totp(sealed("new"))).await, OperatorChanged::Done);
    assert_eq!(spared(3, OperatorChange::Enable).await, OperatorChanged::Done);
    // Of two, one may go.
    assert_eq!(spared(2, OperatorChange::Totp(sealed("new"))).await, OperatorChanged::Done);
    assert_eq!(spared(2, OperatorChange::Disable).await, OperatorChanged::Done);
    assert_eq!(spared(3, OperatorChange::Disable).await, OperatorChanged::LastAdministrator);
    // Who may open the store may do it.
    let role = OperatorChange::Role(Role::Viewer);
    let changed = store.change_operator(operator_id(3), role, note()).await.unwrap();
    assert_eq!(changed, OperatorChanged::Done);
}

pub(crate) async fn of_several_that_disable_each_other_one_stays(place: Place) {
    let store = place.open().await;
    let all = 1..=6;
    for n in all.clone() {
        store.add_operator(another_administrator(n), note()).await.unwrap();
    }
    let beside = place.open_beside().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in all {
        let store = if n % 2 == 0 { store.clone() } else { beside.clone() };
        let change = match n % 3 {
            0 => OperatorChange::Disable,
            1 => OperatorChange::Role(Role::Viewer),
            _ => OperatorChange::Role(Role::Operator),
        };
        tasks.spawn(async move {
            store.change_operator_but_the_last(operator_id(n), change, note()).await.unwrap()
        });
    }
    let changed = tasks.join_all().await;
    let spared = changed.iter().filter(|one| **one == OperatorChanged::LastAdministrator).count();
    assert_eq!(spared, 1, "{changed:?}");
    let rows = store.operators().await.unwrap();
    let is_left = |row: &&OperatorRow| row.role == Role::Administrator && row.disabled_at.is_none();
    assert_eq!(rows.iter().filter(is_left).count(), 1, "{rows:?}");
}

fn another_administrator(n: u64) -> NewOperator {
    NewOperator { role: Role::Administrator, ..operator(n) }
}
