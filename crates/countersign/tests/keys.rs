//! `keys` as an operator uses it, over each store: what is printed, once, and what is refused.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod shop;
#[macro_use]
mod stores;

use model::Environment;
use model::api_key::ApiKey;
use serde_json::json;
use shop::{Shop, text_of};
use stores::Backend;

/// Makes a key that may read events; gives its id and itself.
fn create(shop: &Shop) -> (String, ApiKey) {
    let made = shop.one(&["keys", "create", "shop", "--allow", "events:read"]);
    let key = ApiKey::parse(text_of(&made, "key")).expect("a key");
    (text_of(&made, "id").to_owned(), key)
}

fn a_key_is_printed_once_and_never_again(backend: Backend) {
    let shop = Shop::new(backend);
    let made = shop.one(&[
        "keys",
        "create",
        "shop",
        "--allow",
        "events:read",
        "--allow",
        "deliveries:read",
        "--source",
        "stripe",
        "--provider",
        "stripe",
        "--customer",
        "cus_1",
        "--from",
        "192.0.2.0/24",
        "--from",
        "2001:db8::7",
        "--days",
        "30",
    ]);
    let text = text_of(&made, "key").to_owned();
    let key = ApiKey::parse(&text).expect("a key");
    let id = text_of(&made, "id");
    assert_eq!((key.id.to_string().as_str(), key.environment), (id, Environment::Test));
    assert_eq!(made["permissions"], json!(["events:read", "deliveries:read"]));
    assert_eq!((&made["sources"], &made["customer"]), (&json!(["stripe"]), &json!(true)));
    assert_eq!(made["networks"], json!(["192.0.2.0/24", "2001:db8::7/128"]));
    assert_eq!((&made["state"], &made["uses"]), (&json!("active"), &json!(0)));

    let secret = text.split('_').nth(3).expect("a secret");
    let (listed, shown) = (shop.text(&["keys", "list"]), shop.text(&["keys", "show", id]));
    let told = [listed, shown, shop.text(&["keys", "list", "--json"])].concat();
    assert!(told.contains(id) && !told.contains(secret) && !told.contains("cus_1"), "{told}");
    assert!(told.contains("events:read, deliveries:read") && told.contains("192.0.2.0/24"));
    assert!(told.contains("customer: one"));

    let plain = shop.text(&["keys", "create", "other", "--allow", "events:read"]);
    let first = plain.lines().next().expect("a line");
    assert!(ApiKey::parse(first).is_ok(), "{plain}");
    assert!(plain.contains("shown this once"), "{plain}");
    assert_eq!(shop.lines(&["keys", "list"]).len(), 2);
    assert_eq!(shop.lines(&["keys", "list", "--unused", "0"]).len(), 2);
    assert!(shop.lines(&["keys", "list", "--unused"]).is_empty(), "made less than 90 days ago");
    assert_eq!(shop.refused(&["keys", "list", "--unused", "-1"]).0, Some(2));
}

fn a_key_is_rolled_and_revoked(backend: Backend) {
    let shop = Shop::new(backend);
    let (old, old_key) = create(&shop);
    let rolled = shop.one(&["keys", "roll", &old, "--overlap", "1h", "--reason", "it is due"]);
    let new = text_of(&rolled, "id").to_owned();
    let new_key = ApiKey::parse(text_of(&rolled, "key")).expect("a key");
    assert_ne!((old_key.id, old_key.secret), (new_key.id, new_key.secret));
    assert_eq!((text_of(&rolled, "rolled_from"), text_of(&rolled, "name")), (&*old, "shop"));
    let state = |id: &str| text_of(&shop.one(&["keys", "show", id]), "state").to_owned();
    assert_eq!((state(&old), state(&new)), ("rolled".to_owned(), "active".to_owned()));

    assert_eq!(shop.refused(&["keys", "roll", &old]), (Some(4), "already_rolled".to_owned()));
    let last = shop.one(&["keys", "roll", &new, "--overlap", "0"]);
    assert_eq!((state(&old), state(&new)), ("expired".to_owned(), "expired".to_owned()));
    assert_eq!(shop.lines(&["keys", "list"]).len(), 1);
    assert_eq!(shop.lines(&["keys", "list", "--all"]).len(), 3);

    let last = text_of(&last, "id");
    let revoked = shop.one(&["keys", "revoke", last, "--cause", "leaked", "--reason", "in a log"]);
    assert_eq!(revoked, json!({ "revoked": 1, "cause": "leaked" }));
    let shown = shop.one(&["keys", "show", last]);
    assert_eq!((text_of(&shown, "state"), text_of(&shown, "cause")), ("revoked", "leaked"));
    assert!(shown["revoked_at"].is_string() && shown["last_address"].is_null());
    assert_eq!(shop.refused(&["keys", "revoke", last]), (Some(4), "already_revoked".to_owned()));
    assert_eq!(shop.refused(&["keys", "roll", last]), (Some(4), "already_revoked".to_owned()));
    assert_eq!(shop.text(&["keys", "list"]), "nothing\n");
}

