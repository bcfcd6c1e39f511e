//! Copying a store from a file to a server: while it is written to, in pieces, and until both agree.

use std::collections::BTreeSet;
use std::path::PathBuf;

use model::api_key::{Cause, Overlap};
use model::{EventId, Step, Timestamp};
use store::{
    Awaits, Changed, CopiedTable, CopyError, CopyStage, DeliveryQuery, EndpointState, Outcome,
    Store, StoreCopy, Tally, Then,
};

use crate::conformance::api_keys::{api_key, api_key_id, successor, used};
use crate::conformance::fixture::*;
use crate::conformance::operators::{operator, operator_id, session};
use crate::conformance::{blocks, chains, orders, undecided};
use crate::patient;
use crate::server::{self, Server};

/// A file, a server's empty database, and what is copied between them.
struct Move {
    _folder: tempfile::TempDir,
    path: PathBuf,
    database: String,
    server: &'static Server,
}

impl Move {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = server::shared().await;
        Self {
            path: folder.path().join("store.db"),
            _folder: folder,
            database: server.database().await,
            server,
        }
    }

    async fn source(&self) -> Store {
        let store = Store::open(&self.path, small()).unwrap();
        store.add_key(key(KEY)).await.unwrap();
        store
    }

    async fn target(&self) -> Store {
        Store::connect(&patient(self.server.serving_url(&self.database))).await.unwrap()
    }

    /// Copies everything that is there, beside whoever has the file open.
    async fn copy(&self) -> Result<StoreCopy, CopyError> {
        let source = Store::open_beside(&self.path).unwrap();
        let mut copy = StoreCopy::begin(&source, &self.target().await, false).await?;
        while copy.next().await?.is_some() {}
        assert_eq!(copy.stage(), CopyStage::Done);
        Ok(copy)
    }

    /// Copies what is left, once nobody has the file open, and compares.
    async fn finish(&self) -> Result<StoreCopy, CopyError> {
        let source = Store::open(&self.path, small()).unwrap();
        let mut copy = StoreCopy::begin(&source, &self.target().await, true).await?;
        while copy.next().await?.is_some() {}
        Ok(copy)
    }

    /// Copies a few pages and is gone.
    async fn begin_and_die(&self, pages: usize, is_last: bool) -> bool {
        let source = if is_last {
            Store::open(&self.path, small()).unwrap()
        } else {
            Store::open_beside(&self.path).unwrap()
        };
        let mut copy = StoreCopy::begin(&source, &self.target().await, is_last).await.unwrap();
        for _ in 0..pages {
            if copy.next().await.unwrap().is_none() {
                return true;
            }
        }
        false
    }
}

fn differing(copy: &StoreCopy) -> Vec<CopiedTable> {
    let compared = copy.compared().iter();
    compared.filter(|table| !table.agrees()).map(|table| table.table).collect()
}

fn tally(n: u64, count: u32) -> Tally {
    Tally {
        source: (n.is_multiple_of(2)).then(|| "stripe".into()),
        event: (n.is_multiple_of(3)).then(|| draft(n).event.id),
        step: Step::Verify,
        reason: "no_matching_key",
        address_key: hash_bytes(n),
        address: sealed("address"),
        arrival: arrival_id(n, NOON),
        minute: NOON.minute(),
        count,
        first_at: NOON,
        last_at: after(5),
    }
}

