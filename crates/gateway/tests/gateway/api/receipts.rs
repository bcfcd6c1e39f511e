//! Receipts: which are good, for which request, and why the others are not.

use model::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::gateway::receipts::{RECEIPT, RECEIPT_SECRET, WEBHOOK_SECRET, signed, smuggled};

const VERIFY: &str = "/v1/receipts/verify";

/// How far a receipt may be from now, either way.
const WINDOW_MS: i64 = model::limits::RECEIPT_WINDOW_MS;

/// A receipt that is not signed yet, written at a time.
fn receipt(transaction: &str, request: &str, at_ms: i64) -> String {
    let at = Timestamp::from_millis(at_ms).to_string();
    let changed = RECEIPT.replace("5KJp8", transaction).replace("abc-123", request);
    changed.replace("2026-01-01T00:00:00Z", &at)
}

impl Shop {
    /// What is asked about a good receipt of this request, written now.
    pub(crate) fn receipt_of(&self, request: &str) -> String {
        let receipt = receipt(&format!("tx-{request}"), request, self.gateway.now_ms());
        let receipt = signed("strong", RECEIPT_SECRET, &receipt);
        json!({ "source": "bot", "receipt": receipt }).to_string()
    }

    /// Asks about a receipt; gives what came back.
    async fn try_verify(&self, key: &str, body: &Value) -> Reply {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let once = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        self.ask(&post(VERIFY, key, &once).saying(&body.to_string())).await
    }

