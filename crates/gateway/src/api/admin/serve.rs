//! Lets a request of an operator in, step by step, and answers it.
//!
//! The session (401), its operator's role (403), that they have confirmed (403), the body (400, 408,
//! 413, 415), a second person where one is wanted (202): only then does the handler see it. It runs in
//! a task of its own, so that whoever hangs up does not stop what was begun.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use model::Permission;
use model::limits::API_BODY_BYTES_MAX;

use super::approvals::second_person;
use super::door::COOKIE_NAME;
use super::reads::Check;
use super::{Asked, Given, Office, Passed};
use crate::answer::{self, Answer};
use crate::api::Came;
use crate::api::refusal::{ApiRefusal, Problem};
use crate::api::serve::{agent, is_json, presented, told, unread};
use crate::inbound::body;
use crate::operators::{Operator, Refused};

/// Who sends the cookie sends this, too: a page of another origin cannot, without being asked first.
pub(super) const CSRF: &str = "x-countersign-csrf";

/// What a handler answers, later.
type Later = Pin<Box<dyn Future<Output = Result<Given, Problem>> + Send>>;

/// A handler, whatever its future is.
pub(super) type Handler = Arc<dyn Fn(Asked, Option<Operator>) -> Later + Send + Sync>;

/// What a route needs.
#[derive(Clone, Copy)]
pub(super) enum Needs {
    /// It is for whoever wants to sign in.
    Nobody,
    /// A session.
    Session {
        /// Its operator must have confirmed who they are.
        confirmed: bool,
    },
    /// A session whose operator's role has this permission.
    Permission {
        permission: Permission,
        /// They must have confirmed who they are.
        confirmed: bool,
        /// Whether it says what the route reads.
        reads: Check,
    },
}

/// A route.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) needs: Needs,
    pub(super) handler: Handler,
}

/// A request whose route is found.
pub(super) struct Routed {
    pub(super) came: Came,
    pub(super) is_secure: bool,
    pub(super) places: Vec<(String, String)>,
    pub(super) request: Request<Body>,
}

impl Office {
    /// Lets a request in and answers it.
    pub(super) async fn serve(self: Arc<Self>, route: Route, routed: Routed) -> Answer {
        let came = routed.came;
        let mut passed = Passed { route: route.path, operator: None, reason: None };
        let answered = self.let_in(route, routed, &mut passed).await;
        let mut answer = answered.unwrap_or_else(|problem| {
            passed.reason = Some(problem.refusal.code());
            told(&problem, came)
        });
        answer.extensions_mut().insert(passed);
        answer
    }

