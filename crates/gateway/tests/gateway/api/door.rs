//! What every request meets: keys, limits, routes, methods, headers and transport.

use super::super::certificates::Authority;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unauthorized_looks_the_same_whatever_is_wrong() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let mut changed = key.clone();
    let last = changed.pop().expect("a character");
    changed.push(if last == '0' { '1' } else { '0' });
    let bare = get("/v1/events", &key).without("authorization");
    let of_another = Shop::open().await.full_key().await;
    let refused = [
        bare.clone(),
        bare.clone().with("authorization", "Basic abc"),
        bare.clone().with("authorization", &key),
        get("/v1/events", ""),
        get("/v1/events", "cs_test_nothing"),
        get("/v1/events", &changed),
        get("/v1/events", &of_another),
    ];
    let mut told = BTreeSet::new();
    for request in refused {
        let reply = shop.ask(&request).await;
        is_refused(&reply, 401, "unauthorized");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        let id = reply.header("x-request-id").expect("an id").to_owned();
        let head: Vec<&str> =
            reply.head.lines().filter(|line| !line.starts_with("date:")).collect();
        told.insert(format!("{}\n{}", head.join("\n"), reply.body).replace(&id, "req"));
    }
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(shop.ask(&get("/v1/events", &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_too_often_stops_only_those_that_fail() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    for _ in 0..10 {
        is_refused(&shop.ask(&get("/v1/events", "cs_test_1")).await, 401, "unauthorized");
    }
    let reply = shop.ask(&get("/v1/events", "cs_test_1")).await;
    is_refused(&reply, 429, "failed_too_often");
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(shop.ask(&get("/v1/events", &key)).await.status, 200);
    shop.gateway.advance_ms(120_000);
    is_refused(&shop.ask(&get("/v1/events", "cs_test_1")).await, 401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limited_by_key_and_by_customer() {
    let shop = Shop::open().await;
    let key = shop.key([Permission::EventsRead], shop.of_customer("cus_1")).await;
    let other = shop.key([Permission::EndpointsRead], shop.of_customer("cus_1")).await;
    for n in 0..100 {
        if n % 40 == 39 {
            shop.gateway.advance_ms(2_000);
        }
        let reply = shop.ask(&get("/v1/events", &key)).await;
        assert_eq!(reply.status, 200, "{n}");
        let left = reply.header("ratelimit").expect("what is left");
        assert!(left.contains(&format!("\"customer\";r={};", 99 - n)), "{left}");
        let policy = "\"key\";q=100;w=1, \"customer\";q=100;w=900";
        assert_eq!(reply.header("ratelimit-policy"), Some(policy));
    }
    for (path, key) in [("/v1/events", &key), ("/v1/endpoints", &other)] {
        let reply = shop.ask(&get(path, key)).await;
        is_refused(&reply, 429, "rate_limited");
        assert_eq!(reply.header("retry-after"), Some("896"));
        assert!(
            reply.header("ratelimit").is_some_and(|left| left.contains("\"customer\";r=0;t=896"))
        );
    }
    let unbound = shop.full_key().await;
    for n in 0..100 {
        assert_eq!(shop.ask(&get("/v1/endpoints", &unbound)).await.status, 200, "{n}");
    }
    let reply = shop.ask(&get("/v1/endpoints", &unbound)).await;
    is_refused(&reply, 429, "rate_limited");
    assert_eq!(reply.header("retry-after"), Some("1"));
    shop.gateway.advance_ms(2_000);
    assert_eq!(shop.ask(&get("/v1/endpoints", &unbound)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn route_unknown_and_method_not_allowed() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    for path in ["/", "/v1", "/v1/events/", "/v1/nothing", "/in/stripe", "/metrics", "/v2/events"] {
        is_refused(&shop.ask(&get(path, &key)).await, 404, "route_unknown");
    }
    is_refused(&shop.ask(&get("/v1/events/%ff", &key)).await, 404, "route_unknown");
    let of = |method| Request { method, ..get("/v1/events", &key) };
    for method in ["DELETE", "OPTIONS"] {
        let reply = shop.ask(&of(method)).await;
        is_refused(&reply, 405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some("GET,HEAD"), "{method}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let reply = shop.ask(&of("TRACE")).await;
    is_refused(&reply, 405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD,POST"));
    let reply = shop.ask(&of("HEAD")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    let reply = shop.ask(&get("/v1/endpoints/app/pause", &key)).await;
    is_refused(&reply, 405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_headers_of_an_api() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let malformed = raw(shop.gateway.api, b"GET /v1/events HTTP/1.1\r\nhost : x\r\n\r\n").await;
    assert_eq!(malformed.status, 400, "the gate stands here too");
    for reply in [
        malformed,
        shop.ask(&get("/v1/events", &key).with("origin", "https://a.example")).await,
        shop.ask(&get("/v1/events", "cs_test_1")).await,
        shop.ask(&get("/v1/openapi.json", &key)).await,
        shop.ask(&get("/nowhere", &key)).await,
    ] {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "0"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name} {reply:?}");
        }
        assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
        let absent = ["access-control-allow-origin", "server", "strict-transport-security"];
        assert!(absent.iter().all(|name| reply.header(name).is_none()), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_crossed_a_network_in_the_clear_is_not_looked_at_where_it_is_live() {
    let shop = Shop::open_with(|settings| {
        settings.environment = Environment::Live;
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
    })
    .await;
    let here = get("/v1/events", "cs_live_1");
    is_refused(&shop.ask(&here).await, 401, "unauthorized");
    let from_afar = here.with("x-forwarded-for", "203.0.113.9");
    for said in [from_afar.clone(), from_afar.clone().with("x-forwarded-proto", "http")] {
        let reply = shop.ask(&said).await;
        assert_eq!((reply.status, json(&reply)["code"].as_str()), (403, Some("https_required")));
        assert_eq!(reply.header("strict-transport-security"), None);
    }
    let reply = shop.ask(&from_afar.with("x-forwarded-proto", "https")).await;
    is_refused(&reply, 401, "unauthorized");
    assert_eq!(reply.header("strict-transport-security"), Some("max-age=63072000"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_it_is_said_to_stay_there() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let authority = Authority::new();
    let shop = Shop::open_with(|settings| settings.api_tls = Some(authority.tls(None))).await;
    let key = shop.full_key().await;
    let mut stream = authority.client().connect(shop.gateway.api).await.expect("a handshake");
    stream.write_all(&get("/v1/events", &key).bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer that ends well");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=63072000"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn try_again_while_the_store_is_away() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let event = shop.held(1).await;
    let path = format!("/v1/events/{event}/release");
    shop.gateway.store.close().await;
    let reply = shop.ask(&post(&path, &key, "1")).await;
    is_refused(&reply, 503, "try_again");
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert!(!reply.body.contains("store"), "nothing of the inside: {reply:?}");
}
