//! Payments on a real EVM node (`anvil`): found by what it answers over HTTP and WebSocket, counted,
//! reversed.
//!
//! `./test` installs the node and says where it is (`COUNTERSIGN_TEST_ANVIL`). Told so, a node that
//! does not work fails the tests; untold, they are not run.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]
#![expect(clippy::inconsistent_digit_grouping, reason = "cents after the last underscore")]

mod node;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chains::{
    Asset, AssetId, ChainId, Classes, Expectation, Fact, Finality, Hold, Minor, OrderKey, Settings,
    Standing, State, Unaccounted, Worth,
};
use gateway::{Node, Nodes, Resolver, Watcher};
use model::Timestamp;
use serde_json::json;

use node::{Anvil, hundredths, modules};

const CHAIN: u64 = 31_337;
const STRANGER: &str = "0x00000000000000000000000000000000000000ff";

/// A watched node, and the orders that are paid on it.
struct Shop {
    anvil: Anvil,
    watcher: Watcher,
    state: State,
    addresses: BTreeMap<OrderKey, String>,
}

fn watcher(anvils: &[&Anvil], chain: u64) -> Watcher {
    let urls: Vec<_> = anvils.iter().map(|anvil| anvil.url()).collect();
    watcher_of(&urls, chain)
}

fn watcher_of(urls: &[url::Url], chain: u64) -> Watcher {
    let nodes = urls.iter().map(|url| Node {
        name: "anvil".to_owned(),
        url: url.clone(),
        headers: http::HeaderMap::new(),
        allow_private: true,
    });
    let settings = Settings {
        chain: ChainId::Evm(chain),
        nodes: urls.len(),
        nodes_agreeing: urls.len(),
        finality: Finality { depth: 30, by_chain: true },
        lag_blocks_max: 3,
        silence_s_max: None,
        blocks_per_step: 16,
        waiting: true,
    };
    settings.judge().expect("good settings");
    Watcher::new(settings, Nodes::new(nodes.collect(), &Resolver::System, None))
}

impl Shop {
    /// The node is asked over WebSocket.
    fn open_connected() -> Option<Self> {
        let mut shop = Self::open()?;
        shop.watcher = watcher_of(&[shop.anvil.socket()], CHAIN);
        Some(shop)
    }

    fn open() -> Option<Self> {
        let anvil = Anvil::start(modules()?, CHAIN);
        let watcher = watcher(&[&anvil], CHAIN);
        let state = State::new(ChainId::Evm(CHAIN));
        Some(Self { anvil, watcher, state, addresses: BTreeMap::new() })
    }

    /// Turns until there is nothing more to read. The state goes through its bytes each time, as it
    /// does over a crash.
    async fn look(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for _ in 0..100 {
            let kept = State::from_bytes(&self.state.to_bytes()).expect("a state");
            let step = self.watcher.turn(kept, Timestamp::from_millis(0)).await;
            facts.extend(step.facts);
            self.state = step.state;
            if !step.is_behind {
                return facts;
            }
        }
        panic!("it does not come to rest: {:?}", self.state.held());
    }

    async fn mine(&mut self, blocks: u64) -> Vec<Fact> {
        self.anvil.mine(blocks);
        self.look().await
    }

    /// An order of so many hundredths of the coin or of a token, one whole unit of which is worth 1.00.
    fn order(&mut self, amount: u128, token: Option<&str>) -> OrderKey {
        self.order_with(amount, token, |_| {})
    }

    fn order_with(
        &mut self,
        amount: u128,
        token: Option<&str>,
        change: impl FnOnce(&mut Expectation),
    ) -> OrderKey {
        let number = u8::try_from(self.addresses.len() + 1).expect("few orders");
        let address = format!("0x{:040x}", 0xa000 + u64::from(number));
        let chain = ChainId::Evm(CHAIN);
        let contract = token.map(|token| token.parse().expect("an address"));
        let mut expectation = Expectation {
            asset: Asset { id: AssetId { chain, contract }, decimals: 18 },
            address: address.parse().expect("an address"),
            amount: Minor(hundredths(amount)),
            sender: None,
            dust_below: Minor(hundredths(1)),
            from_height: 0,
            from_s: 0,
            due_s: None,
            classes: Classes::usual(),
            worth: Worth::Price(Minor(1_00)),
        };
        change(&mut expectation);
        let order = OrderKey([number; 16]);
        self.state.follow(order, expectation).expect("fit");
        self.addresses.insert(order, address);
        order
    }

