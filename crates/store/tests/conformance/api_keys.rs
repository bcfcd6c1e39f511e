//! API keys: how they come, go and are counted.

use model::api_key::{Cause, Grant, Overlap, State};
use model::{ApiKeyId, Environment, Permission, Reach, Timestamp};
use store::{Action, ApiKeyChanged, ApiKeyRow, ApiKeyUse, NewApiKey, Note, Store, Successor};
use vault::KeyId;

use super::fixture::*;

const HOUR_MS: i64 = 3_600_000;

pub(crate) fn api_key_id(n: u64) -> ApiKeyId {
    ApiKeyId::new(NOON, id_bytes(n))
}

/// A key that may read events of one source from one network, for ninety days.
pub(crate) fn api_key(n: u64) -> NewApiKey {
    NewApiKey {
        id: api_key_id(n),
        environment: Environment::Test,
        name: format!("shop {n}"),
        secret_hash: hash_bytes(n),
        grant: Grant {
            permissions: [Permission::EventsRead, Permission::DeliveriesRead].into(),
            reach: Reach {
                sources: Some(["stripe".to_owned()].into()),
                providers: None,
                customer: Some(hash_bytes(99)),
            },
            networks: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        },
        expires_at: after(90 * DAY_MS),
    }
}

pub(crate) fn successor(n: u64, at: Timestamp, overlap: Overlap) -> Successor {
    Successor {
        id: api_key_id(n),
        secret_hash: hash_bytes(n),
        expires_at: at.plus_millis(90 * DAY_MS),
        grace_until: at.plus_millis(overlap.as_millis()),
    }
}

pub(crate) fn used(n: u64, uses: u32, refusals: u32, at: Option<i64>) -> ApiKeyUse {
    let last = at.map(|ms| (after(ms), sealed(&format!("address at {ms}"))));
    ApiKeyUse { id: api_key_id(n), uses, refusals, last, at: after(at.unwrap_or(0)) }
}

fn note_at(ms: i64) -> Note {
    Note { at: after(ms), ..note() }
}

async fn kept(store: &Store, n: u64) -> ApiKeyRow {
    store.api_key(api_key_id(n)).await.unwrap().expect("the key is kept")
}

async fn state(store: &Store, n: u64, ms: i64) -> State {
    kept(store, n).await.life.verdict(after(ms))
}

/// The entries about keys: what, on which, and whether it was refused.
async fn told(store: &Store) -> Vec<(Action, String, bool)> {
    let entries = store.entries(0, 1_000).await.unwrap();
    let about_keys = entries.into_iter().filter(|entry| entry.resource.starts_with("key_"));
    about_keys.map(|entry| (entry.action, entry.resource, entry.outcome == "refused")).collect()
}

fn entry(action: Action, n: u64, refused: bool) -> (Action, String, bool) {
    (action, api_key_id(n).to_string(), refused)
}

pub(crate) async fn a_created_key_is_kept_as_it_was_given(place: Place) {
    let store = place.open().await;
    assert_eq!(store.api_keys().await.unwrap(), []);
    let bare = NewApiKey { environment: Environment::Live, grant: Grant::default(), ..api_key(2) };
    for key in [api_key(1), bare] {
        store.create_api_key(key.clone(), note()).await.unwrap();
        let row = store.api_key(key.id).await.unwrap().unwrap();
        assert_eq!((row.environment, &row.name), (key.environment, &key.name));
        assert_eq!((row.secret_hash, &row.grant), (key.secret_hash, &key.grant));
        assert_eq!((row.life.expires_at, row.created_at), (key.expires_at, after(1_000)));
        assert_eq!((row.life.grace_until, row.life.revoked_at), (None, None));
        assert_eq!(
            (row.created_by.as_str(), row.rolled_from, row.cause),
            ("operator ada", None, None)
        );
        assert_eq!((row.uses, row.refusals, row.last_used_at), (0, 0, None));
    }
    let ids: Vec<_> = store.api_keys().await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(ids, [api_key_id(1), api_key_id(2)]);
    let created = Action::ApiKeyCreated;
    assert_eq!(told(&store).await, [entry(created, 1, false), entry(created, 2, false)]);
    let entries = store.entries(0, 100).await.unwrap();
    let first = entries.iter().find(|entry| entry.action == created).unwrap();
    assert_eq!(
        first.changes,
        r#"[["permissions",null,"events:read deliveries:read"],["sources",null,"stripe"],["providers",null,null],["customer",null,"one"],["networks",null,"192.0.2.0/24 2001:db8::/32"],["expires_at",null,"2026-04-01T12:00:00.000Z"]]"#
    );
    first.body().unwrap();
}

