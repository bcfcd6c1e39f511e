//! Every reason beside the good case: each rejection, and each reason to quarantine what is
//! authentic. `docs/reasons.md` names these tests.

use schemes::{Draft, Fields, Freshness, Profile, Rejection, Request, Secret, Unreadable};

const NOW_S: i64 = 1_700_000_000;
const SECRET: &str = "whsec_test_made_up_secret";
const GOOD: &str = r#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded","livemode":false,"data":{"object":{"id":"pi_1","amount":1999,"currency":"usd","status":"succeeded","metadata":{"order_id":"o-1"}}}}"#;

fn profile(name: &str) -> Profile {
    let (_, text) =
        schemes::embedded().iter().find(|(found, _)| *found == name).expect("it is embedded");
    Profile::parse(name, text).expect("it loads")
}

fn verdict(
    name: &str,
    secret: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(), Rejection> {
    let profile = profile(name);
    let keys = profile.keys(&[Secret::new(secret.to_owned())]).expect("a good secret");
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request { method: "POST", url: "/", headers: &headers, body: body.as_bytes() };
    schemes::verify(&profile, &keys, &request, NOW_S * 1000, Freshness::Profile).map(|_| ())
}

/// Signs a body in the provider's name.
fn signed(name: &str, secret: &str, body: &[u8], now_s: i64) -> Vec<(String, String)> {
    let draft = Draft {
        method: "POST",
        url: "/",
        headers: &[],
        body,
        now_ms: now_s * 1000,
        id: "msg_test_1",
    };
    let secret = Secret::new(secret.to_owned());
    schemes::sign(&profile(name), &secret, draft).expect("it can be signed").headers
}

fn stripe_header(now_s: i64) -> String {
    let headers = signed("stripe", SECRET, GOOD.as_bytes(), now_s);
    headers.into_iter().next().expect("one header").1
}

fn stripe(header: &str) -> Result<(), Rejection> {
    verdict("stripe", SECRET, &[("Stripe-Signature", header)], GOOD)
}

/// What is read of a body that the provider signed.
fn read(name: &str, secret: &str, body: &[u8]) -> Result<Vec<Fields>, Unreadable> {
    let profile = profile(name);
    let keys = profile.keys(&[Secret::new(secret.to_owned())]).expect("a good secret");
    let headers = signed(name, secret, body, NOW_S);
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: "POST", url: "/", headers: &headers, body };
    let verified = schemes::verify(&profile, &keys, &request, NOW_S * 1000, Freshness::Profile)
        .expect("it is authentic");
    schemes::read(&profile, &verified, profile.amount_units().first().map(String::as_str))
}

/// The good body with one text in the place of another is authentic and unreadable.
fn unreadable(from: &str, to: &str, reason: Unreadable) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    let body = GOOD.replace(from, to);
    assert_eq!(read("stripe", SECRET, body.as_bytes()).err(), Some(reason), "{to:.80}");
}

#[test]
fn the_good_case() {
    assert_eq!(stripe(&stripe_header(NOW_S)), Ok(()));
    let events = read("stripe", SECRET, GOOD.as_bytes()).expect("it is readable");
    assert_eq!(events.first().and_then(|event| event.id.as_deref()), Some("evt_1"));
}

#[test]
fn missing_header() {
    assert_eq!(verdict("stripe", SECRET, &[], GOOD), Err(Rejection::MissingHeader));
}

#[test]
fn repeated_header() {
    let header = stripe_header(NOW_S);
    let twice = [("Stripe-Signature", header.as_str()), ("stripe-signature", &header)];
    assert_eq!(verdict("stripe", SECRET, &twice, GOOD), Err(Rejection::RepeatedHeader));
}

#[test]
fn missing_field() {
    assert_eq!(stripe(&format!("t={NOW_S}")), Err(Rejection::MissingField));
}

#[test]
fn repeated_field() {
    let header = stripe_header(NOW_S);
    assert_eq!(stripe(&format!("t={NOW_S},{header}")), Err(Rejection::RepeatedField));
}

#[test]
fn malformed_signature() {
    let header = stripe_header(NOW_S);
    let (time, signature) = header.split_once(",v1=").expect("a signature");
    let short = signature.get(..63).expect("64 digits");
    let upper = signature.to_uppercase();
    for wrong in ["", "zz", short, &upper, &format!("{signature}zz"), &format!("{signature}00")] {
        let header = format!("{time},v1={wrong}");
        assert_eq!(stripe(&header), Err(Rejection::MalformedSignature), "{wrong}");
    }
}

#[test]
fn every_byte_of_a_signature_counts() {
    let header = stripe_header(NOW_S);
    let first = header.len() - 64;
    for at in first..header.len() {
        let digit = if header.as_bytes()[at] == b'0' { "1" } else { "0" };
        let mut changed = header.clone();
        changed.replace_range(at..=at, digit);
        assert_eq!(stripe(&changed), Err(Rejection::NoMatchingKey), "digit {}", at - first);
    }
}

#[test]
fn amounts_are_kept_as_written() {
    // No double holds this one.
    for amount in ["9007199254740993", "10.50"] {
        let body = GOOD.replace("1999", amount);
        let events = read("stripe", SECRET, body.as_bytes()).expect("it is readable");
        assert_eq!(events[0].amount.as_deref(), Some(amount));
    }
}

#[test]
fn too_many_signatures() {
    let header = stripe_header(NOW_S);
    let wrong = format!(",v1={}", "0".repeat(64));
    assert_eq!(stripe(&format!("{header}{}", wrong.repeat(2))), Ok(()));
    let many = format!("{header}{}", wrong.repeat(20));
    assert_eq!(stripe(&many), Err(Rejection::TooManySignatures));
}

