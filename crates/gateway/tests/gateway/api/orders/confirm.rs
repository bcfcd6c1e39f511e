//! Events that are confirmed by asking their provider: PayPal's, whose signature covers a checksum.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::{Certificates, Confirm, Fetch, Settings};
use model::EventStatus;
use schemes::{Roots, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::super::certified::{FORGED, WEBHOOK_ID, request, text};
use super::super::super::harness::{Signed, source};
use super::super::super::partial::{ADYEN_KEY, BATCH, split_batch};
use super::super::{Shop, api_keys};

const TOKEN: &str = "made-up-client:made-up-secret";
/// The same, as RFC 7617 has it.
const SHOWN: &str = "Basic bWFkZS11cC1jbGllbnQ6bWFkZS11cC1zZWNyZXQ=";
const CAPTURE: &str = "42311647XV020574X";

/// What the double answers.
#[derive(Clone)]
enum Answer {
    Bytes(Vec<u8>),
    Nothing,
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    Answer::Bytes([head.as_bytes(), body].concat())
}

fn status(status: &str) -> Answer {
    answer(status, "", b"{}")
}

/// A capture as the provider has it.
fn capture(change: &Value) -> Answer {
    let mut capture = json!({
        "id": CAPTURE, "status": "COMPLETED", "custom_id": "order-1",
        "amount": {"currency_code": "EUR", "value": "20.00"},
        "payee": {"merchant_id": "MADEUPMERCHANT"},
    });
    let members = capture.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("members").clone());
    answer("200 OK", "", capture.to_string().as_bytes())
}

/// A double of the provider's API: gives the answers in turn, the last one for good.
struct Api {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Api {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = Self {
            address: listener.local_addr().expect("an address"),
            asked: Arc::default(),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
        };
        let (asked, answers) = (api.asked.clone(), api.answers.clone());
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                head.truncate(read);
                asked
                    .lock()
                    .expect("not poisoned")
                    .push(String::from_utf8_lossy(&head).into_owned());
                let next = {
                    let mut answers = answers.lock().expect("not poisoned");
                    let last = answers.front().cloned();
                    if answers.len() > 1 { answers.pop_front() } else { last }
                };
                match next {
                    Some(Answer::Bytes(bytes)) => drop(stream.write_all(&bytes).await),
                    Some(Answer::Nothing) | None => silent.push(stream),
                }
            }
        });
        api
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

/// Adds a source of PayPal's whose API stands at this address.
fn with_paypal(settings: &mut Settings, api: SocketAddr, allow_private: bool) {
    let mut paypal = source("paypal", "paypal", WEBHOOK_ID);
    paypal.confirm = Some(Confirm {
        token: Secret::new(TOKEN.to_owned()),
        base: Some(format!("http://{api}")),
        allow_private,
    });
    settings.sources.push(paypal);
    let (roots, pem) =
        (text("capture completed", "roots"), text("capture completed", "certificate"));
    settings.certificates = Certificates {
        roots: Roots::from_pem(roots.as_bytes()).expect("roots"),
        fetch: Fetch::Scripted(Arc::new(move |_| Some(pem.clone().into_bytes()))),
    };
}

async fn shop(api: &Api) -> Shop {
    let address = api.address;
    Shop::open_with(move |settings| with_paypal(settings, address, true)).await
}

impl Shop {
    /// An order of PayPal's reference.
    async fn paypal_order(&self, amount: &str) -> String {
        let body = json!({"reference": "order-1", "amount": amount, "currency": "EUR"});
        self.order_of("order-1", &body).await
    }

    async fn captured(&self, vector: &str) {
        assert_eq!(self.gateway.post("/in/paypal", &request(vector)).await.status, 200);
    }