pub(crate) async fn an_id_that_is_taken_is_refused_and_nothing_is_left(place: Place) {
    let store = place.open().await;
    store.create_api_key(api_key(1), note()).await.unwrap();
    let (before, version) =
        (store.api_keys().await.unwrap(), store.api_keys_version().await.unwrap());
    let other = NewApiKey { name: "other".to_owned(), ..api_key(1) };
    let refused = store.create_api_key(other, note()).await.unwrap_err();
    assert_eq!(refused.code(), "store_constraint");
    let taken = store.roll_api_key(api_key_id(1), successor(1, NOON, Overlap::Day), note()).await;
    assert_eq!(taken.unwrap_err().code(), "store_constraint");
    assert_eq!(store.api_keys().await.unwrap(), before);
    assert_eq!(store.api_keys_version().await.unwrap(), version);
    assert_eq!(told(&store).await.len(), 1);
}

pub(crate) async fn a_rolled_key_works_beside_its_successor_for_a_while(place: Place) {
    let store = place.open().await;
    store.create_api_key(api_key(1), note()).await.unwrap();
    let next = successor(2, after(5_000), Overlap::Hour);
    let rolled = store.roll_api_key(api_key_id(1), next, note_at(5_000)).await;
    assert_eq!(rolled.unwrap(), ApiKeyChanged::Done);
    let (old, new) = (kept(&store, 1).await, kept(&store, 2).await);
    assert_eq!((&new.name, &new.grant, new.environment), (&old.name, &old.grant, old.environment));
    assert_eq!((new.rolled_from, new.created_at), (Some(old.id), after(5_000)));
    assert_eq!((new.secret_hash, old.secret_hash), (hash_bytes(2), hash_bytes(1)));
    assert_eq!(state(&store, 2, 5_000).await, State::Active);
    assert_eq!(state(&store, 1, 5_000 + HOUR_MS - 1).await, State::Rolled);
    assert_eq!(state(&store, 1, 5_000 + HOUR_MS).await, State::Expired);
    let [_, roll] = &told(&store).await[..] else { panic!("two entries") };
    assert_eq!(*roll, entry(Action::ApiKeyRolled, 1, false));
}

pub(crate) async fn there_is_one_generation_of_grace(place: Place) {
    let store = place.open().await;
    store.create_api_key(api_key(1), note()).await.unwrap();
    let roll = async |old: u64, new: u64, at: i64, overlap| {
        let next = successor(new, after(at), overlap);
        store.roll_api_key(api_key_id(old), next, note_at(at)).await.unwrap()
    };
    assert_eq!(roll(1, 2, 2_000, Overlap::Week).await, ApiKeyChanged::Done);
    // The older one has its successor already.
    assert_eq!(roll(1, 3, 3_000, Overlap::Week).await, ApiKeyChanged::AlreadyRolled);
    assert!(store.api_key(api_key_id(3)).await.unwrap().is_none());
    assert_eq!(roll(2, 4, 4_000, Overlap::Day).await, ApiKeyChanged::Done);
    assert_eq!(state(&store, 1, 3_999).await, State::Rolled);
    assert_eq!(state(&store, 1, 4_000).await, State::Expired);
    assert_eq!(state(&store, 2, 4_000).await, State::Rolled);
    assert_eq!(state(&store, 4, 4_000).await, State::Active);
    // A grace that is over stays over when it was.
    assert_eq!(roll(4, 5, 4_000 + 2 * DAY_MS, Overlap::None).await, ApiKeyChanged::Done);
    assert_eq!(kept(&store, 2).await.life.grace_until, Some(after(4_000 + DAY_MS)));
    assert_eq!(state(&store, 4, 4_000 + 2 * DAY_MS).await, State::Expired);
    let rolled = Action::ApiKeyRolled;
    assert_eq!(
        told(&store).await[1..],
        [
            entry(rolled, 1, false),
            entry(rolled, 1, true),
            entry(rolled, 1, false),
            entry(rolled, 2, false),
            entry(rolled, 4, false),
        ]
    );
}

