//! The one file that chooses HTTP statuses.
//!
//! All failures of verification, an unknown source and a source that is not allowed look the same
//! outside: status, headers and body differ in the request id and the date only. Problems are
//! RFC 9457 documents with a stable code and nothing internal.

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use model::RequestId;
use sabotage::Defect;

use crate::Refusal;
use crate::api::{ApiRefusal, Problem};

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// What a limited sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) limit: u32,
    pub(crate) retry_after_ms: i64,
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// How long a provider is asked to wait when the store cannot keep an event, seconds.
const STORE_RETRY_S: i64 = 5;

/// The acknowledgement: what the profile says, else 200 with an empty body.
pub(crate) fn acknowledgement(answer: &schemes::Answer) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(answer.body.clone())));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if let Some(kind) = answer.content_type.as_deref().and_then(|k| HeaderValue::from_str(k).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

/// The answer to a refused arrival. `unverified` is the status the source's profile gives a bad
/// signature (401, or 400 where its provider expects that).
pub(crate) fn refusal(
    refusal: Refusal,
    limited: Option<Limited>,
    unverified: u16,
    request: RequestId,
) -> Answer {
    if let Some(limited) = limited {
        let mut response = problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited", request);
        let seconds = whole_seconds(limited.retry_after_ms);
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        headers.insert("ratelimit-limit", HeaderValue::from(limited.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(0));
        headers.insert("ratelimit-reset", HeaderValue::from(seconds));
        return response;
    }
    let status = status_of(refusal, unverified);
    let mut response = problem(status, outside_code(status), request);
    let headers = response.headers_mut();
    if closes(refusal) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    match refusal {
        Refusal::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Refusal::CertificateUnavailable
        | Refusal::NotDurable
        | Refusal::AuditUnavailable
        | Refusal::Overloaded => {
            headers.insert(RETRY_AFTER, HeaderValue::from(STORE_RETRY_S));
        }
        _ => {}
    }
    response
}

/// The status of a refused arrival, or of a request that the gate refused at another listener.
pub(crate) fn status_of(refusal: Refusal, unverified: u16) -> StatusCode {
    match refusal {
        Refusal::PlainHttp => StatusCode::FORBIDDEN,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::HeadMalformed
        | Refusal::HostInvalid
        | Refusal::HostNotAllowed
        | Refusal::LengthAmbiguous
        | Refusal::HeaderRepeated
        | Refusal::BodyUnexpected
        | Refusal::BodyIncomplete => StatusCode::BAD_REQUEST,
        Refusal::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
        Refusal::HttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Refusal::LengthRequired => StatusCode::LENGTH_REQUIRED,
        Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
        Refusal::UnknownSource if sabotage::on(Defect::UnknownSourceTold) => StatusCode::NOT_FOUND,
        Refusal::UnknownSource => StatusCode::UNAUTHORIZED,
        Refusal::AddressNotAllowed | Refusal::Unverified(_) => {
            StatusCode::from_u16(unverified).unwrap_or(StatusCode::UNAUTHORIZED)
        }
        Refusal::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
        Refusal::CertificateUnavailable
        | Refusal::NotDurable
        | Refusal::AuditUnavailable
        | Refusal::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Sends whoever reads over plain HTTP to the same place over https.
pub(crate) fn over_https(location: HeaderValue, request: RequestId) -> Answer {
    let mut response = problem(StatusCode::PERMANENT_REDIRECT, "https_required", request);
    response.headers_mut().insert(LOCATION, location);
    response
}

/// Tells a sender that came over TLS never to come without (RFC 6797), for two years.
pub(crate) fn stay_on_https(answer: &mut Answer) {
    let two_years = HeaderValue::from_static("max-age=63072000");
    answer.headers_mut().insert(STRICT_TRANSPORT_SECURITY, two_years);
}

/// What is refused as HTTP ends its connection: what is left of it must not be read as the next
/// request. What was understood and not taken does not.
fn closes(refusal: Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::UnknownSource
            | Refusal::AddressNotAllowed
            | Refusal::Unverified(_)
            | Refusal::RateLimited
            | Refusal::CertificateUnavailable
            | Refusal::NotDurable
            | Refusal::AuditUnavailable
            | Refusal::Overloaded
    )
}

/// A problem document (RFC 9457).
pub(crate) fn problem(status: StatusCode, code: &str, request: RequestId) -> Answer {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": code,
        "request": request.to_string(),
    });
    let mut response = of_bytes(status, PROBLEM, Bytes::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The status of a refusal of the API.
pub(crate) fn api_status(refusal: ApiRefusal) -> StatusCode {
    match refusal {
        ApiRefusal::Unauthorized | ApiRefusal::NotSignedIn | ApiRefusal::SignInRefused => {
            StatusCode::UNAUTHORIZED
        }
        ApiRefusal::PermissionMissing
        | ApiRefusal::OutOfReach
        | ApiRefusal::PartyBlocked
        | ApiRefusal::ConfirmationNeeded
        | ApiRefusal::CsrfHeaderMissing
        | ApiRefusal::ApprovalOwn
        | ApiRefusal::ApprovalNotYours => StatusCode::FORBIDDEN,
        ApiRefusal::RouteUnknown | ApiRefusal::NotFound => StatusCode::NOT_FOUND,
        ApiRefusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ApiRefusal::QueryInvalid
        | ApiRefusal::CursorInvalid
        | ApiRefusal::IdempotencyKeyMissing
        | ApiRefusal::IdempotencyKeyInvalid
        | ApiRefusal::BodyIncomplete
        | ApiRefusal::BodyMalformed
        | ApiRefusal::BodyInvalid
        | ApiRefusal::OrderInvalid
        | ApiRefusal::PasswordWeak
        | ApiRefusal::ApprovalMalformed => StatusCode::BAD_REQUEST,
        ApiRefusal::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
        ApiRefusal::RequestRunning
        | ApiRefusal::NotHeld
        | ApiRefusal::BodyGone
        | ApiRefusal::RedactedOriginalOnly
        | ApiRefusal::DeliveryPending
        | ApiRefusal::ReferenceTaken
        | ApiRefusal::AddressTaken
        | ApiRefusal::NoReceipts
        | ApiRefusal::AlreadyRolled
        | ApiRefusal::AlreadyRevoked
        | ApiRefusal::AlreadySo
        | ApiRefusal::AlreadyBlocked
        | ApiRefusal::AlreadyOver
        | ApiRefusal::LoginTaken
        | ApiRefusal::LastAdministrator
        | ApiRefusal::ApprovalsMany
        | ApiRefusal::ApprovalWaits
        | ApiRefusal::ApprovalExpired
        | ApiRefusal::ApprovalRefused
        | ApiRefusal::ApprovalGiven
        | ApiRefusal::ApprovalUsed
        | ApiRefusal::ApprovalVoid => StatusCode::CONFLICT,
        ApiRefusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ApiRefusal::ContentType | ApiRefusal::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ApiRefusal::IdempotencyKeyReused | ApiRefusal::ApprovalOtherRequest => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ApiRefusal::FailedTooOften
        | ApiRefusal::RateLimited
        | ApiRefusal::OrdersLimited
        | ApiRefusal::OrderLimitReached
        | ApiRefusal::SignInsLimited => StatusCode::TOO_MANY_REQUESTS,
        ApiRefusal::TryAgain | ApiRefusal::AuditUnavailable | ApiRefusal::SignInsBusy => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ApiRefusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer of the API to what the gate refused.
pub(crate) fn api_refusal(refused: Refusal, request: RequestId) -> Answer {
    if refused != Refusal::MethodNotAllowed {
        return refusal(refused, None, 401, request);
    }
    // There is no route that has it.
    let mut answer = api_problem(&ApiRefusal::MethodNotAllowed.into(), request);
    let headers = answer.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("GET,HEAD,POST"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// A refusal of the API: its code, what it is about and what to do.
pub(crate) fn api_problem(told: &Problem, request: RequestId) -> Answer {
    let (refusal, status) = (told.refusal, api_status(told.refusal));
    let mut body = serde_json::json!({
        "type": format!("urn:countersign:problem:{}", refusal.code()),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": refusal.code(),
        "detail": refusal.detail(),
        "request": request.to_string(),
    });
    if let (Some(members), Some(place)) = (body.as_object_mut(), &told.place) {
        members.insert("place".to_owned(), place.as_str().into());
    }
    let mut answer = of_bytes(status, PROBLEM, Bytes::from(body.to_string()));
    let headers = answer.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let unsaid = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(STORE_RETRY_S * 1000);
    if let Some(wait_ms) = told.retry_after_ms.or(unsaid) {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait_ms)));
    }
    answer
}

/// What the API answers when it did what was asked for.
pub(crate) fn api_done(body: Bytes) -> Answer {
    of_bytes(StatusCode::OK, JSON, body)
}

/// Where to write about a weakness, as text.
pub(crate) fn security_txt(text: Bytes) -> Answer {
    let mut answer = of_bytes(StatusCode::OK, "text/plain; charset=utf-8", text);
    let nosniff = HeaderValue::from_static("nosniff");
    answer.headers_mut().insert("x-content-type-options", nosniff);
    answer
}

/// What is answered when it is done later, or by somebody else.
pub(crate) fn api_waits(body: Bytes) -> Answer {
    of_bytes(StatusCode::ACCEPTED, JSON, body)
}

/// What the API answered before to the same request.
pub(crate) fn api_replayed(status: u16, body: Bytes) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { JSON } else { PROBLEM };
    let mut answer = of_bytes(status, kind, body);
    answer.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    answer
}

/// Whether the answer to a request that changes something is kept for whoever asks again: it was
/// done, or it was looked at and cannot be done. What did not come so far may be sent again.
pub(crate) fn api_is_kept(answer: &Answer) -> bool {
    answer.status().is_success() || answer.status() == StatusCode::CONFLICT
}

/// What every answer of the API says to browsers and caches, and its request's id.
pub(crate) fn api_headers(answer: &mut Answer, request: RequestId) {
    let headers = answer.headers_mut();
    for (name, value) in [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-xss-protection", "0"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&request.to_string()) {
        headers.insert("x-request-id", id);
    }
}

fn of_bytes(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// Seconds to wait: never less than asked for, and at least one.
pub(crate) fn whole_seconds(millis: i64) -> i64 {
    ((millis.max(0) + 999) / 1000).max(1)
}

/// The code a sender sees: it follows from the status, so it tells nothing more.
pub(crate) fn outside_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "https_required",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::LENGTH_REQUIRED => "length_required",
        StatusCode::URI_TOO_LONG => "target_too_long",
        StatusCode::EXPECTATION_FAILED => "expectation",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "head_too_large",
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => "http_version",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "content_encoding",
        StatusCode::REQUEST_TIMEOUT => "body_too_slow",
        StatusCode::SERVICE_UNAVAILABLE => "try_again",
        _ => "bad_request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use model::Timestamp;
    use schemes::Rejection;

    fn id() -> RequestId {
        RequestId::new(Timestamp::from_millis(1), [7; 10])
    }

    async fn text(answer: Answer) -> String {
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a full body").to_bytes();
        format!("{} {:?} {}", parts.status, parts.headers, String::from_utf8_lossy(&bytes))
    }

    #[tokio::test]
    async fn all_that_is_not_authentic_looks_the_same() {
        let unknown = text(refusal(Refusal::UnknownSource, None, 401, id())).await;
        let barred = text(refusal(Refusal::AddressNotAllowed, None, 401, id())).await;
        assert_eq!(unknown, barred);
        assert!(unknown.starts_with("401"));
        for rejection in Rejection::ALL {
            let answer = text(refusal(Refusal::Unverified(*rejection), None, 401, id())).await;
            assert_eq!(answer, unknown, "{}", rejection.code());
        }
    }

    #[tokio::test]
    async fn no_refusal_tells_its_reason_when_it_is_about_authenticity() {
        for rejection in Rejection::ALL {
            let answer = text(refusal(Refusal::Unverified(*rejection), None, 401, id())).await;
            assert!(!answer.contains(rejection.code()), "{answer}");
        }
    }

    #[test]
    fn no_refusal_is_a_server_error_but_what_is_wanting_here_and_the_version() {
        for refused in Refusal::ALL {
            let status = refusal(*refused, None, 401, id()).status();
            let ours = matches!(
                refused,
                Refusal::CertificateUnavailable
                    | Refusal::NotDurable
                    | Refusal::AuditUnavailable
                    | Refusal::Overloaded
                    | Refusal::HttpVersion
            );
            assert_eq!(status.is_server_error(), ours, "{}", refused.code());
        }
    }

    #[tokio::test]
    async fn internal_tells_nothing_of_the_inside() {
        let fault = Problem::failed(ApiRefusal::Internal, "page 7 of store.db is torn");
        let answer = text(api_problem(&fault, id())).await;
        assert!(answer.starts_with("500") && answer.contains("internal"), "{answer}");
        assert!(!answer.contains("page 7") && !answer.contains("store.db"), "{answer}");
        let place = Problem::at(ApiRefusal::QueryInvalid, "limit");
        assert!(text(api_problem(&place, id())).await.contains("\"place\":\"limit\""));
    }

    #[test]
    fn no_refusal_of_the_api_is_a_server_error_but_four() {
        use ApiRefusal::{AuditUnavailable, Internal, SignInsBusy, TryAgain};
        for refused in ApiRefusal::ALL {
            let ours = matches!(refused, TryAgain | AuditUnavailable | Internal | SignInsBusy);
            assert_eq!(api_status(*refused).is_server_error(), ours, "{}", refused.code());
        }
    }

    #[test]
    fn a_limited_sender_learns_when_to_come_back() {
        let limited = Limited { limit: 10, retry_after_ms: 1_500 };
        let answer = refusal(Refusal::RateLimited, Some(limited), 401, id());
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers().get("retry-after"), Some(&HeaderValue::from_static("2")));
        assert_eq!(answer.headers().get("ratelimit-limit"), Some(&HeaderValue::from_static("10")));
    }
}