    fn address(&self, order: OrderKey) -> &str {
        &self.addresses[&order]
    }

    fn is_paid(&self, order: OrderKey) -> bool {
        self.state.orders()[&order].is_covered()
    }

    /// How each payment stands, how many confirmations it has and needs.
    fn stands(&self, order: OrderKey) -> Vec<(Standing, u64, u32)> {
        let payments = self.state.payments(order);
        payments.iter().map(|one| (one.standing, one.confirmations, one.required)).collect()
    }
}

#[tokio::test]
async fn a_payment_of_the_coin_is_seen_confirmed_counted_and_final() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(99_99, None);
    shop.anvil.pay(shop.address(order), 99_99);
    shop.look().await;
    assert_eq!(shop.stands(order), [(Standing::Seen, 0, 3)]);
    shop.mine(2).await;
    assert_eq!(shop.stands(order), [(Standing::Confirming, 2, 3)]);
    assert!(!shop.is_paid(order), "2 of 3");
    shop.mine(1).await;
    assert!(shop.is_paid(order));
    let paid = &shop.state.payments(order)[0];
    assert_eq!(paid.amount, Some(Minor(hundredths(99_99))));
    assert_eq!(paid.from.as_ref().map(ToString::to_string), Some(shop.anvil.account(0)));
    let height = paid.block.expect("it is in a block").height;
    let block = shop.anvil.call("eth_getBlockByNumber", json!([format!("{height:#x}"), false]));
    let hash = paid.block.map(|block| format!("0x{}", block.hash));
    assert_eq!(hash.as_deref(), block["hash"].as_str());
    shop.mine(40).await;
    assert_eq!(shop.stands(order)[0].0, Standing::Final);
}

#[tokio::test]
async fn a_payment_is_counted_over_websocket_as_over_http() {
    let Some(mut shop) = Shop::open_connected() else { return };
    let token = shop.anvil.token();
    let (coin, other) = (shop.order(99_99, None), shop.order(50_00, Some(&token)));
    shop.anvil.pay(shop.address(coin), 99_99);
    shop.anvil.pay_token(&token, shop.address(other), 50_00);
    shop.look().await;
    assert_eq!(shop.stands(coin), [(Standing::Seen, 0, 3)]);
    shop.mine(2).await;
    assert!(!shop.is_paid(coin) && !shop.is_paid(other), "2 of 3");
    shop.mine(1).await;
    assert!(shop.is_paid(coin) && shop.is_paid(other));
    // Over either way the same: the state that one has read, the other goes on with.
    shop.watcher = watcher_of(&[shop.anvil.socket(), shop.anvil.url()], CHAIN);
    shop.mine(40).await;
    assert_eq!(shop.state.held(), None);
    assert_eq!(shop.stands(coin)[0].0, Standing::Final);
}

#[tokio::test]
async fn a_block_ends_the_rest_over_websocket() {
    let Some(mut shop) = Shop::open_connected() else { return };
    shop.mine(1).await;
    let Shop { watcher, anvil, .. } = &mut shop;
    // Nothing happens, so the whole rest is had.
    let begun = Instant::now();
    watcher.rest(Duration::from_millis(500)).await;
    assert!(begun.elapsed() >= Duration::from_millis(500));
    for _ in 0..3 {
        let begun = Instant::now();
        tokio::join!(watcher.rest(Duration::from_secs(60)), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            anvil.mine(1);
        });
        let rested = begun.elapsed();
        assert!(rested > Duration::from_millis(300), "{rested:?}");
        assert!(rested < Duration::from_secs(10), "{rested:?}");
    }
    let height = shop.anvil.call("eth_blockNumber", json!([]));
    shop.look().await;
    let tip = shop.state.trail().tip().map(|(tip, _)| format!("{tip:#x}"));
    assert_eq!(tip.as_deref(), height.as_str());
}

#[tokio::test]
async fn a_payment_of_a_token_is_counted_and_no_other_token_is() {
    let Some(mut shop) = Shop::open() else { return };
    let (right, wrong) = (shop.anvil.token(), shop.anvil.token());
    let order = shop.order(50_00, Some(&right));
    let address = shop.address(order).to_owned();
    shop.anvil.pay_token(&wrong, &address, 50_00);
    shop.anvil.pay(&address, 50_00);
    shop.mine(5).await;
    let standings: Vec<_> = shop.stands(order).into_iter().map(|(standing, ..)| standing).collect();
    assert_eq!(standings, [Standing::Unaccounted(Unaccounted::WrongAsset); 2]);
    shop.anvil.pay_token(&right, &address, 50_00);
    shop.mine(2).await;
    assert!(!shop.is_paid(order), "2 of 3");
    shop.mine(1).await;
    assert!(shop.is_paid(order));
}

