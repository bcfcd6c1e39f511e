//! Recording arrivals, and dedup.

use model::{EventStatus, Quarantine, Step, Steps, Timestamp};
use store::{Action, DeliveryQuery, NewDelivery, Options, Outcome, Record};

use super::fixture::*;

pub(crate) async fn a_new_arrival_is_kept_whole(place: Place) {
    let store = place.open().await;
    let drafted = draft(1).ordered(9).to("app").to("books").with(|event| {
        event.range = 3..70_000;
        event.original = Some(hash_bytes(5));
    });
    let id = drafted.event.id;
    keep(&store, drafted).await;

    let row = event(&store, id).await;
    assert_eq!((row.sequence, row.count), (1, 1));
    assert_eq!((row.source.as_str(), row.provider.as_str()), ("stripe", "stripe"));
    assert_eq!(row.kind.as_deref(), Some("payment.succeeded"));
    assert_eq!((row.status, row.reason), (EventStatus::Accepted, None));
    assert_eq!((row.steps, row.range), (Steps::PASSED, 3..70_000));
    assert_eq!((row.received_at, row.facts), (NOON, sealed("facts 1")));
    assert_eq!(row.original, Some(hash_bytes(5)));
    assert_eq!(store.body(id).await.unwrap(), Some(sealed("body 1")));
    assert_eq!(store.body(draft(2).event.id).await.unwrap(), None);

    let query = DeliveryQuery { event: Some(id), limit: 10, ..DeliveryQuery::default() };
    let deliveries = store.deliveries(query).await.unwrap();
    let endpoints: Vec<_> = deliveries.iter().map(|found| found.endpoint.as_str()).collect();
    assert_eq!(endpoints, ["app", "books"]);

    let entries = store.entries(0, 10).await.unwrap();
    let last = entries.last().unwrap();
    assert_eq!((last.action, last.at), (Action::Recorded, NOON));
    assert_eq!((last.actor.as_str(), last.outcome), ("gateway", "done"));
    assert_eq!(last.resource, row.arrival.to_string());
    assert_eq!(last.request, Some(request(1)));
}

pub(crate) async fn a_duplicate_writes_nothing(place: Place) {
    let store = place.open().await;
    let first = draft(1).to("app");
    let id = first.event.id;
    keep(&store, first).await;
    let entries = store.entries(0, 100).await.unwrap().len();

    // Another arrival, other bytes, another id: the same key and projection.
    let again = draft(2).to("app").with(|event| event.dedup_key = Some(hash_bytes(1)));
    let recorded = store.record(again.record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Duplicate { of: id }]);
    assert_eq!(all_events(&store).await.len(), 1);
    assert_eq!(event(&store, id).await.count, 1);
    assert_eq!(store.body(draft(2).event.id).await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().pending, 1);
    assert_eq!(store.entries(0, 100).await.unwrap().len(), entries);
}

pub(crate) async fn a_conflict_is_quarantined_and_overwrites_nothing(place: Place) {
    let store = place.open().await;
    let first = draft(1).to("app");
    let id = first.event.id;
    keep(&store, first).await;
    let before = event(&store, id).await;

    let other = draft(2).to("app").with(|event| {
        event.dedup_key = Some(hash_bytes(1));
        event.projection = hash_bytes(77);
    });
    let other_id = other.event.id;
    let recorded = store.record(other.record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Conflict { of: id }]);
    assert_eq!(event(&store, id).await, before);
    let kept = event(&store, other_id).await;
    assert_eq!(kept.status, EventStatus::Quarantined);
    assert_eq!(kept.reason.as_deref(), Some(Quarantine::Conflict.code()));
    assert_eq!(kept.steps, Steps::failed_at(Step::Record));
    assert_eq!(store.body(other_id).await.unwrap(), Some(sealed("body 2")));
    assert_eq!(store.counts().await.unwrap().pending, 1);

    // The first still stands for its key.
    let again = draft(3).with(|event| event.dedup_key = Some(hash_bytes(1)));
    let recorded = store.record(again.record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Duplicate { of: id }]);
}

pub(crate) async fn a_conflict_that_comes_again_only_grows_its_count(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    let conflict = |n, bytes| {
        draft(n).with(|event| {
            event.dedup_key = Some(hash_bytes(1));
            event.projection = hash_bytes(77);
            event.body_key = hash_bytes(bytes);
        })
    };
    let first = conflict(2, 50);
    let id = first.event.id;
    store.record(first.record()).await.unwrap();
    for n in [3, 4] {
        let recorded = store.record(conflict(n, 50).record()).await.unwrap();
        assert_eq!(recorded.events, [Outcome::Repeated { of: id }]);
    }
    assert_eq!(event(&store, id).await.count, 3);
    assert_eq!(store.body(draft(3).event.id).await.unwrap(), None);

    let recorded = store.record(conflict(5, 51).record()).await.unwrap();
    assert!(matches!(recorded.events[..], [Outcome::Conflict { .. }]), "other bytes are kept");
    assert_eq!(all_events(&store).await.len(), 3);
}

