//! The audit log as a running gateway keeps it.

use std::path::Path;
use std::time::Duration;

use audit::{Verified, VerifierKey, Witness};
use gateway::operations::Desk;
use gateway::{AuditLog, Auditing};
use store::Action;

use super::application::Behaviour;
use super::harness::{Harness, root, stripe_event};
use super::operations::{note, order};

/// Waits until every entry has its place.
pub(crate) async fn settled(gateway: &Harness) {
    for _ in 0..2_000 {
        if gateway.store.waiting_entries(1).await.expect("reads").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("entries wait for their place");
}

async fn key(gateway: &Harness) -> VerifierKey {
    let now = order("").at;
    let desk = Desk::open(gateway.store.clone(), root(), now).await.expect("opens");
    desk.audit_key(None, now).await.expect("a key")
}

/// Exports the log and verifies it as whoever gets the export does.
pub(crate) async fn verified(gateway: &Harness, witness: Option<&Path>) -> Verified {
    let keys = [key(gateway).await];
    let log = AuditLog::new(gateway.store.clone());
    let mut export = Vec::new();
    log.export(&mut export, 0, |_, _| ()).await.expect("exports");
    let witness = match witness {
        Some(path) => {
            let bytes = std::fs::read(path).expect("a witness");
            Witness::read(&mut bytes.as_slice(), &keys).expect("its checkpoints are signed")
        }
        None => Witness::default(),
    };
    audit::verify(&mut export.as_slice(), &keys, &witness, &mut |_| ()).expect("holds")
}

fn witnessed(path: &Path) -> impl Fn(&mut gateway::Settings) {
    let auditing = Auditing {
        witnesses: vec![gateway::Witness::File(path.to_owned())],
        witness_every: Duration::from_millis(50),
        ..Auditing::default()
    };
    move |settings| settings.auditing = auditing.clone()
}

#[tokio::test]
async fn what_happens_gets_its_place_and_verifies_over_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoints");
    let mut gateway = Harness::start(witnessed(&path)).await;
    for n in 0..3 {
        gateway.send(&stripe_event(&format!("evt_{n}"), "order-1")).await;
    }
    let forged =
        gateway.signed("stripe", "whsec_test_of_somebody_else", &stripe_event("evt_9", "x"));
    assert_eq!(gateway.post("/in/stripe", &forged).await.status, 401);
    gateway.tallies().await;
    settled(&gateway).await;
    let first = verified(&gateway, None).await;
    let actions: Vec<Action> =
        gateway.store.entries(0, 100).await.expect("entries").iter().map(|e| e.action).collect();
    assert_eq!(actions.iter().filter(|action| **action == Action::Recorded).count(), 3);
    assert_eq!(actions.iter().filter(|action| **action == Action::ArrivalsRefused).count(), 1);

    for round in 0..3 {
        gateway = gateway.restart_with(witnessed(&path)).await;
        for n in 0..100 {
            gateway.send(&stripe_event(&format!("evt_{round}_{n}"), "order-2")).await;
        }
        settled(&gateway).await;
    }
    gateway.stop().await;
    let gateway = gateway.restart_with(witnessed(&path)).await;
    settled(&gateway).await;
    let last = verified(&gateway, Some(&path)).await;
    assert!(last.size >= first.size + 300 && last.witnessed >= 4, "{last:?}");
    // Beyond the first tile, from wherever it is asked for.
    let log = AuditLog::new(gateway.store.clone());
    let (head, keys) = (log.head().await.expect("a head"), [key(&gateway).await]);
    for from in [1, 255, 256, 257, head.size] {
        let mut export = Vec::new();
        let entries = log.export(&mut export, from, |_, _| ()).await.expect("exports");
        let none = Witness::default();
        let verified = audit::verify(&mut export.as_slice(), &keys, &none, &mut |_| ());
        assert_eq!(verified.expect("holds").from, from);
        assert_eq!(entries, head.size - from);
    }
    log.export(Vec::new(), head.size + 1, |_, _| ()).await.expect_err("there is none");
}

#[tokio::test]
async fn each_entry_is_proved_to_be_in_the_log_and_each_log_to_have_grown() {
    let gateway = Harness::stripe().await;
    for n in 0..20 {
        gateway.send(&stripe_event(&format!("evt_{n}"), "order-1")).await;
    }
    settled(&gateway).await;
    let log = AuditLog::new(gateway.store.clone());
    let head = log.head().await.expect("a head");
    let signed = audit::Signed::open(head.note.as_bytes(), &[key(&gateway).await]).expect("signed");
    let mut frontier = audit::tree::Frontier::new();
    for index in 0..head.size {
        let proof = log.inclusion(index, head.size).await.expect("a proof");
        let placed = log.entries(index..index + 1).await.expect("reads").remove(0);
        let leaf = audit::leaf_hash(&placed.leaf().expect("an entry"));
        assert_eq!(leaf, placed.hash);
        let (size, root) = (head.size, signed.root());
        audit::tree::verify_inclusion(leaf, index, size, root, &proof).expect("it is in it");
        let grown = log.consistency(index, head.size).await.expect("a proof");
        let before = frontier.root();
        audit::tree::verify_consistency(index, before, size, root, &grown).expect("it grew");
        frontier.append(leaf, |_, _| ());
    }
    log.inclusion(head.size, head.size).await.expect_err("there is none");
}

