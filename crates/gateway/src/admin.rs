//! The admin listener: health, readiness, metrics, and what operators ask. Private by default.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use model::RequestId;
use store::Store;

use crate::answer::{self, Answer, problem, stay_on_https};
use crate::api::admin::ServedOffice;
use crate::listener::{self, Peer};
use crate::metrics::Metrics;
use crate::{Clock, SecurityTxt, Tls, entropy};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin listener shows.
pub(crate) struct Admin {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    /// What operators ask.
    pub(crate) office: ServedOffice,
    /// Where to write about a weakness, if it is to be said.
    pub(crate) security_txt: Option<SecurityTxt>,
    /// By listener.
    pub(crate) certificates: Vec<(&'static str, Tls)>,
}

impl Admin {
    /// Answers one request.
    pub(crate) async fn answer(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        let mut answer = if ServedOffice::serves(request.uri().path()) {
            self.office.answer(peer, request).await
        } else {
            self.page(request).await
        };
        if peer.is_encrypted {
            stay_on_https(&mut answer);
        }
        answer
    }

    async fn page(&self, request: hyper::Request<Incoming>) -> Answer {
        let id = RequestId::new(self.clock.now(), entropy::bytes());
        if let Some(refusal) = listener::refused(&request) {
            return answer::refusal(refusal, None, 401, id);
        }
        if let Some(file) = SecurityTxt::answer(self.security_txt.as_ref(), &request) {
            return file;
        }
        if request.method() != Method::GET {
            return problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", id);
        }
        match request.uri().path() {
            "/healthz" => text("text/plain; charset=utf-8", "ok\n".to_owned()),
            "/readyz" => self.ready(id).await,
            "/metrics" => self.scrape(id).await,
            _ => problem(StatusCode::NOT_FOUND, "not_found", id),
        }
    }

    /// While the store cannot be asked, its counts are left out and `store_up` is 0.
    async fn scrape(&self, id: RequestId) -> Answer {
        let counts = self.store.counts().await;
        if let Err(error) = &counts {
            tracing::error!(request = %id, %error, "cannot count for the metrics");
        }
        let transactions = self.store.transactions();
        let counts = counts.as_ref().ok();
        text(OPENMETRICS, self.metrics.scrape(counts, &transactions, &self.certificates))
    }

    /// Ready means that a webhook could be made durable now.
    async fn ready(&self, id: RequestId) -> Answer {
        match self.store.writable().await {
            Ok(()) => text("text/plain; charset=utf-8", "ready\n".to_owned()),
            Err(error) => {
                tracing::warn!(request = %id, %error, "not ready");
                problem(StatusCode::SERVICE_UNAVAILABLE, error.code(), id)
            }
        }
    }
}

fn text(kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
