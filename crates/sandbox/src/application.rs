//! The sample application: takes our deliveries as a careful customer would.
//!
//! It verifies each delivery by Standard Webhooks with code of its own, takes each `webhook-id`
//! once, and keeps what it accepted. It can be told to misbehave for a while ([`Mood`]). Beside
//! `POST /webhooks` it answers `GET /log` with what it accepted, as JSON.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::clock::now_ms;

mod till;
mod verify;

pub use till::{Placed, Till, TillError};
pub use verify::{Refusal, WebhookSecret};

/// The most of a delivery that is read: the largest webhook in base64, and room for the rest.
const DELIVERY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How the application answers deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// With this status, so many times; then well again.
    Failing {
        /// 500, or 410 for "no more of these".
        status: u16,
        /// How often.
        times: u32,
    },
    /// As it should, but only after this long, so many times.
    Slow {
        /// Milliseconds before the answer.
        wait_ms: u64,
        /// How often.
        times: u32,
    },
    /// Says 200 and forgets the delivery: a defect that the demo must find.
    Losing,
}

/// A delivery that the application accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The delivery's `webhook-id`.
    pub webhook_id: String,
    /// The source that the gateway names.
    pub source: String,
    /// The provider's event type.
    pub kind: String,
    /// What the provider's signature covered.
    pub covers: String,
    /// The order the event belongs to, if the gateway knows it.
    pub order: Option<String>,
    /// Grows from event to event of an order.
    pub sequence: Option<i64>,
    /// The provider's own bytes.
    pub body: Vec<u8>,
}

/// Everything the application has seen.
#[derive(Debug, Clone, Default)]
pub struct Diary {
    /// Accepted deliveries, in order.
    pub accepted: Vec<Accepted>,
    /// Deliveries of a `webhook-id` that it had before.
    pub repeated: usize,
    /// Deliveries it answered with an error because it was told to.
    pub failed: usize,
    /// Deliveries it refused, and why.
    pub refused: Vec<Refusal>,
}

struct State {
    secret: WebhookSecret,
    mood: Mutex<Mood>,
    seen: Mutex<(HashSet<String>, Diary)>,
}

/// The running application. Dropping it stops it.
pub struct Application {
    address: SocketAddr,
    state: Arc<State>,
    listener: JoinHandle<()>,
}

impl Application {
    /// Starts it on a free port of loopback.
    pub async fn start(secret: WebhookSecret) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state =
            Arc::new(State { secret, mood: Mutex::new(Mood::Well), seen: Mutex::default() });
        let listener = tokio::spawn(listen(listener, Arc::clone(&state)));
        Ok(Self { address, state, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its webhook endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    /// From now on it answers like this.
    pub fn feel(&self, mood: Mood) {
        *self.state.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Everything it has seen so far.
    pub fn diary(&self) -> Diary {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// How many deliveries it has accepted so far.
    pub fn accepted(&self) -> usize {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).1.accepted.len()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
            // Out of file descriptors, most likely: give the others time to close.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, std::convert::Infallible>(answer(&state, request).await) }
    });
    // A connection that breaks is the peer's affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(state: &State, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/log") => respond(StatusCode::OK, state.log().to_string()),
        (&Method::POST, "/webhooks") => take(state, request).await,
        _ => respond(StatusCode::NOT_FOUND, "not found\n".into()),
    }
}

async fn take(state: &State, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, DELIVERY_BYTES_MAX).collect().await else {
        return respond(StatusCode::PAYLOAD_TOO_LARGE, "too large\n".into());
    };
    let body = body.to_bytes();
    let mood = state.next_mood();
    match mood {
        Mood::Failing { status, .. } => {
            state.seen.lock().unwrap_or_else(PoisonError::into_inner).1.failed += 1;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return respond(status, "told to fail\n".into());
        }
        Mood::Slow { wait_ms, .. } => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
        Mood::Well | Mood::Losing => {}
    }
    match verify::check(&state.secret, &head.headers, &body, now_ms()) {
        Ok(webhook_id) if mood == Mood::Losing => respond(StatusCode::OK, webhook_id),
        Ok(webhook_id) => state.accept(webhook_id, &body),
        Err(refusal) => state.refuse(refusal),
    }
}

impl State {
    /// The mood of this answer; a mood with a number wears off.
    fn next_mood(&self) -> Mood {
        let mut mood = self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        let now = *mood;
        *mood = match now {
            Mood::Failing { times: 0 | 1, .. } | Mood::Slow { times: 0 | 1, .. } => Mood::Well,
            Mood::Failing { status, times } => Mood::Failing { status, times: times - 1 },
            Mood::Slow { wait_ms, times } => Mood::Slow { wait_ms, times: times - 1 },
            Mood::Well | Mood::Losing => now,
        };
        now
    }

    fn accept(&self, webhook_id: String, body: &[u8]) -> Response<Full<Bytes>> {
        let Some(mut accepted) = read(body) else {
            return self.refuse(Refusal::NotADelivery);
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (ids, diary) = &mut *seen;
        if ids.insert(webhook_id.clone()) {
            accepted.webhook_id = webhook_id;
            diary.accepted.push(accepted);
        } else {
            diary.repeated += 1;
        }
        respond(StatusCode::OK, String::new())
    }

    fn refuse(&self, refusal: Refusal) -> Response<Full<Bytes>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).1.refused.push(refusal);
        respond(StatusCode::UNAUTHORIZED, "refused\n".into())
    }

    fn log(&self) -> Value {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = seen.1.accepted.iter().map(|one| {
            json!({
                "webhook_id": one.webhook_id, "source": one.source, "type": one.kind,
                "covers": one.covers, "order": one.order, "sequence": one.sequence,
                "body": String::from_utf8_lossy(&one.body),
            })
        });
        Value::Array(accepted.collect())
    }
}

/// Reads a verified delivery document (`format = "event"`).
fn read(body: &[u8]) -> Option<Accepted> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Accepted {
        at_ms: now_ms(),
        webhook_id: String::new(),
        source: text("source")?,
        kind: text("type")?,
        covers: text("covers")?,
        order: text("order"),
        sequence: document.get("sequence").and_then(Value::as_i64),
        body: STANDARD.decode(text("body_base64")?).ok()?,
    })
}

fn respond(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
