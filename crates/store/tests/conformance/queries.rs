//! What can be found, and that it adds up.

use std::collections::BTreeSet;

use model::{DeliveryStatus, EventStatus, Reach, Step, Timestamp};
use store::{Counts, DeliveryQuery, EventQuery, KeyKind, NewKey, SealedRow, Store, Tally, Then};
use vault::KeyId;

use super::fixture::*;

async fn found(store: &Store, query: EventQuery) -> Vec<u64> {
    let query = EventQuery { limit: if query.limit == 0 { 100 } else { query.limit }, ..query };
    store.events(query).await.unwrap().iter().map(|event| number(event.id)).collect()
}

async fn mixed(store: &Store) {
    keep(store, draft(1)).await;
    keep(store, draft(2).held()).await;
    keep(store, draft(3).from("square")).await;
    keep(store, draft(4).held().from("square")).await;
    keep(store, draft(5).unreadable()).await;
    keep(store, draft(6).with(|event| event.status = EventStatus::Denied)).await;
    keep(store, draft(7)).await;
}

pub(crate) async fn events_are_found_by_what_they_are(place: Place) {
    let store = place.open().await;
    mixed(&store).await;
    use EventStatus::{Accepted, Denied, Held, Quarantined};
    let of = |statuses: &[EventStatus]| EventQuery {
        statuses: statuses.to_vec(),
        ..EventQuery::default()
    };
    assert_eq!(found(&store, of(&[])).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(found(&store, of(&[Accepted])).await, [1, 3, 7]);
    assert_eq!(found(&store, of(&[Accepted, Held])).await, [1, 2, 3, 4, 7]);
    assert_eq!(found(&store, of(&[Held])).await, [2, 4]);
    assert_eq!(found(&store, of(&[Held, Quarantined, Denied])).await, [2, 4, 5, 6]);
    let square = |statuses| EventQuery { source: Some("square".to_owned()), ..of(statuses) };
    assert_eq!(found(&store, square(&[])).await, [3, 4]);
    assert_eq!(found(&store, square(&[Held])).await, [4]);
    let nowhere = EventQuery { source: Some("nowhere".to_owned()), ..of(&[]) };
    assert_eq!(found(&store, nowhere).await, [0_u64; 0]);
    assert_eq!(store.event(draft(99).event.id).await.unwrap(), None);
}

pub(crate) async fn events_are_found_by_time(place: Place) {
    let store = place.open().await;
    for n in 0..10 {
        let at = after(i64::try_from(n).unwrap() * 3_600_000);
        let held = n % 3 == 0;
        let drafted = if held { draft_at(n, at).held() } else { draft_at(n, at) };
        keep(&store, drafted).await;
    }
    let hour = |n: i64| Some(after(n * 3_600_000));
    let between = |since, until| EventQuery { since, until, ..EventQuery::default() };
    assert_eq!(found(&store, between(hour(3), hour(6))).await, [3, 4, 5]);
    assert_eq!(found(&store, between(hour(7), None)).await, [7, 8, 9]);
    assert_eq!(found(&store, between(None, hour(2))).await, [0, 1]);
    assert_eq!(found(&store, between(hour(6), hour(3))).await, [0_u64; 0]);
    let ends =
        between(Some(Timestamp::from_millis(i64::MIN)), Some(Timestamp::from_millis(i64::MAX)));
    assert_eq!(found(&store, ends).await.len(), 10);
    let held = EventQuery { statuses: vec![EventStatus::Held], ..between(hour(3), hour(7)) };
    assert_eq!(found(&store, held).await, [3, 6]);
    let newest = EventQuery { limit: 2, ..between(hour(1), hour(6)) };
    assert_eq!(found(&store, newest).await, [4, 5]);
}

pub(crate) async fn limits_give_the_newest_last(place: Place) {
    let store = place.open().await;
    mixed(&store).await;
    let limit = |limit, statuses: &[EventStatus]| EventQuery {
        limit,
        statuses: statuses.to_vec(),
        ..EventQuery::default()
    };
    assert_eq!(found(&store, limit(2, &[])).await, [6, 7]);
    assert_eq!(found(&store, limit(3, &[EventStatus::Held, EventStatus::Denied])).await, [2, 4, 6]);
    assert_eq!(found(&store, limit(2, &[EventStatus::Held, EventStatus::Denied])).await, [4, 6]);
    assert_eq!(found(&store, limit(usize::MAX, &[])).await.len(), 7);
    let none = EventQuery::default();
    assert_eq!(store.events(none).await.unwrap(), []);
}

pub(crate) async fn deliveries_are_found_by_what_they_are(place: Place) {
    let store = place.open().await;
    for n in 0..6 {
        let at = after(i64::try_from(n).unwrap() * 3_600_000);
        keep(&store, draft_at(n, at).ordered(n % 2).to("app").to("books")).await;
    }
    let leased = lease(&store, NOON, "app", 2).await;
    settle(&store, &leased[0], after(1), Then::Delivered).await;
    settle(&store, &leased[1], after(1), Then::Dead).await;

    let count = async |query: DeliveryQuery| {
        let query = DeliveryQuery { limit: 100, ..query };
        store.deliveries(query).await.unwrap().len()
    };
    let any = DeliveryQuery::default;
    let app = || DeliveryQuery { endpoint: Some("app".to_owned()), ..any() };
    let status = |status| DeliveryQuery { status: Some(status), ..any() };
    assert_eq!(count(any()).await, 12);
    assert_eq!(count(app()).await, 6);
    assert_eq!(count(DeliveryQuery { endpoint: Some("nowhere".to_owned()), ..any() }).await, 0);
    assert_eq!(count(status(DeliveryStatus::Pending)).await, 10);
    assert_eq!(count(status(DeliveryStatus::Delivered)).await, 1);
    assert_eq!(count(status(DeliveryStatus::Dead)).await, 1);
    assert_eq!(count(DeliveryQuery { status: Some(DeliveryStatus::Pending), ..app() }).await, 4);
    assert_eq!(count(DeliveryQuery { id: Some(leased[0].delivery), ..any() }).await, 1);
    assert_eq!(count(DeliveryQuery { event: Some(draft(99).event.id), ..any() }).await, 0);
    let window =
        DeliveryQuery { since: Some(after(3_600_000)), until: Some(after(3 * 3_600_000)), ..any() };
    assert_eq!(count(window.clone()).await, 4);
    assert_eq!(count(DeliveryQuery { endpoint: Some("app".to_owned()), ..window }).await, 2);
    let newest = store.deliveries(DeliveryQuery { limit: 3, ..app() }).await.unwrap();
    let created: Vec<_> = newest.iter().map(|delivery| delivery.created_at).collect();
    assert_eq!(created, [3, 4, 5].map(|hour: i64| after(hour * 3_600_000)));
}

pub(crate) fn tally(n: u64, reason: &'static str) -> Tally {
    Tally {
        source: Some("stripe".into()),
        event: None,
        step: Step::Verify,
        reason,
        address_key: hash_bytes(7),
        address: sealed("192.0.2.7"),
        arrival: arrival_id(n, NOON),
        minute: NOON.minute(),
        count: 1,
        first_at: NOON,
        last_at: NOON,
    }
}

pub(crate) async fn tallies_add_up(place: Place) {
    let store = place.open().await;
    let unknown = Tally { source: None, ..tally(2, "unknown_source") };
    let duplicate =
        Tally { event: Some(draft(1).event.id), step: Step::Record, ..tally(3, "duplicate") };
    store.tally(vec![tally(1, "too_old"), unknown, duplicate]).await.unwrap();
    let more = Tally { count: 41, first_at: after(-5), last_at: after(9), ..tally(4, "too_old") };
    store.tally(vec![more]).await.unwrap();
    let other = Tally { address_key: hash_bytes(8), ..tally(5, "too_old") };
    let flood = Tally { count: u32::MAX, ..tally(6, "flood") };
    store.tally(vec![other, flood.clone(), flood]).await.unwrap();
    store.tally(Vec::new()).await.unwrap();

    let rows = store.tallies(EventQuery { limit: 10, ..EventQuery::default() }).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.reason.as_str(), row.count)).collect();
    let expected = [
        ("too_old", 42),
        ("unknown_source", 1),
        ("duplicate", 1),
        ("too_old", 1),
        ("flood", u32::MAX),
    ];
    assert_eq!(told, expected);
    assert_eq!((rows[0].first_at, rows[0].last_at), (after(-5), after(9)));
    assert_eq!((rows[0].arrival, rows[0].step), (arrival_id(1, NOON), Step::Verify));
    assert_eq!(rows[0].source.as_deref(), Some("stripe"));
    assert_eq!((rows[1].source.clone(), rows[1].event), (None, None));
    assert_eq!(rows[2].event, Some(draft(1).event.id));
    assert_eq!(rows[0].address, sealed("192.0.2.7"));
}

