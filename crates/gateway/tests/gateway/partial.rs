//! Providers whose signature covers less than it seems: what they say is held, never delivered.

use model::{Covers, EventStatus};

use super::harness::{Harness, Signed, source};

pub(crate) const ADYEN_KEY: &str =
    "A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A05E";
pub(crate) const BATCH: &str = r#"{"live":"false","notificationItems":[{"NotificationRequestItem":{"pspReference":"psp1","originalReference":"","merchantAccountCode":"TestMerchant","merchantReference":"order-1","amount":{"value":1000,"currency":"EUR"},"eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"fPPJSV017w+ekMKeTfflaIvNJW3t5EuuJlBQJl7JVI0="}}},{"NotificationRequestItem":{"pspReference":"psp2","originalReference":"","merchantAccountCode":"TestMerchant","merchantReference":"order-7:1","amount":{"value":1000,"currency":"EUR"},"eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"RhFV5vwsm0BEpdrAw/BL9VoaemazmfCZjkezQwe5u3E="}}}]}"#;

/// A batch whose second item says other fields, which are the same text when they are joined.
pub(crate) fn split_batch() -> String {
    BATCH
        .replace("order-7:1", "order-7")
        .replace(r#""value":1000,"currency":"EUR"},"eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"Rh"#,
                 r#""value":1,"currency":"1000:EUR"},"eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"Rh"#)
}

async fn adyen() -> Harness {
    Harness::start(|settings| {
        settings.sources = vec![source("adyen", "adyen-item", ADYEN_KEY)];
    })
    .await
}

#[tokio::test]
async fn every_item_of_an_adyen_batch_is_an_event_that_is_held() {
    let gateway = adyen().await;
    let request = Signed { headers: Vec::new(), body: BATCH.as_bytes().to_vec() };
    let reply = gateway.post("/in/adyen", &request).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "[accepted]"));
    let events = gateway.events().await;
    assert_eq!(events.len(), 2);
    for event in events {
        let became = (event.status, event.reason.as_deref(), event.covers);
        assert_eq!(became, (EventStatus::Held, Some("needs_confirmation"), Covers::Fields));
    }
    assert!(gateway.deliveries().await.is_empty());
}

#[tokio::test]
async fn one_bad_item_refuses_the_whole_adyen_batch() {
    let split = split_batch();
    assert!(split.contains("1000:EUR"));
    for (body, reason) in [
        (BATCH.replace("psp2", "psp3"), "no_matching_key"),
        (split, "field_mismatch"),
        (BATCH.replace(r#""eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"Rh"#, r#""eventCode":"AUTHORISATION","success":"true","additionalData":{"other":"Rh"#), "missing_field"),
    ] {
        let gateway = adyen().await;
        let request = Signed { headers: Vec::new(), body: body.into_bytes() };
        assert_eq!(gateway.post("/in/adyen", &request).await.status, 401);
        gateway.is_counted_as(reason).await;
        assert!(gateway.events().await.is_empty());
    }
}
