//! `operators` as an administrator uses it, over each store: what is printed, once, and what is
//! refused.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod shop;
#[macro_use]
mod stores;

use serde_json::Value;
use shop::{Shop, text_of};
use stores::Backend;

fn add(shop: &Shop, login: &str, role: &str) -> Value {
    shop.one(&["operators", "add", login, "--role", role])
}

fn what_somebody_signs_in_with_is_printed_once(backend: Backend) {
    let shop = Shop::new(backend);
    let ada = add(&shop, "ada", "administrator");
    let (password, seed) = (text_of(&ada, "password"), text_of(&ada, "totp_secret"));
    assert_eq!((password.len(), seed.len()), (23, 32));
    let uri = text_of(&ada, "totp_uri");
    let begins = format!("otpauth://totp/Countersign:ada?secret={seed}&issuer=Countersign");
    assert!(uri.starts_with(&begins), "{uri}");
    assert_eq!((text_of(&ada, "login"), text_of(&ada, "role")), ("ada", "administrator"));
    let told = shop.text(&["operators", "add", "grace.hopper", "--role", "viewer"]);
    assert!(told.contains("signs in as grace.hopper, viewer"), "{told}");
    assert!(told.contains("\npassword  ") && told.contains("\nseed      "), "{told}");
    assert!(told.contains("otpauth://totp/Countersign:grace.hopper?"), "{told}");
    assert!(told.contains("shown this once"), "{told}");

    let told = [
        shop.text(&["operators", "list"]),
        shop.text(&["operators", "list", "--json"]),
        shop.text(&["audit", "list", "--json"]),
    ]
    .concat();
    assert!(told.contains("ada") && told.contains("grace.hopper"), "{told}");
    assert!(!told.contains(password) && !told.contains(seed), "{told}");
    assert!(told.contains("operator.added"), "{told}");
}

fn somebody_is_changed_by_what_they_sign_in_as(backend: Backend) {
    let shop = Shop::new(backend);
    let ada = add(&shop, "ada", "viewer");
    let listed = || shop.lines(&["operators", "list"]);
    assert_eq!(text_of(&listed()[0], "state"), "enabled");
    let changed = shop.one(&["operators", "role", "ada", "operator", "--reason", "on duty"]);
    assert_eq!((text_of(&changed, "role"), &changed["id"]), ("operator", &ada["id"]));
    let same = shop.refused(&["operators", "role", "ada", "operator"]);
    assert_eq!(same, (Some(4), "already_so".to_owned()));
    let disabled = shop.one(&["operators", "disable", "ada"]);
    assert_eq!(text_of(&disabled, "state"), "disabled");
    assert!(disabled["disabled_at"].is_string());
    assert!(listed().is_empty());
    assert_eq!(shop.text(&["operators", "list"]), "nobody\n");
    assert_eq!(shop.lines(&["operators", "list", "--all"]).len(), 1);
    // What somebody signed in as is not given to anybody else.
    let taken = shop.refused(&["operators", "add", "ada", "--role", "viewer"]);
    assert_eq!(taken, (Some(4), "login_taken".to_owned()));
    assert_eq!(shop.text(&["operators", "enable", "ada"]), "ada: operator, enabled\n");
    let again = shop.one(&["operators", "totp", "ada"]);
    assert_ne!(again["totp_secret"], ada["totp_secret"]);
    assert!(again["password"].is_null());
    assert!(text_of(&again, "totp_uri").contains(text_of(&again, "totp_secret")));
}

fn a_password_comes_from_a_file_and_never_from_an_argument(backend: Backend) {
    let shop = Shop::new(backend);
    add(&shop, "ada", "viewer");
    let file = shop.0.path().join("password");
    std::fs::write(&file, "a long test password\r\nand more\n").expect("written");
    let set = ["operators", "password", "ada", "--password-file"];
    let told = shop.told(&[&set[..], &["password"]].concat(), "");
    assert_eq!(told, "ada: viewer, enabled\n");
    let stdin = [&set[..], &["-"]].concat();
    assert_eq!(shop.told(&stdin, "another test password\n"), "ada: viewer, enabled\n");
    for (input, code) in [
        ("", "password_short"),
        ("eleven char\n", "password_short"),
        ("PassWord1234\n", "password_common"),
        (&"a".repeat(257), "password_long"),
    ] {
        assert_eq!(shop.refused_with(&stdin, input), (Some(4), code.to_owned()), "{input}");
    }
    let missing = shop.refused(&[&set[..], &["no such file"]].concat());
    assert_eq!(missing, (Some(4), "unreadable_file".to_owned()));
    let argument = shop.run(&["operators", "password", "ada", "a long test password"]);
    assert_eq!(argument.status.code(), Some(2));
    let entries = shop.text(&["audit", "list", "--json"]);
    assert_eq!(entries.matches("operator.changed").count(), 2, "{entries}");
    assert!(!entries.contains("test password"), "{entries}");
}

fn what_cannot_be_is_refused_and_nothing_is_made(backend: Backend) {
    let shop = Shop::new(backend);
    for wrong in [
        ["operators", "add", "ada"].as_slice(),
        &["operators", "add", "--role", "viewer"],
        &["operators", "add", "Ada", "--role", "viewer"],
        &["operators", "add", "ada@shop.example", "--role", "viewer"],
        &["operators", "add", "ada", "--role", "root"],
        &["operators", "role", "ada"],
        &["operators", "role", "ada", "none"],
        &["operators", "disable"],
    ] {
        assert_eq!(shop.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    for command in ["disable", "enable", "totp", "password"] {
        let refused = shop.refused(&["operators", command, "ada"]);
        assert_eq!(refused, (Some(4), "not_found".to_owned()), "{command}");
    }
    assert!(shop.lines(&["operators", "list", "--all"]).is_empty());
}

on_both! {
    what_somebody_signs_in_with_is_printed_once,
    somebody_is_changed_by_what_they_sign_in_as,
    a_password_comes_from_a_file_and_never_from_an_argument,
    what_cannot_be_is_refused_and_nothing_is_made,
}
