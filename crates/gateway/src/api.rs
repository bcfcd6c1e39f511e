//! The HTTP API for applications, `/v1` on the API listener.
//!
//! A request is **let in** ([`serve`]: the key, its limits, its permission, the body, its key of
//! idempotency), becomes an [`ask::Ask`], through which alone a handler reads and changes what is
//! within the reach of the key, and is answered once. [`routes`] is the list of routes, each with the
//! one permission that it needs; the OpenAPI document is made from the same list ([`document`]).
//!
//! axum finds the route; our own listener serves ([`crate::listener`]).

pub mod admin;
mod ask;
mod cursor;
mod deliveries;
mod document;
mod endpoints;
mod events;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod headers;
mod idempotency;
mod limits;
mod orders;
mod read;
mod receipts;
mod refusal;
mod routes;
mod serve;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::HttpBody as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use ipnet::IpNet;
use model::{ApiKeyId, Environment, RequestId, Timestamp};
use serde::Serialize;
use store::StoreError;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::answer::{self, Answer};
use crate::api_keys::ApiKeys;
use crate::inbound::address::source_address;
use crate::inbound::transport::is_secure;
use crate::keys::{KeyError, KeyRing};
use crate::listener::{self, Peer};
use crate::log_budget::{Line, LogBudget};
use crate::operations::Desk;
use crate::orders::{OrderRules, Orders};
use crate::receipts::Receipts;
use crate::sharing::{Counter, Sharing};
use crate::{Clock, Endpoint, Format, Refusal, SecurityTxt, Source, entropy};
pub(crate) use limits::Limits;
pub use refusal::ApiRefusal;
pub(crate) use refusal::Problem;

/// The OpenAPI document, as it is served at `/v1/openapi.json`.
pub fn openapi() -> String {
    routes::all().document()
}

/// What the API works with.
pub(crate) struct Api {
    pub(crate) clock: Clock,
    pub(crate) desk: Desk,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) callers: Arc<ApiKeys>,
    pub(crate) environment: Environment,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Where to write about a weakness, if it is to be said.
    pub(crate) security_txt: Option<SecurityTxt>,
    pub(crate) sources: BTreeMap<String, ServedSource>,
    pub(crate) endpoints: Vec<ServedEndpoint>,
    /// Rung when there may be something to deliver.
    pub(crate) fresh_work: Arc<Notify>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) order_rules: OrderRules,
    pub(crate) limits: Limits,
    pub(crate) log_budget: LogBudget,
}

/// A source, as far as the API knows it.
pub(crate) struct ServedSource {
    pub(crate) provider: String,
    pub(crate) profile: Arc<schemes::Profile>,
    pub(crate) endpoints: Vec<String>,
    /// What its receipts are judged by, if it has secrets for them.
    pub(crate) receipts: Option<Receipts>,
}

impl ServedSource {
    /// A configured source, by its name.
    pub(crate) fn of(source: &Source) -> (String, Self) {
        let served = Self {
            provider: source.profile.name().to_owned(),
            profile: source.profile.clone(),
            endpoints: source.endpoints.clone(),
            receipts: Receipts::of(source),
        };
        (source.name.clone(), served)
    }
}

/// An endpoint, as far as the API knows it.
#[derive(Clone)]
pub(crate) struct ServedEndpoint {
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) takes_originals: bool,
}

impl ServedEndpoint {
    /// A configured endpoint.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            paused: endpoint.paused,
            takes_originals: endpoint.format == Format::Original,
        }
    }
}

/// The API with its routes.
pub(crate) struct Served {
    api: Arc<Api>,
    router: Router,
}

/// What is known of a request before its route.
#[derive(Clone, Copy)]
struct Came {
    request: RequestId,
    at: Timestamp,
    address: IpAddr,
}

impl Came {
    /// A request that nobody numbered.
    fn nowhere() -> Self {
        let (at, address) = (Timestamp::from_millis(0), IpAddr::from([0, 0, 0, 0]));
        Self { request: RequestId::new(at, entropy::bytes()), at, address }
    }
}

/// What the log says of a request, beside its answer.
#[derive(Clone, Copy)]
struct Seen {
    route: &'static str,
    key: Option<ApiKeyId>,
    /// Why it was not carried out.
    reason: Option<&'static str>,
}

