//! Receipts: both forms, numbers, what is smuggled past the weak form, and what a receipt answers.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use aws_lc_rs::hmac;
use schemes::{
    Covers, Nested, Profile, Receipt, ReceiptFault, ReceiptField, Rejection, Secret, Unreadable,
    embedded,
};

const SECRET: &str = "whsec_x402tele_test";
const LINES: &str = include_str!("vectors/dev.jsonl");

fn profile() -> Profile {
    let (name, source) = embedded().iter().find(|(name, _)| *name == "x402tele").unwrap();
    Profile::parse(name, source).unwrap()
}

fn verify(
    form: Option<&str>,
    secret: &str,
    body: &str,
    nested: Nested,
) -> Result<Receipt, ReceiptFault> {
    let profile = profile();
    let keys = profile.receipt_keys(&[Secret::new(secret.to_owned())]).unwrap();
    profile.verify_receipt(&keys, form, body.as_bytes(), 0, nested)
}

fn weak(body: &str, nested: Nested) -> Result<Receipt, ReceiptFault> {
    verify(Some("weak"), SECRET, body, nested)
}

fn refused(reason: Rejection) -> ReceiptFault {
    ReceiptFault::Unverified(vec![("weak".to_owned(), reason)])
}

/// The members with the signature of a canonical text that was written by hand.
fn signed(members: &str, canonical: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hex::encode(hmac::sign(&key, canonical.as_bytes()));
    format!("{{{members},\"signature\":\"{tag}\"}}")
}

/// The shared vectors of the guide's form and of the strong one.
fn lines() -> impl Iterator<Item = serde_json::Value> {
    LINES.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).filter(
        |line| {
            line.get("scheme")
                .is_some_and(|scheme| scheme == "x402tele_receipt" || scheme == "receipt")
        },
    )
}

fn text<'l>(line: &'l serde_json::Value, pointer: &str) -> &'l str {
    line.pointer(pointer).and_then(serde_json::Value::as_str).unwrap()
}

#[test]
fn both_forms_judge_the_shared_vectors() {
    let mut count = 0;
    for line in lines() {
        let form = if text(&line, "/scheme") == "receipt" { "strong" } else { "weak" };
        let (secret, body) = (text(&line, "/secret/value"), text(&line, "/body"));
        let verdict = verify(Some(form), secret, body, Nested::Refused);
        let id = text(&line, "/id");
        match text(&line, "/expected") {
            // What it says is read strictly: an amount of the strong vector is a text.
            "valid" => assert!(verdict.is_ok(), "{id}: {verdict:?}"),
            "invalid" => assert!(matches!(verdict, Err(ReceiptFault::Unverified(_))), "{id}"),
            _ => {}
        }
        count += 1;
    }
    assert_eq!(count, 22);
}

#[test]
fn without_a_form_the_strongest_that_verifies_is_told() {
    for (line, form) in [("x402tele-receipt-01", "strong"), ("x402tele-receipt-12", "weak")] {
        let line = lines().find(|other| text(other, "/id") == line).unwrap();
        let receipt = verify(None, SECRET, text(&line, "/body"), Nested::Refused).unwrap();
        assert_eq!(receipt.form(), form);
    }
    let good = signed("\"a\":1", "{\"a\":1}");
    let receipt = verify(None, SECRET, &good, Nested::Refused).unwrap();
    assert_eq!((receipt.form(), receipt.covers()), ("strong", Covers::Full));
    let receipt = weak(&good, Nested::Refused).unwrap();
    assert_eq!((receipt.covers(), receipt.has_uncovered()), (Covers::TopLevelOnly, false));
    let wrong = verify(None, "another_test_secret", &good, Nested::Refused).unwrap_err();
    let reason = Rejection::NoMatchingKey;
    let forms = vec![("strong".to_owned(), reason), ("weak".to_owned(), reason)];
    assert_eq!(wrong, ReceiptFault::Unverified(forms));
    let none = verify(Some("other"), SECRET, &good, Nested::Refused).unwrap_err();
    assert_eq!(none, ReceiptFault::Unverified(Vec::new()));
}

