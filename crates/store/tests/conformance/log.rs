//! The audit log as it is sealed.

use audit::Commitment;
use audit::tree::TileId;
use model::Timestamp;
use store::{Action, CheckpointRow, Deed, EntryRow, LogTile, Personal, Seal, SealedRow, Store};
use vault::{KeyId, Sealed};

use super::fixture::*;
use super::queries::tally;

const FIRST: TileId = TileId { level: 0, number: 0 };

fn checkpoint(size: u64, at: Timestamp) -> CheckpointRow {
    CheckpointRow { size, at, note: format!("origin\n{size}\nroot\n") }
}

/// Gives these entries, and no others before them, the next places.
fn seal(before: &[EntryRow], entries: &[EntryRow], at: Timestamp) -> Seal {
    let sequences = |entries: &[EntryRow]| entries.iter().map(|e| e.sequence).collect::<Vec<_>>();
    let all = [sequences(before), sequences(entries)].concat();
    let size = all.len() as u64;
    Seal {
        from: before.len() as u64,
        entries: sequences(entries),
        tiles: vec![LogTile { id: FIRST, hashes: vec![7; 32 * all.len()], entries: all }],
        checkpoint: checkpoint(size, at),
    }
}

/// Gives these entries the next places after so many.
pub(crate) fn seal_from(from: u64, entries: &[EntryRow], at: Timestamp) -> Seal {
    Seal {
        from,
        checkpoint: checkpoint(from + entries.len() as u64, at),
        tiles: vec![LogTile {
            id: TileId { level: 0, number: from },
            hashes: vec![7; 32 * entries.len()],
            entries: entries.iter().map(|entry| entry.sequence).collect(),
        }],
        entries: entries.iter().map(|entry| entry.sequence).collect(),
    }
}

async fn waiting(store: &Store) -> Vec<EntryRow> {
    store.waiting_entries(100).await.unwrap()
}

pub(crate) fn deed(resource: &str) -> Deed {
    Deed {
        action: Action::LogRead,
        resource: resource.to_owned(),
        refused: false,
        note: note(),
        changes: vec![("entries", None, Some("7".to_owned()))],
    }
}

pub(crate) async fn entries_wait_until_they_have_their_place(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    keep(&store, draft(2)).await;
    let all = store.entries(0, 100).await.unwrap();
    assert_eq!(waiting(&store).await, all);
    assert_eq!(store.waiting_entries(1).await.unwrap(), all[..1]);
    assert_eq!(store.log_head().await.unwrap().size, 0);
    assert_eq!(store.log_head().await.unwrap().checkpoint, None);

    assert!(store.seal(seal(&[], &all[..1], NOON)).await.unwrap());
    assert_eq!(waiting(&store).await, all[1..]);
    let head = store.log_head().await.unwrap();
    assert_eq!((head.size, head.checkpoint), (1, Some(checkpoint(1, NOON))));
    keep(&store, draft(3)).await;
    let rest = waiting(&store).await;
    assert!(store.seal(seal(&all[..1], &rest, NOON)).await.unwrap());
    assert_eq!(waiting(&store).await, []);
    // What has its place is an entry like any other.
    let wanted = vec![rest[0].sequence, i64::MAX, all[0].sequence];
    let found = store.entries_of(wanted).await.unwrap();
    assert_eq!(found, [rest[0].clone(), all[0].clone()]);
}

pub(crate) async fn a_seal_from_another_size_does_nothing(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    let first = waiting(&store).await;
    let begun = seal(&[], &first, NOON);
    assert!(store.seal(begun.clone()).await.unwrap());
    keep(&store, draft(2)).await;
    let second = waiting(&store).await;
    // Another history of the same entries, from where the log is no more.
    let fork = Seal { checkpoint: checkpoint(9, NOON), ..seal(&[], &second, NOON) };
    assert!(!store.seal(fork).await.unwrap());
    assert_eq!(store.log_head().await.unwrap().size, first.len() as u64);
    assert_eq!(waiting(&store).await, second);
    assert_eq!(store.log_tiles(vec![FIRST]).await.unwrap(), begun.tiles);
    assert_eq!(store.checkpoints(0, 10).await.unwrap(), [begun.checkpoint]);
}

pub(crate) async fn tiles_grow_and_of_a_minute_the_last_checkpoint_stays(place: Place) {
    let store = place.open().await;
    let (mut before, mut times) = (Vec::new(), Vec::new());
    for (n, at) in [(1, 0), (2, 30_000), (3, 60_000), (4, 119_000), (5, 120_000)] {
        keep(&store, draft(n)).await;
        let now = waiting(&store).await;
        let seal = seal(&before, &now, after(at));
        assert!(store.seal(seal.clone()).await.unwrap());
        before.extend(now);
        times.push(seal.checkpoint);
        assert_eq!(store.log_tiles(vec![FIRST]).await.unwrap(), seal.tiles);
    }
    let other = TileId { level: 1, number: 0 };
    assert_eq!(store.log_tiles(vec![other, FIRST]).await.unwrap().len(), 1);
    let kept = [times[1].clone(), times[3].clone(), times[4].clone()];
    assert_eq!(store.checkpoints(0, 10).await.unwrap(), kept);
    assert_eq!(store.checkpoints(kept[0].size, 1).await.unwrap(), kept[1..2]);
    assert_eq!(store.checkpoints(kept[2].size, 10).await.unwrap(), []);
    assert_eq!(store.log_head().await.unwrap().checkpoint.as_ref(), kept.last());
}

