//! Questions, answers, and profiles that ask where they should not.

use super::*;
use crate::profile::Profile;

const PROFILE: &str = r#"
title = "Made up"
version = 1
docs = ["https://provider.example/docs"]
reviewed = "2026-11-26"

[scheme]
covers = "none"

[scheme.alt]
algo = "equals"
key = { decode = "utf8" }
sig = { from = "header:x-secret", enc = "text" }

[event]
id = "json:/id"
type = "json:/type"
need = { "*" = ["id"] }

[confirm]
live = "https://api.provider.example"
test = "https://sandbox.provider.example"
path = "/v1/payments/{payment}/state"
auth = "bearer"
types = ["payment.made"]
payment = "/data/payment"
pattern = "[0-9A-Za-z._ -]{1,32}"
amount_unit = "major"

[confirm.answer]
payment = "/id"
status = "/state"
amount = "/amount/value"
currency = "/amount/currency"
order = ["/order", "/invoice"]
payee = "/payee"

[confirm.status]
DONE = "paid"
BACK = "refunded"

[[vector]]
name = 'ok'
secret = 'a-secret-that-is-long-enough-0123456789'
now = 1700000000
headers = { X-Secret = 'a-secret-that-is-long-enough-0123456789' }
body = '{"id":"e","type":"payment.made"}'

[[vector]]
name = 'another secret'
like = 'ok'
expect = "no_matching_key"
headers = { X-Secret = 'b-secret-that-is-long-enough-0123456789' }
"#;

fn parsed(text: &str) -> Result<Profile, String> {
    Profile::parse("made-up", text).map_err(|error| error.message().to_owned())
}

fn check<T>(test: impl FnOnce(&Connector) -> T) -> T {
    let profile = parsed(PROFILE).expect("the profile parses");
    test(profile.connector().expect("it asks"))
}

fn question(payment: &str) -> Option<Question> {
    let event = format!(r#"{{"id":"e","type":"payment.made","data":{{"payment":{payment}}}}}"#);
    check(|connector| connector.question(event.as_bytes()))
}

fn read(answer: &str) -> Result<Confirmation, AnswerFault> {
    let asked = question(r#""p-1""#).expect("a question");
    check(|connector| connector.read(answer.as_bytes(), &asked))
}

const ANSWER: &str = r#"{"id":"p-1","state":"DONE","amount":{"value":"20.00","currency":"EUR"},"invoice":"o-1","payee":"us"}"#;

#[test]
fn an_id_goes_into_the_path_and_nowhere_else() {
    let path = |payment: &str| question(payment).map(|question| question.path);
    assert_eq!(path(r#""p-1""#).as_deref(), Some("/v1/payments/p-1/state"));
    assert_eq!(path(r#""a b""#).as_deref(), Some("/v1/payments/a%20b/state"));
    for refused in [
        r#""../admin""#,
        r#""..""#,
        r#"".""#,
        r#""p/1""#,
        r#""p?x=1""#,
        r#""p%2f""#,
        r#""p#""#,
        r#""""#,
        "7",
        "null",
        "{}",
        r#""p\u0000""#,
        r#""p\r\nx""#,
        r#""ppppppppppppppppppppppppppppppppp""#,
    ] {
        assert_eq!(path(refused), None, "{refused}");
    }
    assert_eq!(check(|connector| connector.question(b"nonsense")), None);
    assert!(check(|connector| connector.asks_about("payment.made")));
    assert!(!check(|connector| connector.asks_about("payment")));
    assert_eq!(check(|connector| connector.base(true).to_owned()), "https://api.provider.example");
    assert_eq!(check(|c| c.base(false).to_owned()), "https://sandbox.provider.example");
}

#[test]
fn an_answer_says_everything_itself() {
    let said = read(ANSWER).expect("an answer");
    assert_eq!(
        said,
        Confirmation {
            payment: "p-1".to_owned(),
            status: "paid".to_owned(),
            amount: "20.00".to_owned(),
            amount_unit: "major".to_owned(),
            currency: "EUR".to_owned(),
            order: Some("o-1".to_owned()),
            payee: Some("us".to_owned()),
        }
    );
    let both = ANSWER.replace(r#""invoice""#, r#""order":"o-0","invoice""#);
    assert_eq!(read(&both).expect("an answer").order.as_deref(), Some("o-0"));
}

#[test]
fn what_says_less_says_nothing() {
    use AnswerFault::{Incomplete, NotJson, OtherPayment, UnknownStatus};
    let long = format!(r#""value":"{}""#, "9".repeat(65));
    for (from, to, fault) in [
        ("p-1", "p-2", OtherPayment),
        (r#""id":"p-1","#, "", Incomplete),
        ("DONE", "SOMETHING", UnknownStatus),
        (r#""DONE""#, "null", Incomplete),
        (r#""value":"20.00","#, "", Incomplete),
        (r#""value":"20.00""#, &long, Incomplete),
        (r#""currency":"EUR""#, r#""currency":{}"#, Incomplete),
        (r#""o-1""#, "[]", Incomplete),
        (r#""state""#, r#""state":"BACK","state""#, NotJson),
        ("{", "<", NotJson),
    ] {
        assert_eq!(read(&ANSWER.replacen(from, to, 1)), Err(fault), "{from} → {to}");
    }
    assert_eq!(read(""), Err(NotJson));
    assert_eq!(read("[]"), Err(Incomplete));
}

#[test]
fn a_profile_asks_its_own_hosts_and_says_everything_it_needs() {
    for (from, to) in [
        ("https://api.provider.example", "http://api.provider.example"),
        ("https://api.provider.example", "https://api.provider.example/v1"),
        ("https://api.provider.example", "https://api.provider.example:8443"),
        ("https://api.provider.example", "https://user@api.provider.example"),
        ("https://api.provider.example", "https://127.0.0.1"),
        ("https://api.provider.example", "https://localhost"),
        ("https://api.provider.example", "https://{payment}.example"),
        ("https://api.provider.example", "https://API.provider.example"),
        ("/v1/payments/{payment}/state", "/v1/payments/state"),
        ("/v1/payments/{payment}/state", "v1/{payment}"),
        ("/v1/payments/{payment}/state", "/v1/{payment}/{payment}"),
        ("/v1/payments/{payment}/state", "//other.example/{payment}"),
        ("/v1/payments/{payment}/state", "/v1/../{payment}"),
        ("/v1/payments/{payment}/state", "/v1/{order}/{payment}"),
        ("/v1/payments/{payment}/state", "/v1/{payment}?x=1"),
        (r#"auth = "bearer""#, r#"auth = "digest""#),
        (r#"types = ["payment.made"]"#, "types = []"),
        (r#"payment = "/data/payment""#, r#"payment = "data""#),
        (r#"pattern = "[0-9A-Za-z._ -]{1,32}""#, r#"pattern = "[""#),
        (r#"amount_unit = "major""#, r#"amount_unit = "cents""#),
        (r#"DONE = "paid""#, r#"DONE = "done""#),
        (r#"DONE = "paid""#, ""),
        (r#"status = "/state""#, ""),
        (r#"payee = "/payee""#, r#"payer = "/payee""#),
        (r#"auth = "bearer""#, "auth = \"bearer\"\nmethod = \"POST\""),
        (r#"test = "https://sandbox.provider.example""#, ""),
    ] {
        assert!(PROFILE.contains(from), "{from}");
        let text = PROFILE.replacen(from, to, 1).replace("BACK = \"refunded\"\n", "");
        assert!(parsed(&text).is_err(), "{from} → {to}");
    }
    assert!(parsed(PROFILE).expect("it parses").connector().is_some());
}
