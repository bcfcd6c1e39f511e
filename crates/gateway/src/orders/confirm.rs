//! Asking a provider whether an event is so.
//!
//! One request of a fixed host, through the client of deliveries: every address is checked, no redirect is
//! followed, the answer is bounded in bytes and in time. What comes back is read by the profile. The token
//! goes into one header, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use model::limits::{
    CONFIRM_ANSWER_BYTES_MAX, CONFIRM_DAY_MS, CONFIRM_MS_MAX, CONFIRM_PAUSE_MS,
    CONFIRM_PAUSE_MS_MAX,
};
use model::{Environment, Timestamp};
use schemes::{AnswerFault, Authorization, Confirmation, Connector, Profile, Question, Secret};

use crate::outbound::{CallError, Client, retry_after_ms};

/// What a source shows its provider to ask whether events are so.
pub struct Confirm {
    /// The token, as the profile's `auth` wants it.
    pub token: Secret,
    /// Who is asked instead of the profile's hosts; only what plays the provider in a test.
    pub base: Option<String>,
    /// Private and loopback addresses may be dialled.
    pub allow_private: bool,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// The provider answered about this payment.
    Answered(Confirmation),
    /// It knows no such payment, or answers about another one.
    NotThere,
    /// It is asked again later: the code says why, and how long it wants to be left alone if it says so.
    Again { code: &'static str, retry_after_ms: Option<i64> },
}

/// Who is asked about the events of one source.
pub(super) struct Asking {
    profile: Arc<Profile>,
    authorization: HeaderValue,
    base: String,
    allow_private: bool,
    client: Arc<Client>,
}

impl Asking {
    /// None where the profile has nobody to ask, or the token fits into no header.
    pub(super) fn new(
        profile: &Arc<Profile>,
        confirm: &Confirm,
        environment: Environment,
        client: &Arc<Client>,
    ) -> Option<Self> {
        let connector = profile.connector()?;
        let is_live = environment == Environment::Live;
        let base = confirm.base.clone().unwrap_or_else(|| connector.base(is_live).to_owned());
        let shown = |token: &[u8]| match connector.authorization() {
            Authorization::Bearer => [b"Bearer ", token].concat(),
            Authorization::Basic => format!("Basic {}", STANDARD.encode(token)).into_bytes(),
        };
        let mut authorization = HeaderValue::from_bytes(&confirm.token.with_bytes(shown)).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            profile: profile.clone(),
            authorization,
            base,
            allow_private: confirm.allow_private,
            client: client.clone(),
        })
    }

    /// What is asked about an event, by its bytes.
    pub(super) fn question(&self, event: &[u8]) -> Option<Question> {
        self.connector()?.question(event)
    }

    fn connector(&self) -> Option<&Connector> {
        self.profile.connector()
    }

    /// How many decimals the provider gives a currency, where that is not the standard's number.
    pub(super) fn decimals(&self, currency: &str) -> Option<u8> {
        self.profile.decimals(currency)
    }

    /// Asks, within a bounded time.
    pub(super) async fn ask(&self, question: &Question, now: Timestamp) -> Asked {
        let limit = Duration::from_millis(CONFIRM_MS_MAX);
        let asked = tokio::time::timeout(limit, self.call(question, now)).await;
        asked.unwrap_or(again("timed_out"))
    }

    async fn call(&self, question: &Question, now: Timestamp) -> Asked {
        let Some(request) = self.request(question) else { return again("bad_request") };
        let answer = match self.client.call(request, self.allow_private).await {
            Ok(answer) => answer,
            Err(CallError::Forbidden) => return again("forbidden"),
            Err(CallError::Unreachable) => return again("unreachable"),
        };
        let (parts, body) = answer.into_parts();
        match parts.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Asked::NotThere,
            status => return refused(status, &parts.headers, now),
        }
        let Ok(body) = Limited::new(body, CONFIRM_ANSWER_BYTES_MAX).collect().await else {
            return again("answer_too_long");
        };
        let Some(connector) = self.connector() else { return again("bad_request") };
        match connector.read(&body.to_bytes(), question) {
            Ok(confirmation) => Asked::Answered(confirmation),
            Err(AnswerFault::OtherPayment) => Asked::NotThere,
            Err(fault) => again(fault.code()),
        }
    }

    fn request(&self, question: &Question) -> Option<Request<Full<Bytes>>> {
        Request::get(format!("{}{}", self.base, question.path))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(crate::outbound::AGENT))
            .body(Full::default())
            .ok()
    }
}

const fn again(code: &'static str) -> Asked {
    Asked::Again { code, retry_after_ms: None }
}

fn refused(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Asked {
    let code = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "token_refused",
        StatusCode::TOO_MANY_REQUESTS => "throttled",
        status if status.is_redirection() => "redirected",
        _ => "refused",
    };
    Asked::Again { code, retry_after_ms: retry_after_ms(headers, now) }
}

/// When it is asked again; nothing if it has not answered for a day. The wait doubles, is spread by a
/// quarter, and is no shorter than what the provider asks for.
pub(super) fn next(
    tries: i64,
    (since, now): (Timestamp, Timestamp),
    retry_after_ms: Option<i64>,
    jitter: u8,
) -> Option<Timestamp> {
    let doublings = u32::try_from(tries.clamp(1, 20) - 1).unwrap_or(0);
    let wait = CONFIRM_PAUSE_MS.saturating_mul(1 << doublings).min(CONFIRM_PAUSE_MS_MAX);
    let wait = wait + wait / 4 * i64::from(jitter) / 255;
    let at = now.plus_millis(wait.max(retry_after_ms.unwrap_or(0)));
    let end = since.plus_millis(CONFIRM_DAY_MS);
    (now < end).then_some(if at < end { at } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn wait(tries: i64, after_ms: i64, retry_after_ms: Option<i64>, jitter: u8) -> Option<i64> {
        let now = SINCE.plus_millis(after_ms);
        let at = next(tries, (SINCE, now), retry_after_ms, jitter);
        at.map(|at| at.as_millis() - now.as_millis())
    }

    #[test]
    fn waits_grow_and_are_spread() {
        assert_eq!(wait(1, 0, None, 0), Some(CONFIRM_PAUSE_MS));
        assert_eq!(wait(2, 0, None, 0), Some(2 * CONFIRM_PAUSE_MS));
        assert_eq!(wait(1, 0, None, 255), Some(CONFIRM_PAUSE_MS * 5 / 4));
        assert_eq!(wait(i64::MAX, 0, None, 0), Some(CONFIRM_PAUSE_MS_MAX));
        assert_eq!(wait(0, 0, None, 0), Some(CONFIRM_PAUSE_MS));
    }

    #[test]
    fn what_the_provider_wants_is_kept_for_a_day_at_most() {
        assert_eq!(wait(1, 0, Some(90_000), 0), Some(90_000));
        assert_eq!(wait(1, 0, Some(1), 0), Some(CONFIRM_PAUSE_MS));
        assert_eq!(wait(1, 0, Some(i64::from(u32::MAX) * 1000), 0), Some(CONFIRM_DAY_MS));
        assert_eq!(wait(1, CONFIRM_DAY_MS - 5, None, 0), Some(5));
        assert_eq!(wait(1, CONFIRM_DAY_MS, None, 0), None);
    }
}
