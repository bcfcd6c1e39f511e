//! `[limits]`: what counts over all gateways.

use gateway::Windows;
use model::Environment;

use super::document::Document;
use super::problem::{Found, Refusal};
use super::reference::Resolver;
use super::store::has_password;

/// Who counts what gateways share.
pub(super) fn windows(
    document: &Document,
    environment: Option<Environment>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<Windows> {
    let Some(at) = &document.redis else { return Some(Windows::Store) };
    let url = resolver.text(at, found)?;
    if has_password(&url) {
        resolver.secret(at, found)?;
    }
    let judged = judged(&url, environment);
    if let Err((refusal, message, fix)) = judged {
        found.add(refusal, &at.place, message, fix);
    }
    judged.ok().and_then(|()| counted_at(&url))
}

/// Why a server cannot be used, with the cure.
type Refused = (Refusal, &'static str, &'static str);

#[cfg(feature = "redis")]
fn counted_at(url: &str) -> Option<Windows> {
    gateway::Redis::at(url).map(Windows::Redis)
}

#[cfg(feature = "redis")]
fn judged(url: &str, environment: Option<Environment>) -> Result<(), Refused> {
    let Some(redis) = gateway::Redis::at(url) else {
        let fix = "write redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH";
        return Err((Refusal::BadRedisUrl, "this is no Valkey or Redis server", fix));
    };
    if environment == Some(Environment::Live) && redis.is_in_the_clear() {
        let message = "a live gateway does not speak to another machine's server in the clear";
        return Err((Refusal::PlainRedisInLive, message, "write rediss:// (TLS)"));
    }
    Ok(())
}

#[cfg(not(feature = "redis"))]
fn counted_at(_url: &str) -> Option<Windows> {
    None
}

#[cfg(not(feature = "redis"))]
fn judged(_url: &str, _environment: Option<Environment>) -> Result<(), Refused> {
    let fix = "build it with --features redis, or take this out: the store counts then";
    Err((Refusal::NoRedis, "this binary was built without Valkey and Redis", fix))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::document::At;
    use crate::config::problem::Place;
    use crate::config::reference::Variables;

    fn check(written: Option<&str>, environment: Environment, expected: Option<Refusal>) {
        let place = Place { line: 1, key: "limits.redis".into() };
        let redis = written.map(|url| At { value: url.to_owned(), place });
        let document = Document { redis, ..Document::default() };
        let variables = Variables::of(&[("REDIS_URL", "rediss://:p_test_1@cache.example")]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/folder") };
        let mut found = Found::default();
        let windows = windows(&document, Some(environment), &resolver, &mut found);
        let refused = found.into_list().first().map(|problem| problem.refusal);
        assert_eq!(refused, expected, "{written:?}");
        assert_eq!(windows.is_some(), expected.is_none(), "{written:?}");
    }

    #[test]
    fn without_a_server_the_store_counts() {
        check(None, Environment::Live, None);
    }

    #[test]
    #[cfg(feature = "redis")]
    fn a_server_is_judged_by_its_url() {
        check(Some("${env:REDIS_URL}"), Environment::Live, None);
        check(Some("redis://127.0.0.1:6379"), Environment::Live, None);
        check(Some("redis://cache.example"), Environment::Test, None);
        check(Some("redis://cache.example"), Environment::Live, Some(Refusal::PlainRedisInLive));
        check(Some("http://cache.example"), Environment::Test, Some(Refusal::BadRedisUrl));
        let written = Some("rediss://:p_test_1@cache.example");
        check(written, Environment::Test, Some(Refusal::LiteralSecret));
    }

    #[test]
    #[cfg(not(feature = "redis"))]
    fn a_server_that_cannot_be_asked_is_refused() {
        check(Some("redis://127.0.0.1:6379"), Environment::Test, Some(Refusal::NoRedis));
    }
}
