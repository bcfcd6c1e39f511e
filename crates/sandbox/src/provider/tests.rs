//! The payloads have the shapes that the providers' pages show.

use std::collections::HashSet;

use serde_json::Value;

use super::*;

const MAKING: Making<'static> =
    Making { now_ms: 1_795_000_000_123, is_live: false, receipt_secret: "whsec_test_receipts" };

/// The events of so many drawn orders.
fn drawn(provider: Provider, orders: usize) -> Vec<Event> {
    let mut draw = Draw::seeded(11);
    (0..orders).flat_map(|_| provider.order(&mut draw, MAKING).events).collect()
}

fn parsed(event: &Event) -> Value {
    serde_json::from_slice(&event.body(1)).expect("a payload is JSON")
}

/// Every pointer is there and not null.
fn check(event: &Event, pointers: &[&str]) {
    let value = parsed(event);
    for pointer in pointers {
        let found = value.pointer(pointer).is_some_and(|found| !found.is_null());
        assert!(found, "{pointer} in {value}");
    }
}

#[test]
fn names_are_unique_and_events_come_in_orders() {
    for provider in Provider::ALL {
        let events = drawn(*provider, 60);
        let names: HashSet<_> = events.iter().map(|event| &event.name).collect();
        assert_eq!(names.len(), events.len(), "{provider:?}");
        let bodies: HashSet<_> = events.iter().map(|event| event.body(1)).collect();
        assert_eq!(bodies.len(), events.len(), "{provider:?}");
        let mut draw = Draw::seeded(3);
        let order = provider.order(&mut draw, MAKING);
        let first = order.events.first().expect("something happens to every order");
        assert!(order.events.iter().all(|event| event.order == first.order), "{provider:?}");
        assert!(order.events.iter().all(|event| event.provider == *provider));
    }
}

#[test]
fn every_order_is_named_in_its_payloads() {
    for provider in Provider::ALL {
        for event in drawn(*provider, 20) {
            let body = String::from_utf8(event.body(1)).expect("text");
            assert!(body.contains(&event.order), "{body}");
            assert!(body.contains(event.kind), "{body}");
        }
    }
}

#[test]
fn one2pays_sends_both_shapes() {
    let events = drawn(Provider::One2Pays, 40);
    let (a, b): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| parsed(event).get("id").is_some());
    assert!(!a.is_empty() && !b.is_empty());
    for event in a {
        check(event, &["/type", "/data/id", "/data/amount", "/data/referenceId", "/createdAt"]);
    }
    for event in b {
        check(event, &["/event", "/paymentId", "/referenceId", "/status", "/nextAction/qrCode"]);
    }
}

#[test]
fn koywe_sends_both_envelopes() {
    let events = drawn(Provider::Koywe, 40);
    let (documented, captured): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| parsed(event).get("id").is_some());
    assert!(!documented.is_empty() && !captured.is_empty());
    for event in documented {
        check(event, &["/type", "/data/orderId", "/data/status"]);
    }
    for event in captured {
        check(event, &["/type", "/data/external_id", "/relationships/self/id"]);
    }
}

#[test]
fn the_others_have_their_members() {
    let members: [(Provider, &[&str]); 6] = [
        (Provider::BroPay, &["/event", "/eventId", "/timestamp", "/data/amount"]),
        (Provider::X402Tele, &["/id", "/type", "/created", "/data/receipt/signature"]),
        (Provider::Stripe, &["/id", "/type", "/created", "/livemode", "/data/object/metadata"]),
        (Provider::Square, &["/event_id", "/type", "/data/object/payment/amount_money/amount"]),
        (Provider::CryptoPay, &["/event", "/webhook_id", "/data/order_id", "/data/order_info"]),
        (Provider::KoyweRamp, &["/eventName", "/orderId", "/timeStamp"]),
    ];
    for (provider, pointers) in members {
        for event in drawn(provider, 10) {
            check(&event, pointers);
        }
    }
}

#[test]
fn an_honest_retry_of_stripe_changes_bytes_and_nothing_that_matters() {
    let event = drawn(Provider::Stripe, 1).remove(0);
    assert_ne!(event.body(1), event.body(2));
    assert_eq!(event.body(2), event.body(3));
    let without = |attempt| {
        let mut value: Value = serde_json::from_slice(&event.body(attempt)).expect("JSON");
        value.as_object_mut().and_then(|members| members.remove("pending_webhooks"));
        value
    };
    assert_eq!(without(1), without(2));
}

#[test]
fn a_crypto_order_keeps_its_json_in_a_text() {
    let event = drawn(Provider::CryptoPay, 1).remove(0);
    let info = parsed(&event);
    let info = info.pointer("/data/order_info").and_then(Value::as_str).expect("a text");
    assert!(serde_json::from_str::<Value>(info).is_ok());
}

#[test]
fn published_behaviour_is_kept() {
    let koywe = Provider::Koywe.behaviour();
    assert_eq!(koywe.waits_ms, [60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000]);
    assert_eq!(koywe.answer_ms_max, 5_000);
    assert_eq!(koywe.success, crate::Success::Exactly200);
    assert!(koywe.waits_published);
    assert_eq!(Provider::BroPay.behaviour().waits_ms.len(), 3);
}

#[test]
fn live_payloads_say_so() {
    let mut draw = Draw::seeded(5);
    let order = Provider::Stripe.order(&mut draw, Making { is_live: true, ..MAKING });
    assert!(order.events.iter().all(|event| parsed(event)["livemode"] == Value::Bool(true)));
}
