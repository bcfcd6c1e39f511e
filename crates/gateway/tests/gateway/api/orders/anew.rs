//! Events that are decided on anew: when a person releases them, when the rest comes, and when their order
//! comes after them.

use std::time::Duration;

use model::EventStatus;
use model::block::PartyKind;
use serde_json::{Value, json};

use super::super::super::harness::source;
use super::super::{BECAUSE, Shop, every_permission, json as json_of, of_source, post};
use super::{ONE2PAYS_SECRET, shop};

const WEAK_SECRET: &str = "whsec_one2pays_weak_secret_0123456789";

impl Shop {
    /// Waits until every event has one of these statuses, in the order in which they came; what the
    /// gateway tells itself is left out.
    async fn become_statuses(&self, wanted: &[EventStatus]) {
        let mut statuses = Vec::new();
        for _ in 0..3_000 {
            statuses = self.statuses().await;
            if statuses == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{statuses:?} never became {wanted:?}");
    }

    async fn statuses(&self) -> Vec<EventStatus> {
        let mut events = self.gateway.events().await;
        events.sort_unstable_by_key(|event| event.sequence);
        let theirs = events.iter().filter(|event| event.source != "countersign");
        theirs.map(|event| event.status).collect()
    }

    /// Waits until an order stands so. The store is asked for it: how often a key may ask is limited.
    pub(super) async fn becomes(&self, id: &str, state: &str) -> Value {
        for _ in 0..3_000 {
            let kept = self.gateway.store.order(id.parse().expect("an id")).await.expect("reads");
            if kept.expect("it is kept").judged.state.code() == state {
                return self.shown(id).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} never became {state}", self.shown(id).await);
    }

    /// Releases the last event of a source; gives what it is to its order.
    async fn release(&self, source: &str) -> Value {
        self.release_with(source, &self.full_key().await).await
    }

    async fn release_with(&self, source: &str, key: &str) -> Value {
        let events = self.gateway.events().await;
        let event = events.iter().filter(|event| event.source == source);
        let event = event.max_by_key(|event| event.sequence).expect("an event");
        let path = format!("/v1/events/{}/release", event.id);
        let once = format!("release-{}", event.id);
        let reply = self.ask(&post(&path, key, &once).saying(BECAUSE)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        json_of(&reply)["counted"].clone()
    }

    /// How often the application got something of this type.
    async fn times(&self, kind: &str) -> usize {
        let all = self.gateway.application.delivered();
        let is =
            |one: &&super::super::super::application::Delivered| one.document()["type"] == kind;
        all.iter().filter(is).count()
    }

    /// A payment of 20.00 USD for `o-1` through the source whose signature covers no amount.
    async fn pay_weakly(&self, payment: &str, currency: &str) {
        let event = json!({
            "id": format!("evt_{payment}"), "type": "payment.succeeded",
            "createdAt": "2026-01-01T00:00:00Z",
            "data": {
                "id": payment, "amount": "20.00", "currency": currency, "status": "succeeded",
                "referenceId": "o-1",
            },
        });
        let signed = self.gateway.signed("one2pays-body", WEAK_SECRET, &event.to_string());
        assert_eq!(self.gateway.post("/in/unsure", &signed).await.status, 200);
        let held = (EventStatus::Held, Some("needs_confirmation".to_owned()));
        assert_eq!(self.last("unsure").await, held);
    }
}

/// A shop with a source whose events wait for a person.
async fn unsure_shop() -> Shop {
    Shop::open_with(|settings| {
        let mut unsure = source("unsure", "one2pays-body", WEAK_SECRET);
        unsure.amount_unit = Some("decimal-major".to_owned());
        let mut thai = source("thai", "one2pays", ONE2PAYS_SECRET);
        thai.amount_unit = Some("decimal-major".to_owned());
        settings.sources.extend([unsure, thai]);
    })
    .await
}

const ACCEPTED: EventStatus = EventStatus::Accepted;

#[tokio::test]
async fn a_part_passes_once_the_rest_has_come() {
    let shop = shop().await;
    let id = shop.order("o-1").await;
    shop.pay("pi_1", &json!({"amount": 500, "amount_received": 500})).await;
    shop.is_held("amount_under").await;
    shop.pay("pi_2", &json!({"amount": 700, "amount_received": 700})).await;
    shop.is_held("amount_under").await;
    shop.pay("pi_3", &json!({"amount": 800, "amount_received": 800})).await;
    shop.become_statuses(&[ACCEPTED; 3]).await;
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("paid"), &json!("20.00")));
    shop.told(5).await;
    assert_eq!(shop.times("payment_intent.succeeded").await, 3, "each once");
    assert_eq!(shop.times("order.paid").await, 1);
}

#[tokio::test]
async fn what_is_still_too_little_stays() {
    let shop = shop().await;
    shop.order("o-1").await;
    for payment in ["pi_1", "pi_2"] {
        shop.pay(payment, &json!({"amount": 500, "amount_received": 500})).await;
    }
    shop.gateway.advance_ms(60_000);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(shop.statuses().await, [EventStatus::Held; 2]);
    assert_eq!(shop.times("payment_intent.succeeded").await, 0);
}

#[tokio::test]
async fn a_cent_that_is_paid_back_lets_no_small_payment_pass_later() {
    let shop = shop().await;
    shop.order("o-1").await;
    let charge = json!({
        "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount_captured": 100,
        "amount_refunded": 1,
    });
    shop.pay("pi_1", &charge).await;
    shop.is_held("amount_under").await;
    shop.gateway.advance_ms(60_000);
    tokio::time::sleep(Duration::from_millis(700)).await;
    shop.is_held("amount_under").await;
    assert_eq!(shop.times("payment_intent.succeeded").await, 0);
}

#[tokio::test]
async fn a_refund_that_overtakes_its_payment_passes_after_it() {
    let shop = shop().await;
    let id = shop.order("o-1").await;
    let refund = json!({
        "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount_captured": 400,
        "amount_refunded": 500,
    });
    shop.pay("pi_1", &refund).await;
    let first = shop.last("stripe").await;
    shop.pay("pi_1", &json!({})).await;
    shop.become_statuses(&[ACCEPTED; 2]).await;
    let order = shop.shown(&id).await;
    assert_eq!((&order["paid"], &order["refunded"]), (&json!("20.00"), &json!("5.00")));
    assert_eq!(first, (EventStatus::Held, Some("refund_exceeds_paid".to_owned())));
}

#[tokio::test]
async fn what_came_before_its_order_is_counted_when_that_comes() {
    let shop = shop().await;
    // Before the very first order, and before another one.
    for reference in ["o-1", "o-2"] {
        shop.pay(&format!("pi_{reference}"), &json!({"metadata": {"order_id": reference}})).await;
        assert_eq!(shop.last("stripe").await, (ACCEPTED, None));
        let id = shop.order(reference).await;
        let order = shop.becomes(&id, "paid").await;
        assert_eq!((&order["paid"], &order["version"]), (&json!("20.00"), &json!(1)));
    }
    shop.told(4).await;
    assert_eq!(shop.times("payment_intent.succeeded").await, 2, "none is delivered again");
}

#[tokio::test]
async fn what_was_held_for_want_of_its_order_passes_when_that_comes() {
    let shop = Shop::open_with(|settings| settings.sources[0].hold_unknown_orders = true).await;
    shop.pay("pi_1", &json!({})).await;
    shop.is_held("unknown_order").await;
    shop.pay("pi_2", &json!({"currency": "jpy", "metadata": {"order_id": "o-2"}})).await;
    shop.is_held("unknown_order").await;
    let first = shop.order("o-1").await;
    shop.becomes(&first, "paid").await;
    shop.become_statuses(&[ACCEPTED, EventStatus::Held]).await;
    let told = shop.told(2).await;
    let payment = told.iter().find(|one| one["type"] == "payment_intent.succeeded");
    assert_eq!(payment.expect("it is delivered")["order_version"], 1);
    // What differs from its order stays, under the reason that is so now.
    let second = shop.order("o-2").await;
    for _ in 0..1_000 {
        if shop.last("stripe").await.1.as_deref() != Some("unknown_order") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.is_held("currency_mismatch").await;
    assert_eq!(shop.shown(&second).await["state"], "awaiting");
}

#[tokio::test]
async fn what_a_person_releases_counts() {
    let shop = unsure_shop().await;
    let id = shop.order("o-1").await;
    shop.pay_weakly("pay_1", "USD").await;
    assert_eq!(shop.shown(&id).await["state"], "awaiting");
    assert_eq!(shop.release("unsure").await, json!({"order": id, "because": null}));
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("paid"), &json!("20.00")));
    let told = shop.told(2).await;
    let payment = told.iter().find(|one| one["type"] == "payment.succeeded");
    assert_eq!(payment.expect("it is delivered")["order_version"], 1);
    assert_eq!(shop.times("order.paid").await, 1);
}

