//! The language of profiles: its example loads, its mistakes are explained, its readings hold.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use aws_lc_rs::hmac;
use schemes::{
    Draft, Fields, Freshness, Keys, Profile, Rejection, Request, Secret, Unreadable, embedded,
    read, verify,
};

const DOCS: &str = include_str!("../../../docs/profiles.md");

/// The worked example of the documentation.
fn example() -> String {
    let (_, after) = DOCS.split_once("title = \"Acme Payments\"").unwrap();
    let (inside, _) = after.split_once("```").unwrap();
    format!("title = \"Acme Payments\"{inside}")
}

/// The example with one text changed, and why it then does not load.
fn refusal(from: &str, to: &str) -> schemes::ProfileError {
    let example = example();
    assert!(example.contains(from), "{from}");
    Profile::parse("acme", &example.replacen(from, to, 1))
        .err()
        .unwrap_or_else(|| panic!("{to} loads"))
}

#[test]
fn the_documented_example_loads() {
    let profile = Profile::parse("acme", &example()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((profile.name(), profile.title()), ("acme", "Acme Payments"));
    assert_eq!((profile.acknowledgement().status, profile.refusal_status()), (200, 401));
}

#[test]
fn a_profile_says_what_its_provider_takes_as_a_reference() {
    let with = |section: &str| example().replacen("[secret]", &format!("{section}\n[secret]"), 1);
    let profile = Profile::parse("acme", &example()).unwrap();
    assert!(profile.takes_reference("anything at all"));
    let section = "[reference]\nshape = '[a-z]{1,5}'\nexpected = \"small letters\"";
    let profile = Profile::parse("acme", &with(section)).unwrap();
    for (text, fits) in
        [("abc", true), ("", false), ("abcdef", false), ("aBc", false), ("abc\nx", false)]
    {
        assert_eq!(profile.takes_reference(text), fits, "{text:?}");
    }
    let broken = "[reference]\nshape = '[a-z'\nexpected = \"small letters\"";
    let error = Profile::parse("acme", &with(broken)).unwrap_err();
    assert!(error.message().contains("no pattern"), "{error}");
    assert!(Profile::parse("acme", &with("[reference]\nshape = 'a'")).is_err());
}

#[test]
fn the_documentation_names_every_code() {
    let codes = Rejection::ALL.iter().map(|reason| reason.code());
    for code in codes.chain(Unreadable::ALL.iter().map(|reason| reason.code())) {
        assert!(DOCS.contains(&format!("`{code}`")), "{code}");
    }
}

#[test]
fn codes_round_trip() {
    for reason in Rejection::ALL {
        assert_eq!(Rejection::from_code(reason.code()), Some(*reason));
    }
    for reason in Unreadable::ALL {
        assert_eq!(Unreadable::from_code(reason.code()), Some(*reason));
    }
}

#[test]
fn a_mistake_in_a_profile_is_told_with_its_line_and_the_fix() {
    let cases = [
        ("covers = \"full\"", "covers = \"full\"\ncolour = 1", "colour"),
        ("covers = \"full\"", "covers = \"all\"", "use full fields"),
        ("version = 1", "version = 2", "version 1"),
        ("2026-11-22", "yesterday", "date"),
        ("hmac-sha256", "none", "no algorithm"),
        ("hmac-sha256", "equals", "covers = \"none\""),
        ("\"utf8\"", "\"rot13\"", "decode a key"),
        ("hex_lower", "octal", "no encoding"),
        ("{t}.{body}", "{body}", "timestamp not signed"),
        ("{t}.{body}", "[{t}.]{body}", "timestamp not signed"),
        ("{t}.{body}", "{t}", "body is not signed"),
        ("{t}.{body}", "{t}.{body|crc32}", "body is not signed"),
        ("{t}.{body}", "{t}.{bodie}", "no source"),
        ("[\"{t}.{body}\"]", "[]", "1 to 4 templates"),
        (", split = \"=\", take = \"s\"", ", split = \"=\"", "belong together"),
        ("list = \",\"", "list = \"\"", "cannot be empty"),
        ("enc = \"hex_lower\"", "enc = \"hex_lower\", max = 9", "1 to 8"),
        ("var = \"t\"", "var = \"x\"", "timestamp not signed"),
        ("var = \"t\"", "from = \"header:x\"", "json:/PATH"),
        ("unit = \"s\"", "unit = \"days\"", "s, ms, auto"),
        ("past = 300", "past = -1", "from 0"),
        ("json:/id", "json:id", "JSON pointer"),
        ("json:/id", "header:x-id", "not signed"),
        ("amount_unit = \"minor\"\n", "", "needs amount_unit"),
        ("id = \"json:/id\"\n", "", "dedup key"),
        ("\"/data\" = \"object\"", "\"/data\" = \"thing\"", "a kind is one of"),
        ("\"*\" = [\"id\"]", "\"*\" = [\"colour\"]", "no field"),
        ("acme_[a-z]+_", "acme_[a-z+_", "no pattern"),
        (
            "[[vector]]\nname = \"payment settled\"",
            "[refuse]\nstatus = 200\n[[vector]]\nname = \"payment settled\"",
            "400 to 499",
        ),
        ("like = \"payment settled\"", "like = \"nothing\"", "no vector"),
        ("\"1999\" = \"1\"", "\"nowhere\" = \"1\"", "to replace"),
        ("expect = \"too_old\"", "expect = \"in_future\"", "gives too_old"),
        ("expect = \"too_old\"", "", "gives too_old, not valid"),
        ("order = \"order-1\"", "order = \"order-2\"", "order is"),
        ("[scheme]\n", "[scheme]\neach = \"/items\"\n", "one star"),
        ("[scheme]\n", "[scheme]\nvector_names = [\"x\"]\n", "provider/scheme"),
    ];
    for (from, to, part) in cases {
        let error = refusal(from, to);
        assert!(error.to_string().contains(part), "{to}: {error}");
        assert!(error.line().is_some(), "{to}: {error}");
    }
}

#[test]
fn the_line_is_the_one_that_is_wrong() {
    let example = example();
    let line = 1 + example.lines().position(|line| line.starts_with("message")).unwrap();
    assert_eq!(refusal("{t}.{body}", "{t}").line(), Some(line));
}

#[test]
fn a_profile_without_vectors_or_with_a_strange_name_does_not_load() {
    let bare = example().split("[[vector]]").next().unwrap().to_owned();
    assert!(Profile::parse("acme", &bare).unwrap_err().to_string().contains("[[vector]]"));
    for name in ["", "Acme", "../acme", "a b"] {
        assert!(Profile::parse(name, &example()).unwrap_err().to_string().contains("rename"));
    }
}

const SECRET: &str = "another_test_secret";

/// A scheme that signs the body alone, with this [event] and whatever follows it.
fn reader(event: &str) -> (Profile, Keys) {
    reader_of(event, r#"{"id":"1","type":"t"}"#)
}

/// The same, with a body of its own in its vectors.
fn reader_of(event: &str, body: &str) -> (Profile, Keys) {
    let signature = sign_body(body.as_bytes());
    let source = format!(
        r#"
title = "Reader"
version = 1
docs = []
reviewed = "2026-11-22"
[scheme]
covers = "full"
[scheme.alt]
algo = "hmac-sha256"
key = {{ decode = "utf8" }}
sig = {{ from = "header:x-sig", enc = "hex" }}
message = ["{{body}}"]
{event}
[[vector]]
name = "good"
secret = "{SECRET}"
now = 0
headers = {{ x-sig = "{signature}" }}
body = '{body}'
[[vector]]
name = "bad"
like = "good"
without = ["x-sig"]
expect = "missing_header"
"#
    );
    let profile = Profile::parse("reader", &source).unwrap_or_else(|error| panic!("{error}"));
    let keys = profile.keys(&[Secret::new(SECRET.to_owned())]).unwrap();
    (profile, keys)
}

fn sign_body(body: &[u8]) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body))
}

