//! Every route of the document, with every kind of key: nobody gets what is another's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use model::{Permission, Reach};
use serde_json::Value;

use super::*;
use crate::gateway::headers;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&gateway::api::openapi()).expect("JSON"));

/// A route as the document has it.
struct Route {
    method: String,
    path: String,
    /// The permission that it needs; none if it is public.
    needs: Option<Permission>,
    statuses: Vec<u16>,
}

fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let security = operation["security"].as_array().expect("each says what it needs");
            let needs = security.first().map(|one| {
                let scopes = one["api_key"].as_array().expect("the one scheme");
                assert_eq!(scopes.len(), 1, "{method} {path}");
                scopes[0].as_str().expect("a scope").parse().expect("a permission")
            });
            let statuses = operation["responses"].as_object().expect("responses");
            let statuses = statuses.keys().map(|status| status.parse().expect("a status"));
            let (method, path) = (method.to_uppercase(), path.clone());
            routes.push(Route { method, path, needs, statuses: statuses.collect() });
        }
    }
    assert!(routes.len() >= 15, "the document is whole");
    routes
}

/// Something that each route can be asked about.
struct Things {
    event: String,
    delivery: String,
    order: String,
    endpoint: &'static str,
}

impl Route {
    /// The path about a thing. Each place of a path must be known here.
    fn about(&self, things: &Things) -> String {
        let id = match self.path.split('/').nth(2) {
            Some("events") => &things.event,
            Some("orders") => &things.order,
            _ => &things.delivery,
        };
        let path = self.path.replace("{id}", id).replace("{name}", things.endpoint);
        assert!(!path.contains('{'), "what {path} is about is not known here");
        path
    }

    fn names_a_thing(&self) -> bool {
        self.path.contains('{')
    }

    /// It makes something new.
    fn creates(&self) -> bool {
        self.method == "POST" && !self.names_a_thing()
    }

    /// Asks with a key.
    async fn ask(&self, shop: &Shop, path: &str, key: &str, once: &str) -> Reply {
        let mut request =
            if self.method == "POST" { post(path, key, once) } else { get(path, key) };
        if self.creates() {
            let name = format!("walk-{once}");
            let is_receipt = self.path == "/v1/receipts/verify";
            let body = if is_receipt { shop.receipt_of(&name) } else { order_of(&name) };
            request = request.saying(&body);
        }
        let reply = shop.ask(&request).await;
        assert!(self.statuses.contains(&reply.status), "not documented: {path} {reply:?}");
        headers::documented(&DOCUMENT, &self.method, &self.path, &reply);
        reply
    }
}

/// An order that is to be paid through `stripe`.
fn order_of(reference: &str) -> String {
    let order = serde_json::json!({
        "reference": reference, "amount": "1", "currency": "EUR", "source": "stripe",
    });
    order.to_string()
}

impl Shop {
    /// An order; gives its id.
    async fn ordered(&self, reference: &str) -> String {
        let key = self.full_key().await;
        let request = post("/v1/orders", &key, reference).saying(&order_of(reference));
        let reply = self.ask(&request).await;
        json(&reply)["id"].as_str().expect("an id").to_owned()
    }
}

/// Permissions but one.
fn all_but(needs: Permission) -> impl Iterator<Item = Permission> {
    Permission::ALL.iter().copied().filter(move |permission| *permission != needs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_needs_its_permission_and_keeps_to_the_reach_of_the_key() {
    let shop = Shop::open().await;
    let accepted = shop.accepted(1).await;
    let delivery = shop.delivered(&accepted).await;
    let order = shop.ordered("first").await;
    let things = Things { event: shop.held(1).await, delivery, order, endpoint: "app" };
    let mut own = BTreeMap::new();
    for route in routes() {
        // The failures of one address in a minute are limited.
        shop.gateway.advance_ms(120_000);
        let path = route.about(&things);
        let Some(needs) = route.needs else {
            let reply = shop.ask(&get(&path, "").without("authorization")).await;
            assert_eq!(reply.status, 200, "{path}");
            continue;
        };
        let place = format!("{} {path}", route.method);
        let nobody = if route.method == "POST" { post(&path, "", "n") } else { get(&path, "") };
        is_refused(&shop.ask(&nobody.without("authorization")).await, 401, "unauthorized");

        let key = shop.key(all_but(needs), Reach::default()).await;
        let reply = route.ask(&shop, &path, &key, "lacks").await;
        is_refused(&reply, 403, "permission_missing");
        assert_eq!(json(&reply)["place"], needs.code(), "{place}");

        for reach in [
            // Neither the source of the held event nor that of the delivery.
            of_source("another"),
            shop.of_customer("cus_2"),
            Reach { providers: Some(["square".to_owned()].into()), ..Reach::default() },
        ] {
            let key = shop.key([needs], reach.clone()).await;
            let reply = route.ask(&shop, &path, &key, "bound").await;
            if route.creates() {
                is_refused(&reply, 403, "out_of_reach");
                continue;
            }
            if !route.names_a_thing() {
                assert_eq!(json(&reply)["data"], serde_json::json!([]), "{place} {reach:?}");
                continue;
            }
            is_refused(&reply, 403, "out_of_reach");
            // What is not there is answered as what is.
            let nothing = Things {
                event: "evt_00000000000000000000000000".to_owned(),
                delivery: "no id".replace(' ', "%20"),
                order: "ord_00000000000000000000000000".to_owned(),
                endpoint: "nowhere",
            };
            let absent = route.ask(&shop, &route.about(&nothing), &key, "absent").await;
            assert_eq!(without_ids(&absent), without_ids(&reply), "{place} {reach:?}");
            let key = shop.key([needs], Reach::default()).await;
            let absent = route.ask(&shop, &route.about(&nothing), &key, "absent").await;
            is_refused(&absent, 404, "not_found");
        }
        own.insert(place, route);
    }
    // Nothing was done until now.
    assert_eq!(shop.gateway.application.delivered().len(), 1);
    assert_eq!(shop.newest("weak", EventStatus::Held).await, things.event);

    let mut n = 100;
    for (place, route) in own {
        let needs = route.needs.expect("it needs one");
        let source = match route.path.split('/').nth(2) {
            Some("receipts") => "bot",
            Some("events") if route.names_a_thing() => "weak",
            _ => "stripe",
        };
        for reach in [Reach::default(), of_source(source)] {
            n += 1;
            let delivery = if route.path.starts_with("/v1/deliveries/") {
                shop.delivered(&shop.accepted(n).await).await
            } else {
                things.delivery.clone()
            };
            let event = shop.held(n).await;
            let order = shop.ordered(&format!("own-{n}")).await;
            let things = Things { event, delivery, order, endpoint: "app" };
            let key = shop.key([needs], reach).await;
            let once = if route.creates() { format!("done-{n}") } else { "done".to_owned() };
            let reply = route.ask(&shop, &route.about(&things), &key, &once).await;
            assert_eq!(reply.status, 200, "{place} {reply:?}");
        }
    }
}

fn without_ids(reply: &Reply) -> (u16, Value) {
    let mut problem = json(reply);
    problem.as_object_mut().expect("a problem").remove("request");
    (reply.status, problem)
}

#[tokio::test]
async fn the_document_is_served_as_it_is_written() {
    let shop = Shop::open().await;
    let reply = shop.ask(&get("/v1/openapi.json", "").without("authorization")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.body, gateway::api::openapi());
    let document = json(&reply);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(operation["summary"].is_string(), "{id}");
        }
    }
    // Whatever is named is there.
    for part in reply.body.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().expect("a name");
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}
