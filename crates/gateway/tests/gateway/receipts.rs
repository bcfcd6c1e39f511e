//! Receipts inside webhooks: verified beside the webhook, and never in contradiction to it.

use std::sync::Arc;

use gateway::Source;
use model::{EventStatus, Step, Verdict};
use schemes::{Draft, Profile, Secret};

use super::harness::{Harness, Reply, profile, source};

pub(crate) const WEBHOOK_SECRET: &str = "x402_test_webhook_secret_0123456789";
pub(crate) const RECEIPT_SECRET: &str = "x402_test_receipt_secret_0123456789";
pub(crate) const RECEIPT: &str = r#"{"tx_ref":"5KJp8","amount":0.05,"currency":"USDC","chain":"solana","command":"analyze","user_id":"tg:123","idempotency_key":"abc-123","ts":"2026-01-01T00:00:00Z","settlement_ms":1850}"#;

/// A gateway with one x402Tele source that looks at receipts.
async fn gateway() -> Harness {
    with(profile("x402tele")).await
}

async fn with(profile: Arc<Profile>) -> Harness {
    Harness::start(|settings| {
        settings.sources = vec![bot(profile)];
    })
    .await
}

/// A source that has secrets for receipts.
pub(crate) fn bot(profile: Arc<Profile>) -> Source {
    let secrets = [Secret::new(RECEIPT_SECRET.to_owned())];
    let receipt_keys = Some(profile.receipt_keys(&secrets).expect("good secrets"));
    Source { receipt_keys, profile, ..source("bot", "x402tele", WEBHOOK_SECRET) }
}

/// A receipt, signed in one of the forms.
pub(crate) fn signed(form: &str, secret: &str, receipt: &str) -> String {
    let body = receipt.as_bytes();
    let draft = Draft { method: "POST", url: "", headers: &[], body, now_ms: 0, id: "" };
    let profile = profile("x402tele");
    let form = profile.receipt(form).expect("a form");
    let signed = form.sign(&Secret::new(secret.to_owned()), draft).expect("it can be signed");
    String::from_utf8(signed.body).expect("text")
}