    async fn let_in(
        self: Arc<Self>,
        route: Route,
        routed: Routed,
        passed: &mut Passed,
    ) -> Result<Answer, Problem> {
        let Routed { came, is_secure, places, request } = routed;
        let (head, incoming) = request.into_parts();
        let mut operator = self.allowed(&route, &head.headers, is_secure, came, passed).await?;
        let body = if head.method == Method::POST {
            is_json(&head)?;
            let read = body::read(incoming, &head.headers, API_BODY_BYTES_MAX).await;
            // A body may take its time, and a session end meanwhile.
            let now = Came { at: self.clock.now(), ..came };
            operator = self.allowed(&route, &head.headers, is_secure, now, passed).await?;
            read.map_err(unread)?
        } else {
            Default::default()
        };
        let asked = Asked {
            came,
            agent: agent(&head.headers),
            is_secure,
            places,
            query: head.uri.query().map(str::to_owned),
            body,
            office: self,
        };
        let done = tokio::spawn(carried_out(route, asked, head, operator)).await;
        let given = done.map_err(|error| Problem::failed(ApiRefusal::Internal, error))??;
        let body = given.reply.0;
        let mut answer = if given.waits { answer::api_waits(body) } else { answer::api_done(body) };
        if let Some(cookie) = given.cookie {
            answer.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(answer)
    }

    /// Who asks, if the route is for them.
    async fn allowed(
        &self,
        route: &Route,
        headers: &HeaderMap,
        is_secure: bool,
        came: Came,
        passed: &mut Passed,
    ) -> Result<Option<Operator>, Problem> {
        if matches!(route.needs, Needs::Nobody) {
            return Ok(None);
        }
        let operator = self.signed_in(headers, is_secure, came).await?;
        passed.operator = Some(operator.id);
        let confirmed = match route.needs {
            Needs::Permission { permission, .. } if !operator.may(permission) => {
                return Err(Problem::lacks(permission));
            }
            Needs::Permission { confirmed, .. } | Needs::Session { confirmed } => confirmed,
            Needs::Nobody => false,
        };
        if confirmed && !operator.confirmed {
            return Err(ApiRefusal::ConfirmationNeeded.into());
        }
        Ok(Some(operator))
    }

    /// Whose session was presented.
    async fn signed_in(
        &self,
        headers: &HeaderMap,
        is_secure: bool,
        came: Came,
    ) -> Result<Operator, Problem> {
        let token = match token(headers, is_secure)? {
            Some(token) => self.operators.authenticate(token, came.at).await,
            None => Err(Refused::Session),
        };
        token.map_err(|refused| {
            if refused != Refused::Session {
                return refused.into();
            }
            // A good one is always taken, whoever else is at that address.
            match self.failed.take(came.address, came.at.as_millis()) {
                Ok(()) => ApiRefusal::NotSignedIn.into(),
                Err(limited) => Problem::wait(ApiRefusal::FailedTooOften, limited.retry_after_ms),
            }
        })
    }
}

/// Does what is asked for, unless somebody else must approve it first.
async fn carried_out(
    route: Route,
    asked: Asked,
    head: Parts,
    operator: Option<Operator>,
) -> Result<Given, Problem> {
    if let (Needs::Permission { permission, reads, .. }, Some(operator)) = (route.needs, &operator)
        && let Some(waits) = second_person(&asked, &head, operator, (permission, reads)).await?
    {
        return Ok(waits);
    }
    (route.handler)(asked, operator).await
}

/// The token: of the one `Authorization` header if there is any, else of the cookie, which counts over
/// TLS only and with the header beside it.
fn token(headers: &HeaderMap, is_secure: bool) -> Result<Option<&str>, ApiRefusal> {
    if headers.contains_key(AUTHORIZATION) {
        return Ok(presented(headers));
    }
    let Some(token) = cookie(headers).filter(|_| is_secure) else { return Ok(None) };
    if headers.get(CSRF).is_some_and(|value| value == "1") {
        Ok(Some(token))
    } else {
        Err(ApiRefusal::CsrfHeaderMissing)
    }
}

/// What the one cookie of ours holds.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut ours = pairs.filter(|(name, _)| name.trim() == COOKIE_NAME);
    let ((_, value), None) = (ours.next()?, ours.next()) else { return None };
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_cookie_counts_over_tls_and_with_its_header() {
        let cookie = ("cookie", "a=b; __Host-countersign=cs_session_1; c=d");
        let csrf = (CSRF, "1");
        let check = |lines: &[(&'static str, &str)], is_secure, expected| {
            assert_eq!(token(&headers(lines), is_secure), expected, "{lines:?} {is_secure}");
        };
        check(&[cookie, csrf], true, Ok(Some("cs_session_1")));
        check(&[cookie, csrf], false, Ok(None));
        check(&[cookie], true, Err(ApiRefusal::CsrfHeaderMissing));
        check(&[cookie, (CSRF, "0")], true, Err(ApiRefusal::CsrfHeaderMissing));
        check(&[cookie, csrf, cookie], true, Ok(None));
        check(&[("cookie", "__Host-countersignX=1"), csrf], true, Ok(None));
        check(&[csrf], true, Ok(None));
        // What was presented on purpose counts alone.
        check(&[cookie, ("authorization", "Bearer cs_session_2")], true, Ok(Some("cs_session_2")));
        check(&[cookie, csrf, ("authorization", "Basic x")], true, Ok(None));
    }
}