pub(crate) async fn a_revoked_key_is_over_and_so_is_its_predecessor(place: Place) {
    let store = place.open().await;
    for n in [1, 5] {
        store.create_api_key(api_key(n), note()).await.unwrap();
    }
    let next = successor(2, after(2_000), Overlap::Week);
    store.roll_api_key(api_key_id(1), next, note_at(2_000)).await.unwrap();
    let revoke = async |n: u64| {
        store.revoke_api_key(api_key_id(n), Cause::Leaked, note_at(3_000)).await.unwrap()
    };
    assert_eq!(revoke(2).await, ApiKeyChanged::Done);
    assert_eq!(state(&store, 2, 3_000).await, State::Revoked);
    assert_eq!(kept(&store, 2).await.cause, Some(Cause::Leaked));
    assert_eq!(state(&store, 1, 3_000).await, State::Expired);
    assert_eq!(state(&store, 5, 3_000).await, State::Active);
    assert_eq!(revoke(2).await, ApiKeyChanged::AlreadyRevoked);
    let next = successor(3, after(4_000), Overlap::Week);
    let rolled = store.roll_api_key(api_key_id(2), next, note_at(4_000)).await.unwrap();
    assert_eq!(rolled, ApiKeyChanged::AlreadyRevoked);
    assert!(store.api_key(api_key_id(3)).await.unwrap().is_none());
    assert_eq!(
        told(&store).await[3..],
        [
            entry(Action::ApiKeyRolled, 1, false),
            entry(Action::ApiKeyRevoked, 2, false),
            entry(Action::ApiKeyRevoked, 2, true),
            entry(Action::ApiKeyRolled, 2, true),
        ]
    );
}

pub(crate) async fn revoking_the_older_one_leaves_its_successor(place: Place) {
    let store = place.open().await;
    store.create_api_key(api_key(1), note()).await.unwrap();
    let next = successor(2, after(2_000), Overlap::Week);
    store.roll_api_key(api_key_id(1), next, note_at(2_000)).await.unwrap();
    let cause = Cause::Suspected;
    let revoked = store.revoke_api_key(api_key_id(1), cause, note_at(3_000)).await.unwrap();
    assert_eq!(revoked, ApiKeyChanged::Done);
    assert_eq!(state(&store, 1, 3_000).await, State::Revoked);
    assert_eq!(state(&store, 2, 3_000).await, State::Active);
}

pub(crate) async fn all_are_revoked_at_once(place: Place) {
    let store = place.open().await;
    assert_eq!(store.revoke_api_keys(Cause::Leaked, note()).await.unwrap(), 0);
    for n in 1..=5 {
        store.create_api_key(api_key(n), note()).await.unwrap();
    }
    let retired = Cause::Retired;
    store.revoke_api_key(api_key_id(3), retired, note_at(2_000)).await.unwrap();
    let all = store.revoke_api_keys(Cause::Leaked, note_at(3_000)).await.unwrap();
    assert_eq!(all, 4);
    for row in store.api_keys().await.unwrap() {
        let was_before = row.id == api_key_id(3);
        let cause = if was_before { retired } else { Cause::Leaked };
        assert_eq!(row.cause, Some(cause));
        assert_eq!(row.life.verdict(after(3_000)), State::Revoked);
    }
    let told = told(&store).await;
    assert_eq!(told.iter().filter(|told| told.0 == Action::ApiKeyRevoked).count(), 5);
}

pub(crate) async fn what_is_unknown_changes_nothing(place: Place) {
    let store = place.open().await;
    let next = successor(2, NOON, Overlap::Day);
    let rolled = store.roll_api_key(api_key_id(1), next, note()).await.unwrap();
    assert_eq!(rolled, ApiKeyChanged::NotFound);
    let revoked = store.revoke_api_key(api_key_id(1), Cause::Leaked, note()).await.unwrap();
    assert_eq!(revoked, ApiKeyChanged::NotFound);
    assert_eq!(told(&store).await, []);
    store.note_api_key_uses(vec![used(1, 1, 1, None)]).await.unwrap();
    assert_eq!(store.api_key(api_key_id(1)).await.unwrap(), None);
    assert_eq!(store.api_keys().await.unwrap(), []);
}

pub(crate) async fn every_change_is_a_new_version_and_no_use_is(place: Place) {
    let store = place.open().await;
    let mut last = store.api_keys_version().await.unwrap();
    let mut grown = async || {
        let version = store.api_keys_version().await.unwrap();
        let has = version > last;
        last = version;
        has
    };
    store.create_api_key(api_key(1), note()).await.unwrap();
    assert!(grown().await && !grown().await);
    let next = successor(2, after(2_000), Overlap::Day);
    store.roll_api_key(api_key_id(1), next, note_at(2_000)).await.unwrap();
    assert!(grown().await);
    store.note_api_key_uses(vec![used(2, 1, 0, Some(3_000))]).await.unwrap();
    assert!(!grown().await);
    store.revoke_api_key(api_key_id(2), Cause::Retired, note_at(4_000)).await.unwrap();
    assert!(grown().await);
    store.revoke_api_keys(Cause::Retired, note_at(5_000)).await.unwrap();
    assert!(grown().await);
    // Whoever is beside it sees the same.
    assert_eq!(
        place.open_beside().await.api_keys_version().await.unwrap(),
        store.api_keys_version().await.unwrap()
    );
}

