//! Events for several replicas at once, as providers behind a load balancer send them: some come
//! twice, at the same time and to different replicas, and whatever was not acknowledged comes again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::LocalSet;

use crate::clock::{Chance, now_ms};
use crate::deployment::SOURCE_PATH;
use crate::load::{is_success, signed_request};
use crate::stripe::{SECRET, Series, Signer};
use crate::wire::Connection;

/// How long a connection waits that was told to come back, or found nobody.
const REFUSED_WAIT: Duration = Duration::from_millis(20);

/// What to send where.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// The replicas.
    pub targets: Vec<SocketAddr>,
    /// Kept connections, over all replicas.
    pub connections: usize,
    /// Distinct events; more than can be sent is until it is stopped.
    pub events: u64,
    /// Of a hundred requests so many repeat an earlier event.
    pub repeated_percent: u64,
    /// Requests a second at most; infinite is as fast as they are answered.
    pub per_second: f64,
    /// Repeats what is drawn.
    pub seed: u64,
}

/// Traffic under way.
#[derive(Debug)]
pub struct Flow {
    progress: Arc<Progress>,
    thread: JoinHandle<Result<Sent>>,
}

#[derive(Debug, Default)]
struct Progress {
    acknowledged: AtomicU64,
    stopped: AtomicBool,
}

/// What was sent, and what came back.
#[derive(Debug, Default)]
pub struct Sent {
    /// The provider's ids of what was answered 2xx at least once.
    pub acknowledged: Vec<String>,
    /// Further 2xx answers for the same events.
    pub repeated: u64,
    /// Other answers, and the longest that one of them took.
    pub refused: u64,
    /// See `refused`.
    pub refused_after_max: Duration,
    /// Requests that got no answer.
    pub broken: u64,
    /// The longest time in which nothing was acknowledged.
    pub pause_max: Duration,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Traffic {
    /// As fast as it is answered and until it is stopped, a tenth of it repeated.
    pub fn endless(targets: Vec<SocketAddr>, connections: usize) -> Self {
        Self {
            targets,
            connections,
            events: u64::MAX,
            repeated_percent: 10,
            per_second: f64::INFINITY,
            seed: 0,
        }
    }

    /// Sends it from a thread of its own.
    pub fn flow(self) -> Flow {
        let progress = Arc::<Progress>::default();
        let shared = progress.clone();
        Flow { progress, thread: std::thread::spawn(move || self.send(shared)) }
    }

    fn send(self, progress: Arc<Progress>) -> Result<Sent> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let start = Instant::now();
        let senders = Rc::new(Senders {
            signer: Signer::new(SECRET),
            series: Series::fresh(),
            chance: RefCell::new(Chance::new(self.seed)),
            next: Cell::new(0),
            again: RefCell::default(),
            acknowledged: RefCell::default(),
            start,
            turns: Cell::new(0),
            last: Cell::new(start),
            sent: RefCell::default(),
            progress,
            traffic: self,
        });
        LocalSet::new().block_on(&runtime, async {
            let tasks: Vec<_> = (0..senders.traffic.connections)
                .map(|place| tokio::task::spawn_local(senders.clone().send_all(place)))
                .collect();
            for task in tasks {
                task.await.context("a connection's task")?;
            }
            anyhow::Ok(())
        })?;
        let mut sent = senders.sent.take();
        let acknowledged = senders.acknowledged.take();
        sent.acknowledged = acknowledged.into_iter().map(|n| senders.series.id(n)).collect();
        sent.elapsed = start.elapsed();
        Ok(sent)
    }
}

impl Sent {
    /// Takes in what was sent later.
    pub fn take_in(&mut self, later: Self) {
        self.acknowledged.extend(later.acknowledged);
        self.repeated += later.repeated;
        self.refused += later.refused;
        self.refused_after_max = self.refused_after_max.max(later.refused_after_max);
        self.broken += later.broken;
        self.pause_max = self.pause_max.max(later.pause_max);
        self.elapsed += later.elapsed;
    }
}

