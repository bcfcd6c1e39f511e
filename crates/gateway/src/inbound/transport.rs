//! Whether a request came over TLS, as far as can be known.
//!
//! Only a trusted proxy's word counts, and of its words the last: the value that it added itself.
//! `X-Forwarded-Proto` on more than one line, a value that is no scheme, and two headers that
//! disagree are ambiguous, and what is ambiguous is not TLS.

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderValue, Method};
use hyper::Request;
use sabotage::Defect;

use crate::listener::Peer;

const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What a header says of the way to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Https,
    /// `http`, or something that cannot be understood.
    Otherwise,
}

/// The sender's connection was encrypted: ours, or the one that a trusted proxy took it from.
pub(crate) fn is_secure(peer: Peer, headers: &HeaderMap) -> bool {
    if !peer.is_trusted && !sabotage::on(Defect::SchemeBelieved) {
        return peer.is_encrypted;
    }
    match (forwarded_proto(headers), forwarded(headers)) {
        (Said::Nothing, Said::Nothing) => peer.is_encrypted,
        (Said::Nothing | Said::Https, Said::Nothing | Said::Https) => true,
        _ => false,
    }
}

fn forwarded_proto(headers: &HeaderMap) -> Said {
    let mut lines = headers.get_all(FORWARDED_PROTO).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Said::Nothing,
        (Some(line), None) => line.to_str().map_or(Said::Otherwise, |text| {
            scheme(text.rsplit(',').next().unwrap_or_default().trim())
        }),
        (Some(_), Some(_)) => Said::Otherwise,
    }
}

/// The `proto` of the last element of `Forwarded` (RFC 7239, section 4).
fn forwarded(headers: &HeaderMap) -> Said {
    let Some(line) = headers.get_all(FORWARDED).iter().next_back() else { return Said::Nothing };
    let Some(element) = line.to_str().ok().and_then(last_element) else { return Said::Otherwise };
    let mut said = Said::Nothing;
    for pair in element {
        let Some((name, value)) = pair.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("proto") {
            let value = value.trim();
            let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            said = if said == Said::Nothing { scheme(bare) } else { Said::Otherwise };
        }
    }
    said
}

/// The pairs of the last element, unless a quoted text has no end. Commas and semicolons within
/// quotes part nothing.
fn last_element(line: &str) -> Option<Vec<&str>> {
    let mut pairs = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' | b';' if !is_quoted => {
                pairs.push(line.get(start..at)?);
                if byte == b',' {
                    pairs.clear();
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(line.get(start..)?);
    (!is_quoted).then_some(pairs)
}

fn scheme(text: &str) -> Said {
    if text.eq_ignore_ascii_case("https") { Said::Https } else { Said::Otherwise }
}

/// Where the same thing is over https, for a reader: a webhook is never sent on to another place.
/// The port is dropped, as that of plain HTTP is not that of TLS.
pub(super) fn https_location<B>(request: &Request<B>) -> Option<HeaderValue> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return None;
    }
    let host: http::uri::Authority = request.headers().get(HOST)?.as_bytes().try_into().ok()?;
    let place = request.uri().path_and_query().map_or("/", |place| place.as_str());
    let is_plain = !host.as_str().contains('@') && place.starts_with('/');
    is_plain.then(|| HeaderValue::try_from(format!("https://{}{place}", host.host())).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(is_trusted: bool, is_encrypted: bool) -> Peer {
        let address = "10.0.0.1".parse().expect("an address");
        Peer { address, is_trusted, is_encrypted }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header value"));
        }
        headers
    }

    fn check(lines: &[(&'static str, &str)], expected: bool) {
        assert_eq!(is_secure(peer(true, false), &headers(lines)), expected, "{lines:?}");
        assert!(!is_secure(peer(false, false), &headers(lines)), "a stranger: {lines:?}");
        assert!(is_secure(peer(false, true), &headers(lines)), "a stranger over TLS: {lines:?}");
    }

    const PROTO: &str = "x-forwarded-proto";

    #[test]
    fn a_trusted_proxy_may_say_https() {
        check(&[(PROTO, "https")], true);
        check(&[(PROTO, "HTTPS")], true);
        check(&[(PROTO, "http, https")], true);
        check(&[("forwarded", "for=192.0.2.1;proto=https;by=10.0.0.1")], true);
        check(&[("forwarded", "for=192.0.2.1;proto=http, for=10.0.0.2; Proto=\"https\"")], true);
        check(&[("forwarded", "proto=http"), ("forwarded", "proto=https")], true);
        check(&[("forwarded", r#"for="a,b;proto=http\"";proto=https"#)], true);
        check(&[(PROTO, "https"), ("forwarded", "for=192.0.2.1")], true);
        check(&[(PROTO, "https"), ("forwarded", "proto=https")], true);
    }

    #[test]
    fn what_is_plain_or_ambiguous_is_not_secure() {
        check(&[], false);
        check(&[(PROTO, "http")], false);
        check(&[(PROTO, "https, http")], false);
        check(&[(PROTO, "")], false);
        check(&[(PROTO, "https,")], false);
        check(&[(PROTO, "httpss")], false);
        check(&[(PROTO, "https"), (PROTO, "https")], false);
        check(&[(PROTO, "https"), ("forwarded", "proto=http")], false);
        check(&[(PROTO, "http"), ("forwarded", "proto=https")], false);
        check(&[("forwarded", "proto=https, for=10.0.0.2")], false);
        check(&[("forwarded", "proto=https;proto=https")], false);
        check(&[("forwarded", "proto=https, for=\"10.0.0.2")], false);
        check(&[("forwarded", "for=\"proto=https\"")], false);
        check(&[("forwarded", "")], false);
    }

    #[test]
    fn a_trusted_proxy_that_took_it_in_plain_is_believed_over_its_own_tls() {
        assert!(is_secure(peer(true, true), &headers(&[])));
        assert!(!is_secure(peer(true, true), &headers(&[(PROTO, "http")])));
    }

    fn location(method: &str, host: Option<&str>, target: &str) -> Option<String> {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let location = https_location(&request.body(()).expect("a request"))?;
        Some(location.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_reader_is_sent_to_https_and_a_webhook_is_not() {
        let there = Some("https://hooks.example.com/in/a?b=c".to_owned());
        assert_eq!(location("GET", Some("hooks.example.com:80"), "/in/a?b=c"), there);
        assert_eq!(location("HEAD", Some("hooks.example.com"), "/in/a?b=c"), there);
        assert_eq!(location("GET", Some("[::1]:80"), "/"), Some("https://[::1]/".to_owned()));
        assert_eq!(location("POST", Some("hooks.example.com"), "/in/a"), None);
        assert_eq!(location("GET", None, "/"), None);
        for host in ["", "a b", "a/b", "a@b", "a?b", "a#b", "a\\b"] {
            assert_eq!(location("GET", Some(host), "/"), None, "{host}");
        }
        assert_eq!(location("GET", Some("a.example"), "*"), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(proto in "[ -~]{0,40}", forwarded in "[ -~]{0,80}") {
            let headers = headers(&[(PROTO, proto.trim()), ("forwarded", forwarded.trim())]);
            is_secure(peer(true, false), &headers);
        }
    }
}
