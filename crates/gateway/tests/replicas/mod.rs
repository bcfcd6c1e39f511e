//! Two gateways on one store: what one of them finds out, the other goes by within a second.

use std::net::Ipv4Addr;
use std::time::Duration;

use model::block::{Party, PartyKind};
use model::{DeliveryStatus, EventStatus, Permission, Timestamp};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::gateway::api::{Shop, get, is_refused, post};
use crate::gateway::api_keys;
use crate::gateway::application::Behaviour;
use crate::gateway::auditing::{settled, verified};
use crate::gateway::harness::{Harness, START_MS, STRIPE_SECRET, Signed, raw, stripe_event};
use crate::gateway::operations::order;

/// How soon what one gateway found out holds at another: a second, on a machine that is not busy with
/// other tests.
const SHARED_WITHIN: Duration = Duration::from_secs(3);

/// How long is waited for what can be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it is watched that nothing more is sent: several times as long as it takes to send.
const WATCHED: Duration = Duration::from_millis(1_500);

/// Failures in a row that open a breaker.
const FAILURES_MAX: usize = model::limits::BREAKER_FAILURES as usize;

async fn two() -> [Harness; 2] {
    let one = Harness::stripe().await;
    let other = one.beside().await;
    [one, other]
}

/// Sends the next of many events, to one gateway and the other in turn.
async fn send(gateways: &[Harness; 2], n: usize) {
    let event = stripe_event(&format!("evt_{n}"), &format!("order-{n}"));
    assert_eq!(gateways[n % 2].send(&event).await.status, 200);
}