pub(crate) async fn what_cannot_be_read_is_known_by_its_bytes(place: Place) {
    let store = place.open().await;
    let first = draft(1).unreadable();
    let id = first.event.id;
    keep(&store, first).await;
    let again = draft(2).unreadable().with(|event| event.body_key = hash_bytes(1));
    let recorded = store.record(again.record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Repeated { of: id }]);
    keep(&store, draft(3).unreadable()).await;
    assert_eq!(event(&store, id).await.count, 2);
    assert_eq!(store.counts().await.unwrap().quarantined, 2);
    // Readable bytes with the key that the others could not say are something else.
    keep(&store, draft(4).with(|event| event.body_key = hash_bytes(1))).await;
}

pub(crate) async fn two_copies_in_one_arrival_are_one_event(place: Place) {
    let store = place.open().await;
    let copy = draft(2).with(|event| event.dedup_key = Some(hash_bytes(1)));
    let drafts = vec![draft(1).to("app"), copy, draft(3)];
    let of = drafts[0].event.id;
    let recorded = store.record(arrival(9, drafts)).await.unwrap();
    assert_eq!(recorded.events, [Outcome::New, Outcome::Duplicate { of }, Outcome::New]);
    let events = all_events(&store).await;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.arrival == arrival_id(9, NOON)));
    let entry = store.entries(0, 100).await.unwrap().pop().unwrap();
    let changes = r#"[["source",null,"stripe"],["accepted",null,"2"],["duplicate",null,"1"]]"#;
    assert_eq!(entry.changes, changes);
}

pub(crate) async fn conflicts_within_one_arrival_are_kept_apart(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    keep(&store, draft(2)).await;
    // Both carry the identity of the whole body, and conflict under different keys.
    let conflict = |n, key| {
        draft(n).with(|event| {
            event.dedup_key = Some(hash_bytes(key));
            event.projection = hash_bytes(77);
            event.body_key = hash_bytes(50);
        })
    };
    let recorded = store.record(arrival(9, vec![conflict(3, 1), conflict(4, 2)])).await.unwrap();
    let of = |n| Outcome::Conflict { of: draft(n).event.id };
    assert_eq!(recorded.events, [of(1), of(2)]);
    assert_eq!(all_events(&store).await.len(), 4);
}

pub(crate) async fn an_arrival_is_recorded_together_or_not_at_all(place: Place) {
    let store = place.open().await;
    let mut record = arrival(9, vec![draft(1).to("app"), draft(2)]);
    record.events[1].facts.key = vault::KeyId([99; 16]);
    let error = store.record(record).await.unwrap_err();
    assert_eq!(error.code(), "store_unknown_key");
    assert_eq!(all_events(&store).await.len(), 0);
    assert_eq!(store.body(draft(1).event.id).await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().pending, 0);
    // Its dedup keys are free: the provider's retry is new.
    let recorded = store.record(arrival(10, vec![draft(1), draft(2)])).await.unwrap();
    assert_eq!(recorded.events, [Outcome::New, Outcome::New]);
}

pub(crate) async fn a_failing_command_fails_alone(place: Place) {
    let store = place.open().await;
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..60 {
        let store = store.clone();
        asked.spawn(async move {
            let mut record = draft(n).record();
            if n % 7 == 0 {
                record.body.key = vault::KeyId([99; 16]);
            }
            (n, store.record(record).await.map(|recorded| recorded.events))
        });
    }
    while let Some(answer) = asked.join_next().await {
        let (n, answer) = answer.unwrap();
        if n % 7 == 0 {
            assert_eq!(answer.unwrap_err().code(), "store_unknown_key", "{n}");
        } else {
            assert_eq!(answer.unwrap(), [Outcome::New], "{n}");
        }
        assert_eq!(store.event(draft(n).event.id).await.unwrap().is_some(), n % 7 != 0);
    }
    // An id that is held already is refused, whatever its dedup key.
    let twice = draft(1).with(|event| event.dedup_key = Some(hash_bytes(1_000)));
    let error = store.record(arrival(2_000, vec![twice])).await.unwrap_err();
    assert_eq!(error.code(), "store_constraint");
}