fn read_body(event: &str, body: &[u8]) -> Result<Vec<Fields>, Unreadable> {
    let (profile, keys) = reader(event);
    let signature = sign_body(body);
    let headers: &[(&str, &[u8])] = &[("X-Sig", signature.as_bytes())];
    let request = Request { method: "POST", url: "/", headers, body };
    let verified = verify(&profile, &keys, &request, 0, Freshness::Profile).unwrap();
    read(&profile, &verified, None)
}

const EVENT: &str = r#"
[event]
id = ["json:/id", "json:/uuid"]
type = "json:/type"
order = "json:/order|json:/data/order"
amount = "json:/amount"
amount_unit = "major"
live = "json:/live"
status = "json:/status"
need = { "payment.*" = ["amount"] }
patterns = { order = "[a-z0-9-]+" }
[status]
ok = "paid"
"#;

#[test]
fn every_reason_to_quarantine_is_told_apart() {
    let long = format!(r#"{{"id":"{}","type":"t"}}"#, "i".repeat(1 << 20));
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    let many = format!(r#"{{"id":"1","type":"t","x":[{}0]}}"#, "0,".repeat(300_000));
    let cases: &[(&[u8], Unreadable)] = &[
        (b"", Unreadable::NotJson),
        (b"id=1&type=t", Unreadable::NotJson),
        (b"{\"id\":\"\xff\"}", Unreadable::NotUtf8),
        (b"{\"id\":\"\\ud800\"}", Unreadable::NotUtf8),
        (b"{\"id\":\"\0\"}", Unreadable::NulByte),
        (br#"{"id":"\u0000"}"#, Unreadable::NulByte),
        (br#"{"id":"1","type":"t","id":"2"}"#, Unreadable::DuplicateKey),
        (br#"{"id":"1","type":"t","x":{"a":1,"\u0061":2}}"#, Unreadable::DuplicateKey),
        (deep.as_bytes(), Unreadable::TooDeep),
        (many.as_bytes(), Unreadable::TooManyItems),
        (b"[]", Unreadable::UnknownShape),
        (br#"[{"id":"1","type":"t"}]"#, Unreadable::UnknownShape),
        (b"null", Unreadable::UnknownShape),
        (b"\"text\"", Unreadable::UnknownShape),
        (b"{}", Unreadable::MissingField),
        (br#"{"id":null,"type":"t"}"#, Unreadable::MissingField),
        (br#"{"id":"","type":"t"}"#, Unreadable::MissingField),
        (br#"{"id":"1","type":"payment.paid"}"#, Unreadable::MissingField),
        (br#"{"id":{},"type":"t"}"#, Unreadable::WrongType),
        (br#"{"id":true,"type":"t"}"#, Unreadable::WrongType),
        (br#"{"id":"1","type":["t"]}"#, Unreadable::WrongType),
        (br#"{"id":"1","uuid":"2","type":"t"}"#, Unreadable::ConflictingFields),
        (br#"{"id":"1","type":"t","amount":NaN}"#, Unreadable::BadNumber),
        (br#"{"id":"1","type":"t","amount":-Infinity}"#, Unreadable::BadNumber),
        (br#"{"id":"1","type":"t","amount":1e400}"#, Unreadable::BadNumber),
        (br#"{"id":"1","type":"t","amount":"1,500.00"}"#, Unreadable::BadNumber),
        (br#"{"id":"1","type":"t","amount":"NaN"}"#, Unreadable::BadNumber),
        (br#"{"id":"1","type":"t","amount":1e3}"#, Unreadable::BadNumber),
        (long.as_bytes(), Unreadable::TooLong),
        (br#"{"id":"1","type":"t","order":"A B"}"#, Unreadable::BadField),
        (br#"{"id":"1","type":"t","live":"perhaps"}"#, Unreadable::BadField),
    ];
    for (body, expected) in cases {
        let shown = String::from_utf8_lossy(body.get(..80).unwrap_or(body)).into_owned();
        assert_eq!(read_body(EVENT, body), Err(*expected), "{shown}");
    }
    for reason in Unreadable::ALL {
        assert!(cases.iter().any(|(_, other)| other == reason), "{reason} has no case");
    }
}

#[test]
fn fields_are_read_as_they_stand() {
    let body = br#"{"id":7,"uuid":"7","type":"t","data":{"order":"o-1"},"amount":10.500,"live":false,"status":"ok"}"#;
    let events = read_body(EVENT, body).unwrap();
    let [event] = events.as_slice() else { panic!("one event") };
    assert_eq!(event.id.as_deref(), Some("7"));
    assert_eq!(event.order.as_deref(), Some("o-1"));
    assert_eq!(event.amount.as_deref(), Some("10.500"));
    assert_eq!(event.amount_unit.as_deref(), Some("major"));
    assert_eq!((event.live, event.status.as_deref()), (Some(false), Some("paid")));
    assert_eq!(event.range, 0..body.len());
}

#[test]
fn the_projection_ignores_what_is_not_significant() {
    let project = |body: &str| {
        let event = read_body(EVENT, body.as_bytes()).unwrap().remove(0);
        (event.dedup_key, event.projection)
    };
    let first = project(r#"{"id":"1","type":"t","amount":"1","attempt":1}"#);
    assert_eq!(project(r#"{"attempt":2, "id":"1","type":"t","amount":"1"}"#), first);
    let other = project(r#"{"id":"1","type":"t","amount":"2","attempt":1}"#);
    assert_eq!(other.0, first.0);
    assert_ne!(other.1, first.1);
}

#[test]
fn a_batch_under_one_signature_is_read_item_by_item() {
    let event = r#"
[event]
each = "/events/*"
id = "json:/id"
type = "json:/type"
payee = "root:/merchant"
"#;
    let good = br#"{"merchant":"m","events":[{"id":"1","type":"a"}, {"id":"2","type":"b"}]}"#;
    let (profile, keys) = reader_of(event, std::str::from_utf8(good).unwrap());
    let read = |body: &[u8]| {
        let signature = sign_body(body);
        let headers: &[(&str, &[u8])] = &[("x-sig", signature.as_bytes())];
        let request = Request { method: "POST", url: "/", headers, body };
        read(&profile, &verify(&profile, &keys, &request, 0, Freshness::Profile).unwrap(), None)
    };
    let events = read(good).unwrap();
    let ranges: Vec<_> = events.iter().map(|event| event.range.clone()).collect();
    assert_eq!(ranges, [26..47, 49..70]);
    assert!(events.iter().all(|event| event.payee.as_deref() == Some("m")));
    assert_eq!(read(br#"{"events":[]}"#), Err(Unreadable::MissingField));
    assert_eq!(read(br#"{"events":{}}"#), Err(Unreadable::WrongType));
    assert_eq!(read(br#"{"events":[1]}"#), Err(Unreadable::WrongType));
    assert_eq!(read(br#"{}"#), Err(Unreadable::MissingField));
    let item = r#"{"id":"1","type":"a"},"#;
    let many = format!("{{\"events\":[{}{}]}}", item.repeat(1000), item.trim_end_matches(','));
    assert_eq!(read(many.as_bytes()), Err(Unreadable::TooManyItems));
}

#[test]
fn receipts_and_calls_are_verified_beside_webhooks() {
    let (name, source) = embedded().iter().find(|(name, _)| *name == "x402tele").unwrap();
    let profile = Profile::parse(name, source).unwrap();
    assert_eq!(profile.receipt_forms().collect::<Vec<_>>(), ["strong", "weak"]);
    assert!(profile.outgoing().is_none());
    for form in ["weak", "strong"] {
        let section = profile.receipt(form).unwrap();
        assert_eq!(section.weak().is_some(), form == "weak");
        let secret = Secret::new(SECRET.to_owned());
        let body: &[u8] = br#"{"tx_ref":"x","amount":0.05}"#;
        let draft = Draft { method: "POST", url: "/", headers: &[], body, now_ms: 0, id: "" };
        let signed = section.sign(&secret, draft).unwrap();
        assert!(signed.headers.is_empty());
        let keys = section.keys(&[secret]).unwrap();
        let check = |body: &[u8]| {
            let request = Request { method: "POST", url: "/", headers: &[], body };
            section.verify(&keys, &request, 0, Freshness::Profile).map(|_| ())
        };
        assert_eq!(check(&signed.body), Ok(()));
        let changed = String::from_utf8(signed.body.clone()).unwrap().replace("0.05", "0.06");
        assert_eq!(check(changed.as_bytes()), Err(Rejection::NoMatchingKey));
    }
}

#[test]
fn facts_say_what_providers_show_prints() {
    for (name, source) in embedded() {
        let facts = Profile::parse(name, source).unwrap().facts();
        for key in
            ["title", "docs", "covers", "alternatives", "events", "dedup", "secret", "vectors"]
        {
            assert!(!facts.get(key).unwrap().is_null(), "{name} {key}");
        }
    }
}
