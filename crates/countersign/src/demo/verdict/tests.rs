//! The books: what must be noticed in them.

use sandbox::Answer;
use sandbox::application::{Accepted, Refusal};

use super::*;

fn answer(status: u16) -> Result<Answer, &'static str> {
    Ok(Answer { status, headers: Vec::new(), body: Vec::new() })
}

fn event(name: &str, body: &str, answer: Result<Answer, &'static str>) -> Sent {
    sent(Purpose::Event(name.into()), body, answer)
}

fn sent(purpose: Purpose, body: &str, answer: Result<Answer, &'static str>) -> Sent {
    Sent { at_ms: 0, source: "stripe".into(), purpose, attempt: 1, body: body.into(), answer }
}

fn delivered(body: &str) -> Accepted {
    Accepted {
        at_ms: 0,
        webhook_id: "evt_1".into(),
        source: "stripe".into(),
        kind: "paid".into(),
        covers: "full".into(),
        order: Some("ord_1".into()),
        sequence: None,
        body: body.into(),
    }
}

fn diary(bodies: &[&str]) -> Diary {
    Diary { accepted: bodies.iter().map(|body| delivered(body)).collect(), ..Diary::default() }
}

/// The faults that the books show.
fn check(entries: &[Sent], diary: &Diary) -> Vec<String> {
    faults(entries, &Books::open(entries, diary), diary)
}

#[test]
fn once_acknowledged_and_once_delivered_is_good() {
    let entries = [
        event("a", "a1", Err("hung_up")),
        event("a", "a2", answer(200)),
        event("a", "a2", answer(200)),
        sent(Purpose::Attack("forged".into()), "f", answer(401)),
        sent(Purpose::Attack("replayed".into()), "a2", answer(200)),
    ];
    let diary = diary(&["a1"]);
    assert_eq!(check(&entries, &diary), Vec::<String>::new());
    let books = Books::open(&entries, &diary);
    let account = account("stripe", &entries, &books, &[]);
    assert_eq!((account.sent, account.accepted, account.delivered), (4, 1, 1));
    assert_eq!((account.duplicates, account.refused, account.retried), (2, 1, 1));
    assert!(books.is_kept_out(&("stripe".into(), b"f".to_vec())));
    assert!(books.is_kept_out(&("stripe".into(), b"a2".to_vec())));
}

#[test]
fn what_is_missing_is_noticed() {
    let entries = [event("a", "a", answer(200)), event("b", "b", answer(503))];
    let faults = check(&entries, &diary(&[]));
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("never acknowledged, such as b")));
    assert!(faults.iter().any(|fault| fault.contains("2 good events were not delivered")));
}

#[test]
fn a_second_delivery_is_noticed() {
    let entries = [event("a", "a1", answer(200)), event("a", "a2", answer(200))];
    let diary = diary(&["a1", "a2"]);
    assert!(check(&entries, &diary).iter().any(|fault| fault.contains("more than once")));
    let books = Books::open(&entries, &diary);
    assert!(!books.is_kept_out(&("stripe".into(), b"a1".to_vec())));
}

#[test]
fn a_delivery_that_nobody_meant_is_noticed() {
    let entries =
        [event("a", "a", answer(200)), sent(Purpose::Attack("forged".into()), "f", answer(200))];
    let diary = diary(&["a", "f"]);
    assert!(check(&entries, &diary).iter().any(|fault| fault.contains("no provider meant")));
    let books = Books::open(&entries, &diary);
    assert!(!books.is_kept_out(&("stripe".into(), b"f".to_vec())));
}

#[test]
fn an_event_that_overtakes_another_of_its_order_is_noticed() {
    let entries = [event("a", "a", answer(200)), event("b", "b", answer(200))];
    let mut diary = diary(&["a", "b"]);
    for (accepted, sequence) in diary.accepted.iter_mut().zip([2, 1]) {
        accepted.sequence = Some(sequence);
    }
    assert!(check(&entries, &diary).iter().any(|fault| fault.contains("out of order")));
    diary.accepted.reverse();
    assert_eq!(check(&entries, &diary), Vec::<String>::new());
}

#[test]
fn a_delivery_that_does_not_verify_is_noticed() {
    let entries = [event("a", "a", answer(200))];
    let mut diary = diary(&["a"]);
    diary.refused.push(Refusal::BadSignature);
    assert!(check(&entries, &diary).iter().any(|fault| fault.contains("not genuine")));
}