#[tokio::test]
async fn confirmations_follow_the_value() {
    let Some(mut shop) = Shop::open() else { return };
    let tiers = [(99_99, 3), (100_00, 12), (999_99, 12), (1_000_00, 24)];
    let orders = tiers.map(|(amount, needed)| (shop.order(amount, None), amount, needed));
    for (order, amount, _) in orders {
        shop.anvil.pay(shop.address(order), amount);
    }
    for confirmations in 1..=24 {
        shop.mine(1).await;
        for (order, amount, needed) in orders {
            let is_deep = confirmations >= needed;
            assert_eq!(shop.is_paid(order), is_deep, "{amount} after {confirmations}");
        }
    }
}

#[tokio::test]
async fn ten_small_payments_do_not_take_the_lowest_tier() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(999_90, None);
    for _ in 0..10 {
        shop.anvil.pay(shop.address(order), 99_99);
    }
    shop.mine(11).await;
    assert!(!shop.is_paid(order));
    assert_eq!(shop.stands(order), [(Standing::Confirming, 11, 12); 10]);
    shop.mine(1).await;
    assert!(shop.is_paid(order));
}

#[tokio::test]
async fn a_replacement_to_another_address_conflicts() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(50_00, None);
    let (from, value) = (shop.anvil.account(1), format!("{:#x}", hundredths(50_00)));
    let sends = |to: &str, fee: &str| {
        json!({"from": from, "to": to, "value": value, "nonce": "0x0", "gas": "0x5208",
               "maxFeePerGas": fee, "maxPriorityFeePerGas": fee})
    };
    shop.anvil.send(sends(shop.address(order), "0x77359400"));
    shop.look().await;
    assert_eq!(shop.stands(order)[0].0, Standing::Seen);
    let other = shop.anvil.send(sends(STRANGER, "0x1bf08eb000"));
    shop.mine(30).await;
    let Standing::Conflicted { by, .. } = shop.stands(order)[0].0 else {
        panic!("{:?}", shop.stands(order))
    };
    assert_eq!(format!("0x{by}"), other);
    assert!(!shop.is_paid(order));
}

#[tokio::test]
async fn a_dropped_transaction_is_told_of() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(50_00, None);
    let tx = shop.anvil.pay(shop.address(order), 50_00);
    shop.look().await;
    shop.anvil.call("anvil_dropTransaction", json!([tx]));
    shop.look().await;
    assert_eq!(shop.stands(order)[0].0, Standing::Dropped);
}

/// Once with the coin and once with a token.
async fn reorganised(token: bool) {
    let Some(mut shop) = Shop::open() else { return };
    let token = token.then(|| shop.anvil.token());
    let order = shop.order(50_00, token.as_deref());
    let address = shop.address(order).to_owned();
    shop.mine(3).await;
    let tx = match &token {
        Some(token) => shop.anvil.pay_token(token, &address, 50_00),
        None => shop.anvil.pay(&address, 50_00),
    };
    let raw = shop.anvil.call("eth_getRawTransactionByHash", json!([tx]));
    shop.mine(4).await;
    assert!(shop.is_paid(order));
    let height = shop.anvil.call("eth_blockNumber", json!([]));
    shop.anvil.call("anvil_reorg", json!([5, []]));
    assert_eq!(shop.anvil.call("eth_blockNumber", json!([])), height, "as high as before");
    let facts = shop.look().await;
    assert!(!shop.is_paid(order), "{facts:?}");
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Reorganised { .. })));
    let lost = |fact: &Fact| match fact {
        Fact::Payment(change) => {
            change.from == Some(Standing::Counted) && change.to == Standing::Orphaned
        }
        _ => false,
    };
    assert!(facts.iter().any(lost), "{facts:?}");
    // Unless it waits again by itself.
    if shop.anvil.call("eth_getTransactionByHash", json!([tx])).is_null() {
        shop.anvil.call("eth_sendRawTransaction", json!([raw]));
    }
    shop.mine(2).await;
    assert!(!shop.is_paid(order));
    shop.mine(1).await;
    assert!(shop.is_paid(order), "{:?}", shop.stands(order));
    assert_eq!(shop.stands(order).len(), 1, "it is the same payment");
}

