//! Orders on a chain that is watched: paid by what a real EVM node (`anvil`) says, and by nothing else.

use std::time::{Duration, Instant};

use chains::{Asset, AssetId, ChainId, Classes, Finality, Minor, Worth};
use gateway::{Chain, ChainAsset};
use http::HeaderMap;
use model::EventStatus;
use model::block::PartyKind;
use serde_json::{Value, json};

use super::super::harness::{Reply, source};
use super::blocks::waits;
use super::node::{Anvil, modules};
use super::{Shop, get, is_refused, json as json_of, post};

const CHAIN: u64 = 31_337;
const ADDRESS: &str = "0x00000000000000000000000000000000000a0001";
const CRYPTOPAY_SECRET: &str = "cryptopay_test_made_up_secret";
const OTHER: &str = "0x00000000000000000000000000000000000a0002";

/// A year of the test's clock: blocks are made by the machine's.
const UNTIL: &str = "2026-12-31T00:00:00Z";

fn chain(url: url::Url) -> Chain {
    let settings = chains::Settings {
        chain: ChainId::Evm(CHAIN),
        nodes: 1,
        nodes_agreeing: 1,
        finality: Finality { depth: 30, by_chain: true },
        lag_blocks_max: 3,
        silence_s_max: None,
        blocks_per_step: 16,
        waiting: true,
    };
    let node = gateway::Node {
        name: "anvil".to_owned(),
        url,
        headers: HeaderMap::new(),
        allow_private: true,
    };
    let look = Duration::from_millis(50);
    Chain { name: "local".to_owned(), settings, nodes: vec![node], look }
}

fn coin() -> ChainAsset {
    ChainAsset {
        chain: "local".to_owned(),
        symbol: "ETH".to_owned(),
        asset: Asset { id: AssetId::native(ChainId::Evm(CHAIN)), decimals: 18 },
        classes: Classes::usual(),
        worth: Worth::Price(Minor(1_00)),
        dust_below: Minor(0),
    }
}

fn wanted(reference: &str, amount: &str, address: &str) -> Value {
    json!({"reference": reference, "amount": amount, "asset": "ETH", "chain": "local",
        "address": address, "expires_at": UNTIL})
}

fn watches(url: url::Url) -> impl FnOnce(&mut gateway::Settings) {
    |settings| {
        settings.orders.assets = vec![coin()];
        settings.chains = vec![chain(url)];
    }
}

impl Shop {
    async fn asks_for(&self, once: &str, body: &Value) -> Reply {
        let key = self.full_key().await;
        self.ask(&post("/v1/orders", &key, once).saying(&body.to_string())).await
    }

    async fn watched(&self, body: &Value) -> String {
        let created = self.asks_for(body["reference"].as_str().expect("a text"), body).await;
        assert_eq!(created.status, 200, "{created:?}");
        json_of(&created)["id"].as_str().expect("an id").to_owned()
    }

    async fn order_now(&self, id: &str) -> Value {
        let path = format!("/v1/orders/{id}");
        json_of(&self.ask(&get(&path, &self.full_key().await)).await)
    }

    /// Waits until an order is so.
    async fn order_that(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let order = self.order_now(id).await;
            if is_so(&order) {
                return order;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{order}");
            tokio::time::sleep(Duration::from_millis(150)).await;
            // How often a key may ask is limited by the gateway's clock.
            self.gateway.advance_ms(150);
        }
    }

    /// The types of the gateway's own events.
    async fn told_of_orders(&self) -> Vec<String> {
        let events = self.gateway.events().await.into_iter();
        events.filter(|one| one.source == "countersign").filter_map(|one| one.kind).collect()
    }

    async fn comes_to(&self, id: &str, state: &str) -> Value {
        self.order_that(id, |order| order["state"] == state).await
    }
}

