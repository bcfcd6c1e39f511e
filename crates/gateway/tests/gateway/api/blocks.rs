//! Blocked parties: their events wait whatever they pay, and no order is created for them.

use std::time::Duration;

use model::block::{Party, PartyKind};
use model::{BlockId, EventStatus, Timestamp};
use serde_json::json;
use store::BlockChanged;

use super::super::harness::{START_MS, source, stripe_event};
use super::super::operations::order;
use super::{Shop, is_refused, json as json_of, post};

/// How soon a block counts everywhere: a second, on a machine that is not busy with other tests.
const COUNTS_WITHIN: Duration = Duration::from_secs(3);

const CRYPTOPAY_SECRET: &str = "cryptopay_test_made_up_secret";

/// How an event of a blocked party is kept.
pub(super) fn waits() -> (EventStatus, Option<String>) {
    (EventStatus::Held, Some("party_blocked".to_owned()))
}

impl Shop {
    /// Blocks a party, until a time if it ends; it counts when this is done.
    pub(super) async fn block(
        &self,
        kind: PartyKind,
        of: &str,
        name: &str,
        ends_ms: Option<i64>,
    ) -> BlockId {
        let ends_at = ends_ms.map(|ms| Timestamp::from_millis(START_MS + ms));
        let party = Party::named(kind, of, name);
        let blocked = self.desk.block(&party, ends_at, order("chargebacks")).await;
        let (id, changed) = blocked.expect("the store answers").expect("it can be blocked");
        assert_eq!(changed, BlockChanged::Done);
        tokio::time::sleep(COUNTS_WITHIN).await;
        id
    }

    async fn lift(&self, id: BlockId) {
        let lifted = self.desk.lift_block(id, order("a mistake")).await;
        assert_eq!(lifted.expect("the store answers"), BlockChanged::Done);
        tokio::time::sleep(COUNTS_WITHIN).await;
    }

