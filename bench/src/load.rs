//! The load generator: signed events over kept connections, in a closed or an open loop.
//!
//! *Closed*: every connection sends its next event when the answer to the last has come; the rate
//! is what the server can do. *Open*: events are due at a given rate whether or not the server keeps
//! up, and an event's latency counts from when it was due, so that a stall is not hidden by the
//! events that were not sent during it.
//!
//! All connections live on one thread, so that the generator takes as little as possible of the
//! cores that it shares with the server.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;

use crate::clock::now_ms;
use crate::stripe::{SECRET, Series, Signer};
use crate::wire::Connection;

/// Connections of every measurement.
pub const CONNECTIONS: usize = 64;

/// How events follow one another.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// The next after the answer to the last.
    Closed,
    /// So many a second.
    Open(f64),
}

/// What to send where.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server's public address.
    pub target: SocketAddr,
    /// The path of the source.
    pub path: String,
    /// Kept connections.
    pub connections: usize,
    /// See [`Pace`].
    pub pace: Pace,
    /// How long events are sent.
    pub duration: Duration,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that got no answer.
    pub broken: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Of the 2xx answers.
    pub latencies: Latencies,
}

impl Outcome {
    /// Answers 2xx.
    pub fn acknowledged(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| is_success(**status)).map(|(_, n)| n).sum()
    }

    /// Everything that was not answered 2xx.
    pub fn failed(&self) -> u64 {
        let answered: u64 = self.statuses.values().sum();
        answered - self.acknowledged() + self.broken
    }

    /// 2xx answers a second.
    pub fn per_second(&self) -> f64 {
        self.acknowledged() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Latencies in microseconds, exact, each with the instant from which it counts.
#[derive(Debug, Default)]
pub struct Latencies(Vec<(Instant, u32)>);

impl Latencies {
    fn add(&mut self, since: Instant, latency: Duration) {
        self.0.push((since, u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of whoever waited at any time between these instants.
    pub fn between(&self, from: Instant, to: Instant) -> Self {
        let waited = |(since, micros): &&(Instant, u32)| {
            *since <= to && *since + Duration::from_micros((*micros).into()) >= from
        };
        Self(self.0.iter().filter(waited).copied().collect())
    }

    /// Takes in another run's.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The latency that `permille` of a thousand requests stay within, in milliseconds; 990 is p99.
    pub fn quantile_ms(&self, permille: usize) -> f64 {
        let mut sorted: Vec<u32> = self.0.iter().map(|(_, micros)| *micros).collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * permille).div_ceil(1000).saturating_sub(1);
        sorted.get(rank).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }
}

impl Load {
    /// A load as most measurements use it.
    pub fn new(target: SocketAddr, path: &str, pace: Pace, duration: Duration) -> Self {
        Self { target, path: path.to_owned(), connections: CONNECTIONS, pace, duration }
    }

    /// Sends it, and returns when the last answer has come.
    ///
    /// # Errors
    /// When the server cannot be reached at all.
    pub fn run(&self) -> Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, self.drive())
    }

    async fn drive(&self) -> Result<Outcome> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            let opened = Connection::open(self.target).await;
            connections.push(opened.with_context(|| format!("cannot reach {}", self.target))?);
        }
        let start = Instant::now();
        let (tickets, due) = mpsc::unbounded_channel();
        let pacer = match self.pace {
            Pace::Closed => None,
            Pace::Open(per_second) => {
                let end = start + self.duration;
                Some(std::thread::spawn(move || pace(start, end, per_second, &tickets)))
            }
        };
        let shared = Rc::new(Shared {
            signer: Signer::new(SECRET),
            series: Series::fresh(),
            head: format!("POST {} HTTP/1.1\r\nhost: {}\r\n", self.path, self.target),
            next: RefCell::new(0),
            end: start + self.duration,
            due: pacer.is_some().then(|| Mutex::new(due)),
            outcome: RefCell::default(),
        });
        let senders = connections
            .into_iter()
            .map(|connection| tokio::task::spawn_local(shared.clone().send_all(connection)))
            .collect::<Vec<_>>();
        for sender in senders {
            sender.await.context("a connection's task")?;
        }
        if let Some(pacer) = pacer {
            let _ = pacer.join();
        }
        let mut outcome = shared.outcome.take();
        outcome.elapsed = start.elapsed();
        Ok(outcome)
    }
}

