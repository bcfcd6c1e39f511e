//! Operators who are added and changed over HTTP: what is shown once, what ends, and that nobody can
//! lock out the last administrator.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use gateway::operators::Seed;
use model::{Role, Timestamp};
use serde_json::{Value, json};
use store::{Action, OperatorRow};

use super::admin_api::{Office, get, post};
use super::api::{is_refused, json as body_of};
use super::harness::Reply;

const ADMIN: Role = Role::Administrator;
const STEP_MS: i64 = 30_000;

/// The seed that a text in base32 is.
fn seed(text: &Value) -> Seed {
    let digits = text.as_str().expect("a seed").bytes().map(|byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        _ => byte - b'2' + 26,
    });
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits {
        (bits, held) = ((bits << 5) | u32::from(digit), held + 5);
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).expect("a byte"));
        }
    }
    Seed::new(bytes.try_into().expect("twenty bytes"))
}

impl Office {
    pub(crate) fn id(&self, role: Role) -> String {
        let (_, welcome) = self.operators.iter().find(|(one, _)| *one == role).expect("one");
        welcome.id.to_string()
    }

    async fn change(&self, token: &str, of: &str, how: &str, body: Value) -> Reply {
        let path = format!("/admin/v1/operators/{of}/{how}");
        self.ask(&post(&path, Some(token), &body)).await
    }