    /// The verdict about a receipt at `bot`, for a request.
    async fn verify(&self, receipt: &str, request: Value) -> Value {
        let key = self.full_key().await;
        let body = json!({ "source": "bot", "receipt": receipt, "request": request });
        let reply = self.try_verify(&key, &body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        json(&reply)
    }
}

fn is_good(verdict: &Value) {
    let said = (&verdict["verified"], &verdict["reason"], &verdict["differences"]);
    assert_eq!(said, (&json!(true), &Value::Null, &json!([])), "{verdict}");
}

/// Sees that a signed receipt is not good, and why.
fn is_no_answer(verdict: &Value, reason: &str) {
    assert_eq!((&verdict["verified"], &verdict["reason"]), (&json!(false), &json!(reason)));
    assert!(verdict["receipt"].is_object(), "it is signed: {verdict}");
}

#[tokio::test]
async fn a_good_receipt_is_verified_in_either_form_as_often_as_it_is_shown() {
    let shop = Shop::open().await;
    let plain = |transaction: &str| receipt(transaction, "abc-123", shop.gateway.now_ms());
    // Both forms sign the same of a plain receipt. Only the provider's own one takes a number that is
    // written otherwise for the same, and only the other one signs what stands inside of a value.
    let spelled = signed("weak", RECEIPT_SECRET, &plain("w")).replace("0.05", "0.050");
    let nested = plain("n").replace("\"ts\"", "\"details\":{\"price\":0.05},\"ts\"");
    for (text, form, covers) in [
        (signed("strong", RECEIPT_SECRET, &plain("s")), "strong", "full"),
        (signed("strong", RECEIPT_SECRET, &nested), "strong", "full"),
        (spelled, "weak", "top_level_only"),
    ] {
        let all = json!({ "command": "analyze", "amount": "0.05", "currency": "USDC",
            "chain": "solana", "user": "tg:123", "idempotency_key": "abc-123" });
        for request in [Value::Null, all, json!({ "amount": "0.0500" })] {
            let verdict = shop.verify(&text, request).await;
            is_good(&verdict);
            assert_eq!((&verdict["form"], &verdict["covers"]), (&json!(form), &json!(covers)));
            assert_eq!(verdict["forms"], json!([]));
        }
    }
    assert_eq!(
        shop.verify(&signed("strong", RECEIPT_SECRET, &plain("s")), Value::Null).await["receipt"],
        json!({ "command": "analyze", "amount": "0.05", "currency": "USDC",
            "chain": "solana", "user": "tg:123", "idempotency_key": "abc-123",
            "transaction": "s", "issued_at": "2026-01-01T00:00:00.000Z" })
    );
}

#[tokio::test]
async fn receipt_differs_is_told_member_by_member() {
    let shop = Shop::open().await;
    let text = receipt("5KJp8", "abc-123", shop.gateway.now_ms());
    let text = signed("strong", RECEIPT_SECRET, &text);
    let differs = |field: &str, expected: &str, found: &str| json!({ "field": field, "expected": expected, "found": found });
    for (request, expected) in [
        // The unit is that of the provider: what is meant as cents is another amount.
        (json!({ "amount": "5" }), vec![differs("amount", "5", "0.05")]),
        (json!({ "amount": "0.051" }), vec![differs("amount", "0.051", "0.05")]),
        (json!({ "amount": "0,05" }), vec![differs("amount", "0,05", "0.05")]),
        (json!({ "currency": "usdc" }), vec![differs("currency", "usdc", "USDC")]),
        (
            json!({ "command": "search", "amount": "0.05", "chain": "base", "user": "tg:12",
                "currency": "USD", "idempotency_key": "abc-124" }),
            vec![
                differs("command", "search", "analyze"),
                differs("currency", "USD", "USDC"),
                differs("chain", "base", "solana"),
                differs("user", "tg:12", "tg:123"),
                differs("idempotency_key", "abc-124", "abc-123"),
            ],
        ),
    ] {
        let verdict = shop.verify(&text, request).await;
        is_no_answer(&verdict, "receipt_differs");
        assert_eq!(verdict["differences"], json!(expected));
    }
    let short = RECEIPT.replace(r#""command":"analyze","#, "");
    let short = signed("strong", RECEIPT_SECRET, &short);
    let verdict = shop.verify(&short, json!({ "command": "analyze" })).await;
    is_no_answer(&verdict, "receipt_differs");
    assert_eq!(verdict["differences"][0]["found"], Value::Null);
    // None of it has taken the transaction.
    is_good(&shop.verify(&text, json!({ "idempotency_key": "abc-123" })).await);
}

#[tokio::test]
async fn receipt_stale_is_what_was_written_too_far_from_now() {
    let shop = Shop::open().await;
    let now = shop.gateway.now_ms();
    let verdict = async |shop: &Shop, apart: i64| {
        let text = receipt(&format!("at {apart}"), "abc-123", now + apart);
        shop.verify(&signed("strong", RECEIPT_SECRET, &text), Value::Null).await
    };
    for apart in [-WINDOW_MS, 0, WINDOW_MS] {
        is_good(&verdict(&shop, apart).await);
    }
    for apart in [-WINDOW_MS - 1, WINDOW_MS + 1, -100 * WINDOW_MS] {
        is_no_answer(&verdict(&shop, apart).await, "receipt_stale");
    }
    // One that was good is so no more.
    shop.gateway.advance_ms(WINDOW_MS + 1);
    is_no_answer(&verdict(&shop, 0).await, "receipt_stale");

    // A source may say another window.
    let shop = Shop::open_with(|settings| {
        let bot = settings.sources.iter_mut().find(|source| source.name == "bot");
        bot.expect("it is there").tolerance_s = Some(1);
    })
    .await;
    is_good(&verdict(&shop, -1_000).await);
    is_no_answer(&verdict(&shop, -1_001).await, "receipt_stale");
}

#[tokio::test]
async fn receipt_incomplete_says_not_when_or_which_transaction() {
    let shop = Shop::open().await;
    let now = Timestamp::from_millis(shop.gateway.now_ms()).to_string();
    let whole = RECEIPT.replace("2026-01-01T00:00:00Z", &now);
    let written = format!(r#""ts":"{now}","#);
    for (case, text) in [
        ("no time", whole.replace(&written, "")),
        ("null", whole.replace(&written, r#""ts":null,"#)),
        ("a number", whole.replace(&written, r#""ts":1767225600,"#)),
        ("no date", whole.replace(&written, r#""ts":"now","#)),
        ("no zone", whole.replace(&written, r#""ts":"2026-01-01T00:00:00","#)),
        ("no transaction", whole.replace(r#""tx_ref":"5KJp8","#, "")),
        ("an empty one", whole.replace("5KJp8", "")),
    ] {
        assert_ne!(text, whole, "{case}");
        let verdict = shop.verify(&signed("strong", RECEIPT_SECRET, &text), Value::Null).await;
        is_no_answer(&verdict, "receipt_incomplete");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_reused_is_a_transaction_of_another_request() {
    let shop = Shop::open().await;
    let now = shop.gateway.now_ms();
    let verdict = async |text: String| {
        shop.verify(&signed("strong", RECEIPT_SECRET, &text), Value::Null).await
    };
    let first = receipt("5KJp8", "abc-123", now);
    is_good(&verdict(first.clone()).await);
    for other in [
        receipt("5KJp8", "abc-124", now),
        first.replace("tg:123", "tg:9"),
        first.replace("analyze", "search"),
        first.replace("0.05", "0.01"),
        first.replace(r#""idempotency_key":"abc-123","#, ""),
    ] {
        assert_ne!(other, first);
        is_no_answer(&verdict(other).await, "receipt_reused");
    }
    // A later receipt for the same request is good, and so is the same name on another chain.
    is_good(&verdict(receipt("5KJp8", "abc-123", now + 1_000)).await);
    is_good(&verdict(receipt("5KJp8", "abc-124", now).replace("solana", "base")).await);
    is_good(&verdict(receipt("6KJp8", "abc-124", now)).await);

    // It is so for good, at another gateway and in the other form.
    let shop = Shop {
        gateway: shop
            .gateway
            .restart_with(|settings| {
                settings.sources.push(super::super::receipts::bot(profile("x402tele")));
            })
            .await,
        desk: shop.desk,
        keys: Mutex::default(),
    };
    let weak = signed("weak", RECEIPT_SECRET, &receipt("5KJp8", "abc-125", now));
    let weak = weak.replace("0.05", "0.050");
    is_no_answer(&shop.verify(&weak, Value::Null).await, "receipt_reused");
}

#[tokio::test]
async fn what_its_provider_did_not_sign_so_is_not_believed() {
    let shop = Shop::open().await;
    let plain = receipt("5KJp8", "abc-123", shop.gateway.now_ms());
    let good = signed("strong", RECEIPT_SECRET, &plain);
    for (case, text) in [
        ("changed", good.replace("0.05", "500")),
        ("another request", good.replace("abc-123", "abc-124")),
        ("added member", good.replace("\"ts\"", "\"note\":1,\"ts\"")),
        ("longer signature", good.replacen("\"signature\":\"", "\"signature\":\"00", 1)),
        ("cut signature", format!("{}\"}}", &good[..good.len() - 4])),
        ("no signature", plain.clone()),
        ("null signature", plain.replacen('{', "{\"signature\":null,", 1)),
        ("another secret", signed("strong", "x402_test_somebody_else_0123456789", &plain)),
        ("the webhooks' secret", signed("weak", WEBHOOK_SECRET, &plain)),
        ("twice the same name", good.replacen('{', "{\"amount\":500,", 1)),
        ("cut", good[..good.len() - 1].to_owned()),
        ("two of them", format!("{good}{good}")),
        ("a list", format!("[{good}]")),
        ("a text", json!(good).to_string()),
        ("nothing", String::new()),
        ("a zero byte", format!("{good}\0")),
        ("deep", "[".repeat(5_000)),
    ] {
        assert_ne!(text, good, "{case}");
        let verdict = shop.verify(&text, Value::Null).await;
        assert_eq!(verdict["verified"], false, "{case}");
        assert!(verdict["reason"].is_string(), "{case}: {verdict}");
        for absent in ["receipt", "covers", "form"] {
            assert_eq!(verdict[absent], Value::Null, "{case}");
        }
        let forms = verdict["forms"].as_array().expect("a list");
        assert_eq!(forms.len(), 2, "{case}: {verdict}");
    }
    // What stands inside of a value is not signed in the provider's own form.
    let verdict = shop.verify(&smuggled(), Value::Null).await;
    assert_eq!((&verdict["verified"], &verdict["reason"]), (&json!(false), &json!("nested_value")));
    // An amount that is no plain decimal is signed, and cannot be read.
    let unread = signed("strong", RECEIPT_SECRET, &plain.replace("0.05", "5e1"));
    let verdict = shop.verify(&unread, Value::Null).await;
    assert_eq!((&verdict["verified"], &verdict["receipt"]), (&json!(false), &Value::Null));
    is_good(&shop.verify(&good, Value::Null).await);
}

#[tokio::test]
async fn no_receipts_where_a_source_has_no_secrets_for_them() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let of = |source: &str| json!({ "source": source, "receipt": RECEIPT });
    is_refused(&shop.try_verify(&key, &of("stripe")).await, 409, "no_receipts");
    is_refused(&shop.try_verify(&key, &of("nowhere")).await, 404, "not_found");
    is_refused(&shop.try_verify(&key, &of("")).await, 404, "not_found");
}

#[tokio::test]
async fn a_receipt_is_asked_about_strictly() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({ "source": "bot", "receipt": RECEIPT });
        body[name] = value;
        body
    };
    for (body, place) in [
        (json!({ "source": "bot" }), "receipt"),
        (json!({ "receipt": RECEIPT }), "source"),
        // What was parsed is not what came.
        (with("receipt", json!({ "amount": 0.05 })), "receipt"),
        (with("receipt", Value::Null), "receipt"),
        (with("source", json!(5)), "source"),
        (with("form", json!("weak")), "form"),
        (with("request", json!({})), "request"),
        (with("request", json!([])), "request"),
        (with("request", json!({ "amount": 0.05 })), "request.amount"),
        (with("request", json!({ "colour": "red" })), "request.colour"),
    ] {
        let reply = shop.try_verify(&key, &body).await;
        is_refused(&reply, 400, "body_invalid");
        assert_eq!(json(&reply)["place"], place, "{body}");
    }
    let twice = r#"{"source":"bot","receipt":"{}","receipt":"{}"}"#;
    is_refused(&shop.ask(&post(VERIFY, &key, "twice").saying(twice)).await, 400, "body_invalid");
    let lone = r#"{"source":"bot","receipt":"\ud800"}"#;
    is_refused(&shop.ask(&post(VERIFY, &key, "lone").saying(lone)).await, 400, "body_malformed");
    let long = with("receipt", json!("a".repeat(model::limits::API_BODY_BYTES_MAX)));
    is_refused(&shop.try_verify(&key, &long).await, 413, "body_too_large");
}

#[tokio::test]
async fn who_is_bound_to_a_customer_has_their_receipts_judged_alone() {
    let shop = Shop::open().await;
    let of = |user: &str| Reach {
        customer: Some(shop.desk.customer("x402tele", user)),
        ..Reach::default()
    };
    let mine = shop.key([Permission::ReceiptsVerify], of("tg:123")).await;
    let theirs = shop.key([Permission::ReceiptsVerify], of("tg:124")).await;
    let text = receipt("5KJp8", "abc-123", shop.gateway.now_ms());
    let body = json!({ "source": "bot", "receipt": signed("strong", RECEIPT_SECRET, &text) });
    is_refused(&shop.try_verify(&theirs, &body).await, 403, "out_of_reach");
    is_good(&json(&shop.try_verify(&mine, &body).await));
    let nobodys = text.replace(r#""user_id":"tg:123","#, "").replace("5KJp8", "6KJp8");
    let body = json!({ "source": "bot", "receipt": signed("strong", RECEIPT_SECRET, &nobodys) });
    is_refused(&shop.try_verify(&mine, &body).await, 403, "out_of_reach");
    // Whose it is that nobody signed is not known, and nothing of it is told.
    let body = json!({ "source": "bot", "receipt": text });
    let verdict = json(&shop.try_verify(&theirs, &body).await);
    assert_eq!((&verdict["verified"], &verdict["receipt"]), (&json!(false), &Value::Null));
}