fn every_key_is_revoked_at_once(backend: Backend) {
    let shop = Shop::new(backend);
    let none = shop.one(&["keys", "revoke", "--all", "--cause", "suspected"]);
    assert_eq!(none["revoked"], 0);
    for _ in 0..3 {
        create(&shop);
    }
    let told = shop.text(&["keys", "revoke", "--all", "--cause", "suspected"]);
    assert!(told.starts_with("3 revoked"), "{told}");
    let states = shop.lines(&["keys", "list", "--all"]);
    assert!(states.len() == 3 && states.iter().all(|key| key["state"] == "revoked"));
}

fn what_cannot_be_is_refused_and_nothing_is_made(backend: Backend) {
    let shop = Shop::new(backend);
    let create = |more: &[&str]| shop.refused(&[&["keys", "create"], more].concat());
    let may = ["shop", "--allow", "events:read"];
    for (more, code) in [
        (["ada@example.com", "--allow", "events:read"].as_slice(), "bad_key_name"),
        (&["", "--allow", "events:read"], "bad_key_name"),
        (&[&may[..], &["--days", "0"]].concat(), "bad_key_days"),
        (&[&may[..], &["--days", "367"]].concat(), "bad_key_days"),
        (&[&may[..], &["--source", "nobody"]].concat(), "unknown_source"),
        (&[&may[..], &["--provider", "nobody"]].concat(), "unknown_provider"),
    ] {
        assert_eq!(create(more), (Some(4), code.to_owned()), "{more:?}");
    }
    let empty = [&may[..], &["--provider", "stripe", "--customer", ""]].concat();
    assert_eq!(create(&empty), (Some(2), "usage".to_owned()));
    let id = "key_01kdvdna00ew3re1r70w3ge1r7";
    for wrong in [
        ["keys", "create", "shop"].as_slice(),
        &["keys", "create", "--allow", "events:read"],
        &["keys", "create", "shop", "--allow", "events:*"],
        &["keys", "create", "shop", "--allow", "events:read", "--from", "192.0.2.7/24"],
        &["keys", "create", "shop", "--allow", "events:read", "--from", "anywhere"],
        &["keys", "create", "shop", "--allow", "events:read", "--customer", "cus_1"],
        &["keys", "create", "shop", "--allow", "events:read", "--days", "-1"],
        &["keys", "show"],
        &["keys", "show", "evt_01kdvdna00ew3re1r70w3ge1r7"],
        &["keys", "roll", id, "--overlap", "2h"],
        &["keys", "revoke"],
        &["keys", "revoke", id, "--all"],
        &["keys", "revoke", id, "--cause", "lost"],
    ] {
        assert_eq!(shop.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    for command in ["show", "roll", "revoke"] {
        let refused = shop.refused(&["keys", command, id]);
        assert_eq!(refused, (Some(4), "not_found".to_owned()), "{command}");
    }
    assert!(shop.lines(&["keys", "list", "--all"]).is_empty());
}

on_both! {
    a_key_is_printed_once_and_never_again,
    a_key_is_rolled_and_revoked,
    every_key_is_revoked_at_once,
    what_cannot_be_is_refused_and_nothing_is_made,
}