#[tokio::test]
async fn what_a_person_writes_is_sealed_and_committed_to() {
    let gateway = Harness::stripe().await;
    let mut told = order("fraud: asked for by test.person@example.com");
    told.address = "192.0.2.7".parse().ok();
    told.agent = Some("console_test/1".to_owned());
    let desk = Desk::open(gateway.store.clone(), root(), told.at).await.expect("opens");
    desk.audit(Action::LogRead, "entries", told).await.expect("writes");
    let entry = gateway.store.entries(0, 100).await.expect("entries").pop().expect("an entry");
    let leaf = String::from_utf8(entry.body().expect("fits").leaf(0)).expect("text");
    for personal in ["fraud", "192.0.2.7", "console_test", "example.com"] {
        assert!(!leaf.contains(personal), "{leaf}");
        assert!(!format!("{entry:?}").contains(personal));
    }
    let shown = desk.shown(&entry).await.expect("opens").expect("there is something");
    assert_eq!(shown.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(shown.agent.as_deref(), Some("console_test/1"));
    assert!(shown.note.expect("a note").starts_with("fraud"));
    // Another entry's commitments do not fit.
    let mut other = entry.clone();
    if let Some(personal) = &mut other.personal {
        personal.note = personal.address;
    }
    desk.shown(&other).await.expect_err("it was changed");
    assert!(note(&gateway, "").await.personal.is_none());
}

#[tokio::test]
async fn a_clock_that_steps_back_leaves_no_gap_and_no_fork() {
    let gateway = Harness::stripe().await;
    for (n, step_ms) in [0, -3_600_000, 7_200_000, -86_400_000, 1].into_iter().enumerate() {
        gateway.advance_ms(step_ms);
        for m in 0..5 {
            gateway.send(&stripe_event(&format!("evt_{n}_{m}"), "order-1")).await;
        }
        settled(&gateway).await;
    }
    let last = verified(&gateway, None).await;
    assert!(last.size >= 25, "{last:?}");
    let entries = gateway.store.entries(0, 1_000).await.expect("entries");
    assert!(entries.windows(2).any(|pair| pair[0].at > pair[1].at), "the clock stepped back");
}

async fn is_stopped(gateway: &Harness) -> bool {
    gateway.metrics().await.contains("countersign_audit_stopped 1")
}

/// By whoever can write to the store and has no key: with a checkpoint of its own, and with an entry
/// that no gateway writes.
#[tokio::test]
async fn a_store_that_was_tampered_with_is_not_signed_on() {
    let mut gateway = Harness::stripe().await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    settled(&gateway).await;
    let facts = gateway.only_event().await.facts;
    gateway.stop().await;

    let gateway = gateway.restart().await;
    settled(&gateway).await;
    let unfit = store::Tally {
        source: Some("x".repeat(600).into()),
        event: None,
        step: model::Step::Verify,
        reason: "no_matching_key",
        address_key: [1; 16],
        address: facts,
        arrival: model::ArrivalId::new(order("").at, [1; 10]),
        minute: 1,
        count: 1,
        first_at: order("").at,
        last_at: order("").at,
    };
    gateway.store.tally(vec![unfit]).await.expect("the store keeps it");
    until_stopped(&gateway).await;
    let head = gateway.store.log_head().await.expect("a head");

    let waiting = gateway.store.waiting_entries(100).await.expect("entries");
    let size = head.size + waiting.len() as u64;
    let note = head.checkpoint.expect("a checkpoint").note.replace('A', "B");
    let forged = store::Seal {
        from: head.size,
        entries: waiting.iter().map(|entry| entry.sequence).collect(),
        tiles: Vec::new(),
        checkpoint: store::CheckpointRow { size, at: order("").at, note },
    };
    assert!(gateway.store.seal(forged).await.expect("the store keeps it"));
    let gateway = gateway.restart().await;
    until_stopped(&gateway).await;
    assert_eq!(gateway.store.log_head().await.expect("a head").size, size);
}

async fn until_stopped(gateway: &Harness) {
    for _ in 0..3_000 {
        if is_stopped(gateway).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the log is signed on");
}

/// A sink that is away holds nothing up, and gets what it has missed.
#[tokio::test]
async fn a_sink_gets_every_entry_although_it_was_away() {
    let sink = super::application::Application::start().await;
    sink.then([Behaviour::Answer(500), Behaviour::Answer(503)]);
    let url: url::Url = format!("http://{}/entries", sink.address).parse().expect("a URL");
    let to_sink = move |settings: &mut gateway::Settings| {
        let way = gateway::Way::Http { url: url.clone(), allow_private: true };
        settings.auditing.sinks = vec![gateway::Sink { name: "siem".to_owned(), way }];
    };
    let gateway = Harness::start(&to_sink).await;
    for _ in 0..2_000 {
        if gateway.store.sink_mark("siem").await.expect("reads").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let from = gateway.store.sink_mark("siem").await.expect("reads").expect("it began");
    for n in 0..300 {
        assert_eq!(gateway.send(&stripe_event(&format!("evt_{n}"), "order-1")).await.status, 200);
    }
    settled(&gateway).await;
    let size = gateway.store.log_head().await.expect("a head").size;
    for _ in 0..3_000 {
        if gateway.store.sink_mark("siem").await.expect("reads") == Some(size) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(gateway.store.sink_mark("siem").await.expect("reads"), Some(size));
    let mut indices = std::collections::BTreeSet::new();
    for request in sink.delivered() {
        let body = String::from_utf8(request.body).expect("text");
        for line in body.lines() {
            indices.insert(audit::Entry::parse(line.as_bytes()).expect("an entry").0);
        }
    }
    assert!((from..size).all(|index| indices.contains(&index)), "{from} to {size}: {indices:?}");
}
