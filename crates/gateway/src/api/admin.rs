//! The HTTP API for operators, `/admin/v1` on the admin listener.
//!
//! Operators sign in and have a session (`docs/operators.md`). Its token is presented as a bearer
//! token, or comes back in a cookie: over TLS only, and never without a header that no page of
//! another origin can send. A request is **let in** ([`serve`]: the session, its operator's role, that
//! they have confirmed where it is needed, the body) and becomes an [`Asked`]. [`routes`] is the list
//! of routes, each with what it needs; the OpenAPI document is made from the same list.
//!
//! There is no `Idempotency-Key` here: what is answered may be a secret that is shown once, which no
//! kept answer may hold. What changes something twice is refused instead.

mod approvals;
mod audit;
mod blocks;
mod door;
mod keys;
mod operators;
mod reads;
mod routes;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use model::limits::{FAILED_KEYS_MAX, FAILED_KEYS_PERIOD_MS};
use model::rate::Rate;
use model::{Environment, OperatorId, Permission, Reach, RequestId, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;
use utoipa::IntoParams;

use super::refusal::{ApiRefusal, Problem};
use super::{Came, Reply, ServedSource};
use super::{cursor, read};
use crate::answer::{self, Answer};
use crate::blocks::Blocks;
use crate::inbound::limits::AddressLimit;
use crate::listener::{self, Peer};
use crate::log_budget::{Line, LogBudget};
use crate::operations::{Desk, Order};
use crate::operators::{Asking, Operator, Operators, Refused};
use crate::{Clock, Refusal, entropy};
pub(super) use approvals::{Awaited, HEADER as APPROVAL};

/// What every path of it begins with.
const PREFIX: &str = "/admin/v1/";

/// Tokens of one address that let nobody in.
const FAILED: Rate = Rate { count: FAILED_KEYS_MAX, period_ms: FAILED_KEYS_PERIOD_MS };

/// The OpenAPI document, as it is served at `/admin/v1/openapi.json`.
pub fn openapi() -> String {
    routes::all().document()
}

/// What operators must be allowed to do for some route.
pub fn permissions() -> BTreeSet<Permission> {
    routes::all().permissions()
}

/// What it works with.
pub(crate) struct Office {
    clock: Clock,
    desk: Desk,
    operators: Arc<Operators>,
    environment: Environment,
    sources: BTreeMap<String, ServedSource>,
    /// What is done only after another operator has approved it.
    second_person: BTreeSet<Permission>,
    blocks: Arc<Blocks>,
    failed: AddressLimit,
    log_budget: LogBudget,
}

impl Office {
    pub(crate) fn new(
        clock: Clock,
        desk: Desk,
        operators: Arc<Operators>,
        environment: Environment,
        sources: BTreeMap<String, ServedSource>,
        second_person: BTreeSet<Permission>,
        blocks: Arc<Blocks>,
    ) -> Self {
        let (failed, log_budget) = (AddressLimit::new(FAILED), LogBudget::default());
        Self {
            clock,
            desk,
            operators,
            environment,
            sources,
            second_person,
            blocks,
            failed,
            log_budget,
        }
    }

    /// What was changed counts at this gateway at once. If it cannot be read, it does in a moment.
    async fn refresh_blocks(&self) {
        if let Err(error) = self.blocks.refresh().await {
            tracing::warn!(code = error.code(), "blocks have changed and are not read yet");
        }
    }
}

/// The API with its routes.
pub(crate) struct ServedOffice {
    office: Arc<Office>,
    router: Router,
}

/// Whether a request came over TLS.
#[derive(Clone, Copy)]
struct Secure(bool);

/// What the log says of a request, beside its answer.
#[derive(Clone, Copy)]
struct Passed {
    route: &'static str,
    operator: Option<OperatorId>,
    /// Why it was not carried out.
    reason: Option<&'static str>,
}

/// A request that is let in, whoever it is of.
struct Asked {
    office: Arc<Office>,
    came: Came,
    agent: Option<String>,
    is_secure: bool,
    places: Vec<(String, String)>,
    query: Option<String>,
    body: Bytes,
}

/// A query without parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Which page of a list is wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Page {
    /// At most so many; 50 if not given.
    #[serde(deserialize_with = "read::from_text")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<read::Limit>,
    /// `next` of the page before.
    #[serde(deserialize_with = "read::from_text")]
    cursor: Option<String>,
}

impl Asked {
    fn place(&self, name: &str) -> &str {
        let found = self.places.iter().find(|(place, _)| place == name);
        found.map_or("", |(_, text)| text.as_str())
    }

    fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        read::query(self.query.as_deref())
    }

    fn no_query(&self) -> Result<(), Problem> {
        self.query::<NoParameters>().map(drop)
    }

    /// After which number the page that is wanted of a list begins, and how long it may be.
    fn page(&self, route: &str, wanted: Page) -> Result<(i64, usize), Problem> {
        let Page { limit, cursor } = wanted;
        let limit = usize::from(limit.unwrap_or_default().0);
        let Some(cursor) = cursor else { return Ok((0, limit)) };
        let after = cursor::read(&self.office.desk.keys, route, &Reach::default(), &cursor);
        Ok((after.ok_or(ApiRefusal::CursorInvalid)?, limit))
    }

    /// The cursor of the page of a list after a number.
    fn cursor(&self, route: &str, number: i64) -> String {
        cursor::made(&self.office.desk.keys, route, &Reach::default(), number)
    }

    /// Where a page of a list begins whose numbers grow: before the one in the cursor.
    fn before(&self, list: &str, cursor: Option<&str>) -> Result<Option<i64>, Problem> {
        let read = |text| {
            let number = cursor::read(&self.office.desk.keys, list, &Reach::default(), text);
            number.ok_or(ApiRefusal::CursorInvalid)
        };
        Ok(cursor.map(read).transpose()?)
    }

    /// What the body says. Where there is one, there are no parameters.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.no_query()?;
        read::body(&self.body)
    }

    fn asking(&self) -> Asking {
        let Came { request, at, address } = self.came;
        Asking { request, address, agent: self.agent.clone(), now: at }
    }

    /// Who asks for something and why, as it goes to the audit log with what is done.
    fn order(&self, operator: &Operator, reason: String) -> Order {
        Order {
            actor: operator.id.to_string(),
            reason,
            at: self.came.at,
            request: Some(self.came.request),
            address: Some(self.came.address),
            agent: self.agent.clone(),
        }
    }
}

/// What a handler answers, and the cookie that goes with it.
struct Given {
    reply: Reply,
    cookie: Option<HeaderValue>,
    /// It is not done: somebody else must approve it.
    waits: bool,
}

impl From<Reply> for Given {
    fn from(reply: Reply) -> Self {
        Self { reply, cookie: None, waits: false }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::SignIn => ApiRefusal::SignInRefused.into(),
            Refused::Limited { retry_after_ms } => {
                Self::wait(ApiRefusal::SignInsLimited, retry_after_ms)
            }
            Refused::Busy => ApiRefusal::SignInsBusy.into(),
            Refused::Session => ApiRefusal::NotSignedIn.into(),
            // What failed is in the log already.
            Refused::Unavailable => ApiRefusal::TryAgain.into(),
        }
    }
}

impl ServedOffice {
    pub(crate) fn new(office: Office) -> Self {
        let office = Arc::new(office);
        Self { router: routes::all().router(office.clone()), office }
    }

    /// Whether a path is one of these.
    pub(crate) fn serves(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        let at = self.office.clock.now();
        let (id, address) = (RequestId::new(at, entropy::bytes()), peer.address);
        let refusal = listener::refused(&request).or_else(|| {
            // On this machine nobody listens in between.
            let is_in_the_clear = !peer.is_encrypted && !address.is_loopback();
            let is_live = self.office.environment == Environment::Live;
            (is_live && is_in_the_clear).then_some(Refusal::PlainHttp)
        });
        let mut answer = match refusal {
            Some(refusal) => answer::api_refusal(refusal, id),
            None => {
                let came = Came { request: id, at, address };
                self.routed(came, Secure(peer.is_encrypted), request).await
            }
        };
        answer::api_headers(&mut answer, id);
        self.log(id, at, &answer);
        answer
    }

    async fn routed(
        &self,
        came: Came,
        secure: Secure,
        mut request: hyper::Request<Incoming>,
    ) -> Answer {
        request.extensions_mut().insert(came);
        request.extensions_mut().insert(secure);
        let answered = match self.router.clone().oneshot(request).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        let (parts, body) = answered.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Answer::from_parts(parts, Full::new(body))
    }

    /// One line a request, within a budget: never what was presented or sent.
    fn log(&self, request: RequestId, at: Timestamp, answer: &Answer) {
        let Line::Write { skipped } = self.office.log_budget.line(at.as_seconds()) else { return };
        let passed = answer.extensions().get::<Passed>();
        tracing::info!(
            request = %request,
            route = passed.map(|passed| passed.route),
            status = answer.status().as_u16(),
            operator = passed.and_then(|passed| passed.operator).map(|id| id.to_string()),
            reason = passed.and_then(|passed| passed.reason),
            skipped,
            "admin request"
        );
    }
}
