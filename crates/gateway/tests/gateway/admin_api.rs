//! What operators ask over HTTP: who is let in, by what, and what needs more than that.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use std::collections::BTreeSet;

use gateway::operations::Desk;
use gateway::operators::Welcome;
use model::{Permission, Role, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api::{Request, is_refused, json as body_of};
use super::api_keys;
use super::certificates::Authority;
use super::harness::{Harness, Reply, raw};
use super::headers;

const STEP_MS: i64 = 30_000;

/// A gateway with an operator of each role.
pub(crate) struct Office {
    pub(crate) gateway: Harness,
    pub(crate) desk: Desk,
    pub(crate) operators: Vec<(Role, Welcome)>,
}

pub(crate) fn post<'a>(path: &'a str, token: Option<&str>, body: &Value) -> Request<'a> {
    let mut request = get(path, token);
    request.method = "POST";
    request.headers.push(("content-type", "application/json".to_owned()));
    request.body = Some(body.to_string());
    request
}

pub(crate) fn get<'a>(path: &'a str, token: Option<&str>) -> Request<'a> {
    let token = token.map(|token| ("authorization", format!("Bearer {token}")));
    Request { method: "GET", path, headers: token.into_iter().collect(), body: None }
}

fn wanted() -> Value {
    json!({ "name": "shop", "permissions": ["events:read"], "sources": ["stripe"],
        "networks": ["192.0.2.0/24"], "days": 30, "reason": "a new application" })
}

