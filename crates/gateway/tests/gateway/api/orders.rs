//! Orders: registered over the API, paid by webhooks, told to the application.

mod anew;
mod confirm;

use model::{EventStatus, Permission, Reach};
use serde_json::{Value, json};

use super::super::application::Behaviour;
use super::super::harness::Reply;
use super::super::harness::{START_MS, source};
use super::{Shop, get, is_refused, json as json_of, of_source, post};

const ONE2PAYS_SECRET: &str = "one2pays_test_secret_0123456789";

/// A shop that one can pay at through `stripe` and `thai`, too.
async fn shop() -> Shop {
    Shop::open_with(|settings| {
        let mut thai = source("thai", "one2pays", ONE2PAYS_SECRET);
        thai.amount_unit = Some("decimal-major".to_owned());
        settings.sources.push(thai);
    })
    .await
}

impl Shop {
    pub(super) async fn create(&self, once: &str, body: &Value) -> Reply {
        let key = self.full_key().await;
        self.ask(&post("/v1/orders", &key, once).saying(&body.to_string())).await
    }

    /// An order of 20.00 USD that anybody may pay.
    pub(super) async fn order(&self, reference: &str) -> String {
        let body = json!({"reference": reference, "amount": "20.00", "currency": "USD"});
        self.order_of(reference, &body).await
    }

    pub(super) async fn order_of(&self, once: &str, body: &Value) -> String {
        let created = self.create(once, body).await;
        assert_eq!(created.status, 200, "{created:?}");
        json_of(&created)["id"].as_str().expect("an id").to_owned()
    }

    pub(super) async fn shown(&self, id: &str) -> Value {
        let path = format!("/v1/orders/{id}");
        let reply = self.ask(&get(&path, &self.full_key().await)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        json_of(&reply)
    }

    /// A payment of Stripe's.
    pub(super) async fn pay(&self, payment: &str, of: &Value) {
        let mut object = json!({
            "id": payment, "amount": 2000, "amount_received": 2000, "currency": "usd",
            "customer": "cus_1", "status": "succeeded", "metadata": {"order_id": "o-1"},
        });
        let members = of.as_object().expect("members");
        let object_members = object.as_object_mut().expect("members");
        object_members.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
        let n = self.gateway.events().await.len();
        let kind = match object["object"].as_str() {
            Some("charge") => "charge.updated",
            _ => "payment_intent.succeeded",
        };
        let event = json!({
            "id": format!("evt_{payment}_{n}"), "object": "event", "type": kind,
            "livemode": false, "data": {"object": object},
        });
        assert_eq!(self.gateway.send(&event.to_string()).await.status, 200);
    }

    /// What became of the last event of a source, and why.
    pub(super) async fn last(&self, source: &str) -> (EventStatus, Option<String>) {
        let events = self.gateway.events().await;
        let event = events.into_iter().rev().find(|event| event.source == source);
        let event = event.expect("an event");
        (event.status, event.reason)
    }

    /// Sees that the last event waits for this reason, and that the API says so.
    pub(super) async fn is_held(&self, reason: &str) {
        assert_eq!(self.last("stripe").await, (EventStatus::Held, Some(reason.to_owned())));
        let key = self.full_key().await;
        let page = json_of(&self.ask(&get("/v1/events?source=stripe&limit=1", &key)).await);
        let event = &page["data"][0];
        assert_eq!(
            (&event["status"], &event["reason"]),
            (&json!("held"), &json!(reason)),
            "{page}"
        );
    }

    /// The types of everything that the application was told, once it is so many.
    pub(super) async fn told(&self, count: usize) -> Vec<Value> {
        let delivered = self.gateway.application.wait_for(count).await;
        delivered.iter().map(super::super::application::Delivered::document).collect()
    }
}

#[tokio::test]
async fn an_order_is_paid_by_what_it_expects() {
    let shop = shop().await;
    let id = shop.order("o-1").await;
    assert_eq!(shop.shown(&id).await["state"], "awaiting");
    shop.pay("pi_1", &json!({})).await;
    assert_eq!(shop.last("stripe").await, (EventStatus::Accepted, None));
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("paid"), &json!("20.00")));
    assert_eq!(order["version"], 1);
    let told = shop.told(2).await;
    let of_kind = |kind: &str| told.iter().find(|one| one["type"] == kind).expect("it is told");
    let paid = of_kind("order.paid");
    assert_eq!((&paid["order"], &paid["order_version"]), (&json!("o-1"), &json!(1)));
    assert_eq!(paid["data"]["order"]["id"], id);
    assert_eq!(paid["data"]["order"]["state"], "paid");
    assert_eq!(paid["source"], "countersign");
    assert_eq!(of_kind("payment_intent.succeeded")["order_version"], 1);
}

