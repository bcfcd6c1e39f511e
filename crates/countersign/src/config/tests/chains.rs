//! `[[chain]]` and `[[asset]]`: what may be watched, and each way to write it wrong.

use ::chains::{ChainId, Classes, Minor, Worth};

use super::*;

const CHAIN: &str = "[[chain]]\nname = \"ethereum\"\nid = \"eip155:1\"\n\
    [[chain.node]]\nurl = \"https://node-a.example/v3\"\n\
    [[chain.node]]\nurl = \"https://node-b.example/v3\"\nauthorization = \"${file:token}\"\n";
const COIN: &str =
    "[[asset]]\nchain = \"ethereum\"\nsymbol = \"ETH\"\ndecimals = 18\nprice = \"2500.00\"\n";
const TOKEN: &str = "[[asset]]\nchain = \"ethereum\"\nsymbol = \"USDC\"\ndecimals = 6\n\
    contract = \"0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48\"\ndust_below = \"0.01\"\n\
    confirmations = [\"100:2\", \"24\"]\n";

fn judged(tables: &str) -> Result<Configuration, Problems> {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "Bearer node_test_token").expect("written");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("private");
    judge(&format!("{GOOD}{tables}"), folder.path())
}

fn faults(tables: &str) -> Vec<(&'static str, String)> {
    let Err(problems) = judged(tables) else { return Vec::new() };
    problems.iter().map(|p| (p.refusal.code(), p.place.key.clone())).collect()
}

#[test]
fn a_chain_and_its_assets_are_what_they_say() {
    let configuration = judged(&format!("{CHAIN}{COIN}{TOKEN}"));
    let configuration = configuration.unwrap_or_else(|problems| panic!("{problems}"));
    let settings = &configuration.settings;
    let chain = &settings.chains[0];
    assert_eq!((chain.name.as_str(), chain.settings.chain), ("ethereum", ChainId::Evm(1)));
    assert_eq!((chain.nodes.len(), chain.settings.nodes_agreeing), (2, 2), "more than half");
    assert!(chain.nodes[1].headers["authorization"].is_sensitive());
    assert!(chain.settings.finality.by_chain);
    let [coin, token] = settings.orders.assets.as_slice() else { panic!("two") };
    assert_eq!((coin.worth, &coin.classes), (Worth::Price(Minor(250_000)), &Classes::usual()));
    assert_eq!(coin.asset.id.contract, None);
    assert_eq!((token.worth, token.dust_below), (Worth::Own, Minor(10_000)));
    let needed = |minor| token.classes.needed(Minor(minor), &token.asset, token.worth);
    assert_eq!([needed(99_999_999), needed(100_000_000)], [2, 24]);
    let contract = token.asset.id.contract.as_ref().map(ToString::to_string);
    assert_eq!(contract.as_deref(), Some("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"));
    let table = COIN.to_owned() + "confirmations = [\"table\"]\n";
    let settings = judged(&format!("{CHAIN}{table}")).expect("good").settings;
    assert_eq!(settings.orders.assets[0].classes, Classes::table());
}

#[test]
fn a_node_of_an_evm_chain_may_be_asked_over_websocket_and_one_of_bitcoin_not() {
    let over = CHAIN.replace("https://", "wss://");
    let configuration = judged(&over).unwrap_or_else(|problems| panic!("{problems}"));
    let nodes = &configuration.settings.chains[0].nodes;
    assert!(nodes.iter().all(|node| node.url.scheme() == "wss"), "{nodes:?}");
    let genesis = "bip122:000000000019d6689c085ae165831e93";
    assert_eq!(faults(&CHAIN.replace("eip155:1", genesis)), []);
    let Err(problems) = judged(&over.replace("eip155:1", genesis)) else { panic!("refused") };
    let told: Vec<_> = problems.iter().map(|one| (one.refusal.code(), one.fix.as_str())).collect();
    let fix = "write the http:// or https:// URL of the node";
    assert_eq!(told, [("bad_chain", fix); 2], "{problems}");
}

#[test]
fn a_chain_that_cannot_be_followed_is_refused() {
    let nodeless = "[[chain]]\nname = \"ethereum\"\nid = \"eip155:1\"\n";
    let chain = |from: &str, to: &str| CHAIN.replacen(from, to, 1);
    for (tables, code, key) in [
        (chain("eip155:1", "ethereum"), "bad_chain", "chain[0].id"),
        (chain("id = \"eip155:1\"\n", ""), "bad_chain", "chain[0].id"),
        (nodeless.to_owned(), "bad_chain", "chain[0]"),
        (chain("[[chain.node]]", "nodes_agreeing = 1\n[[chain.node]]"), "bad_chain", "chain[0]"),
        (
            chain("[[chain.node]]", "final_depth = 0\n[[chain.node]]"),
            "bad_chain",
            "chain[0].final_depth",
        ),
        (chain("[[chain.node]]", "final_depth = 9999\n[[chain.node]]"), "bad_chain", "chain[0]"),
        (chain("url = \"https://node-a.example/v3\"\n", ""), "missing_key", "node[0].url"),
        (chain("node-a.example", "10.0.0.1"), "private_address", "node[0].url"),
        (chain("${file:token}", "${file:absent}"), "file_missing", "node[1].authorization"),
        (format!("{CHAIN}{CHAIN}"), "duplicate_name", "chain[1].name"),
    ] {
        let found = faults(&tables);
        assert!(found.contains(&(code, key.to_owned())), "{tables}\n{found:?}");
    }
}

#[test]
fn an_asset_that_cannot_be_watched_is_refused() {
    let coin = |from: &str, to: &str| format!("{CHAIN}{}", COIN.replacen(from, to, 1));
    let token = |from: &str, to: &str| format!("{CHAIN}{}", TOKEN.replacen(from, to, 1));
    for (tables, key) in [
        (COIN.to_owned(), "asset[0].chain"),
        (coin("\"ethereum\"", "\"bitcoin\""), "asset[0].chain"),
        (coin("decimals = 18\n", ""), "asset[0]"),
        (coin("decimals = 18", "decimals = 37"), "asset[0]"),
        (coin("symbol = \"ETH\"", "symbol = \"E TH\""), "asset[0]"),
        (coin("price = \"2500.00\"\n", ""), "asset[0]"),
        (coin("2500.00", "0"), "asset[0].price"),
        (coin("2500.00", "2500.001"), "asset[0].price"),
        (coin("2500.00", "-1"), "asset[0].price"),
        (token("0xA0b8", "0xA0"), "asset[0].contract"),
        (token("\"100:2\", \"24\"", "\"100:2\""), "asset[0].confirmations[0]"),
        (token("\"100:2\", \"24\"", "\"100:2\", \"1\""), "asset[0].confirmations[0]"),
        (token("\"100:2\", \"24\"", "\"100:2\", \"10:3\", \"24\""), "asset[0].confirmations[0]"),
        (token("0.01", "1e-2"), "asset[0].dust_below"),
        (format!("{CHAIN}{COIN}{COIN}"), "asset[1]"),
    ] {
        let found = faults(&tables);
        assert_eq!(found, [("bad_asset", key.to_owned())], "{tables}");
    }
}