impl Office {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut gateway::Settings)) -> Self {
        let gateway = Harness::start(change).await;
        let desk = api_keys::desk(&gateway).await;
        let mut operators = Vec::new();
        for role in Role::ALL {
            let login = role.code().parse().expect("a login");
            let order = super::operations::order("a test");
            let added = desk.add_operator(&login, *role, order).await.expect("the store answers");
            operators.push((*role, added.unwrap_or_else(|no| panic!("{no}"))));
        }
        Self { gateway, desk, operators }
    }

    pub(crate) async fn ask(&self, request: &Request<'_>) -> Reply {
        raw(self.gateway.admin, &request.bytes()).await
    }

    /// What an operator shows now. The clock goes on, so that the code is a new one.
    pub(crate) fn shown(&self, role: Role) -> Value {
        self.gateway.advance_ms(STEP_MS);
        let (_, welcome) = self.operators.iter().find(|(one, _)| *one == role).expect("one");
        let code = welcome.seed.code(Timestamp::from_millis(self.gateway.now_ms()));
        json!({ "login": role.code(), "password": welcome.password.as_str(), "code": code })
    }

    pub(crate) async fn sign_in(&self, role: Role) -> String {
        let reply = self.ask(&post("/admin/v1/sign-in", None, &self.shown(role))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("set-cookie"), None);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        body_of(&reply)["token"].as_str().expect("a token").to_owned()
    }

    pub(crate) fn confirmation(&self, role: Role) -> Value {
        let mut shown = self.shown(role);
        shown.as_object_mut().expect("an object").remove("login");
        shown
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_sees_what_they_may_do_and_signs_out() {
    let office = Office::open().await;
    for role in Role::ALL {
        let token = office.sign_in(*role).await;
        let me = body_of(&office.ask(&get("/admin/v1/me", Some(&token))).await);
        assert_eq!((&me["role"], &me["confirmed"]), (&json!(role.code()), &json!(true)));
        let may: BTreeSet<&str> = me["permissions"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let expected = Permission::ALL.iter().filter(|one| role.may(**one));
        assert_eq!(may, expected.map(|one| one.code()).collect());
        let out = post("/admin/v1/sign-out", Some(&token), &json!({}));
        assert_eq!(office.ask(&out).await.status, 200);
        let over = office.ask(&get("/admin/v1/me", Some(&token))).await;
        is_refused(&over, 401, "not_signed_in");
        assert_eq!(over.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_is_one_answer() {
    let office = Office::open().await;
    let right = office.shown(Role::Viewer);
    let with = |member: &str, value: &str| {
        let mut shown = right.clone();
        shown[member] = json!(value);
        shown
    };
    let mut seen = BTreeSet::new();
    for wrong in [
        with("login", "nobody"),
        with("password", "not the password"),
        with("code", ""),
        with("password", &"a".repeat(300)),
    ] {
        let reply = office.ask(&post("/admin/v1/sign-in", None, &wrong)).await;
        is_refused(&reply, 401, "sign_in_refused");
        let id = reply.header("x-request-id").expect("an id").to_owned();
        seen.insert(reply.outside().replace(&id, "req"));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(office.ask(&post("/admin/v1/sign-in", None, &right)).await.status, 200);
    // One more from this address, and it is told to wait.
    let wrong = with("code", "");
    let fifth = office.ask(&post("/admin/v1/sign-in", None, &wrong)).await;
    is_refused(&fifth, 401, "sign_in_refused");
    let limited = office.ask(&post("/admin/v1/sign-in", None, &office.shown(Role::Operator))).await;
    is_refused(&limited, 429, "sign_ins_limited");
    let wait: i64 = limited.header("retry-after").expect("how long").parse().expect("seconds");
    assert!((1..=900).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_token_is_refused_and_told_to_wait_in_the_end() {
    let office = Office::open().await;
    let token = office.sign_in(Role::Viewer).await;
    let guess = format!("cs_session_{}", "A".repeat(43));
    for n in 0..10 {
        let shown = if n % 2 == 0 { Some(guess.as_str()) } else { None };
        is_refused(&office.ask(&get("/admin/v1/me", shown)).await, 401, "not_signed_in");
    }
    let limited = office.ask(&get("/admin/v1/me", Some(&guess))).await;
    is_refused(&limited, 429, "failed_too_often");
    assert_eq!(office.ask(&get("/admin/v1/me", Some(&token))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_needs_its_permission_and_its_confirmation() {
    let office = Office::open().await;
    let document: Value = serde_json::from_str(&gateway::api::admin::openapi()).expect("JSON");
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((*role, office.sign_in(*role).await));
    }
    // What they showed to sign in counts no more.
    office.gateway.advance_ms(5 * 60_000);
    let changing = [Some(Permission::KeysChange), Some(Permission::OperatorsChange)];
    let confirmed = [
        "/admin/v1/password",
        "/admin/v1/approvals/{id}/approve",
        "/admin/v1/approvals/{id}/refuse",
    ];
    let mut routes = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            routes += 1;
            let place = format!("{method} {path}");
            let security = operation["security"].as_array().expect("each says what it needs");
            let scopes = security.first().map(|one| one["session"].as_array().expect("scopes"));
            let Some(scopes) = scopes else { continue };
            let of = if path.contains("/operators/") { "opr" } else { "key" };
            let about = path.replace("{id}", &format!("{of}_01kdvdna00ew3re1r70w3ge1r7"));
            let request = |token| match method.as_str() {
                "get" => get(&about, token),
                _ => post(&about, token, &json!({ "nothing": "that is known" })),
            };
            office.gateway.advance_ms(10_000);
            is_refused(&office.ask(&request(None)).await, 401, "not_signed_in");
            let statuses = operation["responses"].as_object().expect("responses");
            for (role, token) in &tokens {
                let reply = office.ask(&request(Some(token))).await;
                assert!(statuses.contains_key(&reply.status.to_string()), "{place} {reply:?}");
                headers::documented(&document, method, path, &reply);
                let needs = scopes.first().and_then(Value::as_str);
                let needs: Option<Permission> = needs.map(|code| code.parse().expect("one"));
                if let Some(needs) = needs.filter(|needs| !role.may(*needs)) {
                    is_refused(&reply, 403, "permission_missing");
                    assert_eq!(body_of(&reply)["place"], needs.code(), "{place} {role}");
                } else if changing.contains(&needs) || confirmed.contains(&path.as_str()) {
                    is_refused(&reply, 403, "confirmation_needed");
                } else if method == "get" && path.contains("{id}") {
                    is_refused(&reply, 404, "not_found");
                } else if method == "get" {
                    assert_eq!(reply.status, 200, "{place} {role} {reply:?}");
                } else {
                    is_refused(&reply, 400, "body_invalid");
                }
            }
        }
    }
    assert!(routes >= 25, "the document is whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_rolled_and_revoked_by_who_has_confirmed() {
    let office = Office::open().await;
    let administrator = Role::Administrator;
    let token = office.sign_in(administrator).await;
    office.gateway.advance_ms(5 * 60_000);
    let create = |token: &str| post("/admin/v1/keys", Some(token), &wanted());
    is_refused(&office.ask(&create(&token)).await, 403, "confirmation_needed");
    let confirm = post("/admin/v1/confirm", Some(&token), &office.confirmation(administrator));
    let confirmed = office.ask(&confirm).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    is_refused(&office.ask(&get("/admin/v1/me", Some(&token))).await, 401, "not_signed_in");
    let token = body_of(&confirmed)["token"].as_str().expect("a token").to_owned();

    let made = body_of(&office.ask(&create(&token)).await);
    assert!(made["key"].as_str().is_some_and(|key| key.starts_with("cs_test_")), "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let (rolls, revokes) =
        (format!("/admin/v1/keys/{id}/roll"), format!("/admin/v1/keys/{id}/revoke"));
    let roll = post(&rolls, Some(&token), &json!({ "overlap": "1h", "reason": "it is due" }));
    let rolled = body_of(&office.ask(&roll).await);
    assert_ne!((&rolled["id"], &rolled["key"]), (&made["id"], &made["key"]));
    is_refused(&office.ask(&roll).await, 409, "already_rolled");
    let cause = json!({ "cause": "leaked", "reason": "in a log" });
    let revoke = post(&revokes, Some(&token), &cause);
    assert_eq!(body_of(&office.ask(&revoke).await)["state"], "revoked");
    is_refused(&office.ask(&revoke).await, 409, "already_revoked");
    let listed = office.ask(&get("/admin/v1/keys", Some(&token))).await;
    let keys = body_of(&listed);
    assert_eq!(keys["data"].as_array().expect("a list").len(), 2);
    assert!(!listed.body.contains(made["key"].as_str().expect("a key")));
    let unknown = "/admin/v1/keys/key_01kdvdna00ew3re1r70w3ge1r7/revoke";
    is_refused(&office.ask(&post(unknown, Some(&token), &cause)).await, 404, "not_found");

    for (member, value) in [
        ("name", json!("ada@example.com")),
        ("permissions", json!(["events:*"])),
        ("permissions", json!([])),
        ("sources", json!(["nobody"])),
        ("sources", json!([])),
        ("providers", json!(["nobody"])),
        ("networks", json!(["anywhere"])),
        ("customer", json!({ "provider": "nobody", "customer": "cus_1" })),
        ("days", json!(0)),
        ("reason", json!("")),
    ] {
        let mut wrong = wanted();
        wrong[member] = value;
        let reply = office.ask(&post("/admin/v1/keys", Some(&token), &wrong)).await;
        is_refused(&reply, 400, "body_invalid");
        let place = body_of(&reply)["place"].as_str().expect("a place").to_owned();
        assert!(place.starts_with(member), "{member}: {place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_read_page_by_page_and_that_is_in_it() {
    let office = Office::open().await;
    let token = office.sign_in(Role::Viewer).await;
    let mut after = 0;
    let mut all = Vec::new();
    loop {
        let path = format!("/admin/v1/audit/entries?limit=3&after={after}");
        let page = body_of(&office.ask(&get(&path, Some(&token))).await);
        all.extend(page["data"].as_array().expect("a list").clone());
        match page["next"].as_i64() {
            Some(next) if all.len() < 30 => after = next,
            _ => break,
        }
    }
    let actions: Vec<&str> = all.iter().filter_map(|entry| entry["action"].as_str()).collect();
    let count = |action: &str| actions.iter().filter(|one| **one == action).count();
    assert_eq!((count("operator.added"), count("session.opened")), (3, 1), "{actions:?}");
    assert!(count("audit.read") > 0, "{actions:?}");
    let operators = office.sign_in(Role::Administrator).await;
    let listed = body_of(&office.ask(&get("/admin/v1/operators", Some(&operators))).await);
    let logins: Vec<&str> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|o| o["login"].as_str())
        .collect();
    assert_eq!(logins, ["viewer", "operator", "administrator"]);
    let rows = office.desk.store().operators().await.expect("the store answers");
    assert_eq!(rows.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_is_given_over_tls_and_taken_with_its_header_only() {
    let authority = Authority::new();
    let office = Office::open_with(|settings| settings.admin_tls = Some(authority.tls(None))).await;
    let ask = async |request: &Request<'_>| {
        let client = authority.client();
        let mut stream = client.connect(office.gateway.admin).await.expect("a handshake");
        stream.write_all(&request.bytes()).await.expect("written");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Reply::of(&answer)
    };
    let mut shown = office.shown(Role::Viewer);
    shown["cookie"] = json!(true);
    let reply = ask(&post("/admin/v1/sign-in", None, &shown)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(body_of(&reply)["token"].is_null(), "it is in the cookie alone");
    let set = reply.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.starts_with("__Host-countersign=cs_session_"), "{set}");
    for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(set.split("; ").any(|one| one == part), "{set}");
    }
    let cookie = set.split(';').next().expect("a pair");
    let bare = get("/admin/v1/me", None).with("cookie", cookie);
    is_refused(&ask(&bare).await, 403, "csrf_header_missing");
    assert_eq!(ask(&bare.clone().with("x-countersign-csrf", "1")).await.status, 200);
    let out = post("/admin/v1/sign-out", None, &json!({})).with("cookie", cookie);
    is_refused(&ask(&out).await, 403, "csrf_header_missing");
    let out = ask(&out.with("x-countersign-csrf", "1")).await;
    assert!(out.header("set-cookie").is_some_and(|set| set.contains("Max-Age=0")), "{out:?}");

    // In the clear there is none, and one that comes anyhow is not looked at.
    let plain = Office::open().await;
    let mut shown = plain.shown(Role::Viewer);
    shown["cookie"] = json!(true);
    let reply = plain.ask(&post("/admin/v1/sign-in", None, &shown)).await;
    is_refused(&reply, 400, "body_invalid");
    let token = plain.sign_in(Role::Viewer).await;
    let request = get("/admin/v1/me", None)
        .with("cookie", &format!("__Host-countersign={token}"))
        .with("x-countersign-csrf", "1");
    is_refused(&plain.ask(&request).await, 401, "not_signed_in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_route_or_no_request_is_a_problem() {
    let office = Office::open().await;
    let nowhere = office.ask(&get("/admin/v1/nowhere", None)).await;
    is_refused(&nowhere, 404, "route_unknown");
    let method = office.ask(&post("/admin/v1/me", None, &json!({}))).await;
    is_refused(&method, 405, "method_not_allowed");
    let text = post("/admin/v1/sign-in", None, &json!({})).without("content-type");
    is_refused(&office.ask(&text).await, 415, "content_type");
    for (body, code) in [("{", "body_malformed"), ("{}", "body_invalid"), ("[]", "body_invalid")] {
        let request = post("/admin/v1/sign-in", None, &json!({})).saying(body);
        is_refused(&office.ask(&request).await, 400, code);
    }
    let document = office.ask(&get("/admin/v1/openapi.json", None)).await;
    assert_eq!(document.body, gateway::api::admin::openapi());
    // What was there before goes on.
    assert_eq!(raw(office.gateway.admin, &get("/healthz", None).bytes()).await.status, 200);
}