/// Something of every kind, and of every state.
async fn fill(store: &Store) {
    for n in 1..=6 {
        orders::create(store, n).await;
        orders::pay(store, n, n * 10, 500).await;
    }
    orders::pay(store, 6, 70, 1500).await;
    for n in [7, 8] {
        store.create_order(chains::watched(n, n), note()).await.unwrap();
    }
    let left =
        store::ChainChange { left: vec![orders::order_id(8)], ..chains::read_to(0, "block 5") };
    store.change_orders(chains::of_chain(left)).await.unwrap();
    for n in [2, 9, 4] {
        let new = crate::conformance::receipts::receipt(n, n + 1);
        store.take_receipt(new, crate::conformance::log::deed("bot")).await.unwrap();
    }
    for n in 1..=3 {
        blocks::add(store, blocks::block(n, n, Some(9_000)), 0).await;
    }
    blocks::lift(store, 2, 10).await;
    for n in 1..=40 {
        keep(store, draft(n).ordered(n % 4).to("app").to("books")).await;
    }
    keep(store, draft(50).held()).await;
    keep(store, draft(51).held()).await;
    keep(store, undecided::waiting(54, Awaits::Order(hash_bytes(1)))).await;
    keep(store, undecided::waiting(55, Awaits::Answer)).await;
    let decided = undecided::by_itself(undecided::accepting(55), Vec::new());
    store.change_orders(decided).await.unwrap();
    keep(store, draft(52).unreadable().from("adyen-item")).await;
    let conflict = draft(53).with(|event| {
        event.dedup_key = Some(hash_bytes(1));
        event.projection = hash_bytes(7);
        event.original = Some(hash_bytes(8));
    });
    store.record(conflict.record()).await.unwrap();
    store.record(arrival(60, vec![draft(60).to("app"), draft(61).to("app")])).await.unwrap();
    store.tally(vec![tally(1, 2), tally(6, 1)]).await.unwrap();
    for (n, leased) in lease(store, after(10), "app", 8).await.iter().enumerate() {
        let then = match n % 4 {
            0 => Then::Delivered,
            1 => Then::Dead,
            2 => Then::Again(after(20_000)),
            _ => continue,
        };
        settle(store, leased, after(20), then).await;
    }
    store.set_endpoint_state("books", EndpointState::Paused, note()).await.unwrap();
    for n in [1, 2] {
        store.create_api_key(api_key(n), note()).await.unwrap();
    }
    let next = successor(3, after(2_000), Overlap::Day);
    store.roll_api_key(api_key_id(1), next, note()).await.unwrap();
    store.note_api_key_uses(vec![used(1, 3, 1, Some(2_500))]).await.unwrap();
    for n in [1, 2] {
        store.add_operator(operator(n), note()).await.unwrap();
        store.open_session(session(n, n, 7), note()).await.unwrap();
    }
    grow_log(store, 20, after(30)).await;
    let print = hash_bytes(70);
    let (kind, owner) = (model::secret::SecretKind::Source, "stripe".to_owned());
    let secrets = vec![(model::SecretId::new(NOON, id_bytes(70)), print)];
    store.see_configured(store::Configured { kind, owner, secrets, at: NOON }).await.unwrap();
    store.mark_sink("siem", 7).await.unwrap();
}

/// Gives the next entries their place in the log.
async fn grow_log(store: &Store, entries: usize, at: Timestamp) {
    let waiting = store.waiting_entries(entries).await.unwrap();
    let from = store.log_head().await.unwrap().size;
    assert!(store.seal(super::conformance::log::seal_from(from, &waiting, at)).await.unwrap());
}

/// Which deliveries go out, in their order, one after the other, from now on.
async fn goes_out(store: &Store, endpoint: &str) -> Vec<(EventId, model::DeliveryId)> {
    let mut out = Vec::new();
    let mut now = after(10_000_000);
    loop {
        now = now.plus_millis(1_000);
        let Some(leased) = lease(store, now, endpoint, 1).await.pop() else { return out };
        out.push((leased.event.id, leased.delivery));
        settle(store, &leased, now, Then::Delivered).await;
    }
}