/// Confirmations of the first payment.
fn confirmations(order: &Value) -> u64 {
    order["payments"][0]["confirmations"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn an_order_on_a_watched_chain_says_where_and_until_when() {
    let nowhere = "http://127.0.0.1:9/".parse().expect("a URL");
    let shop = Shop::open_with(watches(nowhere)).await;
    let id = shop.watched(&wanted("o-1", "1.5", ADDRESS)).await;
    let order = shop.order_now(&id).await;
    assert_eq!(
        (&order["amount"], &order["payments"]),
        (&json!("1.500000000000000000"), &json!([]))
    );
    let spelled = ADDRESS.replace('a', "A");
    is_refused(&shop.asks_for("2", &wanted("o-2", "1.5", &spelled)).await, 409, "address_taken");
    let with = |name: &str, value: Value| {
        let mut body = wanted("o-3", "1.5", OTHER);
        body[name] = value;
        body
    };
    let bitcoin = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let mut unwatched = with("chain", json!("elsewhere"));
    unwatched["decimals"] = json!(18);
    unwatched["sender"] = json!(OTHER);
    let faulty = [
        (with("address", Value::Null), "address: address_missing"),
        (with("address", json!(bitcoin)), "address: address_malformed"),
        (with("address", json!("0x12")), "address: address_malformed"),
        (with("sender", json!("somebody")), "sender: address_malformed"),
        (with("expires_at", Value::Null), "expires_at: time_missing"),
        (with("asset", json!("USDT")), "asset: asset_unknown"),
        (with("decimals", json!(6)), "decimals: decimals_differ"),
        // Nobody looks there, so nobody could see who pays.
        (unwatched, "sender: chain_not_watched"),
    ];
    for (n, (body, fault)) in faulty.iter().enumerate() {
        let refused = shop.asks_for(&format!("faulty {n}").replace(' ', "-"), body).await;
        is_refused(&refused, 400, "order_invalid");
        assert!(json_of(&refused)["place"].to_string().contains(fault), "{refused:?}");
    }
}

#[tokio::test]
async fn an_order_is_paid_by_its_chain_and_reversed_by_it() {
    let Some(modules) = modules() else { return };
    let anvil = Anvil::start(modules, CHAIN);
    let shop = Shop::open_with(watches(anvil.url())).await;
    let id = shop.watched(&wanted("o-1", "99.99", ADDRESS)).await;
    let other = shop.watched(&wanted("o-2", "99.99", OTHER)).await;
    anvil.mine(2);
    let transaction = anvil.pay(ADDRESS, 99_99);
    let raw = anvil.call("eth_getRawTransactionByHash", json!([transaction]));
    shop.comes_to(&id, "detected").await;
    anvil.mine(2);
    let order = shop.order_that(&id, |order| confirmations(order) == 2).await;
    assert_eq!(order["state"], "confirming", "2 of 3");
    anvil.mine(1);
    let paid = shop.comes_to(&id, "paid").await;
    assert_eq!(paid["paid"], "99.990000000000000000");
    assert_eq!(paid["pending"], "0.000000000000000000");
    let payment = &paid["payments"][0];
    assert_eq!(payment["transaction"], transaction.trim_start_matches("0x"));
    assert_eq!((&payment["standing"], &payment["required"]), (&json!("counted"), &json!(3)));
    assert_eq!(shop.order_now(&other).await["state"], "awaiting");

    // The chain goes another way, without the payment; then the payment comes again.
    anvil.call("anvil_reorg", json!([4, []]));
    let reversed = shop.comes_to(&id, "reversed").await;
    assert_eq!(reversed["paid"], "0.000000000000000000");
    if anvil.call("eth_getTransactionByHash", json!([transaction])).is_null() {
        anvil.call("eth_sendRawTransaction", json!([raw]));
    }
    anvil.mine(3);
    let again = shop.comes_to(&id, "paid").await;
    assert_eq!(again["payments"].as_array().map(Vec::len), Some(1), "it is the same payment");
    let told = shop.told_of_orders().await;
    let count = |kind: &str| told.iter().filter(|one| *one == kind).count();
    assert_eq!((count("order.paid"), count("order.reversed")), (2, 1), "{told:?}");
}

#[tokio::test]
async fn what_a_blocked_address_pays_is_counted_and_nobody_is_told() {
    let Some(modules) = modules() else { return };
    let anvil = Anvil::start(modules, CHAIN);
    let shop = Shop::open_with(watches(anvil.url())).await;
    let payer = anvil.call("eth_accounts", json!([]))[0].as_str().expect("an account").to_owned();
    shop.block(PartyKind::Address, "local", &payer, None).await;
    let id = shop.watched(&wanted("o-1", "99.99", ADDRESS)).await;
    anvil.mine(1);
    anvil.pay(ADDRESS, 99_99);
    anvil.mine(3);
    shop.comes_to(&id, "paid").await;
    assert_eq!(shop.last("countersign").await, waits());
}

#[tokio::test]
async fn a_provider_cannot_say_that_a_watched_order_is_paid() {
    let nowhere = "http://127.0.0.1:9/".parse().expect("a URL");
    let shop = Shop::open_with(watches(nowhere)).await;
    let id = shop.watched(&wanted("o-1", "20", ADDRESS)).await;
    let event = json!({
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "livemode": false,
        "data": {"object": {
            "id": "pi_1", "amount": 2000, "amount_received": 2000, "currency": "eth",
            "status": "succeeded", "metadata": {"order_id": "o-1"},
        }},
    });
    assert_eq!(shop.gateway.send(&event.to_string()).await.status, 200);
    let last = shop.gateway.events().await.pop().expect("an event");
    assert_eq!((last.status, last.reason.as_deref()), (EventStatus::Held, Some("chain_mismatch")));
    assert_eq!(shop.order_now(&id).await["state"], "awaiting");
}

#[tokio::test]
async fn what_a_provider_says_waits_until_the_chain_says_it_too() {
    let Some(modules) = modules() else { return };
    let anvil = Anvil::start(modules, CHAIN);
    let url = anvil.url();
    let shop = Shop::open_with(|settings| {
        settings.sources.push(source("crypto", "cryptopay", CRYPTOPAY_SECRET));
        watches(url)(settings);
    })
    .await;
    let id = shop.watched(&wanted("o-1", "99.99", ADDRESS)).await;
    let event = json!({
        "event": "payment.confirmed", "webhook_id": "wh_1", "timestamp": "2026-01-01T00:00:00Z",
        "data": {
            "order_id": "o-1", "transaction_hash": "0x1", "amount": "99.99", "currency": "ETH",
            "blockchain": "local", "status": "confirmed", "from_address": OTHER,
            "to_address": ADDRESS.replace('a', "A"),
        },
    });
    let signed = shop.gateway.signed("cryptopay", CRYPTOPAY_SECRET, &event.to_string());
    assert_eq!(shop.gateway.post("/in/crypto", &signed).await.status, 200);
    let waits = (EventStatus::Held, Some("confirmations_missing".to_owned()));
    assert_eq!(shop.last("crypto").await, waits);
    anvil.pay(ADDRESS, 99_99);
    anvil.mine(2);
    shop.comes_to(&id, "confirming").await;
    assert_eq!(shop.last("crypto").await, waits);
    anvil.mine(1);
    shop.comes_to(&id, "paid").await;
    let begun = Instant::now();
    while shop.last("crypto").await != (EventStatus::Accepted, None) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", shop.last("crypto").await);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn a_gateway_that_starts_again_goes_on_where_it_was() {
    let Some(modules) = modules() else { return };
    let anvil = Anvil::start(modules, CHAIN);
    let mut shop = Shop::open_with(watches(anvil.url())).await;
    let id = shop.watched(&wanted("o-1", "99.99", ADDRESS)).await;
    anvil.mine(1);
    anvil.pay(ADDRESS, 99_99);
    anvil.mine(2);
    shop.order_that(&id, |order| confirmations(order) == 2).await;
    shop.gateway.stop().await;
    anvil.mine(1);
    let shop = shop.restart_with(watches(anvil.url())).await;
    shop.comes_to(&id, "paid").await;
    let told = shop.told_of_orders().await;
    assert_eq!(told.iter().filter(|one| *one == "order.paid").count(), 1, "{told:?}");
}

/// Over WebSocket the node says that there is a block; else nobody would look within the test's patience.
#[tokio::test]
async fn an_order_is_paid_soon_where_the_node_says_that_there_is_a_block() {
    let Some(modules) = modules() else { return };
    let anvil = Anvil::start(modules, CHAIN);
    let url = anvil.socket();
    let shop = Shop::open_with(|settings| {
        watches(url)(settings);
        settings.chains[0].look = Duration::from_secs(600);
    })
    .await;
    let id = shop.watched(&wanted("o-1", "99.99", ADDRESS)).await;
    anvil.pay(ADDRESS, 99_99);
    let begun = Instant::now();
    while shop.order_now(&id).await["state"] != "paid" {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", shop.order_now(&id).await);
        anvil.mine(1);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let order = shop.order_now(&id).await;
    assert!(order["payments"][0]["standing"] == "counted" && confirmations(&order) >= 3, "{order}");
}