    /// Lets time pass until PayPal's event is like this.
    async fn ends_as(&self, status: EventStatus, reason: Option<&str>) {
        let wanted = (status, reason.map(str::to_owned));
        let mut last = wanted.clone();
        for _ in 0..1_000 {
            last = self.last("paypal").await;
            if last == wanted {
                return;
            }
            self.gateway.advance_ms(200);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{last:?} never became {wanted:?}");
    }

    async fn told_of(&self, kind: &str) -> Vec<Value> {
        let all = self.gateway.application.delivered();
        let documents = all.iter().map(super::super::super::application::Delivered::document);
        documents.filter(|document| document["type"] == kind).collect()
    }
}

const HELD: EventStatus = EventStatus::Held;
const ACCEPTED: EventStatus = EventStatus::Accepted;

#[tokio::test]
async fn what_the_provider_confirms_passes_and_counts() {
    let api = Api::start([capture(&json!({}))]).await;
    let shop = shop(&api).await;
    let id = shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    shop.ends_as(ACCEPTED, None).await;
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("paid"), &json!("20.00")));
    shop.told(2).await;
    let told = shop.told_of("PAYMENT.CAPTURE.COMPLETED").await;
    assert_eq!(told[0]["covers"], "checksum");
    assert_eq!(told[0]["order_version"], 1);
    assert_eq!(told[0]["confirmed"]["amount"], "20.00");
    assert_eq!(told[0]["confirmed"]["payment"], CAPTURE);
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with(&format!("GET /v2/payments/captures/{CAPTURE} HTTP/1.1\r\n")));
    assert!(asked[0].contains(&format!("authorization: {SHOWN}\r\n")), "{}", asked[0]);
    let metrics = shop.gateway.metrics().await;
    assert!(
        metrics
            .contains(r#"countersign_confirmations_total{source="paypal",outcome="confirmed"} 1"#)
    );
}

#[tokio::test]
async fn what_the_provider_says_counts_and_not_what_the_event_says() {
    for (expected, said, reason, state, paid) in [
        (
            "20.00",
            json!({"amount": {"currency_code": "EUR", "value": "25.00"}}),
            "amount_over",
            "overpaid",
            "25.00",
        ),
        (
            "20.00",
            json!({"amount": {"currency_code": "EUR", "value": "2.00"}}),
            "amount_under",
            "partial",
            "2.00",
        ),
        (
            "20.00",
            json!({"amount": {"currency_code": "JPY", "value": "20"}}),
            "currency_mismatch",
            "awaiting",
            "0.00",
        ),
        ("20.00", json!({"custom_id": "order-2"}), "confirmation_differs", "awaiting", "0.00"),
        ("20.00", json!({"status": "DECLINED"}), "confirmation_differs", "failed", "0.00"),
        // The order fits the answer, and the event does not.
        (
            "25.00",
            json!({"amount": {"currency_code": "EUR", "value": "25.00"}}),
            "confirmation_differs",
            "paid",
            "25.00",
        ),
    ] {
        let api = Api::start([capture(&said)]).await;
        let shop = shop(&api).await;
        let id = shop.paypal_order(expected).await;
        shop.captured("capture completed").await;
        shop.ends_as(HELD, Some(reason)).await;
        let order = shop.shown(&id).await;
        assert_eq!((&order["state"], &order["paid"]), (&json!(state), &json!(paid)), "{said}");
        assert_eq!(shop.told_of("PAYMENT.CAPTURE.COMPLETED").await, [Value::Null; 0], "{said}");
    }
}

#[tokio::test]
async fn what_is_paid_back_is_counted_as_that() {
    let api = Api::start([capture(&json!({"status": "REFUNDED"}))]).await;
    let shop = shop(&api).await;
    let id = shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    shop.ends_as(ACCEPTED, None).await;
    let order = shop.shown(&id).await;
    assert_eq!((&order["state"], &order["refunded"]), (&json!("refunded"), &json!("20.00")));
}