/// Tells when each event is due. `thread::sleep` wakes within a tenth of a millisecond; the
/// runtime's own timer only knows whole ones.
fn pace(start: Instant, end: Instant, per_second: f64, tickets: &mpsc::UnboundedSender<Instant>) {
    for n in 0_u32.. {
        let due = start + Duration::from_secs_f64(f64::from(n) / per_second);
        if due >= end {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if tickets.send(due).is_err() {
            return;
        }
    }
}

struct Shared {
    signer: Signer,
    series: Series,
    head: String,
    next: RefCell<u64>,
    end: Instant,
    due: Option<Mutex<mpsc::UnboundedReceiver<Instant>>>,
    outcome: RefCell<Outcome>,
}

impl Shared {
    async fn send_all(self: Rc<Self>, mut connection: Connection) {
        while let Some(due) = self.turn().await {
            let n = self.next.replace_with(|n| *n + 1);
            let body = self.series.body(n, now_ms() / 1000);
            let request = signed_request(&self.head, &self.signer, &body);
            let answer = connection.exchange(&request).await;
            let mut outcome = self.outcome.borrow_mut();
            let Ok(status) = answer else {
                // One that breaks stays away: what is left carries the load, and it is counted.
                outcome.broken += 1;
                return;
            };
            *outcome.statuses.entry(status).or_default() += 1;
            if is_success(status) {
                outcome.latencies.add(due, due.elapsed());
            }
        }
    }

    /// Waits until this connection may send; gives the time from which the latency counts.
    async fn turn(&self) -> Option<Instant> {
        match &self.due {
            Some(due) => due.lock().await.recv().await,
            None => Some(Instant::now()).filter(|now| *now < self.end),
        }
    }
}

/// A whole request, signed now.
pub(crate) fn signed_request(head: &str, signer: &Signer, body: &[u8]) -> Vec<u8> {
    request(head, &signer.header(now_ms() / 1000, body), body)
}

/// A whole request under this signature.
pub(crate) fn request(head: &str, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(head.len() + 256 + body.len());
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(b"content-type: application/json\r\nstripe-signature: ");
    request.extend_from_slice(signature.as_bytes());
    request.extend_from_slice(format!("\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

pub(crate) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_ranks_of_what_was_measured() {
        let mut latencies = Latencies::default();
        for millis in (1..=1000).rev() {
            latencies.add(Instant::now(), Duration::from_millis(millis));
        }
        assert_eq!(latencies.quantile_ms(500), 500.0);
        assert_eq!(latencies.quantile_ms(990), 990.0);
        assert_eq!(latencies.quantile_ms(1000), 1000.0);
        assert!(Latencies::default().quantile_ms(990).is_nan());
    }

    #[test]
    fn whoever_waited_between_two_instants_is_counted_there_and_nobody_else() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut latencies = Latencies::default();
        for (since, millis) in [(0, 9), (0, 11), (12, 1), (19, 50), (21, 1)] {
            latencies.add(at(since), Duration::from_millis(millis));
        }
        let between = latencies.between(at(10), at(20));
        assert_eq!(between.count(), 3);
        assert_eq!(between.quantile_ms(1), 1.0);
        assert_eq!(between.quantile_ms(1000), 50.0);
    }

    #[test]
    fn only_2xx_is_an_acknowledgement() {
        let outcome = Outcome {
            statuses: BTreeMap::from([(200, 5), (204, 1), (401, 2), (503, 3)]),
            broken: 4,
            elapsed: Duration::from_secs(2),
            latencies: Latencies::default(),
        };
        assert_eq!((outcome.acknowledged(), outcome.failed()), (6, 9));
        assert_eq!(outcome.per_second(), 3.0);
    }
}