#[tokio::test]
async fn one_dollar_does_not_settle_two_thousand() {
    let shop = shop().await;
    let body = json!({"reference": "o-1", "amount": "2000", "currency": "USD"});
    let id = shop.order_of("o-1", &body).await;
    shop.pay("pi_1", &json!({"amount": 100, "amount_received": 100})).await;
    shop.is_held("amount_under").await;
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("partial"), &json!("1.00")));
    let told = shop.told(1).await;
    assert_eq!(told[0]["type"], "order.partial");
    // The rest of it settles it.
    shop.pay("pi_2", &json!({"amount": 199_900, "amount_received": 199_900})).await;
    assert_eq!(shop.last("stripe").await, (EventStatus::Accepted, None));
    assert_eq!(shop.shown(&id).await["state"], "paid");
}

#[tokio::test]
async fn each_mismatch_waits_under_its_own_reason_and_pays_nothing() {
    let shop = shop().await;
    let expected = json!({
        "reference": "o-1", "amount": "1.00", "currency": "USD", "provider": "stripe",
        "source": "stripe",
    });
    let id = shop.order_of("o-1", &expected).await;
    let to_account =
        json!({"reference": "o-2", "amount": "1.00", "currency": "USD", "payee": "acct_1"});
    shop.order_of("o-2", &to_account).await;
    // The event names no account.
    let of = json!({"amount": 100, "amount_received": 100, "metadata": {"order_id": "o-2"}});
    shop.pay("pi_0", &of).await;
    shop.is_held("payee_mismatch").await;
    for (payment, of, reason) in [
        (
            "pi_1",
            json!({"amount": 100, "amount_received": 100, "currency": "jpy"}),
            "currency_mismatch",
        ),
        ("pi_2", json!({"amount": 101, "amount_received": 101}), "amount_over"),
        // Captured in part.
        ("pi_3", json!({"amount": 100, "amount_received": 50}), "amount_under"),
    ] {
        shop.pay(payment, &of).await;
        shop.is_held(reason).await;
    }
    // The overpayment and the part are money that came; yen for dollars are not the order's.
    assert_eq!(shop.shown(&id).await["paid"], "1.51");

    let thai = json!({
        "id": "evt_t1", "type": "payment.succeeded", "createdAt": "2026-01-01T00:00:00Z",
        "data": {"id": "pay_1", "amount": "1.00", "currency": "USD", "status": "succeeded", "referenceId": "o-1"},
    });
    let signed = shop.gateway.signed("one2pays", ONE2PAYS_SECRET, &thai.to_string());
    assert_eq!(shop.gateway.post("/in/thai", &signed).await.status, 200);
    let held = (EventStatus::Held, Some("provider_mismatch".to_owned()));
    assert_eq!(shop.last("thai").await, held);
}

#[tokio::test]
async fn one_payment_pays_one_order() {
    let shop = shop().await;
    let (first, second) = (shop.order("o-1").await, shop.order("o-2").await);
    shop.pay("pi_1", &json!({})).await;
    shop.pay("pi_1", &json!({"metadata": {"order_id": "o-2"}})).await;
    shop.is_held("payment_reused").await;
    assert_eq!(shop.shown(&first).await["state"], "paid");
    assert_eq!(shop.shown(&second).await["state"], "awaiting");
}

#[tokio::test]
async fn what_nobody_registered_passes_unless_it_is_to_be_held() {
    let shop = shop().await;
    shop.pay("pi_1", &json!({})).await;
    assert_eq!(shop.last("stripe").await, (EventStatus::Accepted, None));
    let told = shop.told(1).await;
    assert_eq!(told[0]["order_version"], Value::Null, "it is no order's");

    let strict = Shop::open_with(|settings| settings.sources[0].hold_unknown_orders = true).await;
    strict.pay("pi_1", &json!({})).await;
    strict.is_held("unknown_order").await;
}