#[test]
fn malformed_timestamp() {
    let header = stripe_header(NOW_S);
    let (_, signature) = header.split_once(',').expect("two parts");
    for wrong in ["", "now", "+1700000000", "1700000000.0", "0x6553f100"] {
        let header = format!("t={wrong},{signature}");
        assert_eq!(stripe(&header), Err(Rejection::MalformedTimestamp), "{wrong}");
    }
}

#[test]
fn wrong_time_unit() {
    let header = stripe_header(NOW_S);
    let (_, signature) = header.split_once(',').expect("two parts");
    assert_eq!(stripe(&format!("t={NOW_S}000,{signature}")), Err(Rejection::WrongTimeUnit));
}

#[test]
fn too_old() {
    assert_eq!(stripe(&stripe_header(NOW_S - 300)), Ok(()));
    assert_eq!(stripe(&stripe_header(NOW_S - 301)), Err(Rejection::TooOld));
}

#[test]
fn in_future() {
    assert_eq!(stripe(&stripe_header(NOW_S + 300)), Ok(()));
    assert_eq!(stripe(&stripe_header(NOW_S + 301)), Err(Rejection::InFuture));
}

#[test]
fn malformed_body() {
    let secret = "a0".repeat(32);
    for body in ["", "not json", "[1", r#"{"notificationItems":[],"notificationItems":[]}"#] {
        assert_eq!(
            verdict("adyen-item", &secret, &[], body),
            Err(Rejection::MalformedBody),
            "{body}"
        );
    }
}

#[test]
fn field_mismatch() {
    // The colon would let one signature stand for two readings of the fields.
    let secret = "a0".repeat(32);
    let body = r#"{"notificationItems":[{"NotificationRequestItem":{"pspReference":"a:b","amount":{"value":1,"currency":"EUR"},"eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"RT1Mnf1WDZSp9nfRovAJk6QXb1XL54ifOwos3UdC2rc="}}}]}"#;
    assert_eq!(verdict("adyen-item", &secret, &[], body), Err(Rejection::FieldMismatch));
}

#[test]
fn no_matching_key() {
    let header = stripe_header(NOW_S);
    let with = |secret| verdict("stripe", secret, &[("Stripe-Signature", &header)], GOOD);
    assert_eq!(with("whsec_test_another_secret"), Err(Rejection::NoMatchingKey));
    let forged = GOOD.replace("1999", "9999");
    let headers = [("Stripe-Signature", header.as_str())];
    assert_eq!(verdict("stripe", SECRET, &headers, &forged), Err(Rejection::NoMatchingKey));
}

#[test]
fn not_utf8() {
    let body = [GOOD.as_bytes(), b"\xff"].concat();
    assert_eq!(read("stripe", SECRET, &body).err(), Some(Unreadable::NotUtf8));
    unreadable("o-1", r"\ud800", Unreadable::NotUtf8);
}

#[test]
fn nul_byte() {
    unreadable("o-1", "o-\0", Unreadable::NulByte);
    unreadable("o-1", r"o-\u0000", Unreadable::NulByte);
}

#[test]
fn not_json() {
    for body in ["", "null and more", "{'id':1}", "{\"id\":1,}", "id=1"] {
        let reason = read("stripe", SECRET, body.as_bytes()).err();
        assert_eq!(reason, Some(Unreadable::NotJson), "{body}");
    }
}

#[test]
fn duplicate_key() {
    unreadable(r#""id":"evt_1""#, r#""id":"evt_0","id":"evt_1""#, Unreadable::DuplicateKey);
    unreadable(r#""id":"evt_1""#, r#""\u0069d":"evt_0","id":"evt_1""#, Unreadable::DuplicateKey);
}

#[test]
fn too_deep() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    unreadable("1999", &deep, Unreadable::TooDeep);
}

#[test]
fn too_many_items() {
    let many = format!("[0{}]", ",0".repeat(200_000));
    unreadable(r#""order_id":"o-1""#, &format!(r#""x":{many}"#), Unreadable::TooManyItems);
}

#[test]
fn unknown_shape() {
    let secret = "one2pays_test_secret_0123456789abcdef";
    let body = br#"{"something":"else"}"#;
    assert_eq!(read("one2pays", secret, body).err(), Some(Unreadable::UnknownShape));
}

#[test]
fn an_event_misses_a_field() {
    unreadable(r#""id":"evt_1","#, "", Unreadable::MissingField);
    unreadable(r#","currency":"usd""#, "", Unreadable::MissingField);
}

#[test]
fn wrong_type() {
    unreadable("\"evt_1\"", "{}", Unreadable::WrongType);
    unreadable("\"evt_1\"", "true", Unreadable::WrongType);
}

#[test]
fn conflicting_fields() {
    let secret = "koywe_test_made_up_secret";
    let body = |order: &str| {
        format!(
            r#"{{"type":"order.paid","data":{{"status":"PAID","orderId":"{order}"}},"relationships":{{"self":{{"type":"order","id":"ord_1"}}}}}}"#
        )
    };
    let reason = |order| read("koywe", secret, body(order).as_bytes()).err();
    assert_eq!(reason("ord_1"), None);
    assert_eq!(reason("ord_2"), Some(Unreadable::ConflictingFields));
}

#[test]
fn bad_number() {
    for number in ["NaN", "Infinity", "1e400", "-1e400", "1e3", "\"1,500.00\"", "\"0x10\""] {
        unreadable("1999", number, Unreadable::BadNumber);
    }
}

#[test]
fn too_long() {
    unreadable("evt_1", &"x".repeat(700_000), Unreadable::TooLong);
}

#[test]
fn bad_field() {
    unreadable("\"usd\"", "\"dollars\"", Unreadable::BadField);
}