fn webhook(id: &str, data: &str) -> String {
    format!(r#"{{"id":"{id}","type":"payment.succeeded","created":1767225600,"data":{{{data}}}}}"#)
}

/// A webhook with this receipt, sent with a good signature of its own.
async fn send(gateway: &Harness, id: &str, receipt: &str) -> Reply {
    send_body(gateway, &webhook(id, &format!("\"receipt\":{receipt}"))).await
}

async fn send_body(gateway: &Harness, body: &str) -> Reply {
    let request = gateway.signed("x402tele", WEBHOOK_SECRET, body);
    let reply = gateway.post("/in/bot", &request).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply
}

#[tokio::test]
async fn an_event_with_a_good_receipt_is_delivered() {
    for form in ["strong", "weak"] {
        let gateway = gateway().await;
        send(&gateway, "evt_1", &signed(form, RECEIPT_SECRET, RECEIPT)).await;
        gateway.is_kept_as(EventStatus::Accepted, None).await;
        let delivered = gateway.application.wait_for(1).await;
        assert_eq!(delivered[0].document()["order"], "abc-123");
    }
}

#[tokio::test]
async fn a_nested_receipt_is_delivered_where_all_of_it_is_signed() {
    let nested =
        RECEIPT.replace("\"ts\"", "\"details\":{\"price\":0.05,\"chain\":\"solana\"},\"ts\"");
    let gateway = gateway().await;
    send(&gateway, "evt_1", &signed("strong", RECEIPT_SECRET, &nested)).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

/// A receipt that verifies in the guide's own form, which signs nothing of `details` but the chain.
pub(crate) fn smuggled() -> String {
    let nested =
        RECEIPT.replace("\"ts\"", "\"details\":{\"price\":9999,\"chain\":\"solana\"},\"ts\"");
    let listed = r#"{"amount":0.05,"chain":"solana","command":"analyze","currency":"USDC","details":{"chain":"solana"},"idempotency_key":"abc-123","settlement_ms":1850,"ts":"2026-01-01T00:00:00Z","tx_ref":"5KJp8","user_id":"tg:123"}"#;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, RECEIPT_SECRET.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, listed.as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{},\"signature\":\"{digits}\"}}", nested.trim_end_matches('}'))
}

#[tokio::test]
async fn receipt_invalid_is_quarantined() {
    let good = signed("strong", RECEIPT_SECRET, RECEIPT);
    for (case, receipt) in [
        ("changed amount", good.replace("0.05", "500")),
        ("added member", good.replace("\"ts\"", "\"note\":1,\"ts\"")),
        ("cut signature", good.replacen("\"signature\":\"", "\"signature\":\"0", 1)),
        ("no signature", RECEIPT.to_owned()),
        ("signed as a webhook", signed("strong", WEBHOOK_SECRET, RECEIPT)),
        ("signed by somebody", signed("strong", "x402_test_somebody_else_0123456789", RECEIPT)),
        ("nested value that is not signed", smuggled()),
        ("a text", "\"paid\"".to_owned()),
        (
            "an amount that is none",
            signed("strong", RECEIPT_SECRET, &RECEIPT.replace("0.05", "5e1")),
        ),
    ] {
        let gateway = gateway().await;
        send(&gateway, "evt_1", &receipt).await;
        let event = gateway.only_event().await;
        let became = (event.status, event.reason.as_deref());
        assert_eq!(became, (EventStatus::Quarantined, Some("receipt_invalid")), "{case}");
        assert_eq!(event.steps.verdict(Step::Verify), Verdict::Pass, "{case}");
        assert_eq!(event.steps.verdict(Step::Read), Verdict::Fail, "{case}");
        assert!(gateway.deliveries().await.is_empty(), "{case}");
    }
}

#[tokio::test]
async fn receipt_missing_is_quarantined_and_does_not_stand_in_the_way() {
    let gateway = gateway().await;
    for data in ["", "\"receipt\":null"] {
        send_body(&gateway, &webhook("evt_1", data)).await;
    }
    let reasons = || async {
        let events = gateway.events().await;
        events.into_iter().map(|event| (event.status, event.reason)).collect::<Vec<_>>()
    };
    let missing = (EventStatus::Quarantined, Some("receipt_missing".to_owned()));
    assert_eq!(reasons().await, [missing.clone(), missing]);
    // The same event with its receipt is taken.
    send(&gateway, "evt_1", &signed("weak", RECEIPT_SECRET, RECEIPT)).await;
    gateway.application.wait_for(1).await;
    assert_eq!(reasons().await.last(), Some(&(EventStatus::Accepted, None)));
}

#[tokio::test]
async fn an_event_that_needs_no_receipt_is_delivered_without_one() {
    let gateway = gateway().await;
    let failed = webhook("evt_1", "\"reason\":\"expired\"").replace("succeeded", "failed");
    send_body(&gateway, &failed).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

#[tokio::test]
async fn receipts_are_not_looked_at_where_a_source_has_no_secrets_for_them() {
    let gateway = Harness::start(|settings| {
        settings.sources = vec![source("bot", "x402tele", WEBHOOK_SECRET)];
    })
    .await;
    send(&gateway, "evt_1", RECEIPT).await;
    gateway.is_kept_as(EventStatus::Accepted, None).await;
}

/// A provider that says beside the receipt what was paid.
fn telling_twice() -> Arc<Profile> {
    let (_, text) =
        schemes::embedded().iter().find(|(name, _)| *name == "x402tele").expect("it is embedded");
    let mut text = (*text).to_owned();
    for (field, member) in [
        ("order", "idempotency_key"),
        ("amount", "amount"),
        ("currency", "currency"),
        ("customer", "user_id"),
    ] {
        let own = format!("{field} = \"json:/data/receipt/{member}\"");
        assert!(text.contains(&own), "{own}");
        let both = format!("{field} = \"json:/data/{field}|json:/data/receipt/{member}\"");
        text = text.replacen(&own, &both, 1);
    }
    Arc::new(Profile::parse("x402tele", &text).expect("it loads"))
}

#[tokio::test]
async fn receipt_contradicts_is_quarantined() {
    let receipt = signed("strong", RECEIPT_SECRET, RECEIPT);
    for said in [
        "\"order\":\"abc-124\"",
        "\"amount\":500",
        "\"currency\":\"USDT\"",
        "\"customer\":\"tg:9\"",
    ] {
        let gateway = with(telling_twice()).await;
        send_body(&gateway, &webhook("evt_1", &format!("{said},\"receipt\":{receipt}"))).await;
        gateway.is_kept_as(EventStatus::Quarantined, Some("receipt_contradicts")).await;
        assert!(gateway.deliveries().await.is_empty(), "{said}");
    }
    for said in ["\"amount\":0.050", "\"order\":\"abc-123\",\"currency\":\"USDC\""] {
        let gateway = with(telling_twice()).await;
        send_body(&gateway, &webhook("evt_1", &format!("{said},\"receipt\":{receipt}"))).await;
        gateway.is_kept_as(EventStatus::Accepted, None).await;
    }
}
