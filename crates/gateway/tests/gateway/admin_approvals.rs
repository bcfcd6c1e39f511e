//! A second person: what is configured to need one is done once, by whoever asked, after another
//! operator who may do the same has approved it.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use model::{Permission, Role};
use serde_json::{Value, json};
use store::Action;

use super::admin_api::{Office, get, post};
use super::api::{is_refused, json as body_of};
use super::harness::Reply;

const ADMIN: Role = Role::Administrator;
const MINUTE_MS: i64 = 60_000;

/// An office where operators and keys are changed by two, with two administrators who are signed in.
struct Pair {
    office: Office,
    first: String,
    second: String,
    second_id: String,
    /// What the second one signs in with.
    shown: Value,
}

fn key() -> Value {
    json!({ "name": "shop", "permissions": ["events:read"], "sources": ["stripe"],
        "reason": "a new application" })
}

fn because() -> Value {
    json!({ "reason": "it was talked about" })
}

impl Pair {
    async fn open() -> Self {
        let office = Office::open_with(|settings| {
            settings.second_person = [Permission::OperatorsChange, Permission::KeysChange].into();
        })
        .await;
        // The host is outside of it: that is how the second one comes.
        let login = "ada".parse().expect("a login");
        let order = super::operations::order("a test");
        let added =
            office.desk.add_operator(&login, ADMIN, order).await.expect("the store answers");
        let welcome = added.unwrap_or_else(|no| panic!("{no}"));
        let shown = json!({
            "password": welcome.password.as_str(), "totp_secret": welcome.seed.to_text().as_str(),
        });
        let second = office.sign_in_as("ada", &shown).await;
        let first = office.sign_in(ADMIN).await;
        Self { office, first, second, second_id: welcome.id.to_string(), shown }
    }

    async fn ask(&self, path: &str, token: &str, body: &Value, approval: Option<&str>) -> Reply {
        let mut request = post(path, Some(token), body);
        if let Some(approval) = approval {
            request = request.with("countersign-approval", approval);
        }
        self.office.ask(&request).await
    }

    /// Asks for a key; gives the approval that it waits for.
    async fn asked(&self) -> String {
        let waits = self.ask("/admin/v1/keys", &self.first, &key(), None).await;
        assert_eq!(waits.status, 202, "{waits:?}");
        let awaited = body_of(&waits);
        assert_eq!(awaited["permission"], "keys:change");
        awaited["approval"].as_str().expect("an approval").to_owned()
    }

    async fn again(&self, approval: &str) -> Reply {
        self.ask("/admin/v1/keys", &self.first, &key(), Some(approval)).await
    }

    async fn decide(&self, token: &str, approval: &str, how: &str) -> Reply {
        let path = format!("/admin/v1/approvals/{approval}/{how}");
        self.ask(&path, token, &because(), None).await
    }

    async fn keys(&self) -> usize {
        self.office.desk.store().api_keys().await.expect("the store answers").len()
    }

