//! Wrapped data keys.

use store::{Action, KeyKind, NewKey};
use vault::{KeyId, WrappedKey};

use super::fixture::*;

fn second_of_owner(first: &NewKey) -> NewKey {
    NewKey {
        id: KeyId([200; 16]),
        wrapped: WrappedKey::from_bytes(vec![200; 101]),
        ..first.clone()
    }
}

pub(crate) async fn the_first_key_of_an_owner_stands(place: Place) {
    let store = place.open().await;
    let first = key(5);
    assert_eq!(store.add_key(first.clone()).await.unwrap(), first);
    let second = second_of_owner(&first);
    assert_eq!(store.add_key(second.clone()).await.unwrap(), first);
    assert_eq!(store.data_key(second.id).await.unwrap(), None);
    assert_eq!(store.data_key(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.data_keys(KeyKind::Bucket, first.owner).await.unwrap(), Some(first.clone()));
    // The same owner in another role is another owner.
    assert_eq!(store.data_keys(KeyKind::Subject, first.owner).await.unwrap(), None);
    let system = NewKey { id: KeyId([6; 16]), kind: KeyKind::System, ..first.clone() };
    assert_eq!(store.add_key(system.clone()).await.unwrap(), system);
    // An id that belongs to somebody else is refused.
    let stolen = NewKey { owner: [77; 16], ..first };
    assert_eq!(store.add_key(stolen).await.unwrap_err().code(), "store_constraint");

    let entries = store.entries(0, 100).await.unwrap();
    let added = entries.iter().filter(|entry| entry.action == Action::KeyAdded).count();
    assert_eq!(added, 3, "the fixture's and these two");
}

pub(crate) async fn several_keys_of_one_owner_come_with_records(place: Place) {
    let store = place.open().await;
    let (first, second) = (key(5), second_of_owner(&key(5)));
    for (n, new) in [(1, &first), (2, &second), (3, &second)] {
        let mut record = draft(n).record();
        record.keys = vec![new.clone()];
        record.body.key = new.id;
        store.record(record).await.unwrap();
    }
    assert_eq!(store.data_key(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.data_keys(KeyKind::Bucket, first.owner).await.unwrap(), Some(second));
    // A duplicate's keys are kept, too: its sender counts on it.
    let mut duplicate = draft(1).record();
    duplicate.keys = vec![key(6)];
    store.record(duplicate).await.unwrap();
    assert_eq!(store.data_key(key(6).id).await.unwrap(), Some(key(6)));
}

pub(crate) async fn sealed_under_an_unknown_key_is_refused(place: Place) {
    let store = place.open().await;
    let unknown = KeyId([99; 16]);
    let mut body = draft(1).record();
    body.body.key = unknown;
    let mut facts = draft(1).record();
    facts.events[0].facts.key = unknown;
    for record in [body, facts] {
        assert_eq!(store.record(record).await.unwrap_err().code(), "store_unknown_key");
    }
    let mut tally = super::queries::tally(1, "bad_signature");
    tally.address.key = unknown;
    assert_eq!(store.tally(vec![tally]).await.unwrap_err().code(), "store_unknown_key");
    assert_eq!(all_events(&store).await.len(), 0);
}

pub(crate) async fn a_key_that_was_rolled_back_is_unknown(place: Place) {
    let store = place.open().await;
    let mut failing = arrival(1, vec![draft(1), draft(2)]);
    failing.keys = vec![key(5)];
    failing.body.key = key(5).id;
    failing.events[1].facts.key = KeyId([99; 16]);
    store.record(failing).await.unwrap_err();
    assert_eq!(store.data_key(key(5).id).await.unwrap(), None);
    let mut relying = draft(3).record();
    relying.body.key = key(5).id;
    assert_eq!(store.record(relying).await.unwrap_err().code(), "store_unknown_key");
}