/// Whether this gateway has itself found the endpoint failing.
async fn is_open(gateway: &Harness) -> bool {
    gateway.metrics().await.contains(r#"countersign_breaker_open{endpoint="app"} 1"#)
}

/// Sends one event after another until one of the gateways leaves the endpoint alone; gives how many
/// it took, and when it was.
async fn fail_until_open(gateways: &[Harness; 2]) -> (usize, Instant) {
    let application = &gateways[0].application;
    // Neither can fail more often in a row without the other's having had its share.
    for n in 1..2 * FAILURES_MAX {
        send(gateways, n).await;
        application.wait_for(n).await;
        gateways[0].until(|all| all.iter().all(|delivery| delivery.attempts == 1)).await;
        for gateway in gateways {
            if is_open(gateway).await {
                return (n, Instant::now());
            }
        }
    }
    panic!("neither gateway found that the endpoint fails");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_lets_nobody_in_anywhere_within_a_second() {
    let [one, other] = two().await;
    let third = one.beside().await;
    let all = [&one, &other, &third];
    let desk = api_keys::desk(&one).await;
    for _ in 0..3 {
        let key = api_keys::create(&desk, &all).await;
        api_keys::revoke_and_see(&desk, &key, &all).await;
    }
}

/// Sends events of one customer to a gateway until it keeps one so.
async fn comes_to(gateway: &Harness, name: &str, wanted: (EventStatus, Option<&str>)) {
    let begun = Instant::now();
    for n in 0.. {
        let event = stripe_event(&format!("evt_{name}_{n}"), &format!("order-{name}-{n}"));
        assert_eq!(gateway.send(&event).await.status, 200);
        let event = gateway.events().await.pop().unwrap();
        if (event.status, event.reason.as_deref()) == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name}: {event:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_blocked_at_one_is_blocked_at_both_within_a_second() {
    let [one, other] = two().await;
    let desk = api_keys::desk(&one).await;
    let party = Party::named(PartyKind::Customer, "stripe", "cus_1");
    let blocked = desk.block(&party, None, order("chargebacks")).await;
    let (id, _) = blocked.unwrap().unwrap();
    let gateways = [("one", &one), ("other", &other)];
    for (name, gateway) in gateways {
        comes_to(gateway, &format!("{name}-b"), (EventStatus::Held, Some("party_blocked"))).await;
    }
    desk.lift_block(id, order("a mistake")).await.unwrap();
    for (name, gateway) in gateways {
        comes_to(gateway, &format!("{name}-l"), (EventStatus::Accepted, None)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_one_leaves_alone_is_left_alone_by_both() {
    let gateways = two().await;
    let application = gateways[0].application.clone();
    application.then(vec![Behaviour::Answer(500); 100]);
    let (sent, opened_at) = fail_until_open(&gateways).await;
    assert!(
        !(is_open(&gateways[0]).await && is_open(&gateways[1]).await),
        "only one of them has seen enough failures"
    );

    tokio::time::sleep_until(opened_at + SHARED_WITHIN).await;
    for n in sent + 1..=sent + 4 {
        send(&gateways, n).await;
    }
    tokio::time::sleep(WATCHED).await;
    assert_eq!(application.delivered().len(), sent, "the other gateway went on sending");

    // After the pause it is asked one at a time, until the one that did not know has seen enough.
    gateways[0].advance_ms(6_000);
    let begun = Instant::now();
    while application.delivered().len() == sent {
        assert!(begun.elapsed() < PATIENCE, "neither asks it after the pause");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(WATCHED).await;
    let asked = application.delivered().len() - sent;
    assert!((1..=1 + FAILURES_MAX).contains(&asked), "{asked} attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_answers_one_again_is_sent_to_by_both() {
    let gateways = two().await;
    let application = gateways[0].application.clone();
    application.then(vec![Behaviour::Answer(500); 100]);
    let (sent, opened_at) = fail_until_open(&gateways).await;
    tokio::time::sleep_until(opened_at + SHARED_WITHIN).await;

    application.answers_well();
    gateways[0].advance_ms(600_000);
    let delivered = |status| status == DeliveryStatus::Delivered;
    gateways[0].until(|all| all.iter().all(|one| delivered(one.status))).await;
    let answered_at = Instant::now();
    assert_eq!(application.delivered().len(), 2 * sent);
    let is_left_alone = async || {
        let rests = gateways[0].store.endpoint_rests().await.expect("rests");
        !rests.is_empty() || is_open(&gateways[0]).await || is_open(&gateways[1]).await
    };
    while is_left_alone().await {
        assert!(answered_at.elapsed() < PATIENCE, "one of them still leaves it alone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A Stripe request with a signature that nobody made.
fn forged(gateway: &Harness) -> Signed {
    let mut request = gateway.signed("stripe", STRIPE_SECRET, &stripe_event("evt_1", "order-1"));
    request.body.push(b' ');
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_signatures_are_limited_over_both_and_never_stop_a_good_one() {
    let gateways = two().await;
    // Together they have had what one address may fail, and neither by itself.
    for n in 0..10 {
        let gateway = &gateways[n % 2];
        assert_eq!(gateway.post("/in/stripe", &forged(gateway)).await.status, 401);
    }
    // Who goes on at either is limited within a second, before it has its share there. A busy machine
    // has more time for it, and no more tries than are left of that share.
    for wait_ms in [500, 500, 5_000, 15_000] {
        let mut limited = 0;
        for gateway in &gateways {
            let reply = gateway.post("/in/stripe", &forged(gateway)).await;
            limited += usize::from(reply.status == 429);
        }
        if limited == gateways.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
    for gateway in &gateways {
        let reply = gateway.post("/in/stripe", &forged(gateway)).await;
        assert_eq!(reply.status, 429);
        assert!(reply.header("retry-after").is_some());
    }
    for n in 1..=2 {
        send(&gateways, n).await;
    }
    gateways[0].application.wait_for(2).await;

    // It is over for both when the period and the next are.
    gateways[0].advance_ms(121_000);
    for gateway in &gateways {
        assert_eq!(gateway.post("/in/stripe", &forged(gateway)).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_keep_one_log() {
    let mut gateways = two().await;
    for round in 0..4 {
        for n in 0..100 {
            send(&gateways, round * 100 + n).await;
        }
        if round == 1 {
            // Whoever had the duty gives it up; the other goes on.
            gateways[0].stop().await;
            gateways[0] = gateways[1].beside().await;
        }
    }
    settled(&gateways[1]).await;
    let verified = verified(&gateways[1], None).await;
    assert!(verified.size >= 400, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_customer_had_at_one_gateway_counts_at_the_other() {
    let shop = Shop::open().await;
    let other = shop.gateway.beside().await;
    let key = shop.key([Permission::EndpointsRead], shop.of_customer("cus_1")).await;
    let request = get("/v1/endpoints", &key);
    let status = async || raw(other.api, &request.bytes()).await.status;
    // It is asked beside its API, which tells strangers to wait after ten times.
    let (here, now) = (Ipv4Addr::LOCALHOST.into(), Timestamp::from_millis(START_MS));
    api_keys::until(|| other.api_keys().authenticate(&key, here, now).is_ok()).await;
    assert_eq!(status().await, 200);
    // Of the hundred that it has, the other may have told of its one already.
    for n in 0..99 {
        assert_eq!(shop.ask(&request).await.status, 200, "{n}");
    }
    let begun = Instant::now();
    while status().await != 429 {
        assert!(begun.elapsed() < PATIENCE, "it is not heard of");
        // Before it has been asked a hundred times itself.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The same by the API; and the same request is good again as soon as there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_unavailable_leaves_everything_as_it_was() {
    let shop = Shop::open().await;
    let key = shop.full_key().await;
    let event = shop.held(1).await;
    let path = format!("/v1/events/{event}/deny");
    let server = crate::server::started().await;
    let database = server.store_at(&shop.gateway.place()).await;
    let refuse = "CREATE FUNCTION no_entry() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no'; END $$;
         CREATE TRIGGER no_entry BEFORE INSERT ON audit_entry EXECUTE FUNCTION no_entry()";
    // What is said is sealed under the key of the day, which is an entry of its own.
    let pause = post("/v1/endpoints/app/pause", &key, "1");
    assert_eq!(shop.ask(&pause).await.status, 200);
    server.run(&database, refuse).await;
    let reply = shop.ask(&post(&path, &key, "2")).await;
    is_refused(&reply, 503, "audit_unavailable");
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(shop.newest("weak", EventStatus::Held).await, event);
    server.run(&database, "DROP TRIGGER no_entry ON audit_entry").await;
    assert_eq!(shop.ask(&post(&path, &key, "2")).await.status, 200);
}

/// Only the audit log has no room: nothing is taken, nothing is decided, and it says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leaves_no_entry_is_not_done() {
    let gateway = Harness::stripe().await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    let server = crate::server::started().await;
    let database = server.store_at(&gateway.place()).await;
    let refuse = |code: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;
             CREATE OR REPLACE TRIGGER no_room BEFORE INSERT ON audit_entry
                EXECUTE FUNCTION no_room()"
        )
    };
    // A constraint, an error of its own, and a disk that is full for this table alone.
    for (code, told) in [("23514", true), ("P0001", true), ("53100", false)] {
        server.run(&database, &refuse(code)).await;
        let reply = gateway.send(&stripe_event("evt_2", "order-2")).await;
        assert_eq!(reply.status, 503, "{code}");
        assert!(reply.header("retry-after").is_some());
        let note = crate::gateway::operations::note(&gateway, "").await;
        let paused = store::EndpointState::Paused;
        let error = gateway.store.set_endpoint_state("app", paused, note).await;
        assert_eq!(error.expect_err("no entry").is_audit_unavailable(), told, "{code}");
    }
    assert_eq!(gateway.events().await.len(), 1);
    server.run(&database, "DROP TRIGGER no_room ON audit_entry").await;
    assert_eq!(gateway.send(&stripe_event("evt_2", "order-2")).await.status, 200);
    settled(&gateway).await;
    verified(&gateway, None).await;
}

/// Whoever starts it sends as soon as it is ready, and a database that goes away then ends nobody's
/// start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_only_when_all_that_a_start_asks_is_answered() {
    let gateway = Harness::stripe().await;
    let server = crate::server::started().await;
    let database = server.store_at(&gateway.place()).await;
    for table in ["orders", "secret"] {
        let locks = crate::server::connect(&server.owner_url(&database)).await;
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        locks.batch_execute(&lock).await.unwrap();
        let admin = bench::server::free_address().unwrap();
        let look = async {
            while TcpStream::connect(admin).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let asked = tokio::time::timeout(WATCHED, raw(admin, request)).await;
            locks.batch_execute("ROLLBACK").await.unwrap();
            asked.map(|reply| reply.status)
        };
        let begin = gateway.beside_with(|settings| settings.admin = admin);
        let (said, _other) = tokio::join!(look, begin);
        assert_eq!(said.ok(), None, "{table}");
    }
}