pub(crate) async fn an_unaccepted_event_has_no_deliveries(place: Place) {
    let store = place.open().await;
    for status in [EventStatus::Held, EventStatus::Denied, EventStatus::Quarantined] {
        let drafted = draft(1).to("app").with(|event| event.status = status);
        let error = store.record(drafted.record()).await.unwrap_err();
        assert_eq!(error.code(), "store_not_deliverable", "{status}");
    }
    let deliveries =
        |count: u64| -> Vec<NewDelivery> { (0..count).map(|n| delivery(n, NOON, "app")).collect() };
    let too_many = draft(1).with(|event| event.deliveries = deliveries(1025));
    let error = store.record(too_many.record()).await.unwrap_err();
    assert_eq!(error.code(), "store_too_many_deliveries");
    keep(&store, draft(1).with(|event| event.deliveries = deliveries(1024))).await;
    keep(&store, draft(2)).await;
    let query = |n| DeliveryQuery {
        event: Some(draft(n).event.id),
        limit: 2_000,
        ..DeliveryQuery::default()
    };
    assert_eq!(store.deliveries(query(1)).await.unwrap().len(), 1024);
    assert_eq!(store.deliveries(query(2)).await.unwrap().len(), 0);
}

pub(crate) async fn dedup_keys_last_thirty_five_days(place: Place) {
    let store = place.open().await;
    let again = |n, days: i64| {
        draft_at(n, after(days * DAY_MS)).with(|event| event.dedup_key = Some(hash_bytes(1)))
    };
    keep(&store, draft(1)).await;
    for days in 1..=35 {
        let n = u64::try_from(days).unwrap() + 100;
        // Every day has keys of its own.
        keep(&store, draft_at(n + 100, after(days * DAY_MS))).await;
        let now = after(days * DAY_MS);
        assert_eq!(store.forget(now).await.unwrap(), 0, "day {days}");
        let recorded = store.record(again(n, days).record()).await.unwrap();
        assert_eq!(recorded.events, [Outcome::Duplicate { of: draft(1).event.id }], "day {days}");
    }
    // What no longer counts does not count even before it is forgotten.
    keep(&store, again(500, 36)).await;
    let recorded = store.record(again(501, 36).record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Duplicate { of: again(500, 36).event.id }]);
    // Every day's own key and the one that was renewed.
    assert_eq!(store.forget(after(36 * DAY_MS)).await.unwrap(), 0);
    assert_eq!(store.forget(after(37 * DAY_MS)).await.unwrap(), 1);
    // From sweep to sweep, a day at a time.
    let mut forgotten = 0;
    for _ in 38..=100 {
        forgotten += store.forget(after(100 * DAY_MS)).await.unwrap();
    }
    assert_eq!(forgotten, 35);
    assert_eq!(store.forget(after(100 * DAY_MS)).await.unwrap(), 0);
    // The events stay.
    assert_eq!(event(&store, draft(1).event.id).await.count, 1);
}

pub(crate) async fn dedup_keys_are_found_when_the_clock_steps_back(place: Place) {
    let store = place.open().await;
    keep(&store, draft_at(1, after(2 * DAY_MS))).await;
    let back = draft(2).with(|event| event.dedup_key = Some(hash_bytes(1)));
    let recorded = store.record(back.record()).await.unwrap();
    let of = draft_at(1, after(2 * DAY_MS)).event.id;
    assert_eq!(recorded.events, [Outcome::Duplicate { of }]);
    // Around midnight the days take turns.
    for n in 10..30 {
        let at = if n % 2 == 0 { after(12 * 3_600_000) } else { after(12 * 3_600_000 - 1) };
        keep(&store, draft_at(n, at)).await;
    }
}

/// A year ahead for a while, and back: what was seen is still known, at each of the times.
pub(crate) async fn dedup_keys_outlast_a_clock_that_jumps(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    store.forget(NOON).await.unwrap();
    let again = |n: u64, ms: i64| {
        draft_at(n, after(ms)).with(|event| event.dedup_key = Some(hash_bytes(1))).record()
    };
    let of = draft(1).event.id;
    let year = 365 * DAY_MS;
    for (n, at) in [(2, year), (3, year + DAY_MS), (4, 60_000), (5, -year), (6, 120_000)] {
        assert_eq!(store.forget(after(at)).await.unwrap(), 0, "at {at}");
        let recorded = store.record(again(n, at)).await.unwrap();
        assert_eq!(recorded.events, [Outcome::Duplicate { of }], "at {at}");
    }
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(store.forget(after(year)).await.unwrap(), 0);
    let recorded = store.record(again(7, year)).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Duplicate { of }]);
}

/// Few keys a run, so that a small test goes through many runs.
fn in_small_runs() -> Options {
    Options { dedup_run_keys: 100, ..Options::default() }
}

