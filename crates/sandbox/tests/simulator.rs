//! The simulators over HTTP, against a receiver that answers as it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sandbox::provider::Making;
use sandbox::simulator::{Surroundings, Target};
use sandbox::{
    Difference, Draw, Event, Guide, Ledger, Outcome, Pace, Payment, Provider, Purpose, Route,
    Simulator,
};
use schemes::{Freshness, Profile, Secret};
use tokio::net::TcpListener;

/// So fast that a day passes in less than a tenth of a second.
const PACE: u32 = 1_000_000;
const RANDOM: [u8; 20] = [7; 20];

/// One request as the receiver got it.
#[derive(Clone, Default)]
struct Got {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

/// Answers with these statuses, one after the other; then always with the last.
struct Receiver {
    target: Target,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    async fn answering(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = Target::new(listener.local_addr().expect("an address"));
        let got = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
                let service = service_fn(move |request: hyper::Request<_>| {
                    take(request, Arc::clone(&script), Arc::clone(&kept))
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { target, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().expect("not poisoned").clone()
    }
}

async fn take(
    request: hyper::Request<hyper::body::Incoming>,
    script: Arc<Mutex<VecDeque<u16>>>,
    kept: Arc<Mutex<Vec<Got>>>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    kept.lock().expect("not poisoned").push(Got { headers: headers.collect(), body });
    let status = {
        let mut script = script.lock().expect("not poisoned");
        if script.len() > 1 { script.pop_front() } else { script.front().copied() }
    };
    let mut response = hyper::Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status.and_then(|s| s.try_into().ok()).unwrap_or_default();
    Ok(response)
}

fn profile(provider: Provider) -> Arc<Profile> {
    let found = schemes::embedded().iter().find(|(name, _)| *name == provider.name());
    let (name, text) = found.unwrap_or_else(|| panic!("{provider:?} has a profile"));
    Arc::new(Profile::parse(name, text).expect("embedded profiles load"))
}

fn simulator(provider: Provider, target: Target) -> Simulator {
    let surroundings = Surroundings {
        target,
        route: Route::Direct,
        pace: Pace::times(PACE),
        ledger: Ledger::default(),
    };
    let secret = Secret::new(provider.secret(RANDOM));
    let url = format!("https://gateway.example/in/{}", provider.name());
    Simulator::new(provider, profile(provider), secret, Route::BALANCER, url, surroundings)
}

fn nowhere() -> Target {
    Target::new("127.0.0.1:9".parse().expect("an address"))
}

fn drawn(provider: Provider, orders: usize) -> Vec<Event> {
    let making = Making {
        now_ms: sandbox::clock::now_ms(),
        is_live: false,
        receipt_secret: "whsec_test_receipts",
    };
    let mut draw = Draw::seeded(23);
    (0..orders).flat_map(|_| provider.order(&mut draw, making).events).collect()
}

/// Judges a signed request as a gateway with this secret would; gives what was read of it.
fn judge(
    simulator: &Simulator,
    request: &sandbox::Request,
    secret: &str,
    now_ms: i64,
) -> Result<schemes::Fields, String> {
    let profile = simulator.profile();
    let keys = profile.keys(&[Secret::new(secret.to_owned())]).map_err(|e| e.to_string())?;
    let headers: Vec<(&str, &[u8])> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let received = schemes::Request {
        method: &request.method,
        url: &simulator.url,
        headers: &headers,
        body: &request.body,
    };
    let verified = schemes::verify(profile, &keys, &received, now_ms, Freshness::Profile)
        .map_err(|rejection| rejection.code().to_owned())?;
    let unit = profile.amount_units().first().map(String::as_str);
    let mut fields =
        schemes::read(profile, &verified, unit).map_err(|why| why.code().to_owned())?;
    assert_eq!(fields.len(), 1, "one event in one webhook");
    Ok(fields.remove(0))
}

#[test]
fn every_simulated_webhook_verifies_and_can_be_read() {
    for provider in Provider::ALL {
        let simulator = simulator(*provider, nowhere());
        let now_ms = sandbox::clock::now_ms();
        for event in drawn(*provider, 30) {
            for attempt in [1, 2] {
                let request = simulator.sign(&event, attempt, now_ms).expect("it can be signed");
                let fields = judge(&simulator, &request, &provider.secret(RANDOM), now_ms);
                let fields = fields.unwrap_or_else(|why| panic!("{provider:?}: {why}: {event:?}"));
                assert_eq!(fields.kind, event.kind, "{provider:?}");
                assert_eq!(fields.order.as_deref(), Some(event.order.as_str()), "{provider:?}");
                assert_ne!(fields.live, Some(true), "{provider:?}");
            }
        }
    }
}

#[test]
fn retries_are_the_same_event_and_others_are_not() {
    for provider in Provider::ALL {
        let simulator = simulator(*provider, nowhere());
        let now_ms = sandbox::clock::now_ms();
        let read = |event: &Event, attempt| {
            let request = simulator.sign(event, attempt, now_ms).expect("it can be signed");
            judge(&simulator, &request, &provider.secret(RANDOM), now_ms).expect("it is genuine")
        };
        let events = drawn(*provider, 10);
        let mut keys = std::collections::HashSet::new();
        for event in &events {
            let (first, retry) = (read(event, 1), read(event, 2));
            assert_eq!(first.dedup_key, retry.dedup_key, "{provider:?}");
            assert_eq!(first.projection, retry.projection, "{provider:?}");
            assert!(keys.insert(first.dedup_key), "{provider:?}: two events with one key");
        }
    }
}

#[test]
fn another_secret_or_another_order_is_not_genuine() {
    for provider in Provider::ALL {
        let simulator = simulator(*provider, nowhere());
        let now_ms = sandbox::clock::now_ms();
        let event = drawn(*provider, 1).remove(0);
        let request = simulator.sign(&event, 1, now_ms).expect("it can be signed");
        assert!(judge(&simulator, &request, &provider.secret([8; 20]), now_ms).is_err());
        let text = String::from_utf8(request.body.clone()).expect("text");
        let changed = text.replace(&event.order, &"0".repeat(event.order.len())).into_bytes();
        let request = sandbox::Request { body: changed, ..request };
        assert!(judge(&simulator, &request, &provider.secret(RANDOM), now_ms).is_err());
    }
}

#[test]
fn a_provider_that_signs_the_time_is_stale_after_a_while() {
    for provider in Provider::ALL.iter().filter(|provider| provider.signs_time()) {
        let simulator = simulator(*provider, nowhere());
        let now_ms = sandbox::clock::now_ms();
        let event = drawn(*provider, 1).remove(0);
        let request = simulator.sign(&event, 1, now_ms).expect("it can be signed");
        let secret = provider.secret(RANDOM);
        let late = judge(&simulator, &request, &secret, now_ms + 310_000);
        assert_eq!(late.err().as_deref(), Some("too_old"), "{provider:?}");
        let early = judge(&simulator, &request, &secret, now_ms - 310_000);
        assert_eq!(early.err().as_deref(), Some("in_future"), "{provider:?}");
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_until_it_succeeds() {
    for provider in Provider::ALL {
        let receiver = Receiver::answering(&[503, 500, 200]).await;
        let simulator = simulator(*provider, receiver.target.clone());
        let event = drawn(*provider, 1).remove(0);
        let outcome = simulator.send(&event).await.expect("it can be signed");
        assert_eq!(outcome, Outcome::Acknowledged { attempts: 3 }, "{provider:?}");
        let entries = simulator.surroundings().ledger.entries();
        let attempts: Vec<_> = entries.iter().map(|sent| (sent.attempt, sent.status())).collect();
        assert_eq!(attempts, [(1, Some(503)), (2, Some(500)), (3, Some(200))]);
        assert!(entries.iter().all(|sent| sent.purpose == Purpose::Event(event.name.clone())));
        assert_eq!(receiver.got().len(), 3);
    }
}

#[tokio::test]
async fn each_retry_is_signed_at_its_own_time() {
    let receiver = Receiver::answering(&[500, 200]).await;
    let simulator = simulator(Provider::One2Pays, receiver.target.clone());
    let event = drawn(Provider::One2Pays, 1).remove(0);
    // The first retry of a minute takes 0.06 ms here: send twice with a real pause instead.
    simulator.send(&event).await.expect("it can be signed");
    tokio::time::sleep(Duration::from_millis(5)).await;
    simulator.send_again(&event).await.expect("it can be signed");
    let got = receiver.got();
    let times: Vec<_> = got.iter().filter_map(|one| one.header("x-webhook-timestamp")).collect();
    assert_eq!(times.len(), 3);
    assert_ne!(times.first(), times.last());
}

#[tokio::test]
async fn bropay_keeps_the_id_of_its_message() {
    let receiver = Receiver::answering(&[500, 500, 200]).await;
    let simulator = simulator(Provider::BroPay, receiver.target.clone());
    let event = drawn(Provider::BroPay, 1).remove(0);
    simulator.send(&event).await.expect("it can be signed");
    let ids: Vec<_> = receiver.got().iter().filter_map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids, [event.name.clone(), event.name.clone(), event.name]);
}

#[tokio::test]
async fn stripe_changes_its_bytes_on_a_retry() {
    let receiver = Receiver::answering(&[500, 200]).await;
    let simulator = simulator(Provider::Stripe, receiver.target.clone());
    let event = drawn(Provider::Stripe, 1).remove(0);
    simulator.send(&event).await.expect("it can be signed");
    let bodies: Vec<_> = receiver.got().into_iter().map(|one| one.body).collect();
    assert_ne!(bodies.first(), bodies.last());
}

#[tokio::test]
async fn koywe_wants_exactly_200_and_others_any_2xx() {
    let receiver = Receiver::answering(&[204, 201, 200]).await;
    let koywe = simulator(Provider::Koywe, receiver.target.clone());
    let event = drawn(Provider::Koywe, 1).remove(0);
    let outcome = koywe.send(&event).await.expect("it can be signed");
    assert_eq!(outcome, Outcome::Acknowledged { attempts: 3 });
    let receiver = Receiver::answering(&[204]).await;
    let stripe = simulator(Provider::Stripe, receiver.target.clone());
    let event = drawn(Provider::Stripe, 1).remove(0);
    let outcome = stripe.send(&event).await.expect("it can be signed");
    assert_eq!(outcome, Outcome::Acknowledged { attempts: 1 });
}

#[tokio::test]
async fn a_provider_gives_up_after_its_schedule() {
    for provider in [Provider::Koywe, Provider::BroPay] {
        let receiver = Receiver::answering(&[500]).await;
        let simulator = simulator(provider, receiver.target.clone());
        let event = drawn(provider, 1).remove(0);
        let outcome = simulator.send(&event).await.expect("it can be signed");
        assert_eq!(outcome, Outcome::GaveUp);
        assert_eq!(receiver.got().len(), provider.behaviour().waits_ms.len() + 1);
    }
}

#[tokio::test]
async fn a_lost_answer_is_a_failure_to_the_provider() {
    let receiver = Receiver::answering(&[200]).await;
    let simulator = simulator(Provider::CryptoPay, receiver.target.clone());
    let event = drawn(Provider::CryptoPay, 1).remove(0);
    let linger = Duration::from_millis(30);
    let outcome = simulator.send_losing_the_answer(&event, linger).await.expect("signed");
    assert_eq!(outcome, Outcome::Acknowledged { attempts: 2 });
    let entries = simulator.surroundings().ledger.entries();
    let answers: Vec<_> = entries.iter().map(|sent| sent.answer.clone().err()).collect();
    assert_eq!(answers, [Some("hung_up"), None]);
    let bodies: Vec<_> = receiver.got().into_iter().map(|one| one.body).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies.first(), bodies.last());
}

/// What a guide's application orders, and what its provider, or another one, says of the payment.
fn paid(guide: &Guide, difference: Difference) -> (Payment, Vec<schemes::Fields>) {
    let making = Making {
        now_ms: sandbox::clock::now_ms(),
        is_live: false,
        receipt_secret: "whsec_test_receipts",
    };
    let mut draw = Draw::seeded(29);
    let ordered = guide.payment(&mut draw);
    let payer = guide.payer(difference);
    let simulator = simulator(payer, nowhere());
    let read = |event: &Event| {
        let request = simulator.sign(event, 1, making.now_ms).expect("it can be signed");
        judge(&simulator, &request, &payer.secret(RANDOM), making.now_ms).expect("it is genuine")
    };
    let events = guide.tell(&mut draw, making, &ordered, difference);
    assert!(events.iter().all(|event| event.provider == payer && event.order == ordered.reference));
    (ordered, events.iter().map(read).collect())
}

/// The number in minor units of the order, the currency or asset, the chain, and who is paid.
fn said(
    guide: &Guide,
    ordered: &Payment,
    fields: &schemes::Fields,
) -> (Option<u128>, Option<String>, Option<String>, Option<String>) {
    let notation = match fields.amount_unit.as_deref() {
        Some("minor") => model::money::Notation::Minor,
        _ => model::money::Notation::Major,
    };
    let decimals = ordered.money.unit.decimals();
    let amount = fields.amount.as_deref();
    let amount =
        amount.map(|text| model::money::parse(text, notation, decimals).expect("an amount"));
    let to = if guide.is_on_chain() { &fields.address } else { &fields.payee };
    let currency = fields.currency.as_deref().map(str::to_ascii_uppercase);
    (amount, currency, fields.chain.clone(), to.clone())
}

#[test]
fn a_payment_as_ordered_says_what_was_ordered() {
    for guide in Guide::ALL {
        let (ordered, told) = paid(guide, Difference::Nothing);
        let last = told.last().expect("something is told");
        let unit = &ordered.money.unit;
        let chain = unit.chain().map(str::to_owned);
        let wanted =
            (Some(ordered.money.minor), Some(unit.name().into()), chain, ordered.to.clone());
        assert_eq!(said(guide, &ordered, last), wanted, "{}", guide.name);
        assert_eq!(last.status.as_deref(), Some("paid"), "{}", guide.name);
        assert_eq!(last.payment.is_some(), guide.can_differ(Difference::Reused), "{}", guide.name);
        let order = guide.order(&ordered, Difference::Nothing, None);
        assert_eq!(order["reference"], ordered.reference, "{}", guide.name);
        assert_eq!(order["amount"], ordered.money.major(), "{}", guide.name);
        assert_eq!(order["provider"], guide.provider.name(), "{}", guide.name);
    }
}

#[test]
fn a_payment_differs_in_what_it_is_to_differ_in_and_in_nothing_else() {
    for guide in Guide::ALL {
        for difference in Difference::ALL {
            if !guide.can_differ(difference) {
                continue;
            }
            let (ordered, told) = paid(guide, difference);
            let (_, right) = paid(guide, Difference::Nothing);
            let (last, right) = (told.last().expect("told"), right.last().expect("told"));
            let (amount, currency, chain, to) = said(guide, &ordered, last);
            let (right_amount, right_currency, right_chain, right_to) =
                said(guide, &ordered, right);
            let is_through_another = guide.payer(difference) != guide.provider;
            let differs = [
                (
                    amount != right_amount,
                    &[Difference::Half, Difference::Double, Difference::Unpriced][..],
                ),
                (currency != right_currency, &[Difference::Unit, Difference::Unpriced]),
                (chain != right_chain, &[Difference::Chain]),
                (to != right_to && !is_through_another, &[Difference::Receiver]),
                (is_through_another, &[Difference::Provider, Difference::Source]),
            ];
            for (is_other, because) in differs {
                let place = format!("{} {difference:?}: {last:?}", guide.name);
                assert_eq!(is_other, because.contains(&difference), "{place}");
            }
            assert_eq!(last.status.as_deref(), Some("paid"), "{} {difference:?}", guide.name);
        }
    }
}
