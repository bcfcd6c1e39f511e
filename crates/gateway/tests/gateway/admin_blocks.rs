//! Blocks as operators handle them: who may, what is shown to whom, and what stands in the audit log.

use model::{EventStatus, Role, Timestamp};
use serde_json::{Value, json};
use store::Action;

use super::admin_api::{Office, get, post};
use super::api::{is_refused, json as body_of};
use super::harness::stripe_event;

const BLOCKS: &str = "/admin/v1/blocks";

fn block(name: &str) -> Value {
    json!({ "kind": "customer", "of": "stripe", "name": name, "reason": "three chargebacks" })
}

async fn entries(office: &Office, action: Action) -> Vec<store::EntryRow> {
    let all = office.gateway.store.entries(0, 1000).await.expect("entries");
    all.into_iter().filter(|entry| entry.action == action).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_blocks_sees_and_lifts_and_it_counts_at_once() {
    let office = Office::open().await;
    let token = office.sign_in(Role::Operator).await;
    let added = office.ask(&post(BLOCKS, Some(&token), &block("cus_1"))).await;
    assert_eq!(added.status, 200, "{added:?}");
    let shown = body_of(&added);
    let id = shown["id"].as_str().expect("an id").to_owned();
    assert_eq!((&shown["name"], &shown["state"]), (&json!("cus_1"), &json!("standing")));
    assert_eq!(shown["reason"], "three chargebacks");
    // At this gateway it counts when it is answered.
    assert_eq!(office.gateway.send(&stripe_event("evt_1", "o-1")).await.status, 200);
    office.gateway.is_kept_as(EventStatus::Held, Some("party_blocked")).await;

    let again = office.ask(&post(BLOCKS, Some(&token), &block("cus_1"))).await;
    is_refused(&again, 409, "already_blocked");
    assert_eq!(body_of(&again)["place"], json!(id));
    let path = format!("{BLOCKS}/{id}");
    assert_eq!(body_of(&office.ask(&get(&path, Some(&token))).await)["name"], "cus_1");
    let lifts = format!("{path}/lift");
    let lift = post(&lifts, Some(&token), &json!({ "reason": "it was a mistake" }));
    let lifted = body_of(&office.ask(&lift).await);
    assert_eq!(lifted["state"], "lifted");
    assert_eq!(lifted["lifted_by"], lifted["created_by"]);
    is_refused(&office.ask(&lift).await, 409, "already_over");
    let body = stripe_event("evt_2", "o-1");
    assert_eq!(office.gateway.send(&body).await.status, 200);
    let last = office.gateway.events().await.pop().expect("an event");
    assert_eq!((last.status, last.reason), (EventStatus::Accepted, None));

    for (action, outcomes) in [
        (Action::BlockAdded, vec!["done", "refused"]),
        (Action::BlockLifted, vec!["done", "refused"]),
    ] {
        let entries = entries(&office, action).await;
        let found: Vec<_> = entries.iter().map(|entry| entry.outcome).collect();
        assert_eq!(found, outcomes, "{action:?}");
        assert!(entries.iter().all(|entry| !entry.changes.contains("cus_1")));
        assert!(entries.iter().all(|entry| entry.actor.starts_with("opr_")));
    }
    assert_eq!(entries(&office, Action::BlocksRead).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_sees_blocks_and_not_who_is_blocked() {
    let office = Office::open().await;
    let operator = office.sign_in(Role::Operator).await;
    for n in 1..=3 {
        let add = post(BLOCKS, Some(&operator), &block(&format!("cus_{n}")));
        assert_eq!(office.ask(&add).await.status, 200);
    }
    let viewer = office.sign_in(Role::Viewer).await;
    is_refused(
        &office.ask(&post(BLOCKS, Some(&viewer), &block("cus_9"))).await,
        403,
        "permission_missing",
    );
    let listed = office.ask(&get(BLOCKS, Some(&viewer))).await;
    assert_eq!(body_of(&listed)["data"].as_array().map(Vec::len), Some(3));
    assert!(!listed.body.contains("cus_") && !listed.body.contains("chargebacks"), "{listed:?}");
    assert_eq!(entries(&office, Action::BlocksRead).await.len(), 0);

    let names = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().cloned().expect("a list");
        data.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let path = format!("{BLOCKS}?limit=2");
    let page = body_of(&office.ask(&get(&path, Some(&operator))).await);
    assert_eq!(names(&page), ["cus_3", "cus_2"]);
    let cursor = page["next"].as_str().expect("another page");
    let path = format!("{BLOCKS}?limit=2&cursor={cursor}");
    let page = body_of(&office.ask(&get(&path, Some(&operator))).await);
    assert_eq!((names(&page), &page["next"]), (vec!["cus_1".to_owned()], &Value::Null));
    assert_eq!(entries(&office, Action::BlocksRead).await.len(), 2);
    let foreign = format!("{BLOCKS}?cursor=AAAA");
    is_refused(&office.ask(&get(&foreign, Some(&operator))).await, 400, "cursor_invalid");
    let unread = format!("{BLOCKS}?all=yes");
    is_refused(&office.ask(&get(&unread, Some(&operator))).await, 400, "query_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_listed_where_it_is_asked_for() {
    let office = Office::open().await;
    let token = office.sign_in(Role::Operator).await;
    let ends_at = Timestamp::from_millis(office.gateway.now_ms() + 60_000).to_string();
    let mut short = block("cus_1");
    short["ends_at"] = json!(ends_at);
    let added = body_of(&office.ask(&post(BLOCKS, Some(&token), &short)).await);
    assert_eq!(added["ends_at"], json!(ends_at));
    office.gateway.advance_ms(60_000);
    let count = async |path: &str| {
        let listed = body_of(&office.ask(&get(path, Some(&token))).await);
        listed["data"].as_array().expect("a list").len()
    };
    assert_eq!((count(BLOCKS).await, count("/admin/v1/blocks?all=true").await), (0, 1));
    let path = format!("{BLOCKS}/{}", added["id"].as_str().expect("an id"));
    assert_eq!(body_of(&office.ask(&get(&path, Some(&token))).await)["state"], "ended");
    let lift = format!("{path}/lift");
    let because = json!({ "reason": "late" });
    is_refused(&office.ask(&post(&lift, Some(&token), &because)).await, 409, "already_over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_blocked_is_refused_and_named() {
    let office = Office::open().await;
    let token = office.sign_in(Role::Operator).await;
    for (member, value) in [
        ("kind", json!("everybody")),
        ("of", json!("nobody")),
        ("of", json!("")),
        ("name", json!("")),
        ("name", json!("a b")),
        ("name", json!("4242424242424242")),
        ("ends_at", json!("tomorrow")),
        ("ends_at", json!("2020-01-01T00:00:00Z")),
        ("reason", json!("")),
    ] {
        let mut wrong = block("cus_1");
        wrong[member] = value.clone();
        let reply = office.ask(&post(BLOCKS, Some(&token), &wrong)).await;
        is_refused(&reply, 400, "body_invalid");
        assert_eq!(body_of(&reply)["place"], member, "{value}");
    }
    // Chains are not configured: any may be named.
    let address = json!({ "kind": "address", "of": "Base", "name": "0xAB", "reason": "stolen" });
    let added = body_of(&office.ask(&post(BLOCKS, Some(&token), &address)).await);
    assert_eq!((&added["of"], &added["name"]), (&json!("base"), &json!("0xab")));
    let unknown = "/admin/v1/blocks/blk_01kdvdna00ew3re1r70w3ge1r7";
    is_refused(&office.ask(&get(unknown, Some(&token))).await, 404, "not_found");
}