#[tokio::test]
async fn a_reorganisation_takes_a_payment_of_the_coin_away_and_gives_it_back() {
    reorganised(false).await;
}

#[tokio::test]
async fn a_reorganisation_takes_a_payment_of_a_token_away_and_gives_it_back() {
    reorganised(true).await;
}

#[tokio::test]
async fn a_node_that_is_stopped_for_a_minute_makes_nothing_paid() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(50_00, None);
    shop.anvil.pay(shop.address(order), 50_00);
    shop.mine(2).await;
    shop.anvil.signal("-STOP");
    let stopped = Instant::now();
    let mut said = Vec::new();
    while stopped.elapsed() < Duration::from_secs(60) {
        said.extend(shop.look().await);
        assert!(!shop.is_paid(order));
    }
    assert_eq!(said, [Fact::Held(Hold::NodesAway)], "said once");
    shop.anvil.signal("-CONT");
    said = shop.mine(1).await;
    assert!(said.contains(&Fact::Resumed), "{said:?}");
    assert!(shop.is_paid(order));
}

#[tokio::test]
async fn dust_strangers_and_other_recipients_do_not_count() {
    let Some(mut shop) = Shop::open() else { return };
    let payer = shop.anvil.account(0).parse().expect("an address");
    let order = shop.order_with(50_00, None, |expected| {
        expected.sender = Some(payer);
        expected.dust_below = Minor(hundredths(10));
    });
    let address = shop.address(order).to_owned();
    shop.anvil.pay(STRANGER, 50_00);
    shop.anvil.pay(&address, 9);
    let value = format!("{:#x}", hundredths(50_00));
    shop.anvil.send(json!({"from": shop.anvil.account(3), "to": address, "value": value}));
    shop.mine(30).await;
    let mut standings: Vec<_> =
        shop.stands(order).into_iter().map(|(standing, ..)| standing).collect();
    standings.sort();
    let reasons = [Unaccounted::WrongSender, Unaccounted::Dust].map(Standing::Unaccounted);
    assert_eq!(standings, reasons);
    assert!(!shop.is_paid(order));
}

#[tokio::test]
async fn too_little_too_much_and_too_late_are_told_apart() {
    let Some(mut shop) = Shop::open() else { return };
    let now = shop.anvil.call("eth_getBlockByNumber", json!(["latest", false]));
    let now = now["timestamp"].as_str().and_then(chains::evm::quantity).expect("a time");
    let order = shop.order_with(50_00, None, |expected| expected.due_s = Some(now + 1_000));
    let address = shop.address(order).to_owned();
    shop.anvil.pay(&address, 49_99);
    shop.mine(4).await;
    assert!(!shop.is_paid(order), "0.01 too little");
    shop.anvil.call("evm_setNextBlockTimestamp", json!([now + 2_000]));
    shop.anvil.pay(&address, 1_00);
    shop.mine(4).await;
    assert!(shop.is_paid(order));
    assert_eq!(shop.state.orders()[&order].sums().counted, Minor(hundredths(50_99)));
    let payments = shop.state.payments(order);
    assert_eq!(payments.iter().map(|one| one.is_late).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_payment_on_another_chain_does_not_count() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(50_00, None);
    shop.mine(1).await;
    // The same address, on a chain of another number; then its node in the place of the right one.
    let other = Anvil::start(modules().expect("they were there"), CHAIN + 1);
    other.pay(shop.address(order), 50_00);
    other.mine(30);
    shop.mine(30).await;
    assert!(shop.stands(order).is_empty());
    shop.watcher = watcher(&[&other], CHAIN);
    shop.look().await;
    assert_eq!(shop.state.held(), Some(Hold::WrongChain));
    assert!(shop.stands(order).is_empty() && !shop.is_paid(order));
}

#[tokio::test]
async fn two_nodes_that_tell_of_different_blocks_hold() {
    let Some(mut shop) = Shop::open() else { return };
    let order = shop.order(50_00, None);
    let other = Anvil::start(modules().expect("they were there"), CHAIN);
    shop.watcher = watcher(&[&shop.anvil, &other], CHAIN);
    shop.anvil.pay(shop.address(order), 50_00);
    other.mine(30);
    shop.mine(30).await;
    assert!(matches!(shop.state.held(), Some(Hold::NodesDisagree(_))), "{:?}", shop.state.held());
    assert!(!shop.is_paid(order));
}
