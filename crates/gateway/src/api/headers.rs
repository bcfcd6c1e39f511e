//! The headers of answers, as the OpenAPI documents have them: each is described once, and each answer
//! names those that it has. Those of the connection itself (`Date`, `Connection`) and of the body
//! (`Content-Type`, `Content-Length`) are HTTP's own and stand nowhere.

use http::StatusCode;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Header, HeaderBuilder, Ref, RefOr};

use super::document::{Asks, Door, OfSession};

/// A header, and what is said of it.
struct Described {
    name: &'static str,
    about: &'static str,
    /// It is on every answer that names it.
    is_always: bool,
    /// Of which documents.
    doors: &'static [Door],
}

const BOTH: &[Door] = &[Door::Api, Door::Admin];

const REQUEST_ID: &str = "X-Request-Id";
const RETRY_AFTER: &str = "Retry-After";
const WWW_AUTHENTICATE: &str = "WWW-Authenticate";
const RATE_LIMIT: &str = "RateLimit";
const RATE_LIMIT_POLICY: &str = "RateLimit-Policy";
const REPLAYED: &str = "Idempotent-Replayed";
const SET_COOKIE: &str = "Set-Cookie";

/// On every answer there is.
const EVERYWHERE: [&str; 7] = [
    REQUEST_ID,
    "Cache-Control",
    "Content-Security-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-XSS-Protection",
];

const DESCRIBED: [Described; 13] = [
    always(REQUEST_ID, "The request, as the log of the gateway knows it."),
    always("Cache-Control", "`no-store`: nobody keeps an answer."),
    always("Content-Security-Policy", "For browsers: it loads nothing and stands in no frame."),
    always("Referrer-Policy", "For browsers: `no-referrer`."),
    sometimes("Strict-Transport-Security", "Of what came over TLS: never come without it.", BOTH),
    always("X-Content-Type-Options", "For browsers: `nosniff`."),
    always("X-XSS-Protection", "For browsers: `0`."),
    always(WWW_AUTHENTICATE, "`Bearer`."),
    always(RETRY_AFTER, "How many seconds to wait."),
    sometimes(RATE_LIMIT, "What is left of each quota, and for how many seconds.", &[Door::Api]),
    sometimes(RATE_LIMIT_POLICY, "The quotas, and the seconds that each is of.", &[Door::Api]),
    sometimes(
        REPLAYED,
        "`true`: it was done before, and this is the answer from then.",
        &[Door::Api],
    ),
    sometimes(SET_COOKIE, "The token, if it was asked for so; or that it is over.", &[Door::Admin]),
];

const fn always(name: &'static str, about: &'static str) -> Described {
    Described { name, about, is_always: true, doors: BOTH }
}

const fn sometimes(name: &'static str, about: &'static str, doors: &'static [Door]) -> Described {
    Described { name, about, is_always: false, doors }
}

/// What a document says of each header that its answers name.
pub(super) fn described(door: Door) -> impl Iterator<Item = (String, RefOr<Header>)> {
    DESCRIBED.iter().filter(move |header| header.doors.contains(&door)).map(|header| {
        let kind = if header.name == RETRY_AFTER { Type::Integer } else { Type::String };
        let schema = ObjectBuilder::new().schema_type(SchemaType::Type(kind)).build();
        let required = [("required", header.is_always)];
        let built = HeaderBuilder::new()
            .description(Some(header.about))
            .schema(Some(schema))
            .extensions(Some(required.into_iter().collect()))
            .build();
        (header.name.to_owned(), RefOr::T(built))
    })
}

/// The headers of an answer. `is_judged` says that a route answered so, and not the gate before it.
pub(super) fn of(
    status: StatusCode,
    asks: Asks,
    is_post: bool,
    is_judged: bool,
) -> impl Iterator<Item = (&'static str, Ref)> {
    let is_done = status.is_success();
    let is_refused = status == StatusCode::UNAUTHORIZED;
    let has_key = matches!(asks, Asks::Key(_));
    let is_counted = has_key && is_judged && !is_refused;
    let is_kept = has_key && is_post && (is_done || status == StatusCode::CONFLICT);
    let waits = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    let has_cookie = match asks {
        Asks::SignIn | Asks::Session(OfSession::Confirming) => is_done,
        Asks::Session(OfSession::Themselves) => is_done && is_post,
        _ => false,
    };
    let some = [
        (WWW_AUTHENTICATE, is_refused),
        (RETRY_AFTER, waits),
        (RATE_LIMIT, is_counted),
        (RATE_LIMIT_POLICY, is_counted),
        (REPLAYED, is_kept),
        (SET_COOKIE, has_cookie),
    ];
    let some = some.into_iter().filter_map(|(name, has)| has.then_some(name));
    let named = EVERYWHERE.into_iter().chain(some);
    named.map(|name| (name, Ref::new(format!("#/components/headers/{name}"))))
}
