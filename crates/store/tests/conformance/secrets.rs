//! Secrets of sources and endpoints.

use model::api_key::Overlap;
use model::secret::{SecretKind, SecretState};
use model::{SecretId, Timestamp};
use store::{
    Action, Configured, NewSecret, Note, SealedRow, SecretAdded, SecretRetired, SecretRow, Store,
};
use vault::Sealed;

use super::fixture::*;

const HOUR_MS: i64 = 3_600_000;

fn id(n: u64) -> SecretId {
    SecretId::new(NOON, id_bytes(n))
}

fn at(millis: i64) -> Note {
    Note { at: after(millis), ..note() }
}

fn secret(n: u64, overlap: Option<Overlap>) -> NewSecret {
    let sealed = SealedRow { key: key(KEY).id, sealed: Sealed::from_bytes(vec![9; 80]) };
    NewSecret {
        id: id(n),
        kind: SecretKind::Source,
        owner: "stripe".to_owned(),
        print: hash_bytes(n),
        sealed,
        overlap,
    }
}

async fn states(store: &Store, now: Timestamp) -> Vec<SecretState> {
    let rows = store.secrets().await.unwrap();
    let state = |row: &SecretRow| {
        let others: Vec<_> =
            rows.iter().filter(|other| other.id != row.id).map(|other| other.life).collect();
        row.life.state(&others, now)
    };
    rows.iter().map(state).collect()
}

async fn opened(place: &Place) -> Store {
    let store = place.open().await;
    store.add_key(key(KEY)).await.unwrap();
    store
}

pub(crate) async fn secrets_are_added_rolled_proven_and_retired(place: Place) {
    use SecretState::{Active, Ending, Retired, Waiting};

    let store = opened(&place).await;
    assert_eq!(store.add_secret(secret(1, None), at(0)).await.unwrap(), SecretAdded::Done);
    assert_eq!(store.add_secret(secret(1, None), at(1)).await.unwrap(), SecretAdded::Known);
    store.prove_secret(id(1), after(2)).await.unwrap();
    let rolled = secret(2, Some(Overlap::Hour));
    assert_eq!(store.add_secret(rolled, at(10)).await.unwrap(), SecretAdded::Done);
    let rows = store.secrets().await.unwrap();
    assert_eq!(rows[0].life.ends_at, Some(after(10 + HOUR_MS)));
    assert_eq!(rows[0].sealed, Some(secret(1, None).sealed));
    assert_eq!((rows[1].owner.as_str(), rows[1].print), ("stripe", hash_bytes(2)));

    assert_eq!(states(&store, after(11)).await, [Ending, Active]);
    assert_eq!(states(&store, after(11 + HOUR_MS)).await, [Waiting, Active]);
    let retired = store.retire_secret(id(1), false, at(12)).await.unwrap();
    assert_eq!(retired, SecretRetired::Unproven);
    store.prove_secret(id(2), after(13)).await.unwrap();
    store.prove_secret(id(2), after(14)).await.unwrap();
    assert_eq!(store.secrets().await.unwrap()[1].life.proven_at, Some(after(13)));
    assert_eq!(states(&store, after(11 + HOUR_MS)).await, [Retired, Active]);
    let retired = store.retire_secret(id(1), false, at(15)).await.unwrap();
    assert_eq!(retired, SecretRetired::Done);
    assert_eq!(states(&store, after(16)).await, [Retired, Active]);

    for (of, expected) in
        [(1, SecretRetired::NotFound), (2, SecretRetired::Last), (9, SecretRetired::NotFound)]
    {
        assert_eq!(store.retire_secret(id(of), true, at(17)).await.unwrap(), expected);
    }
    let entries = store.entries(0, 100).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.resource == "source:stripe")
        .map(|entry| (entry.action, entry.outcome))
        .collect();
    let expected = [
        (Action::SecretAdded, "done"),
        (Action::SecretAdded, "refused"),
        (Action::SecretProven, "done"),
        (Action::SecretRolled, "done"),
        (Action::SecretRetired, "refused"),
        (Action::SecretProven, "done"),
        (Action::SecretRetired, "done"),
        (Action::SecretRetired, "refused"),
        (Action::SecretRetired, "refused"),
    ];
    assert_eq!(told, expected);
    entries.iter().for_each(|entry| drop(entry.body().unwrap()));
}

pub(crate) async fn one_in_other_hands_is_retired_by_force(place: Place) {
    let store = opened(&place).await;
    store.add_secret(secret(1, None), at(0)).await.unwrap();
    store.prove_secret(id(1), after(1)).await.unwrap();
    store.add_secret(secret(2, Some(Overlap::None)), at(2)).await.unwrap();
    // Its time is over, but a provider that signs with it is not locked out by itself.
    assert_eq!(states(&store, after(3)).await, [SecretState::Waiting, SecretState::Active]);
    let retired = store.retire_secret(id(1), true, at(3)).await.unwrap();
    assert_eq!(retired, SecretRetired::Done);
    assert_eq!(states(&store, after(4)).await, [SecretState::Retired, SecretState::Active]);
}

pub(crate) async fn configured_ones_are_known_by_their_hash_and_since_when(place: Place) {
    let store = opened(&place).await;
    let seen = |secrets: &[u64], millis: u32| Configured {
        kind: SecretKind::Endpoint,
        owner: "app".to_owned(),
        secrets: secrets.iter().map(|n| (id(u64::from(millis) + n), hash_bytes(*n))).collect(),
        at: after(millis.into()),
    };
    store.see_configured(seen(&[1, 2], 0)).await.unwrap();
    store.see_configured(seen(&[1, 2], 100)).await.unwrap();
    store.see_configured(seen(&[2, 3], 200)).await.unwrap();
    let rows = store.secrets().await.unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row.print, row.life.since, row.life.retired_at)).collect();
    let expected = [
        (hash_bytes(1), after(0), Some(after(200))),
        (hash_bytes(2), after(0), None),
        (hash_bytes(3), after(200), None),
    ];
    assert_eq!(told, expected);
    let retired = store.retire_secret(rows[1].id, true, at(300)).await.unwrap();
    assert_eq!(retired, SecretRetired::Configured);
    // It is back, and as old as it was.
    store.see_configured(seen(&[1, 2, 3], 400)).await.unwrap();
    let back = store.secrets().await.unwrap().remove(0);
    assert_eq!((back.id, back.life.since, back.life.retired_at), (rows[0].id, after(0), None));
    let entries = store.entries(0, 100).await.unwrap();
    let configured = entries.iter().filter(|entry| entry.action == Action::SecretConfigured);
    assert_eq!(configured.count(), 5);
}
