//! Webhooks that are signed with the key of a certificate: fetched, kept, and believed in little.

use std::sync::{Arc, Mutex};

use gateway::{Certificates, Fetch, Resolver};
use model::{Covers, EventStatus};
use schemes::Roots;

use super::harness::{Harness, Reply, Signed, source};

pub(crate) const WEBHOOK_ID: &str = "1JE4291016473214C";
const URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77";

/// A text of the profile's vectors; of the good one where the named one does not say it.
pub(crate) fn text(vector: &str, key: &str) -> String {
    let vectors = vectors();
    let of = |name: &str| {
        let named = |v: &&toml::Value| v.get("name").and_then(toml::Value::as_str) == Some(name);
        vectors.iter().find(named).expect("a vector").clone()
    };
    let (own, good) = (of(vector), of("capture completed"));
    let found = own.get(key).or_else(|| good.get(key)).and_then(toml::Value::as_str);
    found.expect("it says so").to_owned()
}

fn vectors() -> Vec<toml::Value> {
    let (_, text) =
        schemes::embedded().iter().find(|(name, _)| *name == "paypal").expect("it is embedded");
    let table: toml::Table = text.parse().expect("TOML");
    table.get("vector").and_then(toml::Value::as_array).expect("vectors").clone()
}

pub(crate) fn request(vector: &str) -> Signed {
    let vectors = vectors();
    let good = vectors.first().and_then(|v| v.get("headers")).and_then(toml::Value::as_table);
    let headers = good.expect("headers").iter();
    let headers =
        headers.map(|(name, value)| (name.clone(), value.as_str().expect("one value").to_owned()));
    Signed { headers: headers.collect(), body: text(vector, "body").into_bytes() }
}

fn with_url(url: &str) -> Signed {
    let mut request = request("capture completed");
    for (name, value) in &mut request.headers {
        if name == "PAYPAL-CERT-URL" {
            url.clone_into(value);
        }
    }
    request
}

/// A gateway with a PayPal source, and which URLs were fetched.
struct PayPal {
    gateway: Harness,
    fetched: Arc<Mutex<Vec<String>>>,
    /// What stands at every URL.
    served: Arc<Mutex<Option<Vec<u8>>>>,
}

impl PayPal {
    async fn start() -> Self {
        let fetched: Arc<Mutex<Vec<String>>> = Arc::default();
        let pem = text("capture completed", "certificate").into_bytes();
        let served = Arc::new(Mutex::new(Some(pem)));
        let (notes, pages) = (fetched.clone(), served.clone());
        let gateway = Harness::start(move |settings| {
            settings.sources = vec![source("paypal", "paypal", WEBHOOK_ID)];
            let roots = text("capture completed", "roots");
            settings.certificates = Certificates {
                roots: Roots::from_pem(roots.as_bytes()).expect("roots"),
                fetch: Fetch::Scripted(Arc::new(move |url| {
                    notes.lock().expect("not poisoned").push(url.to_owned());
                    pages.lock().expect("not poisoned").clone()
                })),
            };
        })
        .await;
        Self { gateway, fetched, served }
    }

    fn serve(&self, pem: Option<&[u8]>) {
        *self.served.lock().expect("not poisoned") = pem.map(<[u8]>::to_vec);
    }

    fn fetches(&self) -> usize {
        self.fetched.lock().expect("not poisoned").len()
    }

    async fn send(&self, request: &Signed) -> Reply {
        self.gateway.post("/in/paypal", request).await
    }
}

#[tokio::test]
async fn what_only_a_checksum_covers_is_held_and_its_certificate_fetched_once() {
    let paypal = PayPal::start().await;
    for _ in 0..3 {
        assert_eq!(paypal.send(&request("capture completed")).await.status, 200);
    }
    let event = paypal.gateway.only_event().await;
    let became = (event.status, event.reason.as_deref(), event.covers);
    assert_eq!(became, (EventStatus::Held, Some("needs_confirmation"), Covers::Checksum));
    assert!(paypal.gateway.deliveries().await.is_empty());
    assert_eq!(*paypal.fetched.lock().expect("not poisoned"), [URL]);
}

pub(crate) const FORGED: &str =
    "another amount and the same checksum: the signature holds, and says nothing of the amount";

/// The body that the vector holds was computed to have the checksum of the good one.
#[tokio::test]
async fn another_body_with_the_same_checksum_is_held_and_never_delivered() {
    assert!(text(FORGED, "body").contains("99999.00"));
    let paypal = PayPal::start().await;
    assert_eq!(paypal.send(&request(FORGED)).await.status, 200);
    paypal.gateway.is_kept_as(EventStatus::Held, Some("needs_confirmation")).await;
    assert!(paypal.gateway.deliveries().await.is_empty());
    // The transmission is what is signed: two bodies of one are a conflict.
    assert_eq!(paypal.send(&request("capture completed")).await.status, 200);
    let events = paypal.gateway.events().await;
    let became: Vec<_> = events.iter().map(|e| (e.status, e.reason.as_deref())).collect();
    let held = (EventStatus::Held, Some("needs_confirmation"));
    assert_eq!(became, [held, (EventStatus::Quarantined, Some("conflict"))]);
    assert!(paypal.gateway.deliveries().await.is_empty());
}