    async fn list(&self, token: &str) -> Vec<Value> {
        let listed = self.office.ask(&get("/admin/v1/approvals", Some(token))).await;
        assert_eq!(listed.status, 200, "{listed:?}");
        body_of(&listed)["data"].as_array().expect("a list").clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_one_approves_is_done_once() {
    let pair = Pair::open().await;
    let approval = pair.asked().await;
    assert_eq!(pair.keys().await, 0, "nothing is done yet");
    let listed = pair.list(&pair.second).await;
    let (state, request) = (&listed[0]["state"], &listed[0]["request"]);
    assert_eq!((listed.len(), state), (1, &json!("waiting")));
    assert_eq!(*request, json!({ "method": "POST", "path": "/admin/v1/keys", "body": key() }));
    assert_eq!(listed[0]["operator"], pair.office.id(ADMIN));
    is_refused(&pair.again(&approval).await, 409, "approval_waits");

    let approved = pair.decide(&pair.second, &approval, "approve").await;
    assert_eq!(body_of(&approved), json!({ "id": approval, "state": "approved" }));
    let again = pair.decide(&pair.second, &approval, "approve").await;
    is_refused(&again, 409, "approval_given");
    let listed = pair.list(&pair.first).await;
    assert_eq!(listed[0]["state"], "approved");
    assert_eq!(listed[0]["approver"], pair.second_id);

    let made = pair.again(&approval).await;
    assert_eq!((made.status, pair.keys().await), (200, 1), "{made:?}");
    assert!(body_of(&made)["key"].as_str().is_some_and(|key| key.starts_with("cs_test_")));
    is_refused(&pair.again(&approval).await, 409, "approval_used");
    is_refused(&pair.decide(&pair.second, &approval, "refuse").await, 409, "approval_used");
    assert_eq!((pair.keys().await, pair.list(&pair.first).await.len()), (1, 0));

    let entries = pair.office.desk.store().entries(0, 1_000).await.expect("the store answers");
    let about = entries.iter().filter(|entry| entry.resource == approval);
    let said: Vec<_> = about.map(|one| (one.action, one.outcome, &*one.actor)).collect();
    let (first, second) = (&*pair.office.id(ADMIN), &*pair.second_id);
    let done = [
        (Action::ApprovalAsked, "done", first),
        (Action::ApprovalUsed, "refused", first),
        (Action::ApprovalApproved, "done", second),
        (Action::ApprovalApproved, "refused", second),
        (Action::ApprovalUsed, "done", first),
        (Action::ApprovalUsed, "refused", first),
        (Action::ApprovalRefused, "refused", second),
    ];
    assert_eq!(said, done);
    let read = entries.iter().filter(|entry| entry.action == Action::ApprovalsRead);
    assert_eq!(read.count(), 2, "whoever saw what others want");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_approves_what_they_asked_for_or_uses_what_another_asked_for() {
    let pair = Pair::open().await;
    let approval = pair.asked().await;
    for how in ["approve", "refuse"] {
        is_refused(&pair.decide(&pair.first, &approval, how).await, 403, "approval_own");
    }
    for role in [Role::Viewer, Role::Operator] {
        let token = pair.office.sign_in(role).await;
        assert!(pair.list(&token).await.is_empty(), "they see nothing of it");
        let lacks = pair.decide(&token, &approval, "approve").await;
        is_refused(&lacks, 403, "permission_missing");
        assert_eq!(body_of(&lacks)["place"], "keys:change");
    }
    assert_eq!(pair.decide(&pair.second, &approval, "approve").await.status, 200);
    let others = pair.ask("/admin/v1/keys", &pair.second, &key(), Some(&approval)).await;
    is_refused(&others, 403, "approval_not_yours");
    assert_eq!(pair.keys().await, 0);
    assert_eq!(pair.again(&approval).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_of_one_request() {
    let pair = Pair::open().await;
    let approval = pair.asked().await;
    assert_eq!(pair.decide(&pair.second, &approval, "approve").await.status, 200);
    let mut more = key();
    more["permissions"] = json!(["events:read", "events:reveal"]);
    let other = pair.ask("/admin/v1/keys", &pair.first, &more, Some(&approval)).await;
    is_refused(&other, 422, "approval_other_request");
    let query = pair.ask("/admin/v1/keys?", &pair.first, &key(), Some(&approval)).await;
    is_refused(&query, 422, "approval_other_request");
    let id = "opr_01kdvdna00ew3re1r70w3ge1r7";
    let elsewhere = format!("/admin/v1/operators/{id}/totp");
    let elsewhere = pair.ask(&elsewhere, &pair.first, &key(), Some(&approval)).await;
    is_refused(&elsewhere, 422, "approval_other_request");
    for none in ["", "apr_1", &approval.replace("apr", "key"), &format!("{approval}, {approval}")] {
        let malformed = pair.again(none).await;
        is_refused(&malformed, 400, "approval_malformed");
    }
    let unknown = "apr_01kdvdna00ew3re1r70w3ge1r7";
    is_refused(&pair.again(unknown).await, 404, "not_found");
    is_refused(&pair.decide(&pair.second, unknown, "approve").await, 404, "not_found");
    is_refused(&pair.decide(&pair.second, "apr_1", "approve").await, 404, "not_found");
    assert_eq!(pair.keys().await, 0);
    assert_eq!(pair.again(&approval).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_or_too_late_is_not_done() {
    let pair = Pair::open().await;
    let refused = pair.asked().await;
    assert_eq!(pair.decide(&pair.second, &refused, "refuse").await.status, 200);
    is_refused(&pair.again(&refused).await, 409, "approval_refused");
    is_refused(&pair.decide(&pair.second, &refused, "approve").await, 409, "approval_refused");
    let (given, waits) = (pair.asked().await, pair.asked().await);
    assert_eq!(pair.decide(&pair.second, &given, "approve").await.status, 200);
    pair.office.gateway.advance_ms(15 * MINUTE_MS);
    let first = pair.office.sign_in(ADMIN).await;
    let second = pair.office.sign_in_as("ada", &pair.shown).await;
    let pair = Pair { first, second, ..pair };
    assert!(pair.list(&pair.first).await.is_empty());
    is_refused(&pair.again(&given).await, 409, "approval_expired");
    is_refused(&pair.again(&waits).await, 409, "approval_expired");
    let late = pair.decide(&pair.second, &waits, "approve").await;
    is_refused(&late, 409, "approval_expired");
    assert_eq!(pair.keys().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_repeat_it_at_once_one_is_done() {
    let pair = Pair::open().await;
    let approval = pair.asked().await;
    assert_eq!(pair.decide(&pair.second, &approval, "approve").await.status, 200);
    let all = tokio::join!(
        pair.again(&approval),
        pair.again(&approval),
        pair.again(&approval),
        pair.again(&approval),
    );
    let all = [all.0, all.1, all.2, all.3];
    let done = all.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((done, pair.keys().await), (1, 1), "{all:?}");
    for reply in all.iter().filter(|reply| reply.status != 200) {
        is_refused(reply, 409, "approval_used");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_must_still_be_there() {
    let pair = Pair::open().await;
    let approval = pair.asked().await;
    assert_eq!(pair.decide(&pair.second, &approval, "approve").await.status, 200);
    let store = pair.office.desk.store();
    let id = pair.second_id.parse().expect("an id");
    let change = async |change| {
        let order = super::operations::order("a test");
        let note = pair.office.desk.note(order).await.expect("a note");
        store.change_operator(id, change, note).await.expect("the store answers");
    };
    for (taken, given) in [
        (store::OperatorChange::Disable, store::OperatorChange::Enable),
        (store::OperatorChange::Role(Role::Operator), store::OperatorChange::Role(ADMIN)),
    ] {
        change(taken).await;
        let void = pair.again(&approval).await;
        is_refused(&void, 409, "approval_void");
        assert_eq!(body_of(&void)["place"], "approving");
        change(given).await;
    }
    assert_eq!(pair.keys().await, 0);
    assert_eq!(pair.again(&approval).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_configured_needs_a_second_person() {
    let pair = Pair::open().await;
    for path in ["/admin/v1/keys", "/admin/v1/operators", "/admin/v1/audit/entries"] {
        assert_eq!(pair.office.ask(&get(path, Some(&pair.first))).await.status, 200, "{path}");
    }
    // Nobody is asked about what does not say what it must.
    let malformed = post("/admin/v1/keys", Some(&pair.first), &key()).saying("{");
    is_refused(&pair.office.ask(&malformed).await, 400, "body_malformed");
    for (path, body, place) in [
        ("/admin/v1/keys", json!({ "name": "shop", "permissions": [] }), "reason"),
        ("/admin/v1/keys/{key}/roll", because(), "overlap"),
        ("/admin/v1/keys/{key}/revoke", because(), "cause"),
        ("/admin/v1/keys/{key}/revoke", json!({ "cause": "lost", "reason": "a" }), "cause"),
        ("/admin/v1/operators/{operator}/role", because(), "role"),
        ("/admin/v1/operators/{operator}/disable", json!({}), "reason"),
        ("/admin/v1/operators/{operator}/totp", json!({ "reason": "a\u{0}" }), "reason"),
    ] {
        let path = path.replace("{key}", "key_01kdvdna00ew3re1r70w3ge1r7");
        let path = path.replace("{operator}", &pair.second_id);
        let invalid = pair.ask(&path, &pair.first, &body, None).await;
        is_refused(&invalid, 400, "body_invalid");
        assert_eq!(body_of(&invalid)["place"], place, "{path}");
    }
    let query = pair.ask("/admin/v1/keys?a=b", &pair.first, &key(), None).await;
    is_refused(&query, 400, "query_invalid");
    assert!(pair.list(&pair.second).await.is_empty());
    let disable = format!("/admin/v1/operators/{}/disable", pair.second_id);
    let waits = pair.ask(&disable, &pair.first, &because(), None).await;
    assert_eq!(
        (waits.status, body_of(&waits)["permission"].as_str()),
        (202, Some("operators:change"))
    );
    let mut asked = 1;
    while pair.ask(&disable, &pair.first, &because(), None).await.status == 202 {
        asked += 1;
        assert!(asked < 100, "there is an end to it");
    }
    let many = pair.ask(&disable, &pair.first, &because(), None).await;
    is_refused(&many, 409, "approvals_many");
    assert_eq!(asked, usize::try_from(model::limits::APPROVALS_WAITING_MAX).expect("small"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_counts_at_every_gateway_and_after_a_restart() {
    let pair = Pair::open().await;
    let approval = pair.asked().await;
    assert_eq!(pair.decide(&pair.second, &approval, "approve").await.status, 200);
    let Pair { office, first, second, second_id, shown } = pair;
    let Office { gateway, operators, .. } = office;
    let change = |settings: &mut gateway::Settings| {
        settings.second_person = [Permission::KeysChange].into();
    };
    let gateway = gateway.restart_with(change).await;
    let desk = super::api_keys::desk(&gateway).await;
    let office = Office { gateway, desk, operators };
    let pair = Pair { office, first, second, second_id, shown };
    assert_eq!(pair.list(&pair.second).await.len(), 1);
    assert_eq!(pair.again(&approval).await.status, 200);
    assert_eq!(pair.keys().await, 1);
}