pub(crate) async fn tallies_are_found_by_time_and_source(place: Place) {
    let store = place.open().await;
    for n in 0..5 {
        let at = after(i64::try_from(n).unwrap() * 60_000);
        let tally = Tally {
            minute: at.minute(),
            first_at: at,
            last_at: at.plus_millis(10_000),
            source: (n % 2 == 0).then(|| "stripe".into()),
            ..tally(n, "too_old")
        };
        store.tally(vec![tally]).await.unwrap();
    }
    let query = |since, until, source: Option<&str>| EventQuery {
        since,
        until,
        source: source.map(str::to_owned),
        limit: 10,
        ..EventQuery::default()
    };
    let minutes = async |query| {
        let rows = store.tallies(query).await.unwrap();
        rows.iter().map(|row| row.minute - NOON.minute()).collect::<Vec<_>>()
    };
    let minute = |n: i64| Some(after(n * 60_000));
    assert_eq!(minutes(query(None, None, None)).await, [0, 1, 2, 3, 4]);
    assert_eq!(minutes(query(minute(1), minute(3), None)).await, [1, 2]);
    assert_eq!(minutes(query(None, None, Some("stripe"))).await, [0, 2, 4]);
    let newest = EventQuery { limit: 2, ..query(None, None, None) };
    assert_eq!(minutes(newest).await, [3, 4]);
}