#[tokio::test]
async fn a_release_that_pays_the_rest_lets_the_part_pass() {
    let shop = unsure_shop().await;
    let body = json!({"reference": "o-1", "amount": "25.00", "currency": "USD"});
    let id = shop.order_of("o-1", &body).await;
    shop.pay("pi_1", &json!({"amount": 500, "amount_received": 500})).await;
    shop.is_held("amount_under").await;
    shop.pay_weakly("pay_1", "USD").await;
    shop.release("unsure").await;
    shop.become_statuses(&[ACCEPTED; 2]).await;
    assert_eq!(shop.shown(&id).await["state"], "paid");
}

#[tokio::test]
async fn what_can_never_count_is_only_delivered() {
    let shop = unsure_shop().await;
    let id = shop.order("o-1").await;
    shop.pay_weakly("pay_1", "JPY").await;
    let because = |reason: &str| json!({"order": null, "because": reason});
    assert_eq!(shop.release("unsure").await, because("currency_mismatch"));
    assert_eq!(shop.shown(&id).await["state"], "awaiting");
    shop.told(1).await;

    // The payment of another order.
    let other = shop.order("o-2").await;
    shop.pay("pi_1", &json!({"metadata": {"order_id": "o-2"}})).await;
    shop.pay("pi_1", &json!({})).await;
    shop.is_held("payment_reused").await;
    assert_eq!(shop.release("stripe").await, because("payment_reused"));
    assert_eq!(shop.shown(&id).await["state"], "awaiting");
    assert_eq!(shop.shown(&other).await["paid"], "20.00");

    // More is paid back than was paid.
    let charge = json!({
        "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount_captured": 2000,
        "amount_refunded": 2001, "metadata": {"order_id": "o-2"},
    });
    shop.pay("pi_1", &charge).await;
    shop.is_held("refund_exceeds_paid").await;
    assert_eq!(shop.release("stripe").await, because("refund_exceeds_paid"));
    assert_eq!(shop.shown(&other).await["refunded"], "0.00");

    // And what names no order that is registered.
    shop.pay_weakly("pay_2", "USD").await;
    let nothing = json!({"order": null, "because": null});
    let unregistered = json!({
        "id": "evt_n", "type": "payment.succeeded", "createdAt": "2026-01-01T00:00:00Z",
        "data": {"id": "pay_n", "amount": "1.00", "currency": "USD", "status": "succeeded", "referenceId": "o-9"},
    });
    let signed = shop.gateway.signed("one2pays-body", WEAK_SECRET, &unregistered.to_string());
    assert_eq!(shop.gateway.post("/in/unsure", &signed).await.status, 200);
    assert_eq!(shop.release("unsure").await, nothing);
}