pub(crate) async fn uses_add_up_and_the_latest_is_the_last(place: Place) {
    let store = place.open().await;
    for n in [1, 2] {
        store.create_api_key(api_key(n), note()).await.unwrap();
    }
    store.note_api_key_uses(Vec::new()).await.unwrap();
    store.note_api_key_uses(vec![used(2, 0, 3, None), used(1, 5, 1, Some(50))]).await.unwrap();
    // Another gateway is late to tell.
    store.note_api_key_uses(vec![used(1, 2, 0, Some(40)), used(9, 1, 0, None)]).await.unwrap();
    let row = kept(&store, 1).await;
    assert_eq!((row.uses, row.refusals, row.last_used_at), (7, 1, Some(after(50))));
    assert_eq!(row.last_address, Some(sealed("address at 50")));
    let row = kept(&store, 2).await;
    assert_eq!((row.uses, row.refusals, row.last_used_at), (0, 3, None));
    assert_eq!(row.last_address, None);
    let (let_in, not) = (Action::ApiKeyUsed, Action::ApiKeyRefused);
    let expected = [
        entry(let_in, 1, false),
        entry(not, 1, true),
        entry(not, 2, true),
        entry(let_in, 1, false),
        entry(let_in, 9, false),
    ];
    assert_eq!(told(&store).await.split_off(2), expected);
    store.note_api_key_uses(vec![used(1, 1, 0, Some(60))]).await.unwrap();
    assert_eq!(kept(&store, 1).await.last_address, Some(sealed("address at 60")));
    // What nobody could ever open is refused, with the counts beside it.
    let mut unknown = used(1, 1, 0, Some(70));
    unknown.last.as_mut().unwrap().1.key = KeyId([99; 16]);
    let refused = store.note_api_key_uses(vec![unknown]).await.unwrap_err();
    assert_eq!(refused.code(), "store_unknown_key");
    assert_eq!(kept(&store, 1).await.uses, 8);
}

pub(crate) async fn of_several_that_roll_at_once_one_does(place: Place) {
    let store = place.open().await;
    store.create_api_key(api_key(1), note()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 10..18 {
        let store = store.clone();
        tasks.spawn(async move {
            let next = successor(n, after(2_000), Overlap::Day);
            store.roll_api_key(api_key_id(1), next, note_at(2_000)).await.unwrap()
        });
    }
    let changed = tasks.join_all().await;
    let done = changed.iter().filter(|changed| **changed == ApiKeyChanged::Done).count();
    assert_eq!(done, 1, "{changed:?}");
    assert!(
        changed.iter().all(|c| [ApiKeyChanged::Done, ApiKeyChanged::AlreadyRolled].contains(c))
    );
    assert_eq!(store.api_keys().await.unwrap().len(), 2);
}

pub(crate) async fn keys_are_read_page_by_page(place: Place) {
    let store = place.open().await;
    for n in [3, 1, 2] {
        store.create_api_key(api_key(n), note()).await.unwrap();
    }
    let all = store.api_keys().await.unwrap();
    let mut paged = Vec::new();
    let mut last = 0;
    for expected in [2, 1, 0] {
        let page = store.api_keys_page(last, 2).await.unwrap();
        assert_eq!(page.len(), expected);
        last = page.last().map_or(last, |(number, _)| *number);
        paged.extend(page.into_iter().map(|(_, row)| row));
    }
    assert_eq!(paged, all);
    // A successor stands on the next page, and its predecessor stays where it was.
    let next = successor(4, after(2_000), Overlap::Day);
    store.roll_api_key(api_key_id(3), next, note()).await.unwrap();
    let page = store.api_keys_page(last, 9).await.unwrap();
    assert_eq!(page.iter().map(|(_, row)| row.id).collect::<Vec<_>>(), [api_key_id(4)]);
    let first = store.api_keys_page(0, 1).await.unwrap();
    assert_eq!(first.iter().map(|(_, row)| row.id).collect::<Vec<_>>(), [api_key_id(3)]);
    for (last, limit) in [(i64::MAX, 9), (0, 0)] {
        assert_eq!(store.api_keys_page(last, limit).await.unwrap(), []);
    }
    assert_eq!(store.api_keys_page(i64::MIN, usize::MAX).await.unwrap().len(), 4);
}
