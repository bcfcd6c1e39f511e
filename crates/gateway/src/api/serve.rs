//! Lets a request in, step by step, and answers it.
//!
//! The key (401), its limits (429), its permission (403), the body (400, 408, 413, 415), the key of
//! idempotency (400, 409, 422): only then does the handler see it. It runs in a task of its own, so
//! that whoever hangs up does not stop what was begun.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use model::Permission;
use model::limits::{API_BODY_BYTES_MAX, API_KEY_BYTES_MAX};
use sabotage::Defect;

use super::ask::Ask;
use super::idempotency;
use super::limits::Quotas;
use super::refusal::{ApiRefusal, Problem};
use super::{Api, Came, Reply, Seen};
use crate::Refusal;
use crate::answer::{self, Answer};
use crate::api_keys::{Caller, Denied};
use crate::inbound::body;

/// Characters of a user agent that are kept.
const AGENT_CHARS_MAX: usize = 200;

/// What a handler answers, later.
pub(super) type Later = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// A handler, whatever its future is.
pub(super) type Handler = Arc<dyn Fn(Ask) -> Later + Send + Sync>;

/// A route that needs a key.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) needs: Permission,
    pub(super) handler: Handler,
}

/// A request whose route is found.
pub(super) struct Routed {
    pub(super) came: Came,
    pub(super) places: Vec<(String, String)>,
    pub(super) request: Request<Body>,
}

impl Api {
    /// Lets a request in and answers it.
    pub(super) async fn serve(self: Arc<Self>, route: Route, routed: Routed) -> Answer {
        let came = routed.came;
        let mut quotas = Quotas::default();
        let mut seen = Seen { route: route.path, key: None, reason: None };
        let answered = match self.authenticated(routed.request.headers(), came) {
            Ok(caller) => {
                seen.key = Some(caller.key);
                let (told, taken) = self.limits.take(&caller, came.at.as_millis());
                quotas = told;
                match taken {
                    Ok(()) => self.let_in(route, routed, caller).await,
                    Err(problem) => Err(problem),
                }
            }
            Err(denied) => {
                // What is said outside is one answer; the log says why.
                seen.reason = Some(denied.code());
                Err(self.denied(denied, came))
            }
        };
        let mut answer = answered.unwrap_or_else(|problem| {
            seen.reason = seen.reason.or(Some(problem.refusal.code()));
            told(&problem, came)
        });
        quotas.told(&mut answer);
        answer.extensions_mut().insert(seen);
        answer
    }

    /// Whose key was presented.
    fn authenticated(&self, headers: &HeaderMap, came: Came) -> Result<Caller, Denied> {
        let key = presented(headers).ok_or(Denied::Malformed)?;
        self.callers.authenticate(key, came.address, came.at)
    }

    /// An address that failed too often is told so, and only when it fails again: good keys are always
    /// taken, whoever else is at that address.
    fn denied(&self, denied: Denied, came: Came) -> Problem {
        if denied.is_unavailable() {
            return ApiRefusal::TryAgain.into();
        }
        match self.limits.failed.take(came.address, came.at.as_millis()) {
            Ok(()) => ApiRefusal::Unauthorized.into(),
            Err(limited) => Problem::wait(ApiRefusal::FailedTooOften, limited.retry_after_ms),
        }
    }

    async fn let_in(
        self: Arc<Self>,
        route: Route,
        routed: Routed,
        caller: Caller,
    ) -> Result<Answer, Problem> {
        let has = caller.may(route.needs);
        if !has && !sabotage::on(Defect::PermissionIgnored) {
            return Err(Problem::lacks(route.needs));
        }
        let Routed { came, places, request } = routed;
        let (head, incoming) = request.into_parts();
        let is_changing = head.method == Method::POST;
        let body = if is_changing {
            is_json(&head)?;
            let read = body::read(incoming, &head.headers, API_BODY_BYTES_MAX).await;
            // A body may take its time, and a key be revoked meanwhile.
            if !self.callers.still_works(caller.key, came.address, self.clock.now()) {
                return Err(ApiRefusal::Unauthorized.into());
            }
            read.map_err(unread)?
        } else {
            Default::default()
        };
        let ask = Ask {
            came,
            agent: agent(&head.headers),
            route: route.path,
            places,
            query: head.uri.query().map(str::to_owned),
            body,
            caller,
            api: self,
        };
        let handler = route.handler;
        let doing = async move {
            if is_changing {
                let once = idempotency::Once::of(&ask, &head)?;
                once.answer(ask, handler).await
            } else {
                let reply = handler(ask).await;
                Ok(answered(reply, came))
            }
        };
        let done = tokio::spawn(doing).await;
        done.unwrap_or_else(|error| Err(Problem::failed(ApiRefusal::Internal, error)))
    }
}