pub(crate) async fn counts_add_up(place: Place) {
    let store = place.open().await;
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    mixed(&store).await;
    keep(&store, draft(8).ordered(1).to("app").to("books")).await;
    keep(&store, draft(9).ordered(1).to("app")).await;
    lease(&store, NOON, "app", 4).await;
    let expected = Counts {
        full: false,
        accepted: 5,
        held: 2,
        denied: 1,
        quarantined: 1,
        pending: 3,
        parked: 0,
        dead: 0,
        oldest_pending_at: Some(NOON),
    };
    assert_eq!(store.counts().await.unwrap(), expected);
}

pub(crate) async fn entries_are_read_in_order(place: Place) {
    let store = place.open().await;
    for n in 0..5 {
        keep(&store, draft(n)).await;
    }
    let all = store.entries(0, 100).await.unwrap();
    assert_eq!(all.len(), 6, "the fixture's key and five arrivals");
    let (first, rest) = (store.entries(0, 2).await.unwrap(), store.entries(2, 100).await.unwrap());
    assert_eq!([first, rest].concat(), all);
    assert!(all.is_sorted_by_key(|entry| entry.sequence));
    assert_eq!(store.entries(i64::MAX, 100).await.unwrap(), []);
}

pub(crate) async fn events_are_read_page_by_page(place: Place) {
    let store = place.open().await;
    // Their ids are in another order than their sequences.
    for n in [3, 1, 7, 2, 5, 4, 6] {
        keep(&store, draft_at(n, after(i64::try_from(n).unwrap() * 1_000))).await;
    }
    let read = async |query: EventQuery| {
        let mut pages = Vec::new();
        let mut before = i64::MAX;
        loop {
            let query = EventQuery { before: Some(before), limit: 3, ..query.clone() };
            let events = store.events(query).await.unwrap();
            let Some(first) = events.first() else { return pages };
            before = first.sequence;
            pages.push(events.iter().map(|event| number(event.id)).collect::<Vec<_>>());
        }
    };
    assert_eq!(read(EventQuery::default()).await, [vec![5, 4, 6], vec![1, 7, 2], vec![3]]);
    let since = EventQuery { since: Some(after(2_000)), ..EventQuery::default() };
    assert_eq!(read(since).await, [vec![5, 4, 6], vec![3, 7, 2]]);
    let held = EventQuery { statuses: vec![EventStatus::Held], ..EventQuery::default() };
    assert_eq!(read(held).await, [[0_u64; 0]; 0]);
}