impl Flow {
    /// Distinct events acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.progress.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many were acknowledged, or nothing more will be; whether they were.
    pub fn wait_for(&self, acknowledged: u64, patience: Duration) -> bool {
        let start = Instant::now();
        while self.acknowledged() < acknowledged {
            if self.thread.is_finished() || start.elapsed() > patience {
                return self.acknowledged() >= acknowledged;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Sends nothing new, and waits for the answers under way.
    ///
    /// # Errors
    /// When the traffic could not be sent at all.
    pub fn stop(self) -> Result<Sent> {
        self.progress.stopped.store(true, Ordering::Relaxed);
        self.end()
    }

    /// Waits until everything was acknowledged.
    ///
    /// # Errors
    /// When the traffic could not be sent at all.
    pub fn end(self) -> Result<Sent> {
        self.thread.join().ok().context("the traffic's thread")?
    }
}

struct Senders {
    traffic: Traffic,
    signer: Signer,
    series: Series,
    chance: RefCell<Chance>,
    next: Cell<u64>,
    again: RefCell<Vec<u64>>,
    acknowledged: RefCell<BTreeSet<u64>>,
    start: Instant,
    turns: Cell<u32>,
    last: Cell<Instant>,
    sent: RefCell<Sent>,
    progress: Arc<Progress>,
}

impl Senders {
    async fn send_all(self: Rc<Self>, place: usize) {
        let mut targets = self.traffic.targets.iter().cycle().skip(place).copied();
        let mut connection = None;
        loop {
            self.turn().await;
            let (Some(n), Some(target)) = (self.next_event(), targets.next()) else { return };
            if !self.send(n, &mut connection, target).await {
                self.again.borrow_mut().push(n);
                tokio::time::sleep(REFUSED_WAIT).await;
            }
        }
    }

    async fn turn(&self) {
        let turn = self.turns.replace(self.turns.get().saturating_add(1));
        let due = self.start + Duration::from_secs_f64(f64::from(turn) / self.traffic.per_second);
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends one event over the connection, or over a new one to the target; whether it was
    /// acknowledged.
    async fn send(&self, n: u64, kept: &mut Option<Kept>, target: SocketAddr) -> bool {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match Connection::open(target).await {
                Ok(open) => (open, format!("POST {SOURCE_PATH} HTTP/1.1\r\nhost: {target}\r\n")),
                Err(_) => return false,
            },
        };
        let body = self.series.body(n, now_ms() / 1000);
        let request = signed_request(&connection.1, &self.signer, &body);
        let begun = Instant::now();
        let Ok(status) = connection.0.exchange(&request).await else {
            self.sent.borrow_mut().broken += 1;
            return false;
        };
        *kept = Some(connection);
        let mut sent = self.sent.borrow_mut();
        if !is_success(status) {
            sent.refused += 1;
            sent.refused_after_max = sent.refused_after_max.max(begun.elapsed());
            return false;
        }
        sent.pause_max = sent.pause_max.max(self.last.replace(Instant::now()).elapsed());
        if self.acknowledged.borrow_mut().insert(n) {
            self.progress.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else {
            sent.repeated += 1;
        }
        true
    }

    /// What was not acknowledged, an event that came already, or a new one.
    fn next_event(&self) -> Option<u64> {
        if self.progress.stopped.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(n) = self.again.borrow_mut().pop() {
            return Some(n);
        }
        let (next, mut chance) = (self.next.get(), self.chance.borrow_mut());
        if next > 0 && chance.between(0, 100) < self.traffic.repeated_percent {
            // Mostly a young one, whose first copy is still under way.
            let young = next.min(1 << chance.between(0, 16));
            return Some(next - chance.between(1, 1 + young));
        }
        (next < self.traffic.events).then(|| self.next.replace(next + 1))
    }
}

/// A connection, and how requests over it begin.
type Kept = (Connection, String);