/// The forged body has the checksum of the good one, so the signature holds.
#[tokio::test]
async fn a_body_with_the_same_checksum_settles_nothing() {
    for (expected, reason, state) in
        [("99999.00", "amount_under", "partial"), ("20.00", "confirmation_differs", "paid")]
    {
        let api = Api::start([capture(&json!({}))]).await;
        let shop = shop(&api).await;
        let id = shop.paypal_order(expected).await;
        shop.captured(FORGED).await;
        shop.ends_as(HELD, Some(reason)).await;
        let order = shop.shown(&id).await;
        assert_eq!((&order["state"], &order["paid"]), (&json!(state), &json!("20.00")));
        assert_eq!(shop.told_of("PAYMENT.CAPTURE.COMPLETED").await, [Value::Null; 0]);
    }
}

#[tokio::test]
async fn confirmation_missing_is_what_the_provider_does_not_know() {
    for answered in [status("404 Not Found"), capture(&json!({"id": "ANOTHERCAPTURE"}))] {
        let api = Api::start([answered]).await;
        let shop = shop(&api).await;
        let id = shop.paypal_order("20.00").await;
        shop.captured("capture completed").await;
        shop.ends_as(HELD, Some("confirmation_missing")).await;
        assert_eq!(shop.shown(&id).await["state"], "awaiting");
        shop.gateway.advance_ms(3_600_000);
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(api.asked().len(), 1, "it has answered");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_asked_for_again() {
    let trap = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let elsewhere = format!("location: http://{}/\r\n", trap.local_addr().expect("an address"));
    let Answer::Bytes(good) = capture(&json!({})) else { panic!("it is bytes") };
    let long = answer("200 OK", "", &[&b"{\"long\":\""[..], &vec![b'x'; 70_000], b"\"}"].concat());
    let half = Answer::Bytes(good[..good.len() - 10].to_vec());
    let api = Api::start([
        status("401 Unauthorized"),
        status("500 Oops"),
        answer("429 Slow down", "retry-after: 30\r\n", b""),
        long,
        answer("200 OK", "", b"<html>"),
        answer("200 OK", "", br#"{"id":"42311647XV020574X"}"#),
        answer("302 Found", &elsewhere, b""),
        half,
        capture(&json!({"status": "NEVER_HEARD_OF"})),
        capture(&json!({"status": "PENDING"})),
        capture(&json!({})),
    ])
    .await;
    let shop = shop(&api).await;
    let id = shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    for _ in 0..3_000 {
        if shop.last("paypal").await.0 == ACCEPTED {
            break;
        }
        let order = shop.shown(&id).await;
        // It may be asked for the last time meanwhile.
        if api.asked().len() < 11 {
            assert_eq!(order["state"], "awaiting", "nothing passes until it answers");
        }
        shop.gateway.advance_ms(2_000);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.ends_as(ACCEPTED, None).await;
    assert_eq!(shop.shown(&id).await["state"], "paid");
    assert_eq!(api.asked().len(), 11);
    let metrics = shop.gateway.metrics().await;
    for code in [
        "token_refused",
        "refused",
        "throttled",
        "answer_too_long",
        "answer_not_json",
        "answer_incomplete",
        "redirected",
        "answer_unknown_status",
        "answer_behind",
        "confirmed",
    ] {
        let line =
            format!(r#"countersign_confirmations_total{{source="paypal",outcome="{code}"}}"#);
        assert!(metrics.contains(&line), "{code}: {metrics}");
    }
    let followed = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
    assert!(followed.is_err(), "no redirect is followed");
}

#[tokio::test]
async fn one_that_never_answers_is_given_up_in_time() {
    let api = Api::start([Answer::Nothing, capture(&json!({}))]).await;
    let shop = shop(&api).await;
    shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(shop.last("paypal").await.0, HELD);
    shop.ends_as(ACCEPTED, None).await;
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn confirmation_unanswered_is_what_gave_no_answer_for_a_day() {
    let api = Api::start([status("500 Oops")]).await;
    let shop = shop(&api).await;
    let id = shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    while api.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.gateway.advance_ms(25 * 3_600_000);
    shop.ends_as(HELD, Some("confirmation_unanswered")).await;
    assert_eq!(shop.shown(&id).await["state"], "awaiting");
}

#[tokio::test]
async fn no_private_address_is_asked() {
    let api = Api::start([capture(&json!({}))]).await;
    let address = api.address;
    let shop = Shop::open_with(move |settings| with_paypal(settings, address, false)).await;
    shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    let mut metrics = String::new();
    for _ in 0..600 {
        metrics = shop.gateway.metrics().await;
        if metrics.contains(r#"source="paypal",outcome="forbidden""#) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(metrics.contains(r#"source="paypal",outcome="forbidden""#), "{metrics}");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(api.asked(), [""; 0]);
    assert_eq!(shop.last("paypal").await.1.as_deref(), Some("needs_confirmation"));
}

#[tokio::test]
async fn after_a_restart_it_is_asked_for() {
    let api = Api::start([status("503 Later"), capture(&json!({}))]).await;
    let first = shop(&api).await;
    let id = first.paypal_order("20.00").await;
    first.captured("capture completed").await;
    while api.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let address = api.address;
    let Shop { gateway, keys, .. } = first;
    let gateway = gateway.restart_with(move |settings| with_paypal(settings, address, true)).await;
    let desk = api_keys::desk(&gateway).await;
    let shop = Shop { gateway, desk, keys };
    shop.ends_as(ACCEPTED, None).await;
    assert_eq!(shop.shown(&id).await["state"], "paid");
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn of_two_gateways_one_asks() {
    if crate::backend().is_alone {
        return;
    }
    let api = Api::start([capture(&json!({}))]).await;
    let shop = shop(&api).await;
    let address = api.address;
    let change = move |settings: &mut Settings| with_paypal(settings, address, true);
    let mut beside = shop.gateway.beside_with(change).await;
    shop.paypal_order("20.00").await;
    shop.captured("capture completed").await;
    shop.ends_as(ACCEPTED, None).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(api.asked().len(), 1);
    assert_eq!(shop.told_of("PAYMENT.CAPTURE.COMPLETED").await.len(), 1);
    beside.stop().await;
}

#[tokio::test]
async fn without_a_token_nobody_is_asked() {
    let api = Api::start([capture(&json!({}))]).await;
    let address = api.address;
    let shop = Shop::open_with(move |settings| {
        with_paypal(settings, address, true);
        settings.sources.iter_mut().for_each(|source| source.confirm = None);
    })
    .await;
    shop.captured("capture completed").await;
    shop.gateway.advance_ms(60_000);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(shop.last("paypal").await.1.as_deref(), Some("needs_confirmation"));
    assert_eq!(api.asked(), [""; 0]);
}

#[tokio::test]
async fn what_names_no_order_passes_and_counts_once_its_order_comes() {
    let api = Api::start([capture(&json!({}))]).await;
    let shop = shop(&api).await;
    shop.captured("capture completed").await;
    shop.ends_as(ACCEPTED, None).await;
    shop.told(1).await;
    let id = shop.paypal_order("20.00").await;
    assert_eq!(shop.becomes(&id, "paid").await["paid"], "20.00");
    assert_eq!(shop.told_of("PAYMENT.CAPTURE.COMPLETED").await.len(), 1);
}

/// Nobody can be asked about Adyen's items, and fields that are split in another way do not verify.
#[tokio::test]
async fn adyens_items_settle_nothing_by_themselves() {
    let shop = Shop::open_with(|settings| {
        settings.sources.push(source("adyen", "adyen-item", ADYEN_KEY));
    })
    .await;
    let mut orders = Vec::new();
    for reference in ["order-1", "order-7", "order-7:1"] {
        let body = json!({"reference": reference, "amount": "10.00", "currency": "EUR"});
        orders.push(shop.order_of(reference, &body).await);
    }
    for (body, status) in [(split_batch(), 401), (BATCH.to_owned(), 200)] {
        let request = Signed { headers: Vec::new(), body: body.into_bytes() };
        assert_eq!(shop.gateway.post("/in/adyen", &request).await.status, status);
    }
    for order in orders {
        assert_eq!(shop.shown(&order).await["state"], "awaiting");
    }
    assert_eq!(shop.gateway.application.delivered().len(), 0);
}
