//! The demo passes, and finds each defect that is planted in it.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PROVIDERS: [&str; 8] =
    ["one2pays", "bropay", "x402tele", "stripe", "square", "cryptopay", "koywe", "koywe-ramp"];

const ATTACKS: [&str; 33] = [
    "underpaid",
    "overpaid",
    "other-currency",
    "other-chain",
    "other-receiver",
    "other-provider",
    "other-source",
    "reused",
    "unpriced",
    "blocked",
    "forged",
    "changed",
    "wrong-source",
    "stale",
    "future",
    "replayed",
    "test-for-live",
    "duplicate-key",
    "X2",
    "X3",
    "X4",
    "X5",
    "X6",
    "X7",
    "X8",
    "X13",
    "X16",
    "X18",
    "X19",
    "X21",
    "X22",
    "X29",
    "unknown-source",
];

/// How an order is paid, why the event of that waits, and where the order stands then.
type Paid = (&'static str, Option<&'static str>, &'static str);

/// How orders of every guide are paid.
const PAID: [Paid; 7] = [
    ("as-ordered", None, "paid"),
    ("underpaid", Some("amount_under"), "partial"),
    ("overpaid", Some("amount_over"), "overpaid"),
    ("other-currency", Some("currency_mismatch"), "awaiting"),
    ("other-provider", Some("provider_mismatch"), "awaiting"),
    ("other-source", Some("source_mismatch"), "awaiting"),
    ("late", None, "late"),
];

/// The guides, their providers, and how else orders at those are paid.
const GUIDES: [(&str, &str, &[Paid]); 5] = [
    ("One2Pays", "one2pays", &[REUSED]),
    ("x402Tele", "x402tele", &[REUSED, CHAIN]),
    ("UIGen", "stripe", &[REUSED, ("other-receiver", Some("payee_mismatch"), "awaiting")]),
    (
        "CryptoPay",
        "cryptopay",
        &[REUSED, CHAIN, ("other-receiver", Some("address_mismatch"), "awaiting")],
    ),
    ("Koywe", "koywe", &[("unpriced", Some("amount_missing"), "awaiting")]),
];

const REUSED: Paid = ("reused", Some("payment_reused"), "awaiting");
const CHAIN: Paid = ("other-chain", Some("chain_mismatch"), "awaiting");

fn demo(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("demo")
        .args(options)
        .output()
        .expect("the binary runs")
}

/// The one object that `--json` prints.
fn object(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    assert_eq!(text.trim_end().lines().count(), 1, "one object on one line: {text}");
    serde_json::from_str(&text).expect("JSON")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A planted defect: the demo fails, and says so in words too.
fn check_defect(name: &str, expected: &str) {
    let output = demo(&["--break", name]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{name}: {text}\n{}", said(&output));
    assert!(text.contains("WRONG: "), "{text}");
    assert!(text.contains(expected), "{name}: {expected:?} in {text}");
    assert!(text.contains("NOT as it should be"), "{text}");
}

#[test]
fn everything_good_is_delivered_once_and_everything_bad_is_kept_out() {
    let started = Instant::now();
    let output = demo(&["--json"]);
    let took = started.elapsed();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(took < Duration::from_secs(120), "took {took:?}");
    let object = object(&output);
    assert_eq!(object["ok"], Value::Bool(true));
    assert!(object["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert_eq!(object.as_object().map(serde_json::Map::len), Some(5), "{object}");
    let providers = object["providers"].as_array().expect("a list");
    let names: Vec<_> = providers.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, PROVIDERS);
    let mut accepted = 0;
    for provider in providers {
        let count = |key: &str| provider[key].as_u64().expect("a count");
        assert_eq!(provider.as_object().map(serde_json::Map::len), Some(6), "{provider}");
        assert!(count("accepted") > 20, "{provider}");
        assert_eq!(count("delivered"), count("accepted"), "{provider}");
        assert!(count("refused") > 0, "{provider}");
        assert_eq!(count("sent"), count("accepted") + count("duplicates") + count("refused"));
        accepted += count("accepted");
    }
    assert!(accepted > 200, "{accepted}");
    every_order_stands_where_it_should(object["orders"].as_array().expect("a list"));
}

/// Each guide's orders are there, each paid in its way, and the application knows of those that are
/// paid as ordered, and of no others.
fn every_order_stands_where_it_should(orders: &[Value]) {
    let mut left: Vec<&Value> = orders.iter().collect();
    for (guide, provider, own) in GUIDES {
        for (paid, reason, state) in PAID.iter().chain(own) {
            let found = left.iter().position(|one| one["guide"] == guide && one["paid"] == *paid);
            let order = left.remove(found.unwrap_or_else(|| panic!("{guide}, {paid}: {orders:?}")));
            let fate = json!({ "reason": reason, "state": state });
            assert_eq!(order["provider"], provider, "{order}");
            assert_eq!((&order["expected"], &order["seen"]), (&fate, &fate), "{order}");
            assert_eq!(order["ok"], Value::Bool(true), "{order}");
            let told = order["told"].as_array().expect("a list");
            let times = told.iter().filter(|kind| *kind == "order.paid").count();
            assert_eq!(times, usize::from(*paid == "as-ordered"), "{order}");
            let last = (*state != "awaiting").then(|| Value::from(format!("order.{state}")));
            assert_eq!(told.last(), last.as_ref(), "{order}");
        }
    }
    assert_eq!(left, Vec::<&Value>::new(), "nothing else was ordered");
}

#[test]
fn every_attack_is_there_with_its_answer() {
    let output = demo(&["--json", "--behind-balancer"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let object = object(&output);
    let attacks = object["attacks"].as_array().expect("a list");
    for name in ATTACKS {
        assert!(attacks.iter().any(|one| one["name"] == name), "{name} in {object}");
    }
    for attack in attacks {
        assert_eq!(attack.as_object().map(serde_json::Map::len), Some(5), "{attack}");
        assert_eq!(attack["ok"], Value::Bool(true), "{attack}");
        assert!(attack["status"].as_u64().is_none_or(|status| status < 500), "{attack}");
    }
    let answer = |name: &str| {
        let found = attacks.iter().find(|one| one["name"] == name).expect("checked above");
        (found["status"].as_u64(), found["reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(answer("stale"), (Some(401), "too_old".into()));
    assert_eq!(answer("future"), (Some(401), "in_future".into()));
    assert_eq!(answer("replayed"), (Some(200), "duplicate".into()));
    assert_eq!(answer("test-for-live"), (Some(200), "wrong_environment".into()));
    assert_eq!(answer("duplicate-key"), (Some(200), "duplicate_key".into()));
    for (name, reason, _) in PAID.iter().chain(GUIDES.iter().flat_map(|(_, _, own)| *own)) {
        if let (Some(reason), true) = (reason, *name != "other-receiver") {
            assert_eq!(answer(name), (Some(200), (*reason).into()));
        }
    }
    assert_eq!(answer("blocked"), (Some(200), "party_blocked".into()));
    assert_eq!(answer("X7"), (Some(401), "address_not_allowed".into()));
    assert_eq!(answer("X8"), (None, "network_as_host".into()));
    assert_eq!(answer("X18").0, Some(429));
}

#[test]
fn people_get_tables_that_fit() {
    let output = demo(&[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", said(&output));
    assert!(text.contains("PROVIDER"), "{text}");
    assert!(text.contains("ATTACK"), "{text}");
    assert!(text.contains("GUIDE"), "{text}");
    assert!(GUIDES.iter().all(|(guide, ..)| text.contains(&format!("\n{guide} "))), "{text}");
    let last = text.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains("exactly once") && last.contains("44 of 44 orders right"), "{last}");
    for line in text.lines().chain(said(&output).lines()) {
        assert!(line.chars().count() <= 100, "wider than 100 columns: {line}");
        assert!(!line.contains('\u{1b}'), "a pipe gets plain text: {line}");
    }
}

#[test]
fn an_application_that_fails_is_found() {
    check_defect("app-500", "were not delivered");
}

#[test]
fn an_application_that_loses_deliveries_is_found() {
    check_defect("drop", "were not delivered");
}

#[test]
fn a_forgery_that_gets_through_is_found() {
    check_defect("forge-accept", "WRONG: forged against stripe: accepted");
}

#[cfg(feature = "sabotage")]
#[test]
fn a_gateway_that_ignores_currencies_is_found() {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["demo"])
        .env("COUNTERSIGN_SABOTAGE", "currency-ignored")
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", said(&output));
    assert!(text.contains("WRONG: 5 deliveries carry what no provider meant"), "{text}");
    for (guide, provider, _) in GUIDES {
        let order = format!(
            "WRONG: {guide}, other-currency: currency_mismatch, awaiting was expected, not accepted, paid"
        );
        assert!(text.contains(&order), "{order:?} in {text}");
        let shot = format!("WRONG: other-currency against {provider}: accepted");
        assert!(text.contains(&shot), "{shot:?} in {text}");
    }
    let last = text.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains("NOT as it should be") && last.contains("39 of 44"), "{last}");
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("set");
    let proxy = format!("http://{}", trap.local_addr().expect("an address"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, &proxy).env(name.to_uppercase(), &proxy);
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = command.arg("demo").output().expect("the binary runs");
    assert!(output.status.success(), "{}", said(&output));
    assert!(trap.accept().is_err(), "somebody asked the proxy");
}
