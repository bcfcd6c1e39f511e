//! What endpoints that swallow attempts do to the others: nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway::Settings;
use model::{AttemptOutcome, DeliveryStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::application::Application;
use super::harness::{Harness, endpoint, stripe_event};

const HEALTHY: usize = 8;
const EVENTS: usize = 25;

/// How an endpoint misbehaves.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Takes the connection and says nothing.
    BlackHole,
    /// Sends the head of its answer byte by byte.
    SlowHead,
    /// Answers, and then sends its body byte by byte.
    SlowBody,
    /// Answers with a body that does not end.
    Endless,
    /// Answers with more header lines than anybody needs.
    ManyHeaders,
    /// Answers with one header line that does not end.
    LongHeader,
}

/// An endpoint that misbehaves, and the bytes that it got rid of.
async fn misbehaving(manner: Manner) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream, manner, counter.clone()));
        }
    });
    (address, sent)
}

async fn misbehave(mut stream: TcpStream, manner: Manner, sent: Arc<AtomicUsize>) {
    let mut request = vec![0; 64 * 1024];
    let _ = stream.read(&mut request).await;
    let ok = "HTTP/1.1 200 OK\r\n";
    let (head, rest, pause_ms) = match manner {
        Manner::BlackHole => ("", "", 1000),
        Manner::SlowHead => ("", "H", 1000),
        Manner::SlowBody => ("content-length: 100000\r\n\r\n", "x", 1000),
        Manner::Endless => ("content-length: 1000000000000\r\n\r\n", "x", 0),
        Manner::ManyHeaders => ("", "x: y\r\n", 0),
        Manner::LongHeader => ("x: ", "y", 0),
    };
    if !matches!(manner, Manner::BlackHole | Manner::SlowHead) {
        let _ = stream.write_all(format!("{ok}{head}").as_bytes()).await;
    }
    let chunk = if pause_ms == 0 { rest.repeat(1000) } else { rest.to_owned() };
    loop {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            return;
        }
        sent.fetch_add(chunk.len(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

/// Endpoints besides `app`, all of which get every event.
fn with_endpoints(settings: &mut Settings, endpoints: &[(String, SocketAddr)]) {
    settings.endpoints.extend(endpoints.iter().map(|(name, address)| endpoint(name, *address)));
    for source in &mut settings.sources {
        source.endpoints = settings.endpoints.iter().map(|e| e.name.clone()).collect();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_swallow_attempts_do_not_hold_up_the_others() {
    let mut endpoints = Vec::new();
    for n in 0..4 {
        for manner in [Manner::BlackHole, Manner::SlowHead, Manner::Endless] {
            let (address, _) = misbehaving(manner).await;
            endpoints.push((format!("{manner:?}-{n}").to_lowercase(), address));
        }
    }
    let mut healthy = Vec::new();
    for n in 1..HEALTHY {
        let application = Application::start().await;
        endpoints.push((format!("healthy-{n}"), application.address));
        healthy.push(application);
    }
    let gateway = Harness::start(|settings| with_endpoints(settings, &endpoints)).await;
    healthy.push(gateway.application.clone());
    assert_eq!(endpoints.len() + 1, 20);

    let start = Instant::now();
    for n in 0..EVENTS {
        gateway.send(&stripe_event(&format!("evt_{n}"), &format!("order-{n}"))).await;
    }
    // Until then no attempt of those that swallow is over. They would have all slots after a third of
    // the events; a machine that is busy with other tests has more than half of them delivered.
    let first_over = Duration::from_millis(model::limits::ATTEMPT_MS_MAX);
    loop {
        let made: Vec<usize> = healthy.iter().map(|one| one.delivered().len()).collect();
        if made.iter().all(|made| *made == EVENTS) {
            break;
        }
        let took = start.elapsed();
        let is_half_made = made.iter().sum::<usize>() > HEALTHY * EVENTS / 2;
        let is_late = took > Duration::from_secs(60) || (took > first_over && !is_half_made);
        assert!(!is_late, "healthy endpoints waited for those that swallow: {made:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{} deliveries to healthy endpoints in {:?}", HEALTHY * EVENTS, start.elapsed());
    let bad = gateway.deliveries().await;
    let bad = bad.iter().filter(|d| d.endpoint.starts_with("blackhole") && d.attempts > 0);
    let is_busy = start.elapsed() > first_over;
    assert!(bad.count() == 0 || is_busy, "no attempt of theirs was over before");
}

#[tokio::test]
async fn answers_are_bounded_in_bytes_and_in_time() {
    for (manner, outcome) in [
        (Manner::Endless, AttemptOutcome::Delivered),
        (Manner::SlowBody, AttemptOutcome::Delivered),
        (Manner::ManyHeaders, AttemptOutcome::Unreachable),
        (Manner::LongHeader, AttemptOutcome::Unreachable),
    ] {
        let (address, sent) = misbehaving(manner).await;
        let gateway =
            Harness::start(|settings| settings.endpoints = vec![endpoint("app", address)]).await;
        let start = Instant::now();
        gateway.send(&stripe_event("evt_1", "order-1")).await;
        let deliveries = gateway.until(|all| all.iter().any(|d| d.attempts == 1)).await;
        assert!(start.elapsed() < Duration::from_secs(15), "{manner:?}");
        let attempts = gateway.store.attempts(deliveries[0].id).await.expect("attempts");
        assert_eq!(attempts[0].outcome, outcome, "{manner:?}");
        // It is cut: what it got rid of is what the buffers of the system hold, and stays so.
        let mut before = sent.load(Ordering::SeqCst);
        for round in 0.. {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            let now = sent.load(Ordering::SeqCst);
            if now == before {
                break;
            }
            assert!(round < 15, "{manner:?} is still read");
            before = now;
        }
        assert!(before < 16 * 1024 * 1024, "{manner:?}: {before} bytes");
    }
}

#[tokio::test]
async fn a_silent_endpoint_ends_the_attempt_and_counts_as_timed_out() {
    let (address, _) = misbehaving(Manner::SlowHead).await;
    let gateway =
        Harness::start(|settings| settings.endpoints = vec![endpoint("app", address)]).await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let start = Instant::now();
    let limit = Duration::from_millis(model::limits::ATTEMPT_MS_MAX);
    tokio::time::sleep(limit - Duration::from_secs(5)).await;
    assert_eq!(gateway.deliveries().await[0].attempts, 0);
    let deliveries = gateway.until(|all| all[0].attempts == 1).await;
    assert!(start.elapsed() < limit + Duration::from_secs(15));
    assert_eq!(deliveries[0].status, DeliveryStatus::Pending);
    let attempts = gateway.store.attempts(deliveries[0].id).await.expect("attempts");
    assert_eq!(attempts[0].outcome, AttemptOutcome::TimedOut);
}