/// What a handler answers.
struct Reply(Bytes);

impl Reply {
    fn of(body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| Problem::failed(ApiRefusal::Internal, error))?;
        Ok(Self(Bytes::from(body)))
    }
}

/// A page out of what was found, of which there is one more than wanted if there is another page; and
/// the number of its last one then.
fn page<T>(found: &[T], limit: usize, number: impl Fn(&T) -> i64) -> (&[T], Option<i64>) {
    match found.get(..limit) {
        Some(page) if found.len() > limit => (page, page.last().map(number)),
        _ => (found, None),
    }
}

impl Served {
    pub(crate) fn new(api: Api) -> Self {
        let api = Arc::new(api);
        Self { router: routes::all().router(api.clone()), api }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        let api = &self.api;
        let at = api.clock.now();
        let id = RequestId::new(at, entropy::bytes());
        let address = source_address(peer, request.headers(), &api.trusted_proxies);
        let is_secure = is_secure(peer, request.headers());
        let refusal = listener::refused(&request).or_else(|| {
            // On this machine nobody listens in between. Behind a proxy on it somebody may.
            let is_in_the_clear = !is_secure && !address.is_loopback();
            let is_live = api.environment == Environment::Live;
            (is_live && is_in_the_clear).then_some(Refusal::PlainHttp)
        });
        let mut answer = match refusal {
            Some(refusal) => answer::api_refusal(refusal, id),
            None => match SecurityTxt::answer(api.security_txt.as_ref(), &request) {
                Some(file) => file,
                None => self.routed(Came { request: id, at, address }, request).await,
            },
        };
        answer::api_headers(&mut answer, id);
        if is_secure {
            answer::stay_on_https(&mut answer);
        }
        self.log(id, at, &answer);
        answer
    }

    async fn routed(&self, came: Came, mut request: hyper::Request<Incoming>) -> Answer {
        request.extensions_mut().insert(came);
        let answered = match self.router.clone().oneshot(request).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        let (parts, body) = answered.into_parts();
        debug_assert!(body.size_hint().exact().is_some(), "answers are whole");
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Answer::from_parts(parts, Full::new(body))
    }

    /// One line a request, within a budget: never what was presented or sent.
    fn log(&self, request: RequestId, at: Timestamp, answer: &Answer) {
        let Line::Write { skipped } = self.api.log_budget.line(at.as_seconds()) else { return };
        let seen = answer.extensions().get::<Seen>();
        let key = seen.and_then(|seen| seen.key).map(|key| key.to_string());
        tracing::info!(
            request = %request,
            route = seen.map(|seen| seen.route),
            status = answer.status().as_u16(),
            key,
            reason = seen.and_then(|seen| seen.reason),
            skipped,
            "api request"
        );
    }

    /// What is limited for customers is counted over all gateways.
    pub(crate) async fn share_limits(self: Arc<Self>, counter: Counter, stop: CancellationToken) {
        let limits = &self.api.limits;
        let requests = Sharing { name: "api_customers", limit: &limits.customers };
        let orders = Sharing { name: "orders_customers", limit: &limits.orders };
        // They are keyed hashes already.
        tokio::join!(
            requests.run(|customer| customer, counter.clone(), stop.clone()),
            orders.run(|customer| customer, counter, stop),
        );
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_audit_unavailable() {
            return Self::failed(ApiRefusal::AuditUnavailable, error);
        }
        let is_passing = error.is_unavailable()
            || error.is_full()
            || error.is_overloaded()
            || error.is_poisoned()
            || error.code() == "store_closed";
        Self::failed(if is_passing { ApiRefusal::TryAgain } else { ApiRefusal::Internal }, error)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            error => Self::failed(ApiRefusal::Internal, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_next_one_only_if_there_is_more() {
        let of = |found: &[i64], limit| {
            let (page, next) = page(found, limit, |number| *number);
            (page.to_vec(), next)
        };
        assert_eq!(of(&[9, 8, 7], 2), (vec![9, 8], Some(8)));
        assert_eq!(of(&[9, 8], 2), (vec![9, 8], None));
        assert_eq!(of(&[9], 2), (vec![9], None));
        assert_eq!(of(&[], 2), (vec![], None));
    }
}