#[tokio::test]
async fn a_person_vouches_for_another_provider() {
    let shop = unsure_shop().await;
    let body =
        json!({"reference": "o-1", "amount": "20.00", "currency": "USD", "provider": "stripe"});
    let id = shop.order_of("o-1", &body).await;
    let thai = json!({
        "id": "evt_t1", "type": "payment.succeeded", "createdAt": "2026-01-01T00:00:00Z",
        "data": {"id": "pay_1", "amount": "20.00", "currency": "USD", "status": "succeeded", "referenceId": "o-1"},
    });
    let signed = shop.gateway.signed("one2pays", ONE2PAYS_SECRET, &thai.to_string());
    assert_eq!(shop.gateway.post("/in/thai", &signed).await.status, 200);
    let held = (EventStatus::Held, Some("provider_mismatch".to_owned()));
    assert_eq!(shop.last("thai").await, held);
    assert_eq!(shop.release("thai").await["order"], json!(id));
    assert_eq!(shop.shown(&id).await["state"], "paid");
}

/// Whoever may decide on one source's events vouches for nothing that was ordered of another.
#[tokio::test]
async fn a_bound_key_vouches_for_its_own_orders_alone() {
    let shop = unsure_shop().await;
    let key = shop.key(every_permission(), of_source("thai")).await;
    for (reference, named, counts) in
        [("o-1", json!({"source": "stripe"}), false), ("o-2", json!({"address": "0xaa"}), true)]
    {
        let mut body = json!({"reference": reference, "amount": "20.00", "currency": "USD"});
        body.as_object_mut().expect("an object").extend(named.as_object().expect("one").clone());
        let id = shop.order_of(reference, &body).await;
        let event = json!({
            "id": format!("evt_{reference}"), "type": "payment.succeeded",
            "createdAt": "2026-01-01T00:00:00Z",
            "data": {
                "id": format!("pay_{reference}"), "amount": "20.00", "currency": "USD",
                "status": "succeeded", "referenceId": reference,
            },
        });
        let signed = shop.gateway.signed("one2pays", ONE2PAYS_SECRET, &event.to_string());
        assert_eq!(shop.gateway.post("/in/thai", &signed).await.status, 200);
        assert_eq!(shop.last("thai").await.0, EventStatus::Held);
        let order = if counts { json!(id) } else { Value::Null };
        let counted = shop.release_with("thai", &key).await;
        assert_eq!(counted, json!({"order": order, "because": null}));
        let state = if counts { "paid" } else { "awaiting" };
        assert_eq!(shop.shown(&id).await["state"], state);
    }
}

