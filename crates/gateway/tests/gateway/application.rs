//! An application that deliveries go to: it keeps what it was sent and answers what it is told to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// One delivery as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Delivered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn document(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("deliveries in format event are JSON")
    }
}

/// What the application does with the next delivery.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Answer(u16),
    RetryAfter(u16, &'static str),
    Redirect(String),
    Delay(Duration),
    Endless,
}

#[derive(Default)]
struct State {
    delivered: Vec<Delivered>,
    next: VecDeque<Behaviour>,
}

/// The running application.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let application = Self { address, state: Arc::default() };
        let serving = application.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let application = serving.clone();
                let service = service_fn(move |request| application.clone().take(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        application
    }

    async fn take(
        self,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let behaviour = {
            let mut state = self.state.lock().expect("not poisoned");
            state.delivered.push(Delivered { headers: parts.headers, body });
            state.next.pop_front().unwrap_or(Behaviour::Answer(200))
        };
        let answer = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            Response::builder().status(status)
        };
        Ok(match behaviour {
            Behaviour::Answer(status) => answer(status).body(Full::default()),
            Behaviour::RetryAfter(status, after) => {
                answer(status).header("retry-after", after).body(Full::default())
            }
            Behaviour::Redirect(to) => answer(302).header("location", to).body(Full::default()),
            Behaviour::Delay(time) => {
                tokio::time::sleep(time).await;
                answer(200).body(Full::default())
            }
            Behaviour::Endless => {
                answer(200).body(Full::from(Bytes::from(vec![b'x'; 4 * 1024 * 1024])))
            }
        }
        .expect("a response"))
    }

    /// What to do with the next deliveries; afterwards all are answered 200.
    pub(crate) fn then(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.state.lock().expect("not poisoned").next.extend(behaviours);
    }

    /// From now on all deliveries are answered 200.
    pub(crate) fn answers_well(&self) {
        self.state.lock().expect("not poisoned").next.clear();
    }

    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        self.state.lock().expect("not poisoned").delivered.clone()
    }

    /// Waits until so many deliveries have come, and a moment longer for any that should not.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Delivered> {
        for _ in 0..3_000 {
            if self.delivered().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let delivered = self.delivered();
        assert_eq!(delivered.len(), count, "deliveries");
        delivered
    }

    /// Waits long enough that a wrongly planned delivery would have come.
    pub(crate) async fn stays_at(&self, count: usize) {
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(self.delivered().len(), count, "deliveries");
    }
}
