//! One attempt: opens the event, signs it with a fresh time, posts it, and reads a bounded answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use model::limits::{ANSWER_BODY_MS_MAX, ANSWER_BYTES_MAX, ATTEMPT_MS_MAX};
use model::retry::Wish;
use model::{AttemptOutcome, Timestamp};
use sabotage::Defect;
use store::Leased;

use super::client::CallError;
use super::{Outbound, document};
use crate::{Endpoint, Facts, Format};

pub(crate) const AGENT: &str = concat!("Countersign/", env!("CARGO_PKG_VERSION"));

/// How an attempt ended.
pub(super) struct Ended {
    pub(super) outcome: AttemptOutcome,
    pub(super) http_status: Option<u16>,
    pub(super) wish: Wish,
}

impl Ended {
    fn without_answer(outcome: AttemptOutcome) -> Self {
        let throttle = outcome == AttemptOutcome::TimedOut;
        let wish = Wish { retry_after_ms: None, throttle };
        Self { outcome, http_status: None, wish }
    }
}

impl Outbound {
    /// Makes one attempt.
    pub(super) async fn attempt(
        &self,
        endpoint: &Endpoint,
        leased: &Leased,
        now: Timestamp,
    ) -> Ended {
        if leased.event.original.is_some() && endpoint.format == Format::Original {
            // Planned when the endpoint still took documents.
            tracing::error!(delivery = %leased.delivery, "redacted: the original bytes, which this endpoint takes, are not kept");
            return Ended::without_answer(AttemptOutcome::Unreadable);
        }
        let request = match self.request(endpoint, leased, now).await {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(delivery = %leased.delivery, %error, "the stored event does not open");
                return Ended::without_answer(AttemptOutcome::Unreadable);
            }
        };
        let call = self.client.call(request, endpoint.allow_private);
        match tokio::time::timeout(Duration::from_millis(ATTEMPT_MS_MAX), call).await {
            Err(_) => Ended::without_answer(AttemptOutcome::TimedOut),
            Ok(Err(CallError::Forbidden)) => Ended::without_answer(AttemptOutcome::Forbidden),
            Ok(Err(CallError::Unreachable)) => Ended::without_answer(AttemptOutcome::Unreachable),
            Ok(Ok(answer)) => {
                let (parts, body) = answer.into_parts();
                // The answer's body says nothing that is acted on: it is read, so that the
                // connection can be used again, and no further than two bounds.
                let bounded = Limited::new(body, ANSWER_BYTES_MAX).collect();
                let _ =
                    tokio::time::timeout(Duration::from_millis(ANSWER_BODY_MS_MAX), bounded).await;
                ended(parts.status, &parts.headers, now)
            }
        }
    }

    async fn request(
        &self,
        endpoint: &Endpoint,
        leased: &Leased,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, crate::KeyError> {
        let event = &leased.event;
        let id = event.id.as_bytes();
        let arrival = event.arrival.as_bytes();
        let original = self.parts.keys.open_row("body", "bytes", arrival, &leased.body).await?;
        let sealed_facts = self.parts.keys.open_row("event", "facts", id, &event.facts).await?;
        let facts = Facts::from_bytes(&sealed_facts).unwrap_or_default();
        let (body, content_type) = match endpoint.format {
            Format::Original => {
                (original.to_vec(), facts.content_type.as_deref().unwrap_or("application/json"))
            }
            Format::Event => {
                (document::event(event, &facts, &original, self.environment), "application/json")
            }
        };
        let mut event_id = event.id.to_string();
        if sabotage::on(Defect::FreshWebhookId) {
            event_id.push_str(&leased.attempt.to_string());
        }
        let keys = self.signing.get(&endpoint.name).map(|keys| keys.load());
        let keys = keys.iter().flat_map(|keys| keys.iter());
        let signatures: Vec<_> =
            keys.map(|key| key.sign(&event_id, now.as_seconds(), &body)).collect();
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.url.as_str().parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.clone_from(&endpoint.headers);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        insert(headers, CONTENT_TYPE.as_str(), content_type);
        let prefix = &endpoint.header_prefix;
        insert(headers, &format!("{prefix}-id"), &event_id);
        insert(headers, &format!("{prefix}-timestamp"), &now.as_seconds().to_string());
        insert(headers, &format!("{prefix}-signature"), &signatures.join(" "));
        Ok(request)
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) =
        (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
    {
        headers.insert(name, value);
    }
}

/// What an answer means (Standard Webhooks, "Webhook consumption"): only 2xx is success.
fn ended(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Ended {
    let outcome = match status {
        _ if status.is_success() => AttemptOutcome::Delivered,
        _ if status.is_redirection() && sabotage::on(Defect::RedirectDelivers) => {
            AttemptOutcome::Delivered
        }
        StatusCode::GONE => AttemptOutcome::Gone,
        _ => AttemptOutcome::Refused,
    };
    let throttle = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    );
    let wish = Wish { retry_after_ms: retry_after_ms(headers, now), throttle };
    Ended { outcome, http_status: Some(status.as_u16()), wish }
}

/// `Retry-After` as milliseconds from now: seconds or an HTTP date (RFC 9110, 10.2.3).
pub(crate) fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds) * 1000);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(i64::try_from(since.as_millis()).ok()?.saturating_sub(now.as_millis()).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn asked(text: &str) -> Option<i64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).expect("a header value"));
        retry_after_ms(&headers, NOW)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(asked("120"), Some(120_000));
        assert_eq!(asked("Sun, 09 Sep 2001 01:47:40 GMT"), Some(60_000));
        assert_eq!(asked("Sun, 09 Sep 2001 01:40:00 GMT"), Some(0));
        assert_eq!(asked("-1"), None);
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("99999999999999999999"), None);
    }

    #[test]
    fn only_2xx_is_success() {
        let outcome = |code| {
            let status = StatusCode::from_u16(code).expect("a status");
            ended(status, &HeaderMap::new(), NOW).outcome
        };
        assert_eq!(outcome(200), AttemptOutcome::Delivered);
        assert_eq!(outcome(204), AttemptOutcome::Delivered);
        assert_eq!(outcome(301), AttemptOutcome::Refused);
        assert_eq!(outcome(404), AttemptOutcome::Refused);
        assert_eq!(outcome(410), AttemptOutcome::Gone);
        assert_eq!(outcome(500), AttemptOutcome::Refused);
    }
}