#[tokio::test]
async fn a_repeated_payment_counts_once() {
    let shop = shop().await;
    let id = shop.order("o-1").await;
    let event = json!({
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "livemode": false,
        "data": {"object": {
            "id": "pi_1", "amount": 1000, "amount_received": 1000, "currency": "usd",
            "status": "succeeded", "metadata": {"order_id": "o-1"},
        }},
    });
    for _ in 0..3 {
        assert_eq!(shop.gateway.send(&event.to_string()).await.status, 200);
    }
    // Another event about the same payment.
    let other = event.to_string().replace("evt_1", "evt_2");
    assert_eq!(shop.gateway.send(&other).await.status, 200);
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("partial"), &json!("10.00")));
    assert_eq!(order["version"], 1);
}

#[tokio::test]
async fn a_cancelled_order_is_not_paid() {
    let shop = shop().await;
    let id = shop.order("o-1").await;
    let key = shop.full_key().await;
    let path = format!("/v1/orders/{id}/cancel");
    for once in ["c-1", "c-2"] {
        let reply = shop.ask(&post(&path, &key, once)).await;
        assert_eq!((reply.status, &json_of(&reply)["state"]), (200, &json!("cancelled")));
    }
    shop.pay("pi_1", &json!({})).await;
    let denied = (EventStatus::Denied, Some("order_cancelled".to_owned()));
    assert_eq!(shop.last("stripe").await, denied);
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("cancelled"), &json!("20.00")));
    // Of no source: everybody is told.
    assert!(shop.told(2).await.iter().all(|told| told["type"] == "order.cancelled"));
}

#[tokio::test]
async fn an_order_expires_and_what_comes_after_is_late() {
    let shop = shop().await;
    let at = model::Timestamp::from_millis(START_MS + 60_000).to_string();
    let body = json!({"reference": "o-1", "amount": "20.00", "currency": "USD", "expires_at": at});
    let id = shop.order_of("o-1", &body).await;
    shop.gateway.advance_ms(60_000);
    assert!(shop.told(2).await.iter().all(|told| told["type"] == "order.expired"));
    assert_eq!(shop.shown(&id).await["state"], "expired");
    shop.pay("pi_1", &json!({})).await;
    assert_eq!(shop.shown(&id).await["state"], "late");
}