pub(crate) async fn a_deed_is_an_entry_with_what_it_says_of_persons(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    let key = draft(1).event.facts.key;
    let sealed = SealedRow { key, sealed: Sealed::from_bytes(vec![9; 80]) };
    let personal = Personal {
        address: Some(Commitment::of("address", &[1; 32], b"192.0.2.1")),
        agent: None,
        note: Some(Commitment::of("note", &[2; 32], b"asked")),
        sealed,
    };
    let mut deed = deed("entries");
    deed.note.personal = Some(personal.clone());
    store.audit(deed.clone()).await.unwrap();
    let entry = store.entries(0, 100).await.unwrap().pop().unwrap();
    assert_eq!((entry.action, entry.outcome), (Action::LogRead, "done"));
    assert_eq!((entry.actor.as_str(), entry.resource.as_str()), ("operator ada", "entries"));
    assert_eq!(entry.changes, r#"[["entries",null,"7"]]"#);
    assert_eq!(entry.personal.as_ref(), Some(&personal));
    let leaf = String::from_utf8(entry.body().unwrap().leaf(0)).unwrap();
    assert!(leaf.contains(&personal.note.unwrap().to_string()) && !leaf.contains("asked"));

    // Sealed under a key that nobody keeps.
    let sealed = SealedRow { key: KeyId([99; 16]), ..personal.sealed.clone() };
    deed.note.personal = Some(Personal { sealed, ..personal });
    assert_eq!(store.audit(deed).await.unwrap_err().code(), "store_unknown_key");
}

pub(crate) async fn what_cannot_stand_in_the_log_is_not_done(place: Place) {
    let store = place.open().await;
    let long = "x".repeat(600);
    let error = store.audit(deed(&long)).await.unwrap_err();
    assert_eq!(error.code(), "audit_unavailable");
    assert!(error.is_audit_unavailable());
    let note = store::Note { actor: String::new(), ..note() };
    let error = store.set_endpoint_state("app", store::EndpointState::Paused, note).await;
    assert_eq!(error.unwrap_err().code(), "audit_unavailable");
    let states = store.endpoint_states().await.unwrap();
    assert!(states.iter().all(|(_, state, _)| *state == store::EndpointState::Active));
    let entries = store.entries(0, 100).await.unwrap();
    assert!(entries.iter().all(|entry| entry.action == Action::KeyAdded));
}

pub(crate) async fn refused_arrivals_are_an_entry_a_reason(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    let before = store.entries(0, 100).await.unwrap().pop().unwrap().sequence;
    let mut elsewhere = tally(2, "no_matching_key");
    elsewhere.address_key = hash_bytes(77);
    let duplicate = store::Tally { event: Some(draft(1).event.id), ..tally(3, "duplicate") };
    let all = vec![tally(1, "no_matching_key"), elsewhere, tally(4, "stale"), duplicate];
    let count: u32 = all[..2].iter().map(|tally| tally.count).sum();
    store.tally(all).await.unwrap();
    let entries = store.entries(before, 100).await.unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, (reason, count)) in
        entries.iter().zip([("no_matching_key", count), ("stale", tally(4, "stale").count)])
    {
        assert_eq!((entry.action, entry.outcome), (Action::ArrivalsRefused, "refused"));
        let expected = format!(r#"["reason",null,"{reason}"],["count",null,"{count}"]]"#);
        assert!(entry.changes.ends_with(&expected), "{}", entry.changes);
        entry.body().unwrap();
    }
}

pub(crate) async fn of_two_that_seal_at_once_one_does(place: Place) {
    let store = place.open().await;
    let beside = place.open_beside().await;
    keep(&store, draft(1)).await;
    let entries = waiting(&store).await;
    let (one, other) = tokio::join!(
        store.seal(seal_from(0, &entries, NOON)),
        beside.seal(seal_from(0, &entries, after(1))),
    );
    assert!(one.unwrap() ^ other.unwrap());
    assert_eq!(waiting(&store).await, []);
    assert_eq!(store.checkpoints(0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn what_a_sink_has_got_is_remembered(place: Place) {
    let store = place.open().await;
    assert_eq!(store.sink_mark("siem").await.unwrap(), None);
    store.mark_sink("siem", 7).await.unwrap();
    store.mark_sink("other", 9).await.unwrap();
    store.mark_sink("siem", 5).await.unwrap();
    assert_eq!(store.sink_mark("siem").await.unwrap(), Some(7));
}