    /// Adds an operator; gives what was shown.
    pub(crate) async fn add(&self, token: &str, login: &str, role: Role) -> Value {
        let body = json!({ "login": login, "role": role.code(), "reason": "is new" });
        let reply = self.ask(&post("/admin/v1/operators", Some(token), &body)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        body_of(&reply)
    }

    /// Signs in with what was shown. The clock goes on, so that the code is a new one.
    async fn try_sign_in(&self, login: &str, password: &Value, secret: &Value) -> Reply {
        self.gateway.advance_ms(STEP_MS);
        let code = seed(secret).code(Timestamp::from_millis(self.gateway.now_ms()));
        let shown = json!({ "login": login, "password": password, "code": code });
        self.ask(&post("/admin/v1/sign-in", None, &shown)).await
    }

    /// The token of somebody who was added.
    pub(crate) async fn sign_in_as(&self, login: &str, added: &Value) -> String {
        let reply = self.try_sign_in(login, &added["password"], &added["totp_secret"]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        body_of(&reply)["token"].as_str().expect("a token").to_owned()
    }

    async fn is_in(&self, token: &str) -> bool {
        let reply = self.ask(&get("/admin/v1/me", Some(token))).await;
        assert!([200, 401].contains(&reply.status), "{reply:?}");
        reply.status == 200
    }

    /// Waits until a session is over, or fails.
    async fn is_out(&self, token: &str) {
        for _ in 0..1_500 {
            if !self.is_in(token).await {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the session goes on");
    }
}

fn because() -> Value {
    json!({ "reason": "it was asked for" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_added_signs_in_with_what_is_shown_once() {
    let office = Office::open().await;
    let token = office.sign_in(ADMIN).await;
    let ada = office.add(&token, "ada", Role::Operator).await;
    let uri = ada["totp_uri"].as_str().expect("a URI");
    assert!(uri.starts_with("otpauth://totp/Countersign:ada?secret="), "{uri}");
    let adas = office.sign_in_as("ada", &ada).await;
    let me = body_of(&office.ask(&get("/admin/v1/me", Some(&adas))).await);
    assert_eq!((&me["operator"], &me["role"]), (&ada["id"], &json!("operator")));

    let listed = office.ask(&get("/admin/v1/operators", Some(&token))).await;
    for secret in [&ada["password"], &ada["totp_secret"]] {
        assert!(!listed.body.contains(secret.as_str().expect("a text")), "{listed:?}");
    }
    let again = json!({ "login": "ada", "role": "viewer", "reason": "again" });
    let taken = office.ask(&post("/admin/v1/operators", Some(&token), &again)).await;
    is_refused(&taken, 409, "login_taken");
    for (member, value) in [
        ("login", json!("Ada")),
        ("login", json!("ada@shop.example")),
        ("role", json!("root")),
        ("role", json!(2)),
        ("reason", json!(" ")),
        ("password", json!("one of my own choice")),
    ] {
        let mut wrong = json!({ "login": "grace", "role": "viewer", "reason": "is new" });
        wrong[member] = value;
        let reply = office.ask(&post("/admin/v1/operators", Some(&token), &wrong)).await;
        is_refused(&reply, 400, "body_invalid");
        assert_eq!(body_of(&reply)["place"], member);
    }
    assert_eq!(office.desk.store().operators().await.expect("the store answers").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_counts_and_ends_what_it_must() {
    let office = Office::open().await;
    let token = office.sign_in(ADMIN).await;
    let ada = office.add(&token, "ada", Role::Viewer).await;
    let id = ada["id"].as_str().expect("an id").to_owned();
    let adas = office.sign_in_as("ada", &ada).await;

    let operator = json!({ "role": "operator", "reason": "is on duty" });
    let changed = office.change(&token, &id, "role", operator.clone()).await;
    assert_eq!(body_of(&changed), json!({ "id": id, "role": "operator", "disabled_at": null }));
    is_refused(&office.change(&token, &id, "role", operator).await, 409, "already_so");
    assert!(office.is_in(&adas).await, "a role ends no session");

    let disabled = body_of(&office.change(&token, &id, "disable", because()).await);
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    is_refused(&office.change(&token, &id, "disable", because()).await, 409, "already_so");
    office.is_out(&adas).await;
    let refused = office.try_sign_in("ada", &ada["password"], &ada["totp_secret"]).await;
    is_refused(&refused, 401, "sign_in_refused");
    let enabled = body_of(&office.change(&token, &id, "enable", because()).await);
    assert!(enabled["disabled_at"].is_null(), "{enabled}");
    let adas = office.sign_in_as("ada", &ada).await;

    let new = body_of(&office.change(&token, &id, "password", because()).await);
    assert_ne!(new["password"], ada["password"]);
    office.is_out(&adas).await;
    let refused = office.try_sign_in("ada", &ada["password"], &ada["totp_secret"]).await;
    is_refused(&refused, 401, "sign_in_refused");
    let seeded = body_of(&office.change(&token, &id, "totp", because()).await);
    assert_ne!(seeded["totp_secret"], ada["totp_secret"]);
    let reply = office.try_sign_in("ada", &new["password"], &seeded["totp_secret"]).await;
    assert_eq!(reply.status, 200, "{reply:?}");

    for how in ["disable", "enable", "password", "totp"] {
        for nobody in ["opr_01kdvdna00ew3re1r70w3ge1r7", &id.replace("opr", "key"), "ada"] {
            let reply = office.change(&token, nobody, how, because()).await;
            is_refused(&reply, 404, "not_found");
        }
        let blank = office.change(&token, &id, how, json!({ "reason": "" })).await;
        is_refused(&blank, 400, "body_invalid");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_cannot_lock_themselves_out() {
    let office = Office::open().await;
    let token = office.sign_in(ADMIN).await;
    let own = office.id(ADMIN);
    let less = json!({ "role": "operator", "reason": "enough of it" });
    let all =
        [("role", less), ("disable", because()), ("password", because()), ("totp", because())];
    for (how, body) in all.clone() {
        let refused = office.change(&token, &own, how, body).await;
        is_refused(&refused, 409, "last_administrator");
    }
    assert!(office.is_in(&token).await);
    // With another one, who is let in, it is theirs to do.
    let ada = office.add(&token, "ada", ADMIN).await;
    let (adas, id) = (office.sign_in_as("ada", &ada).await, ada["id"].as_str().expect("an id"));
    let (token, before) = (office.sign_in(ADMIN).await, token);
    assert_eq!(office.change(&token, &own, "disable", because()).await.status, 200);
    office.is_out(&token).await;
    assert!(!office.is_in(&before).await);
    for (how, body) in all {
        let refused = office.change(&adas, id, how, body).await;
        is_refused(&refused, 409, "last_administrator");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_disable_each_other_at_once_one_stays() {
    let office = Office::open().await;
    let first = office.sign_in(ADMIN).await;
    let ada = office.add(&first, "ada", ADMIN).await;
    let second = office.sign_in_as("ada", &ada).await;
    let first = (first, office.id(ADMIN));
    let second = (second, ada["id"].as_str().expect("an id").to_owned());
    let (one, other) = tokio::join!(
        office.change(&first.0, &second.1, "disable", because()),
        office.change(&second.0, &first.1, "disable", because()),
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    // Whoever comes second is refused as the last one's, or is nobody any more.
    assert!([[200, 401], [200, 409]].contains(&statuses), "{one:?} {other:?}");
    let rows = office.desk.store().operators().await.expect("the store answers");
    let is_left = |row: &&OperatorRow| row.role == ADMIN && row.disabled_at.is_none();
    assert_eq!(rows.iter().filter(is_left).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_chooses_a_password_of_their_own() {
    let office = Office::open().await;
    let token = office.sign_in(Role::Viewer).await;
    let choose = |password: &str| json!({ "password": password });
    let ask = async |token: &str, password: &str| {
        office.ask(&post("/admin/v1/password", Some(token), &choose(password))).await
    };
    for (weak, why) in [
        ("eleven char", "password_short"),
        ("PassWord1234", "password_common"),
        (&"a".repeat(257), "password_long"),
    ] {
        let refused = ask(&token, weak).await;
        is_refused(&refused, 400, "password_weak");
        assert_eq!(body_of(&refused)["place"], why);
        assert!(!refused.body.contains(weak), "{refused:?}");
    }
    office.gateway.advance_ms(5 * 60_000);
    is_refused(&ask(&token, "a long test password").await, 403, "confirmation_needed");
    let confirm = post("/admin/v1/confirm", Some(&token), &office.confirmation(Role::Viewer));
    let confirmed = body_of(&office.ask(&confirm).await);
    let token = confirmed["token"].as_str().expect("a token");
    assert_eq!(ask(token, "a long test password").await.status, 200);
    office.is_out(token).await;
    let mut shown = office.shown(Role::Viewer);
    is_refused(&office.ask(&post("/admin/v1/sign-in", None, &shown)).await, 401, "sign_in_refused");
    shown = office.shown(Role::Viewer);
    shown["password"] = json!("a long test password");
    assert_eq!(office.ask(&post("/admin/v1/sign-in", None, &shown)).await.status, 200);
    // The last administrator may: they know what they have chosen.
    let token = office.sign_in(ADMIN).await;
    assert_eq!(ask(&token, "a long test password").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_logins_is_in_the_audit_log() {
    let office = Office::open().await;
    let token = office.sign_in(ADMIN).await;
    let entries = async || {
        let all = office.desk.store().entries(0, 1_000).await.expect("the store answers");
        all.into_iter().filter(|entry| entry.action == Action::OperatorsRead).collect::<Vec<_>>()
    };
    assert_eq!(entries().await.len(), 0);
    assert_eq!(office.ask(&get("/admin/v1/operators", Some(&token))).await.status, 200);
    let read = entries().await;
    let said: Vec<_> = read.iter().map(|one| (&*one.actor, &*one.resource, one.outcome)).collect();
    assert_eq!(said, [(&*office.id(ADMIN), "operators", "done")]);
    let viewer = office.sign_in(Role::Viewer).await;
    let refused = office.ask(&get("/admin/v1/operators", Some(&viewer))).await;
    is_refused(&refused, 403, "permission_missing");
    assert_eq!(entries().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_and_keys_are_listed_page_by_page() {
    let office = Office::open().await;
    let token = office.sign_in(ADMIN).await;
    for n in 0..3 {
        let key = json!({ "name": format!("shop {n}"), "permissions": ["events:read"],
            "reason": "a new application" });
        let made = office.ask(&post("/admin/v1/keys", Some(&token), &key)).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let mut cursors = Vec::new();
    for (path, member) in [("/admin/v1/operators", "login"), ("/admin/v1/keys", "name")] {
        let whole = body_of(&office.ask(&get(path, Some(&token))).await);
        let names = |page: &Value| -> Vec<Value> {
            let data = page["data"].as_array().expect("a list");
            data.iter().map(|one| one[member].clone()).collect()
        };
        assert_eq!((names(&whole).len(), &whole["next"]), (3, &Value::Null), "{whole}");
        let first = body_of(&office.ask(&get(&format!("{path}?limit=2"), Some(&token))).await);
        let cursor = first["next"].as_str().expect("there is more").to_owned();
        let rest = format!("{path}?limit=2&cursor={cursor}");
        let rest = body_of(&office.ask(&get(&rest, Some(&token))).await);
        assert_eq!([names(&first), names(&rest)].concat(), names(&whole));
        assert_eq!((names(&first).len(), &rest["next"]), (2, &Value::Null));
        let exact = body_of(&office.ask(&get(&format!("{path}?limit=3"), Some(&token))).await);
        assert_eq!(exact["next"], Value::Null);
        for (query, code) in [
            ("limit=0", "query_invalid"),
            ("limit=101", "query_invalid"),
            ("colour=red", "query_invalid"),
            ("cursor=2", "cursor_invalid"),
            ("cursor=", "cursor_invalid"),
        ] {
            let reply = office.ask(&get(&format!("{path}?{query}"), Some(&token))).await;
            is_refused(&reply, 400, code);
        }
        cursors.push((path, cursor));
    }
    // A cursor is of its list.
    let [(operators, _), (_, of_keys)] = &cursors[..] else { panic!("two lists") };
    let wrong = office.ask(&get(&format!("{operators}?cursor={of_keys}"), Some(&token))).await;
    is_refused(&wrong, 400, "cursor_invalid");
}