#[tokio::test]
async fn what_was_released_before_its_order_counts_when_that_comes() {
    let shop = Shop::open_with(|settings| settings.sources[0].hold_unknown_orders = true).await;
    shop.pay("pi_1", &json!({})).await;
    shop.is_held("unknown_order").await;
    assert_eq!(shop.release("stripe").await, json!({"order": null, "because": null}));
    shop.told(1).await;
    let id = shop.order("o-1").await;
    shop.becomes(&id, "paid").await;
    shop.told(2).await;
    assert_eq!(shop.times("payment_intent.succeeded").await, 1, "it is not delivered again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_blocked_party_paid_before_its_order_counts_and_stays_held() {
    let shop = shop().await;
    shop.block(PartyKind::Customer, "stripe", "cus_1", None).await;
    shop.pay("pi_1", &json!({})).await;
    shop.is_held("party_blocked").await;
    let id = shop.order("o-1").await;
    let order = shop.becomes(&id, "paid").await;
    assert_eq!(order["paid"], "20.00");
    shop.is_held("party_blocked").await;
    assert_eq!(shop.times("payment_intent.succeeded").await, 0);
}

#[tokio::test]
async fn of_two_gateways_one_decides() {
    if crate::backend().is_alone {
        return;
    }
    let shop = shop().await;
    let mut beside = shop.gateway.beside().await;
    for n in 1..=4 {
        let of = |amount| {
            json!({
                "amount": amount, "amount_received": amount,
                "metadata": {"order_id": format!("o-{n}")},
            })
        };
        shop.order(&format!("o-{n}")).await;
        shop.pay(&format!("pi_{n}_a"), &of(500)).await;
        shop.pay(&format!("pi_{n}_b"), &of(1500)).await;
    }
    shop.become_statuses(&[ACCEPTED; 8]).await;
    shop.told(16).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(shop.times("payment_intent.succeeded").await, 8, "each once");
    beside.stop().await;
}