    async fn passes(&self) {
        assert_eq!(self.last("stripe").await, (EventStatus::Accepted, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_blocked_customer_wait_until_the_block_is_over() {
    let shop = Shop::open().await;
    let id = shop.order("o-1").await;
    let block = shop.block(PartyKind::Customer, "stripe", "cus_1", None).await;
    shop.pay("pi_1", &json!({})).await;
    shop.is_held("party_blocked").await;
    // What is really paid is counted, and which block holds the event is kept with it; so it is with what
    // would be told of the order.
    let paid = shop.shown(&id).await;
    assert_eq!((&paid["state"], &paid["paid"]), (&json!("paid"), &json!("20.00")));
    let events = shop.gateway.events().await;
    let held = events.iter().find(|event| event.source == "stripe").expect("it is kept");
    let facts = shop.desk.facts(held).await.expect("it opens");
    assert_eq!(facts.block, Some(block.to_string()));
    assert_eq!(shop.last("countersign").await, waits());
    // Whatever else it waits for, and whether or not it names an order.
    shop.pay("pi_2", &json!({"amount": 1, "amount_received": 1})).await;
    shop.is_held("party_blocked").await;
    shop.pay("pi_3", &json!({"metadata": {}})).await;
    shop.is_held("party_blocked").await;
    shop.pay("pi_4", &json!({"metadata": {}, "customer": "cus_2"})).await;
    shop.passes().await;

    shop.lift(block).await;
    shop.pay("pi_5", &json!({"metadata": {}})).await;
    shop.passes().await;
    shop.block(PartyKind::Customer, "stripe", "cus_1", Some(5_000)).await;
    shop.pay("pi_6", &json!({"metadata": {}})).await;
    shop.is_held("party_blocked").await;
    shop.gateway.advance_ms(5_000);
    shop.pay("pi_7", &json!({"metadata": {}})).await;
    shop.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_paid_order_waits_for_a_person_too() {
    let shop = Shop::open().await;
    shop.order("o-1").await;
    shop.order("o-2").await;
    shop.block(PartyKind::Card, "stripe", "Xt5EWLLDS7FJjR1c", None).await;
    let charge = |reference: &str, card: &str| {
        json!({
            "object": "charge", "metadata": {"order_id": reference}, "amount_captured": 2000,
            "payment_method_details": {"card": {"fingerprint": card}},
        })
    };
    // Only the event names the card; the order does not.
    shop.pay("ch_1", &charge("o-1", "Xt5EWLLDS7FJjR1c")).await;
    shop.is_held("party_blocked").await;
    let told = shop.newest("countersign", EventStatus::Held).await;
    assert_eq!(shop.last("countersign").await, waits());
    let of_told = |row: &store::DeliveryRow| row.event.to_string() == told;
    assert!(!shop.gateway.deliveries().await.iter().any(of_told));
    // Of the other order it is told at once.
    shop.pay("ch_2", &charge("o-2", "another")).await;
    let other = shop.newest("countersign", EventStatus::Accepted).await;
    shop.delivered(&other).await;

    let key = shop.full_key().await;
    let path = format!("/v1/events/{told}/release");
    let released = shop.ask(&post(&path, &key, "release-1")).await;
    assert_eq!(released.status, 200, "{released:?}");
    assert_eq!(json_of(&released)["endpoints"], json!(["app"]), "{released:?}");
    shop.delivered(&told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_blocked_and_no_other_party_of_that_name() {
    let shop = Shop::open().await;
    shop.block(PartyKind::Card, "stripe", "Xt5EWLLDS7FJjR1c", None).await;
    let charge = |card: &str| {
        json!({
            "object": "charge", "metadata": {}, "amount_captured": 2000,
            "payment_method_details": {"card": {"fingerprint": card}},
        })
    };
    shop.pay("ch_1", &charge("Xt5EWLLDS7FJjR1c")).await;
    shop.is_held("party_blocked").await;
    shop.pay("ch_2", &charge("xt5ewllds7fjjr1c")).await;
    shop.passes().await;
    // The same name of another kind, or at another provider, is another party.
    shop.block(PartyKind::Payee, "stripe", "cus_1", None).await;
    shop.block(PartyKind::Customer, "one2pays-body", "cus_1", None).await;
    shop.pay("pi_3", &json!({"metadata": {}})).await;
    shop.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_blocked_on_its_chain_whoever_it_is_in_the_payment() {
    let shop = Shop::open_with(|settings| {
        settings.sources.push(source("crypto", "cryptopay", CRYPTOPAY_SECRET));
    })
    .await;
    let pay = async |n: u32, chain: &str, from: &str, to: &str| {
        let at = Timestamp::from_millis(shop.gateway.now_ms()).to_string();
        let event = json!({
            "event": "payment.confirmed", "webhook_id": format!("wh_{n}"), "timestamp": at,
            "data": {
                "order_id": format!("o-{n}"), "transaction_hash": format!("0x{n}"),
                "amount": "100.00", "currency": "USDC", "blockchain": chain,
                "status": "confirmed", "from_address": from, "to_address": to,
            },
        });
        let signed = shop.gateway.signed("cryptopay", CRYPTOPAY_SECRET, &event.to_string());
        assert_eq!(shop.gateway.post("/in/crypto", &signed).await.status, 200);
        shop.last("crypto").await
    };
    let (bad, good) = ("0x9876543210987654321098765432109876ABCDEF", "0x12345678901234567890");
    shop.block(PartyKind::Address, "Base", bad, None).await;
    let held = waits();
    assert_eq!(pay(1, "base", &bad.to_lowercase(), good).await, held);
    assert_eq!(pay(2, "base", good, bad).await, held);
    assert_eq!(pay(3, "base", good, good).await, (EventStatus::Accepted, None));
    assert_eq!(pay(4, "ethereum", bad, good).await, (EventStatus::Accepted, None));
    // The provider names the account that is paid by its address.
    shop.block(PartyKind::Payee, "cryptopay", "0x77", None).await;
    assert_eq!(pay(5, "ethereum", good, "0x77").await, held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_for_a_blocked_customer_waits_though_it_does_not_name_them() {
    let shop = Shop::open().await;
    let of = |reference: &str, provider: &str| {
        json!({
            "reference": reference, "amount": "20.00", "currency": "USD", "provider": provider,
            "customer": "cus_9",
        })
    };
    shop.order_of("o-1", &of("o-1", "stripe")).await;
    shop.order_of("o-2", &of("order-2", "one2pays-body")).await;
    shop.block(PartyKind::Customer, "stripe", "cus_9", None).await;
    shop.block(PartyKind::Customer, "one2pays-body", "cus_9", None).await;
    shop.pay("pi_1", &json!({"customer": null})).await;
    shop.is_held("party_blocked").await;
    // Of what is not covered in full nobody knows for certain whom it names.
    shop.held(2).await;
    let waits = (EventStatus::Held, Some("needs_confirmation".to_owned()));
    assert_eq!(shop.last("weak").await, waits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn party_blocked_creates_no_order() {
    let shop = Shop::open().await;
    let order = json!({
        "reference": "o-1", "amount": "20", "asset": "USDC", "chain": "base", "decimals": 6,
        "provider": "stripe", "customer": "cus_1", "payee": "acct_1", "address": "0xAB",
    });
    let block = shop.block(PartyKind::Address, "base", "0xab", None).await;
    let refused = shop.create("k-1", &order).await;
    is_refused(&refused, 403, "party_blocked");
    assert_eq!(json_of(&refused)["place"], "address");
    assert!(!refused.body.contains("0xab") && !refused.body.contains("blk_"), "{refused:?}");
    shop.lift(block).await;
    for (kind, name, member) in
        [(PartyKind::Customer, "cus_1", "customer"), (PartyKind::Payee, "acct_1", "payee")]
    {
        let block = shop.block(kind, "stripe", name, None).await;
        let refused = shop.create("k-1", &order).await;
        is_refused(&refused, 403, "party_blocked");
        assert_eq!(json_of(&refused)["place"], member);
        shop.lift(block).await;
    }
    // It was not done, so the same request is not answered from memory.
    assert_eq!(shop.create("k-1", &order).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_later_knows_who_is_blocked() {
    let shop = Shop::open().await;
    shop.block(PartyKind::Customer, "stripe", "cus_1", None).await;
    let Shop { gateway, desk, .. } = shop;
    drop(desk);
    let gateway = gateway.restart().await;
    assert_eq!(gateway.send(&stripe_event("evt_1", "o-1")).await.status, 200);
    gateway.is_kept_as(EventStatus::Held, Some("party_blocked")).await;
}