#[tokio::test]
async fn what_is_told_of_an_order_arrives_in_its_order_whoever_brings_it() {
    let shop = shop().await;
    let application = shop.gateway.application.clone();
    let at = model::Timestamp::from_millis(START_MS + 60_000).to_string();
    let body = json!({"reference": "o-1", "amount": "20.00", "currency": "USD", "expires_at": at});
    shop.order_of("o-1", &body).await;
    // No source brings it, so both endpoints are told; neither takes it.
    application.then([Behaviour::Answer(500), Behaviour::Answer(500)]);
    shop.gateway.advance_ms(60_000);
    application.wait_for(2).await;
    // What a source brings afterwards is told after it. The payment's own event need not wait.
    shop.pay("pi_1", &json!({})).await;
    application.wait_for(3).await;
    shop.gateway.advance_ms(60_000);
    let told = shop.told(6).await;
    let types: Vec<_> = told.iter().map(|told| told["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types[2], "payment_intent.succeeded");
    assert_eq!(types.last(), Some(&"order.late"), "{types:?}");
    assert_eq!(types.iter().filter(|kind| **kind == "order.expired").count(), 4, "{types:?}");
}

#[tokio::test]
async fn refunds_and_disputes_change_it() {
    let shop = shop().await;
    let id = shop.order("o-1").await;
    shop.pay("pi_1", &json!({})).await;
    let charge = |refunded: u32| {
        json!({
            "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount_captured": 2000,
            "amount_refunded": refunded,
        })
    };
    shop.pay("pi_1", &charge(2001)).await;
    shop.is_held("refund_exceeds_paid").await;
    shop.pay("pi_1", &charge(500)).await;
    assert_eq!(shop.shown(&id).await["refunded"], "5.00");
    assert_eq!(shop.shown(&id).await["state"], "paid");
    // A dispute names the payment alone.
    let dispute = json!({
        "id": "evt_d", "object": "event", "type": "charge.dispute.created", "livemode": false,
        "data": {"object": {
            "id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "amount": 2000,
            "currency": "usd", "status": "needs_response",
        }},
    });
    assert_eq!(shop.gateway.send(&dispute.to_string()).await.status, 200);
    assert_eq!(shop.shown(&id).await["state"], "disputed");
    // More is said of the same dispute until it is over.
    for (event, status, state) in
        [("evt_e", "under_review", "disputed"), ("evt_f", "won", "paid"), ("evt_g", "won", "paid")]
    {
        let more = dispute.to_string().replace("evt_d", event).replace("needs_response", status);
        assert_eq!(shop.gateway.send(&more).await.status, 200);
        assert_eq!(shop.shown(&id).await["state"], state, "{event}");
    }
    // What is said of the refund itself is no payment.
    let refund = json!({
        "id": "evt_r", "object": "event", "type": "refund.created", "livemode": false,
        "data": {"object": {
            "id": "re_1", "object": "refund", "payment_intent": "pi_1", "amount": 500,
            "currency": "usd", "status": "succeeded", "metadata": {"order_id": "o-1"},
        }},
    });
    assert_eq!(shop.gateway.send(&refund.to_string()).await.status, 200);
    assert_eq!(shop.shown(&id).await["paid"], "20.00");
    shop.pay("pi_1", &charge(2000)).await;
    assert_eq!(shop.shown(&id).await["refunded"], "20.00");
}

#[tokio::test]
async fn every_fault_of_an_order_is_told_at_once() {
    let shop = shop().await;
    let body = json!({
        "reference": "an order", "amount": "-5", "currency": "EURO", "source": "nowhere",
        "customer": "cus_1", "product": "<script>", "return_url": "http://shop.example/",
        "description": "for ada@example.com", "expires_at": "2020-01-01T00:00:00Z",
    });
    let reply = shop.create("f-1", &body).await;
    is_refused(&reply, 400, "order_invalid");
    let place = json_of(&reply)["place"].as_str().expect("a place").to_owned();
    for fault in [
        "reference: reference_malformed",
        "amount: amount_signed",
        "currency: currency_unknown",
        "source: source_unknown",
        "customer: provider_missing",
        "product: product_malformed",
        "return_url: url_not_https",
        "description: looks_personal",
        "expires_at: time_past",
    ] {
        assert!(place.contains(fault), "{fault} in {place}");
    }
    for (n, (amount, fault)) in [
        ("0", "amount_zero"),
        ("0.00", "amount_zero"),
        ("1e3", "amount_exponent"),
        ("1,500.00", "amount_separators"),
        ("NaN", "amount_not_a_number"),
        ("0.001", "amount_too_fine"),
        ("", "amount_empty"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"reference": "r", "amount": amount, "currency": "EUR"});
        let reply = shop.create(&format!("a-{n}"), &body).await;
        is_refused(&reply, 400, "order_invalid");
        assert_eq!(json_of(&reply)["place"], format!("amount: {fault}"));
    }
    let number = json!({"reference": "r", "amount": 10, "currency": "EUR"});
    is_refused(&shop.create("n-1", &number).await, 400, "body_invalid");
}

#[tokio::test]
async fn payers_are_sent_back_to_allowed_hosts_only() {
    let shop = Shop::open_with(|settings| {
        settings.orders.return_hosts = vec!["shop.example".to_owned()];
    })
    .await;
    for (n, (url, fits)) in [
        ("https://shop.example/done?x=1", true),
        ("http://localhost:3000/done", true),
        ("http://shop.example/done", false),
        ("https://evil.example/?shop.example", false),
        ("https://shop.example.evil.example/", false),
        ("https://shop.example@evil.example/", false),
        ("javascript:alert(1)", false),
        ("//shop.example", false),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({
            "reference": format!("r-{n}"), "amount": "1", "currency": "EUR", "return_url": url,
        });
        let reply = shop.create(&format!("u-{n}"), &body).await;
        assert_eq!(reply.status == 200, fits, "{url}: {reply:?}");
    }
}

#[tokio::test]
async fn a_reference_is_of_one_order_and_a_request_takes_effect_once() {
    let shop = shop().await;
    let body = json!({"reference": "o-1", "amount": "20.00", "currency": "USD"});
    let first = shop.create("k-1", &body).await;
    let again = shop.create("k-1", &body).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    is_refused(&shop.create("k-2", &body).await, 409, "reference_taken");
    let key = shop.full_key().await;
    let listed = json_of(&shop.ask(&get("/v1/orders?reference=o-1", &key)).await);
    assert_eq!(listed["data"][0]["id"], json_of(&first)["id"]);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn orders_are_listed_page_by_page_and_within_reach() {
    let shop = shop().await;
    for n in 1..=4 {
        let name = if n % 2 == 0 { "stripe" } else { "thai" };
        let body = json!({
            "reference": format!("o-{n}"), "amount": "1", "currency": "USD", "source": name,
        });
        shop.order_of(&format!("o-{n}"), &body).await;
    }
    let names = |reply: &Reply| -> Vec<String> {
        let data = json_of(reply)["data"].as_array().cloned().expect("a list");
        data.iter().map(|one| one["reference"].as_str().expect("a text").to_owned()).collect()
    };
    let key = shop.full_key().await;
    let page = shop.ask(&get("/v1/orders?limit=3", &key)).await;
    assert_eq!(names(&page), ["o-4", "o-3", "o-2"]);
    let next = json_of(&page)["next"].as_str().expect("another page").to_owned();
    let path = format!("/v1/orders?limit=3&cursor={next}");
    assert_eq!(names(&shop.ask(&get(&path, &key)).await), ["o-1"]);
    let bound = shop.key([Permission::OrdersRead, Permission::OrdersCreate], of_source("stripe"));
    let bound = bound.await;
    assert_eq!(names(&shop.ask(&get("/v1/orders", &bound)).await), ["o-4", "o-2"]);
    let foreign = json_of(&shop.ask(&get("/v1/orders?reference=o-1", &key)).await);
    let path = format!("/v1/orders/{}", foreign["data"][0]["id"].as_str().expect("an id"));
    is_refused(&shop.ask(&get(&path, &bound)).await, 403, "out_of_reach");
    let hidden = shop.ask(&get("/v1/orders?reference=o-1", &bound)).await;
    assert_eq!(names(&hidden), Vec::<String>::new());
    let other = json!({"reference": "x", "amount": "1", "currency": "USD", "source": "thai"});
    let reply = shop.ask(&post("/v1/orders", &bound, "x").saying(&other.to_string())).await;
    is_refused(&reply, 403, "out_of_reach");
    // Whether another has this reference is nobody's business.
    let taken = json!({"reference": "o-1", "amount": "1", "currency": "USD", "source": "stripe"});
    let reply = shop.ask(&post("/v1/orders", &bound, "t").saying(&taken.to_string())).await;
    is_refused(&reply, 403, "out_of_reach");
    let reader = shop.key([Permission::OrdersRead], Reach::default()).await;
    let reply = shop.ask(&post("/v1/orders", &reader, "y").saying(&other.to_string())).await;
    is_refused(&reply, 403, "permission_missing");
}

#[tokio::test]
async fn a_reference_is_one_that_its_provider_takes() {
    let shop = shop().await;
    let of = |reference: &str| {
        json!({
            "reference": reference, "amount": "-1", "currency": "THB", "source": "thai",
            "provider": "one2pays",
        })
    };
    for (n, (reference, place)) in [
        ("order_1.a,b-C", "amount: amount_signed"),
        ("order/1", "amount: amount_signed, reference: reference_unfit"),
        ("order:1", "amount: amount_signed, reference: reference_unfit"),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = shop.create(&format!("f-{n}"), &of(reference)).await;
        is_refused(&reply, 400, "order_invalid");
        assert_eq!(json_of(&reply)["place"], place, "{reference}");
    }
    // By the source or the provider alone; of another provider, or of any, it is fine.
    for (n, (member, name, fits)) in
        [("source", "thai", false), ("provider", "one2pays", false), ("source", "stripe", true)]
            .into_iter()
            .enumerate()
    {
        let mut body = json!({"reference": format!("a/{n}"), "amount": "1", "currency": "THB"});
        body[member] = json!(name);
        assert_eq!(shop.create(&format!("s-{n}"), &body).await.status == 200, fits, "{name}");
    }
    let body = json!({"reference": "a/b", "amount": "1", "currency": "THB"});
    assert_eq!(shop.create("any", &body).await.status, 200);
}