/// Two receipts under one signature: in the guide's form, `price` is signed in neither.
#[test]
fn nested_value() {
    let canonical = r#"{"amount":0.05,"chain":"solana","details":{"chain":"solana"}}"#;
    let members = |price: &str| {
        format!(r#""amount":0.05,"chain":"solana","details":{{"price":{price},"chain":"solana"}}"#)
    };
    for price in ["0.05", "9999", "[1,{\"chain\":1}]"] {
        let receipt = signed(&members(price), canonical);
        let allowed = weak(&receipt, Nested::DangerAllowed);
        assert_eq!(weak(&receipt, Nested::Refused), Err(refused(Rejection::NestedValue)));
        assert!(allowed.unwrap().has_uncovered(), "{price}");
    }
    // What the form does cover, it covers at every depth.
    let moved = signed(&members("1"), canonical)
        .replace("{\"price\":1,\"chain\":\"solana\"", "{\"price\":1,\"chain\":\"base\"");
    assert_eq!(weak(&moved, Nested::DangerAllowed), Err(refused(Rejection::NoMatchingKey)));
    for (member, canonical) in [("\"a\":[]", "{\"a\":[]}"), ("\"a\":{}", "{\"a\":{}}")] {
        let empty = signed(member, canonical);
        assert_eq!(weak(&empty, Nested::Refused), Err(refused(Rejection::NestedValue)));
    }
    // The strong form covers everything, and asks nothing.
    let receipt = signed("\"a\":{\"z\":1,\"b\":2}", "{\"a\":{\"z\":1,\"b\":2}}");
    let strong = verify(Some("strong"), SECRET, &receipt, Nested::Refused).unwrap();
    assert_eq!((strong.covers(), strong.has_uncovered()), (Covers::Full, false));
}

/// As Node prints them: `JSON.stringify({n: …}, ["n"])`.
#[test]
fn numbers_are_signed_as_ecmascript_prints_them() {
    for (written, printed) in [
        ("1.0", "1"),
        ("1e21", "1e+21"),
        ("1e-7", "1e-7"),
        ("0.0000001", "1e-7"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("9007199254740992", "9007199254740992"),
        ("100000000000000000000", "100000000000000000000"),
        ("1000000000000000000000", "1e+21"),
        ("1.10", "1.1"),
    ] {
        let receipt = signed(&format!("\"n\":{written}"), &format!("{{\"n\":{printed}}}"));
        assert!(weak(&receipt, Nested::Refused).is_ok(), "{written}");
    }
    // ECMAScript prints another number than these: its signature says nothing of them.
    for (written, printed) in [
        ("9007199254740993", "9007199254740992"),
        ("12345678901234567890", "12345678901234567000"),
        ("0.1000000000000000055511151231257827", "0.1"),
    ] {
        let receipt = signed(&format!("\"n\":{written}"), &format!("{{\"n\":{printed}}}"));
        assert_eq!(weak(&receipt, Nested::Refused), Err(refused(Rejection::MalformedBody)));
        let exact = signed(&format!("\"n\":{written}"), &format!("{{\"n\":{written}}}"));
        assert!(verify(Some("strong"), SECRET, &exact, Nested::Refused).is_ok(), "{written}");
    }
    for written in ["1e400", "NaN", "01", "1."] {
        let receipt = signed(&format!("\"n\":{written}"), &format!("{{\"n\":{written}}}"));
        assert_eq!(weak(&receipt, Nested::Refused), Err(refused(Rejection::MalformedBody)));
    }
}

#[test]
fn what_is_not_exactly_what_was_signed_is_refused() {
    let canonical = r#"{"amount":0.05,"currency":"USDC"}"#;
    let good = signed(r#""amount":0.05,"currency":"USDC""#, canonical);
    assert!(weak(&good, Nested::Refused).is_ok());
    let reason = |body: &str| match weak(body, Nested::Refused) {
        Err(ReceiptFault::Unverified(forms)) => forms.last().unwrap().1,
        other => panic!("{other:?}"),
    };
    for (case, body, expected) in [
        ("tampered", good.replace("0.05", "0.5"), Rejection::NoMatchingKey),
        ("added", good.replace("{\"amount\"", "{\"b\":1,\"amount\""), Rejection::NoMatchingKey),
        ("removed", good.replace("\"amount\":0.05,", ""), Rejection::NoMatchingKey),
        (
            "twice",
            good.replace("{\"amount\"", "{\"amount\":9,\"amount\""),
            Rejection::MalformedBody,
        ),
        (
            "twice, escaped",
            good.replace("{\"amount\"", "{\"\\u0061mount\":9,\"amount\""),
            Rejection::MalformedBody,
        ),
        (
            "two signatures",
            good.replace("{\"amount\"", "{\"signature\":\"\",\"amount\""),
            Rejection::MalformedBody,
        ),
        ("no signature", canonical.to_owned(), Rejection::MissingField),
        ("upper case", good.to_uppercase(), Rejection::MissingField),
        (
            "half a signature",
            format!("{}\"}}", good.get(..good.len() - 34).unwrap()),
            Rejection::MalformedSignature,
        ),
        ("list", "[]".to_owned(), Rejection::MissingField),
        ("nothing", String::new(), Rejection::MalformedBody),
        (
            "a name of another alphabet",
            good.replace("\"currency\"", "\"Currency\""),
            Rejection::MalformedBody,
        ),
        ("half a surrogate pair", good.replace("USDC", "\\ud800"), Rejection::MalformedBody),
        (
            "deep",
            format!("{{\"a\":{}{},\"signature\":\"\"}}", "[".repeat(70), "]".repeat(70)),
            Rejection::MalformedBody,
        ),
    ] {
        assert_eq!(reason(&body), expected, "{case}");
    }
    for end in 0..good.len() {
        assert_eq!(reason(good.get(..end).unwrap()), Rejection::MalformedBody, "cut at {end}");
    }
    let wrong = verify(Some("weak"), "another_test_secret", &good, Nested::Refused);
    assert_eq!(wrong, Err(refused(Rejection::NoMatchingKey)));
    for empty in ["", " ", "\n"] {
        let error = profile().receipt_keys(&[Secret::new(empty.to_owned())]).err().unwrap();
        assert_eq!(error.code(), "empty_secret");
    }
    assert_eq!(profile().receipt_keys(&[]).err().unwrap().code(), "no_secret");
}

#[test]
fn a_signed_receipt_that_says_nonsense_is_unreadable() {
    for (value, reason) in [
        ("1e2", Unreadable::BadNumber),
        ("\"five\"", Unreadable::BadNumber),
        ("true", Unreadable::WrongType),
    ] {
        let printed = if value == "1e2" { "100" } else { value };
        let receipt = signed(&format!("\"amount\":{value}"), &format!("{{\"amount\":{printed}}}"));
        assert_eq!(weak(&receipt, Nested::Refused), Err(ReceiptFault::Unreadable(reason)));
    }
    let long = "x".repeat(513);
    let receipt =
        signed(&format!("\"command\":\"{long}\""), &format!("{{\"command\":\"{long}\"}}"));
    assert_eq!(weak(&receipt, Nested::Refused), Err(ReceiptFault::Unreadable(Unreadable::TooLong)));
}

#[test]
fn every_difference_from_what_was_asked_for_is_listed() {
    let line = lines().find(|line| text(line, "/id") == "x402tele-receipt-01").unwrap();
    let receipt = verify(None, SECRET, text(&line, "/body"), Nested::Refused).unwrap();
    let asked = [
        (ReceiptField::Command, "analyze"),
        (ReceiptField::Amount, "0.050"),
        (ReceiptField::Currency, "USDC"),
        (ReceiptField::Chain, "solana"),
        (ReceiptField::User, "tg:123"),
        (ReceiptField::IdempotencyKey, "abc-123"),
    ];
    assert_eq!(receipt.differences(&asked), []);
    let other = ["search", "0.5", "usdc", "base", "tg:124", "abc-124"];
    let differences: Vec<_> =
        asked.iter().zip(other).map(|((field, _), text)| (*field, text)).collect();
    let differences = receipt.differences(&differences);
    let shown: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "command is analyze, not search",
            "amount is 0.05, not 0.5",
            "currency is USDC, not usdc",
            "chain is solana, not base",
            "user is tg:123, not tg:124",
            "idempotency_key is abc-123, not abc-124",
        ]
    );
    // What a receipt does not say, it does not confirm.
    let silent = verify(None, SECRET, &signed("\"amount\":5", "{\"amount\":5}"), Nested::Refused);
    let silent = silent.unwrap();
    assert_eq!(silent.differences(&asked).len(), 6);
    assert_eq!(silent.differences(&[(ReceiptField::Amount, "not a number")]).len(), 1);
    assert_eq!(silent.differences(&[]), []);
}

#[test]
fn a_profile_cannot_claim_more_of_its_receipts_than_is_signed() {
    let (_, source) = embedded().iter().find(|(name, _)| *name == "x402tele").unwrap();
    for (from, to, part) in [
        ("covers = \"top_level_only\"", "covers = \"full\"", "json_listed leaves out"),
        (
            "[receipt.strong]\ncovers = \"full\"",
            "[receipt.strong]\ncovers = \"top_level_only\"",
            "json_listed",
        ),
        ("[scheme]\ncovers = \"full\"", "[scheme]\ncovers = \"top_level_only\"", "json_listed"),
        (
            "[receipt.weak]",
            "[outgoing]\ncovers = \"top_level_only\"\n[outgoing.alt]\nalgo = \"hmac-sha256\"\n\
             key = { decode = \"utf8\" }\nsig = { from = \"header:x\", enc = \"hex\" }\n\
             message = [\"{body|json_listed}\"]\n[receipt.weak]",
            "only [receipt.NAME]",
        ),
        ("[scheme]\ncovers = \"full\"", "[scheme]\nat = \"/x\"\ncovers = \"full\"", "belong into"),
        (
            "[scheme]\ncovers = \"full\"",
            "[scheme]\nfields = { amount = \"/a\" }\ncovers = \"full\"",
            "belong into",
        ),
        ("command = \"/command\"", "comand = \"/command\"", "no field of a receipt"),
        ("command = \"/command\"", "command = \"/details/command\"", "not signed"),
        ("command = \"/command\"", "command = \"command\"", "no JSON pointer"),
    ] {
        assert!(source.contains(from), "{from}");
        let error = Profile::parse("x402tele", &source.replacen(from, to, 1)).err();
        let error = error.unwrap_or_else(|| panic!("{to} loads"));
        assert!(error.to_string().contains(part) && error.line().is_some(), "{to}: {error}");
    }
}
