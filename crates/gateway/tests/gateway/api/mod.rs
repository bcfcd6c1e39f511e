//! The HTTP API: a shop with two sources, keys of every kind, and requests byte by byte.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod blocks;
mod changes;
mod door;
mod lists;
#[path = "../../anvil/node.rs"]
#[expect(dead_code, reason = "what tokens need is of the tests of chains alone")]
mod node;
mod once;
mod order_limits;
mod orders;
mod receipts;
mod walk;
mod watched;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use gateway::api_keys::Wanted;
use gateway::operations::Desk;
use model::api_key::Grant;
use model::{Environment, EventStatus, Permission, Reach};
use serde_json::Value;

use super::api_keys::{self, until};
use super::harness::{Harness, Reply, endpoint, profile, raw, source, stripe_event};

const WEAK_SECRET: &str = "whsec_one2pays_test_secret_0123456789";

/// A gateway with three sources: what comes from `stripe` is accepted and goes to `app`, what comes from
/// `weak` is held and would go to `books`, and `bot` has secrets for receipts. There are `app`, `books` and `lonely`, which nobody uses.
pub(crate) struct Shop {
    pub(crate) gateway: Harness,
    pub(crate) desk: Desk,
    /// The keys that were made, by what they allow.
    keys: Mutex<HashMap<String, String>>,
}

/// What is asked of the API.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Option<String>,
}

pub(crate) const BECAUSE: &str = r#"{"reason":"checked with the provider"}"#;

pub(crate) fn get<'a>(path: &'a str, key: &str) -> Request<'a> {
    let headers = vec![("authorization", format!("Bearer {key}"))];
    Request { method: "GET", path, headers, body: None }
}

pub(crate) fn post<'a>(path: &'a str, key: &str, once: &str) -> Request<'a> {
    let mut request = get(path, key);
    request.method = "POST";
    request.headers.push(("idempotency-key", once.to_owned()));
    request.headers.push(("content-type", "application/json".to_owned()));
    request.body = Some(BECAUSE.to_owned());
    request
}

impl<'a> Request<'a> {
    /// With another body.
    pub(crate) fn saying(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &'a str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { method, path, headers, body } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        format!("{text}\r\n{}", body.as_deref().unwrap_or_default()).into_bytes()
    }
}

/// What came back, as JSON.
pub(crate) fn json(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("no JSON: {reply:?}"))
}

/// Sees that a request was refused so.
pub(crate) fn is_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    let problem = json(reply);
    assert_eq!(problem["code"], code, "{reply:?}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("urn:countersign:problem:{code}"));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    assert_eq!(problem["request"].as_str(), reply.header("x-request-id"));
}

pub(crate) fn every_permission() -> BTreeSet<Permission> {
    Permission::ALL.iter().copied().collect()
}

pub(crate) fn of_source(source: &str) -> Reach {
    Reach { sources: Some([source.to_owned()].into()), ..Reach::default() }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut gateway::Settings)) -> Self {
        let gateway = Harness::start(|settings| {
            let application = settings.endpoints[0].url.clone();
            let address = format!("127.0.0.1:{}", application.port().expect("a port"));
            let address = address.parse().expect("an address");
            let mut weak = source("weak", "one2pays-body", WEAK_SECRET);
            weak.amount_unit = weak.profile.amount_units().first().cloned();
            weak.endpoints = vec!["books".to_owned()];
            settings.sources.push(weak);
            // Nothing that arrives there is sent on; it is asked about receipts.
            let bot = super::receipts::bot(profile("x402tele"));
            settings.sources.push(gateway::Source { endpoints: Vec::new(), ..bot });
            settings.endpoints.push(endpoint("books", address));
            settings.endpoints.push(endpoint("lonely", address));
            change(settings);
        })
        .await;
        let desk = api_keys::desk(&gateway).await;
        Self { gateway, desk, keys: Mutex::default() }
    }

    /// The gateway stops and starts again, on the same store.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut gateway::Settings)) -> Self {
        let Self { gateway, keys, .. } = self;
        let gateway = gateway.restart_with(change).await;
        let desk = api_keys::desk(&gateway).await;
        Self { gateway, desk, keys }
    }

    /// An API key that the gateway knows; the same one for the same permissions and reach.
    pub(crate) async fn key(
        &self,
        permissions: impl IntoIterator<Item = Permission>,
        reach: Reach,
    ) -> String {
        let permissions = permissions.into_iter().collect();
        let grant = Grant { permissions, reach, ..Grant::default() };
        let what = format!("{grant:?}");
        if let Some(key) = self.keys.lock().expect("not poisoned").get(&what) {
            return key.clone();
        }
        let wanted = Wanted { name: "shop".to_owned(), grant, days: 90 };
        let order = super::operations::order("a test");
        let made = self.desk.create_api_key(Environment::Test, wanted, order).await;
        let key = made.expect("the store answers").expect("there can be such a key").key;
        until(|| api_keys::show(&self.gateway.api_keys(), &key).is_ok()).await;
        let text = key.to_text().to_string();
        self.keys.lock().expect("not poisoned").insert(what, text.clone());
        text
    }

    /// One that may do everything everywhere.
    pub(crate) async fn full_key(&self) -> String {
        self.key(every_permission(), Reach::default()).await
    }

    /// Bound to a customer of Stripe's.
    pub(crate) fn of_customer(&self, customer: &str) -> Reach {
        Reach { customer: Some(self.desk.customer("stripe", customer)), ..Reach::default() }
    }

    pub(crate) async fn ask(&self, request: &Request<'_>) -> Reply {
        raw(self.gateway.api, &request.bytes()).await
    }

    /// An accepted event of customer `cus_1`; gives its id.
    pub(crate) async fn accepted(&self, n: u32) -> String {
        let body = stripe_event(&format!("evt_s{n}"), &format!("order-{n}"));
        assert_eq!(self.gateway.send(&body).await.status, 200);
        self.newest("stripe", EventStatus::Accepted).await
    }

    /// A held event; gives its id.
    pub(crate) async fn held(&self, n: u32) -> String {
        let body = format!(
            r#"{{"id":"evt_w{n}","type":"payment.succeeded","data":{{"id":"pay_{n}","amount":"1000.00","currency":"THB","status":"succeeded","referenceId":"order-{n}"}},"createdAt":"2024-01-01T00:00:00Z"}}"#
        );
        let request = self.gateway.signed("one2pays-body", WEAK_SECRET, &body);
        assert_eq!(self.gateway.post("/in/weak", &request).await.status, 200);
        self.newest("weak", EventStatus::Held).await
    }

    pub(crate) async fn newest(&self, source: &str, status: EventStatus) -> String {
        let events = self.gateway.events().await;
        let event = events.iter().rev().find(|event| event.source == source).expect("an event");
        assert_eq!(event.status, status);
        event.id.to_string()
    }

    /// The delivery of an event, once it is delivered.
    pub(crate) async fn delivered(&self, event: &str) -> String {
        let is_done = |row: &store::DeliveryRow| {
            row.event.to_string() == event && row.status == model::DeliveryStatus::Delivered
        };
        let rows = self.gateway.until(|rows| rows.iter().any(is_done)).await;
        rows.iter().find(|row| is_done(row)).expect("it is there").id.to_string()
    }
}