/// An arrival of a thousand events with keys of their own.
fn thousand(n: u64, at: Timestamp) -> Record {
    let drafts = (0..1_000).map(|each| draft_at(n * 1_000 + each, at)).collect();
    arrival(100_000 + n, drafts)
}

pub(crate) async fn many_keys_are_forgotten_in_slices(place: Place) {
    let store = place.open_with(in_small_runs()).await;
    for n in 0..21 {
        let at = after(if n < 11 { 0 } else { 40 * DAY_MS });
        store.record(thousand(n, at)).await.unwrap();
    }
    assert_eq!(store.forget(after(40 * DAY_MS)).await.unwrap(), 11_000);
    // Once a day is enough.
    assert_eq!(store.forget(after(40 * DAY_MS + 1)).await.unwrap(), 0);
    let at = after(40 * DAY_MS);
    keep(&store, draft_at(30_000, at).with(|event| event.dedup_key = Some(hash_bytes(5)))).await;
    let kept = draft_at(30_001, at).with(|event| event.dedup_key = Some(hash_bytes(20_000)));
    let recorded = store.record(kept.record()).await.unwrap();
    assert!(matches!(recorded.events[..], [Outcome::Duplicate { .. }]));
}

pub(crate) async fn keys_are_found_wherever_they_were_put(place: Place) {
    let store = place.open_with(in_small_runs()).await;
    for n in 0..70 {
        store.record(thousand(n, NOON)).await.unwrap();
    }
    let again = |n: u64| {
        let copy = draft(1_000_000 + n).with(|event| event.dedup_key = Some(hash_bytes(n)));
        (copy.record(), [Outcome::Duplicate { of: draft(n).event.id }])
    };
    for n in (0..70_000).step_by(331) {
        let (copy, expected) = again(n);
        assert_eq!(store.record(copy).await.unwrap().events, expected, "{n}");
    }
    store.close().await;
    drop(store);
    let store = place.open_with(in_small_runs()).await;
    let beside = place.open_beside().await;
    for n in (7..70_000).step_by(733) {
        let (copy, expected) = again(n);
        assert_eq!(store.record(copy.clone()).await.unwrap().events, expected, "{n}");
        assert_eq!(beside.record(copy).await.unwrap().events, expected, "{n}");
    }
    // What one of two writers puts into a run, the other finds.
    store.record(thousand(80, NOON)).await.unwrap();
    let (copy, expected) = again(80_500);
    assert_eq!(beside.record(copy).await.unwrap().events, expected);
}

pub(crate) async fn a_key_is_renewed_when_its_run_is_past(place: Place) {
    let store = place.open_with(in_small_runs()).await;
    store.record(thousand(0, NOON)).await.unwrap();
    let late = after(36 * DAY_MS);
    let renewed = draft_at(5_000, late).with(|event| event.dedup_key = Some(hash_bytes(3)));
    keep(&store, renewed.clone()).await;
    store.record(thousand(1, late)).await.unwrap();
    // It stands in two runs now, and the newer one counts.
    let copy = draft_at(5_001, late).with(|event| event.dedup_key = Some(hash_bytes(3)));
    let recorded = store.record(copy.clone().record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Duplicate { of: renewed.event.id }]);
    store.forget(late).await.unwrap();
    let recorded = store.record(copy.record()).await.unwrap();
    assert_eq!(recorded.events, [Outcome::Duplicate { of: renewed.event.id }]);
}

pub(crate) async fn a_batch_of_a_thousand_events_is_one_arrival(place: Place) {
    let store = place.open().await;
    let drafts: Vec<_> = (0..1_000).map(|n| draft(n).to("app")).collect();
    let recorded = store.record(arrival(1, drafts.clone())).await.unwrap();
    assert_eq!(recorded.events, vec![Outcome::New; 1_000]);
    let events = all_events(&store).await;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, drafts.iter().map(|draft| draft.event.id).collect::<Vec<_>>());
    for id in [ids[0], ids[999]] {
        assert_eq!(store.body(id).await.unwrap(), Some(sealed("body 1")));
    }
}

pub(crate) async fn an_arrival_without_events_leaves_nothing(place: Place) {
    let store = place.open().await;
    let entries = store.entries(0, 100).await.unwrap().len();
    let recorded = store.record(arrival(1, Vec::new())).await.unwrap();
    assert_eq!(recorded.events, []);
    assert_eq!(store.entries(0, 100).await.unwrap().len(), entries);
}

pub(crate) async fn sequences_have_no_gaps_after_a_failure(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1)).await;
    let mut failing = arrival(9, vec![draft(2), draft(3)]);
    failing.events[1].facts.key = vault::KeyId([99; 16]);
    store.record(failing).await.unwrap_err();
    keep(&store, draft(4)).await;
    place.check_sequences(&all_events(&store).await, 2);
}