#[tokio::test]
async fn certificate_unavailable_is_503_and_the_event_is_taken_later() {
    let good = text("capture completed", "certificate").into_bytes();
    let cut = good.get(..700).expect("it is longer").to_vec();
    let long = [&good[..], &vec![b'\n'; 64 * 1024]].concat();
    for served in [None, Some(&cut[..]), Some(&long), Some(b"<html></html>")] {
        let paypal = PayPal::start().await;
        paypal.serve(served);
        for _ in 0..3 {
            let reply = paypal.send(&request("capture completed")).await;
            assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
        }
        assert_eq!(paypal.fetches(), 1, "what failed is not asked for again at once");
        paypal.gateway.is_counted_as("certificate_unavailable").await;
        assert!(paypal.gateway.events().await.is_empty());
        paypal.serve(Some(&good));
        paypal.gateway.advance_ms(10_001);
        assert_eq!(paypal.send(&request("capture completed")).await.status, 200);
        paypal.gateway.is_kept_as(EventStatus::Held, Some("needs_confirmation")).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_the_provider_s_is_refused_like_any_bad_signature() {
    for (vector, reason) in [
        ("certificate: expired", "certificate_expired"),
        ("certificate: self-signed", "certificate_untrusted"),
        ("certificate: for another name that looks alike", "certificate_name"),
        ("certificate: for signing code", "certificate_use"),
        ("certificate: RSA of 1024 bits", "certificate_key"),
        ("certificate: signed with SHA-1", "certificate_untrusted"),
    ] {
        let paypal = PayPal::start().await;
        paypal.serve(Some(text(vector, "certificate").as_bytes()));
        let reply = paypal.send(&request("capture completed")).await;
        assert_eq!(reply.status, 401, "{vector}");
        let unknown = paypal.gateway.post("/in/nobody", &request("capture completed")).await;
        assert_eq!(reply.outside(), unknown.outside(), "{vector}");
        let tallies = paypal.gateway.tallies().await;
        assert!(tallies.iter().any(|tally| tally.reason == reason), "{vector}");
        assert!(paypal.gateway.events().await.is_empty());
    }
}

#[tokio::test]
async fn nothing_is_fetched_for_what_could_not_verify() {
    let paypal = PayPal::start().await;
    let path = "/v1/notifications/certs/CERT-1";
    for url in [
        format!("https://attacker.example{path}"),
        format!("https://api.paypal.com@attacker.example{path}"),
        format!("https://api.paypal.com:8443{path}"),
        format!("https://api.paypal.com.{path}"),
        format!("https://api.paypal.com.attacker.example{path}"),
        format!("https://API.paypal.com{path}"),
        format!("https://api%2epaypal.com{path}"),
        format!("http://api.paypal.com{path}"),
        "https://api.paypal.com/redirect".to_owned(),
        "https://169.254.169.254/latest".to_owned(),
    ] {
        assert_eq!(paypal.send(&with_url(&url)).await.status, 401, "{url}");
        paypal.gateway.advance_ms(60_000);
    }
    let mut sha1 = request("capture completed");
    for (name, value) in &mut sha1.headers {
        if name == "PAYPAL-AUTH-ALGO" {
            "SHA1withRSA".clone_into(value);
        }
    }
    assert_eq!(paypal.send(&sha1).await.status, 401);
    // Nor for a source that is not there.
    let unknown = paypal.gateway.post("/in/nobody", &request("capture completed")).await;
    assert_eq!(unknown.status, 401);
    assert_eq!(paypal.fetches(), 0);
}

#[tokio::test]
async fn one_address_causes_few_fetches() {
    let paypal = PayPal::start().await;
    paypal.serve(None);
    for n in 0..30 {
        let url = format!("https://api.paypal.com/v1/notifications/certs/CERT-{n}");
        assert_eq!(paypal.send(&with_url(&url)).await.status, 503);
    }
    assert_eq!(paypal.fetches(), 10);
}

#[tokio::test]
async fn a_certificate_is_fetched_again_after_a_day() {
    let paypal = PayPal::start().await;
    assert_eq!(paypal.send(&request("capture completed")).await.status, 200);
    paypal.gateway.advance_ms(24 * 3_600_000 - 1);
    assert_eq!(paypal.send(&request("capture completed")).await.status, 200);
    assert_eq!(paypal.fetches(), 1);
    paypal.gateway.advance_ms(1);
    // What was good is not good for ever.
    paypal.serve(Some(text("certificate: self-signed", "certificate").as_bytes()));
    assert_eq!(paypal.send(&request("capture completed")).await.status, 401);
    assert_eq!(paypal.fetches(), 2);
}

#[tokio::test]
async fn a_provider_s_host_at_a_private_address_is_not_asked() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = asked.clone();
    let gateway = Harness::start(move |settings| {
        settings.sources = vec![source("paypal", "paypal", WEBHOOK_ID)];
        settings.resolver = Resolver::Scripted(Arc::new(move |name| {
            notes.lock().expect("not poisoned").push(name.to_owned());
            vec!["169.254.169.254".parse().expect("an address")]
        }));
    })
    .await;
    let reply = gateway.post("/in/paypal", &request("capture completed")).await;
    assert_eq!(reply.status, 503);
    gateway.is_counted_as("certificate_unavailable").await;
    assert_eq!(*asked.lock().expect("not poisoned"), ["api.paypal.com"]);
}