pub(crate) async fn deliveries_are_read_page_by_page(place: Place) {
    let store = place.open().await;
    for n in [2, 1, 3] {
        keep(&store, draft_at(n, after(i64::try_from(n).unwrap())).to("app").to("books")).await;
    }
    let leased = lease(&store, NOON, "app", 1).await;
    settle(&store, &leased[0], after(9), Then::Delivered).await;
    for query in [
        DeliveryQuery::default(),
        DeliveryQuery { since: Some(after(1)), ..DeliveryQuery::default() },
    ] {
        let mut events = Vec::new();
        let mut before = i64::MAX;
        loop {
            let query = DeliveryQuery { before: Some(before), limit: 4, ..query.clone() };
            let deliveries = store.deliveries(query).await.unwrap();
            let Some(first) = deliveries.first() else { break };
            before = first.number;
            assert!(deliveries.is_sorted_by_key(|delivery| delivery.number));
            events.extend(deliveries.iter().rev().map(|delivery| number(delivery.event)));
        }
        assert_eq!(events, [3, 3, 1, 1, 2, 2]);
    }
}

/// A key of a person, and an event that is sealed under it.
fn of_person(byte: u8, n: u64) -> (NewKey, Draft) {
    let key = NewKey { kind: KeyKind::Subject, owner: [byte; 16], ..key(byte) };
    let facts = SealedRow { key: KeyId([byte; 16]), ..sealed("facts") };
    (key, draft(n).with(|event| event.facts = facts))
}

pub(crate) async fn nothing_out_of_reach_is_found(place: Place) {
    let store = place.open().await;
    keep(&store, draft(1).to("app")).await;
    keep(&store, draft(2).from("square").to("app")).await;
    for (byte, n) in [(21, 3), (22, 4)] {
        let (key, draft) = of_person(byte, n);
        store.add_key(key).await.unwrap();
        keep(&store, draft.held().with(|event| event.deliveries.clear())).await;
    }
    // Another key of the same person, as replicas may make one each.
    let (key, draft) = of_person(23, 5);
    let record =
        store::Record { keys: vec![NewKey { owner: [21; 16], ..key }], ..draft.to("app").record() };
    store.record(record).await.unwrap();

    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let sources = |list: &[&str]| Reach { sources: names(list), ..Reach::default() };
    let customer = |byte: u8| Reach { customer: Some([byte; 16]), ..Reach::default() };
    for (reach, events, with_delivery) in [
        (Reach::default(), vec![1, 2, 3, 4, 5], vec![1, 2, 5]),
        (sources(&["square"]), vec![2], vec![2]),
        (sources(&["square", "stripe", "nowhere"]), vec![1, 2, 3, 4, 5], vec![1, 2, 5]),
        (sources(&[]), vec![], vec![]),
        (Reach { providers: names(&["stripe"]), ..Reach::default() }, vec![1, 3, 4, 5], vec![1, 5]),
        (customer(21), vec![3, 5], vec![5]),
        (customer(22), vec![4], vec![]),
        (customer(23), vec![], vec![]),
        // The owner of a key that is no person's.
        (customer(KEY), vec![], vec![]),
        (
            Reach { sources: Some(BTreeSet::from(["square".to_owned()])), ..customer(21) },
            vec![],
            vec![],
        ),
    ] {
        let query = EventQuery { reach: reach.clone(), ..EventQuery::default() };
        assert_eq!(found(&store, query.clone()).await, events, "{reach:?}");
        let paged = EventQuery { before: Some(i64::MAX), since: Some(NOON), ..query.clone() };
        assert_eq!(found(&store, paged).await, events, "{reach:?}");
        let held = EventQuery { statuses: vec![EventStatus::Held], ..query };
        let only_held: Vec<_> = events.iter().copied().filter(|n| [3, 4].contains(n)).collect();
        assert_eq!(found(&store, held).await, only_held, "{reach:?}");
        let query = DeliveryQuery { reach: reach.clone(), limit: 9, ..DeliveryQuery::default() };
        let deliveries = store.deliveries(query).await.unwrap();
        let of: Vec<_> = deliveries.iter().map(|delivery| number(delivery.event)).collect();
        assert_eq!(of, with_delivery, "{reach:?}");
    }
}