async fn deliveries(store: &Store) -> Vec<store::DeliveryRow> {
    let query = DeliveryQuery { limit: 10_000, ..DeliveryQuery::default() };
    store.deliveries(query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_copy_is_the_same_store() {
    let moved = Move::new().await;
    let source = moved.source().await;
    fill(&source).await;
    assert!(!moved.target().await.is_half_copied().await.unwrap());
    let progress = moved.copy().await.unwrap().progress();
    assert!(moved.target().await.is_half_copied().await.unwrap());
    assert_eq!(progress.len(), CopiedTable::ALL.len());
    assert!(progress.iter().all(|table| table.moved > 0 && table.moved <= table.rows));
    // In the same minute: the checkpoint that was moved is not kept.
    grow_log(&source, 10, after(31)).await;
    source.close().await;
    drop(source);

    let copy = moved.finish().await.unwrap();
    assert_eq!(differing(&copy), []);
    assert!(copy.is_verified());
    assert!(copy.compared().iter().all(|table| table.source.rows > 0), "{:?}", copy.compared());
    drop(copy);

    let (source, target) = (moved.source().await, moved.target().await);
    assert_eq!(all_events(&target).await, all_events(&source).await);
    assert_eq!(deliveries(&target).await, deliveries(&source).await);
    assert_eq!(target.counts().await.unwrap(), source.counts().await.unwrap());
    assert_eq!(target.entries(0, 10_000).await.unwrap(), source.entries(0, 10_000).await.unwrap());
    assert_eq!(target.log_head().await.unwrap(), source.log_head().await.unwrap());
    let checkpoints = source.checkpoints(0, 100).await.unwrap();
    assert_eq!(target.checkpoints(0, 100).await.unwrap(), checkpoints);
    let waiting = source.waiting_entries(10_000).await.unwrap();
    assert_eq!(target.waiting_entries(10_000).await.unwrap(), waiting);
    assert!(!waiting.is_empty() && checkpoints.len() == 1);
    assert_eq!(target.endpoint_states().await.unwrap(), source.endpoint_states().await.unwrap());
    let all = || store::EventQuery { limit: 100, ..Default::default() };
    assert_eq!(target.tallies(all()).await.unwrap(), source.tallies(all()).await.unwrap());
    assert_eq!(target.api_keys().await.unwrap(), source.api_keys().await.unwrap());
    assert_eq!(target.operators().await.unwrap(), source.operators().await.unwrap());
    for n in [1, 2] {
        let hash = hash_bytes(n);
        assert!(source.session(hash).await.unwrap().is_some());
        assert_eq!(target.session(hash).await.unwrap(), None, "they sign in again");
    }
    for row in deliveries(&source).await {
        let attempts = source.attempts(row.id).await.unwrap();
        assert_eq!(target.attempts(row.id).await.unwrap(), attempts);
    }
    for event in all_events(&source).await {
        let body = source.body(event.id).await.unwrap();
        assert_eq!(target.body(event.id).await.unwrap(), body);
    }
    assert_eq!(target.data_key(key(KEY).id).await.unwrap(), Some(key(KEY)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pending_goes_out_in_the_same_order_under_the_same_ids() {
    let moved = Move::new().await;
    let source = moved.source().await;
    fill(&source).await;
    moved.copy().await.unwrap();
    // Heads, blocked and parked ones change places after they were copied.
    for leased in lease(&source, after(100_000), "app", 4).await {
        settle(&source, &leased, after(100_001), Then::Delivered).await;
    }
    let dead = deliveries(&source).await;
    let dead = dead.iter().filter(|row| row.status == model::DeliveryStatus::Dead);
    let dead: Vec<_> = dead.map(|row| row.id).collect();
    assert!(source.redeliver(dead, note()).await.unwrap() > 0);
    lease(&source, after(100_002), "app", 3).await;
    drop(source);
    assert!(moved.finish().await.unwrap().is_verified());

    let (source, target) = (moved.source().await, moved.target().await);
    let expected = goes_out(&source, "app").await;
    assert!(expected.len() > 10);
    assert_eq!(goes_out(&target, "app").await, expected);
    let enabled = EndpointState::Active;
    source.set_endpoint_state("books", enabled, note()).await.unwrap();
    target.set_endpoint_state("books", enabled, note()).await.unwrap();
    assert_eq!(goes_out(&target, "books").await, goes_out(&source, "books").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_knows_what_the_source_had_and_goes_on_from_there() {
    let moved = Move::new().await;
    let source = moved.source().await;
    fill(&source).await;
    source.close().await;
    drop(source);
    moved.finish().await.unwrap();

    let target = moved.target().await;
    let last = all_events(&target).await.last().unwrap().sequence;
    let entry = target.entries(0, 10_000).await.unwrap().last().unwrap().sequence;
    let same = target.record(draft(7).record()).await.unwrap();
    assert_eq!(same.events, [Outcome::Duplicate { of: draft(7).event.id }]);
    let other = draft(90).with(|event| {
        event.dedup_key = Some(hash_bytes(7));
        event.projection = hash_bytes(9);
    });
    let conflict = target.record(other.record()).await.unwrap();
    assert_eq!(conflict.events, [Outcome::Conflict { of: draft(7).event.id }]);
    let unreadable = draft(91).unreadable().with(|event| event.body_key = hash_bytes(52));
    let again = target.record(unreadable.record()).await.unwrap();
    assert_eq!(again.events, [Outcome::Repeated { of: draft(52).event.id }]);
    keep(&target, draft(92).to("app")).await;
    assert!(all_events(&target).await.last().unwrap().sequence > last);
    assert!(target.entries(entry, 10).await.unwrap().len() >= 2);
    let released = target.release(draft(50).event.id, note(), Vec::new()).await.unwrap();
    assert_eq!(released, Changed::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_end_at_any_page_and_goes_on_while_the_source_receives() {
    let moved = Move::new().await;
    let source = moved.source().await;
    fill(&source).await;
    let mut n = 1_000;
    // Each time it lives a little longer, and each time there is more.
    for pages in [0, 1, 2, 3, 5, 8, 13, 2, 1] {
        moved.begin_and_die(pages, false).await;
        for _ in 0..130 {
            n += 1;
            keep(&source, draft(n).ordered(n % 7).to("app")).await;
        }
        for leased in lease(&source, after(200_000), "app", 20).await {
            settle(&source, &leased, after(200_001), Then::Delivered).await;
        }
        source.tally(vec![tally(1, 1), tally(n, 1)]).await.unwrap();
    }
    let new = crate::conformance::receipts::receipt(3, 4);
    source.take_receipt(new, crate::conformance::log::deed("bot")).await.unwrap();
    let released = vec![delivery(77, NOON, "app")];
    source.release(draft(50).event.id, note(), released).await.unwrap();
    source.deny(draft(51).event.id, note()).await.unwrap();
    source.revoke_api_key(api_key_id(2), Cause::Leaked, note()).await.unwrap();
    source.note_api_key_uses(vec![used(3, 3, 1, Some(9_000))]).await.unwrap();
    let disable = store::OperatorChange::Disable;
    source.change_operator(operator_id(2), disable, note()).await.unwrap();
    source
        .record(draft(93).unreadable().with(|e| e.body_key = hash_bytes(52)).record())
        .await
        .unwrap();
    source.set_endpoint_state("books", EndpointState::Active, note()).await.unwrap();
    source.close().await;
    drop(source);
    for pages in 1.. {
        if moved.begin_and_die(pages, true).await {
            break;
        }
    }
    let copy = moved.finish().await.unwrap();
    assert_eq!(differing(&copy), []);
    drop(copy);
    let (source, target) = (moved.source().await, moved.target().await);
    assert_eq!(all_events(&target).await, all_events(&source).await);
    assert_eq!(deliveries(&target).await, deliveries(&source).await);
    assert_eq!(target.counts().await.unwrap(), source.counts().await.unwrap());
    assert_eq!(target.api_keys().await.unwrap(), source.api_keys().await.unwrap());
    assert_eq!(target.operators().await.unwrap(), source.operators().await.unwrap());
    assert!(target.operator(operator_id(2)).await.unwrap().unwrap().disabled_at.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_row_on_the_target_is_found() {
    let moved = Move::new().await;
    let source = moved.source().await;
    fill(&source).await;
    source.close().await;
    drop(source);
    assert!(moved.finish().await.unwrap().is_verified());
    for (change, table) in [
        ("UPDATE event SET sealed = 'x' WHERE sequence = 3", CopiedTable::Event),
        ("UPDATE body SET sealed = sealed || '\\x00'", CopiedTable::Body),
        ("UPDATE data_key SET wrapped = 'x'", CopiedTable::Key),
        (
            "UPDATE dedup SET event = gen_random_uuid() WHERE key IN (SELECT key FROM dedup LIMIT 1)",
            CopiedTable::Dedup,
        ),
        ("UPDATE attempt SET http_status = 418 WHERE number = 1", CopiedTable::Attempt),
        ("UPDATE audit_entry SET actor = 'nobody' WHERE sequence = 2", CopiedTable::Entry),
        ("UPDATE api_key SET permissions = 'keys:change' WHERE uses = 0", CopiedTable::ApiKey),
        (
            "UPDATE operator SET login_key = decode(repeat('ab', 16), 'hex') WHERE role = 1",
            CopiedTable::Operator,
        ),
        ("INSERT INTO name (text) VALUES ('more')", CopiedTable::Name),
        (
            "INSERT INTO quarantine (body_key, dedup_key, event)
            VALUES (decode(repeat('ab', 16), 'hex'), '', gen_random_uuid())",
            CopiedTable::Quarantine,
        ),
    ] {
        moved.server.run(&moved.database, change).await;
        let copy = moved.finish().await.unwrap();
        assert!(differing(&copy).contains(&table) && !copy.is_verified(), "{change}");
    }
    // What can change on the source is brought up to date instead.
    moved.server.run(&moved.database, "UPDATE pending SET next_at = 0").await;
    let copy = moved.finish().await.unwrap();
    assert!(!differing(&copy).contains(&CopiedTable::Delivery));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_anything_else_in_it_is_refused() {
    let moved = Move::new().await;
    let source = moved.source().await;
    fill(&source).await;

    let foreign = moved.server.database().await;
    let served = Store::connect(&patient(moved.server.serving_url(&foreign))).await.unwrap();
    served.add_key(key(9)).await.unwrap();
    let begun = StoreCopy::begin(&source, &served, false).await;
    assert_eq!(begun.err(), Some(CopyError::OtherData));

    moved.copy().await.unwrap();
    let other = Move::new().await;
    let stranger = Store::open(&other.path, small()).unwrap();
    let target = moved.target().await;
    let begun = StoreCopy::begin(&stranger, &target, false).await;
    assert_eq!(begun.err(), Some(CopyError::NothingToCopy));
    stranger.add_key(key(8)).await.unwrap();
    let begun = StoreCopy::begin(&stranger, &target, false).await;
    assert_eq!(begun.err(), Some(CopyError::OtherSource));

    let begun = StoreCopy::begin(&target, &served, false).await;
    assert_eq!(begun.err(), Some(CopyError::SourceIsServer));
    let begun = StoreCopy::begin(&source, &stranger, false).await;
    assert_eq!(begun.err(), Some(CopyError::TargetIsFile));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_on_which_a_gateway_has_worked_is_left_alone() {
    for work in ["record", "deliver", "duty"] {
        let moved = Move::new().await;
        let source = moved.source().await;
        fill(&source).await;
        drop(source);
        assert!(moved.finish().await.unwrap().is_verified());
        assert!(!moved.target().await.is_half_copied().await.unwrap());
        // As long as nobody has, it may be asked for again.
        assert!(moved.finish().await.unwrap().is_verified());
        let target = moved.target().await;
        match work {
            "record" => keep(&target, draft(99)).await,
            "deliver" => assert!(!goes_out(&target, "app").await.is_empty()),
            _ => {
                target.take_duty("seal", [1; 16], NOON, after(1)).await.unwrap();
            }
        }
        assert_eq!(moved.finish().await.err(), Some(CopyError::Served), "{work}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_at_once_nothing_is_there_twice() {
    let moved = Move::new().await;
    let source = moved.source().await;
    for n in 1..=2_500 {
        keep(&source, draft(n).to("app")).await;
    }
    let beside = Store::open_beside(&moved.path).unwrap();
    let target = moved.target().await;
    let one = StoreCopy::begin(&beside, &target, false).await.unwrap();
    let other = StoreCopy::begin(&beside, &target, false).await.unwrap();
    let run = |mut copy: StoreCopy| async move {
        while copy.next().await?.is_some() {}
        Ok::<_, CopyError>(())
    };
    let (one, other) = tokio::join!(run(one), run(other));
    let ended = [one, other];
    let codes: BTreeSet<_> =
        ended.iter().filter_map(|ended| ended.as_ref().err().map(CopyError::code)).collect();
    assert!(codes.iter().all(|code| *code == "store_copy_disturbed"), "{codes:?}");
    moved.copy().await.unwrap();
    assert_eq!(all_events(&target).await.len(), 2_500);
    drop(source);
    drop(beside);
    assert!(moved.finish().await.unwrap().is_verified());
}
