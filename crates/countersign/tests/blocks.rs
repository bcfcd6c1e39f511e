//! `blocks` as whoever operates the gateway uses it, over each store: what is shown, and what is refused.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod shop;
#[macro_use]
mod stores;

use serde_json::{Value, json};
use shop::{Shop, text_of};
use stores::Backend;

fn add(shop: &Shop, name: &str, more: &[&str]) -> Value {
    let add = ["blocks", "add", "customer", "stripe", name, "--reason", "three chargebacks"];
    shop.one(&[&add[..], more].concat())
}

fn a_block_is_added_listed_shown_and_lifted(backend: Backend) {
    let shop = Shop::new(backend);
    assert_eq!(shop.text(&["blocks", "list"]), "nothing\n");
    let first = add(&shop, "cus_1", &["--until", "2999-01-01T00:00:00Z"]);
    let second = add(&shop, "cus_2", &[]);
    let id = text_of(&first, "id");
    assert!(id.starts_with("blk_"), "{first}");
    assert_eq!((&first["kind"], &first["of"]), (&json!("customer"), &json!("stripe")));
    assert_eq!((text_of(&first, "name"), text_of(&first, "state")), ("cus_1", "standing"));
    assert_eq!(text_of(&first, "ends_at"), "2999-01-01T00:00:00.000Z");
    assert_eq!(second["ends_at"], Value::Null);

    assert_eq!(shop.lines(&["blocks", "list"]), [first.clone(), second.clone()]);
    assert_eq!(shop.lines(&["blocks", "list", "--limit", "1"]), [second]);
    assert_eq!(shop.one(&["blocks", "show", id]), first);
    let table = shop.text(&["blocks", "list"]);
    assert!(table.contains("cus_1") && !table.contains("chargebacks"), "{table}");
    let told = shop.text(&["blocks", "show", id]);
    assert!(told.contains("three chargebacks") && told.contains("cus_1"), "{told}");

    let lifted = shop.one(&["blocks", "lift", id, "--reason", "a mistake"]);
    assert_eq!(text_of(&lifted, "state"), "lifted");
    assert_eq!(lifted["lifted_by"], lifted["created_by"]);
    assert_eq!(shop.lines(&["blocks", "list"]).len(), 1);
    assert_eq!(shop.lines(&["blocks", "list", "--all"]).len(), 2);
    let entries = shop.text(&["audit", "list", "--json"]);
    for (action, count) in [("block.added", 2), ("block.lifted", 1), ("blocks.read", 7)] {
        assert_eq!(entries.matches(&format!("\"{action}\"")).count(), count, "{entries}");
    }
    assert!(!entries.contains("cus_1"), "{entries}");
}

fn what_cannot_be_blocked_or_lifted_is_refused(backend: Backend) {
    let shop = Shop::new(backend);
    let block = add(&shop, "cus_1", &[]);
    let id = text_of(&block, "id");
    let refused = |kind: &str, of: &str, name: &str, until: &str| {
        let add = ["blocks", "add", kind, of, name, "--reason", "why", "--until", until];
        shop.refused(&add)
    };
    let (late, early) = ("2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z");
    for (kind, of, name, until, code) in [
        ("customer", "stripe", "cus_1", late, "already_blocked"),
        ("customer", "nobody", "cus_1", late, "unknown_provider"),
        ("customer", "stripe", "a b", late, "bad_party"),
        ("address", "", "0x1", late, "bad_party"),
        ("card", "stripe", "4242424242424242", late, "bad_party"),
        ("customer", "stripe", "cus_2", early, "bad_end"),
    ] {
        assert_eq!(refused(kind, of, name, until), (Some(4), code.to_owned()), "{of} {name}");
    }
    assert_eq!(refused("everybody", "stripe", "x", late).0, Some(2));
    assert_eq!(refused("customer", "stripe", "x", "tomorrow").0, Some(2));
    assert_eq!(shop.run(&["blocks", "lift", id]).status.code(), Some(2), "without a reason");
    let lift = ["blocks", "lift", id, "--reason", "a mistake"];
    assert_eq!(text_of(&shop.one(&lift), "state"), "lifted");
    assert_eq!(shop.refused(&lift), (Some(4), "already_over".to_owned()));
    let unknown = "blk_01kdvdna00ew3re1r70w3ge1r7";
    let missing = (Some(4), "unknown_block".to_owned());
    assert_eq!(shop.refused(&["blocks", "show", unknown]), missing);
    assert_eq!(shop.refused(&["blocks", "lift", unknown, "--reason", "x"]), missing);
    assert_eq!(shop.lines(&["blocks", "list", "--all"]).len(), 1);
}

on_both! {
    a_block_is_added_listed_shown_and_lifted,
    what_cannot_be_blocked_or_lifted_is_refused,
}
