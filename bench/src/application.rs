//! A sample application that takes deliveries, answers 200 and counts them by `webhook-id`.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A running application, on a thread of its own until the process ends.
#[derive(Debug, Clone)]
pub struct Application {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
}

/// What was delivered so far.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Deliveries by `webhook-id`.
    pub deliveries: HashMap<String, u32>,
    /// The provider's event id and the `webhook-id` that came together, where the document was read.
    pub names: HashSet<(String, String)>,
    /// Deliveries without a `webhook-id`.
    pub unnamed: u64,
}

impl Ledger {
    /// Events delivered at least once.
    pub fn distinct(&self) -> usize {
        self.deliveries.len()
    }

    /// Deliveries beyond the first of each event.
    pub fn second(&self) -> u64 {
        self.deliveries.values().map(|count| u64::from(count.saturating_sub(1))).sum()
    }

    /// The provider's ids of everything delivered.
    pub fn provider_ids(&self) -> HashSet<&str> {
        self.names.iter().map(|(provider_id, _)| provider_id.as_str()).collect()
    }

    /// How many pairs are too many: an event under two `webhook-id`s, or two events under one.
    pub fn renamed(&self) -> usize {
        let webhook_ids: HashSet<_> = self.names.iter().map(|(_, id)| id.as_str()).collect();
        self.names.len() - self.provider_ids().len().min(webhook_ids.len())
    }

    pub(crate) fn note(&mut self, id: Option<&str>, provider_id: Option<String>) {
        let Some(id) = id else {
            self.unnamed += 1;
            return;
        };
        *self.deliveries.entry(id.to_owned()).or_default() += 1;
        if let Some(provider_id) = provider_id {
            self.names.insert((provider_id, id.to_owned()));
        }
    }
}

/// How much of a delivery the application reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Only its `webhook-id`: the cheapest, for measurements.
    Headers,
    /// The provider's event id in the document too, to see that the two stay together.
    Document,
}

impl Application {
    /// Listens on a free port of the loopback interface, or on the given one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(listen: SocketAddr, reading: Reading) -> Result<Self> {
        let listener = std::net::TcpListener::bind(listen).context("the application's address")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let application = Self { address, ledger };
        let serving = application.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("application".into()).spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                serving.accept_all(listener, reading).await
            })
        })?;
        Ok(application)
    }

    /// Where deliveries are taken.
    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    /// What was delivered so far.
    pub fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events delivered at least once so far.
    pub fn distinct(&self) -> usize {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).distinct()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = Ledger::default();
    }

    /// Waits until so many events were delivered; the time it took, or `None` after `patience`.
    pub fn wait_for(&self, distinct: usize, patience: Duration) -> Option<Duration> {
        let start = Instant::now();
        while self.distinct() < distinct {
            if start.elapsed() > patience {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(start.elapsed())
    }

    async fn accept_all(self, listener: TcpListener, reading: Reading) -> std::io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let application = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let application = application.clone();
                    async move {
                        let status = application.take(request, reading).await;
                        let mut response = Response::new(Empty::<Bytes>::new());
                        *response.status_mut() = status;
                        Ok::<_, Infallible>(response)
                    }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn take(&self, request: Request<Incoming>, reading: Reading) -> StatusCode {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST };
        let provider_id = match reading {
            Reading::Headers => None,
            Reading::Document => provider_event_id(&body.to_bytes()),
        };
        let id = parts.headers.get("webhook-id").and_then(|id| id.to_str().ok());
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).note(id, provider_id);
        StatusCode::OK
    }
}

fn provider_event_id(document: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(document).ok()?;
    document.pointer("/data/id")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_by_their_id() {
        let mut ledger = Ledger::default();
        ledger.note(Some("evt_a"), Some("evt_1".into()));
        ledger.note(Some("evt_a"), Some("evt_1".into()));
        ledger.note(Some("evt_b"), None);
        ledger.note(None, None);
        assert_eq!((ledger.distinct(), ledger.second(), ledger.unnamed), (2, 1, 1));
        assert_eq!(ledger.renamed(), 0);
        ledger.note(Some("evt_a"), Some("evt_2".into()));
        assert_eq!(ledger.renamed(), 1);
    }

    #[test]
    fn the_providers_id_is_read_from_the_document() {
        let id = |document: &str| provider_event_id(document.as_bytes());
        assert_eq!(id(r#"{"id":"evt_x","data":{"id":"evt_1"}}"#).as_deref(), Some("evt_1"));
        assert_eq!(id(r#"{"data":{"id":7}}"#), None);
        assert_eq!(id("not json"), None);
    }
}