/// What a handler gave, as it is answered.
pub(super) fn answered(reply: Result<Reply, Problem>, came: Came) -> Answer {
    match reply {
        Ok(Reply(body)) => answer::api_done(body),
        Err(problem) => told(&problem, came),
    }
}

/// The answer to a problem. What failed here goes to the log, once, with the request's id.
pub(super) fn told(problem: &Problem, came: Came) -> Answer {
    if let Some(fault) = &problem.fault {
        let (request, code) = (came.request, problem.refusal.code());
        tracing::error!(%request, code, fault, "a request to the API failed");
    }
    answer::api_problem(problem, came.request)
}

/// The key in the one `Authorization` header.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let (scheme, key) = line.to_str().ok()?.split_once(' ')?;
    let is_key = !key.is_empty()
        && key.len() <= API_KEY_BYTES_MAX
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && is_key).then_some(key)
}

/// What the sender says that it is, as far as it is text.
pub(super) fn agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(AGENT_CHARS_MAX).collect())
}

/// A body is JSON, in UTF-8, as it is.
pub(super) fn is_json(head: &Parts) -> Result<(), ApiRefusal> {
    if head.headers.contains_key(CONTENT_ENCODING) {
        return Err(ApiRefusal::ContentEncoding);
    }
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let mut parts = kind.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|part| part.eq_ignore_ascii_case("charset=utf-8"));
    if is_json && is_utf8 { Ok(()) } else { Err(ApiRefusal::ContentType) }
}

pub(super) fn unread(refusal: Refusal) -> ApiRefusal {
    match refusal {
        Refusal::BodyTooLarge => ApiRefusal::BodyTooLarge,
        Refusal::BodyTooSlow => ApiRefusal::BodyTooSlow,
        _ => ApiRefusal::BodyIncomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_key_is_presented_in_one_way() {
        let check = |lines: &[&str], key: Option<&str>| {
            assert_eq!(presented(&with("authorization", lines)), key, "{lines:?}");
        };
        check(&["Bearer cs_test_1"], Some("cs_test_1"));
        check(&["bearer cs_test_1"], Some("cs_test_1"));
        check(&[], None);
        check(&["cs_test_1"], None);
        check(&["Bearer "], None);
        check(&["Bearer  cs_test_1"], None);
        check(&["Bearer cs_test_1 "], None);
        check(&["Bearer cs test"], None);
        check(&["Basic cs_test_1"], None);
        check(&["Bearer cs_test_1", "Bearer cs_test_1"], None);
        check(&[&format!("Bearer {}", "a".repeat(513))], None);
    }

    #[test]
    fn content_type_is_json_and_nothing_else() {
        let check = |lines: &[&str], expected: Result<(), ApiRefusal>| {
            let (mut head, ()) = Request::new(()).into_parts();
            head.headers = with("content-type", lines);
            assert_eq!(is_json(&head), expected, "{lines:?}");
        };
        check(&["application/json"], Ok(()));
        check(&["Application/JSON; charset=UTF-8"], Ok(()));
        for other in ["text/plain", "application/json; charset=latin1", "application/jsonp", ""] {
            check(&[other], Err(ApiRefusal::ContentType));
        }
        check(&[], Err(ApiRefusal::ContentType));
    }

    #[test]
    fn content_encoding_is_refused() {
        let (mut head, ()) = Request::new(()).into_parts();
        head.headers = with("content-encoding", &["gzip"]);
        assert_eq!(is_json(&head), Err(ApiRefusal::ContentEncoding));
    }
}
