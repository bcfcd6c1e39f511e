//! `[endpoint.headers]` and `header_prefix`: what the application wants to find beside a signature,
//! and what it calls ours.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::document::At;
use super::problem::{Found, Refusal};
use super::reference::Resolver;

const PREFIX_BYTES_MAX: usize = 32;

/// Headers that we set, or that belong to the connection (RFC 9110, 7.6.1).
const RESERVED: [HeaderName; 17] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

/// Endings of our own three headers, whatever their prefix.
const SIGNED: [&str; 3] = ["-id", "-timestamp", "-signature"];

/// Words in the names of headers whose values are secrets.
const SECRET: [&str; 6] = ["auth", "key", "token", "secret", "cookie", "password"];

/// The word before `-id`, `-timestamp` and `-signature`.
pub(super) fn prefix(written: Option<&At<String>>, found: &mut Found) -> Option<String> {
    let Some(written) = written else { return Some("webhook".to_owned()) };
    let text = &written.value;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_word = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(plain)
        && text.len() <= PREFIX_BYTES_MAX;
    if !is_word {
        let message = "this cannot begin the name of a header";
        let fix = "write up to 32 lower-case letters, digits and -, such as \"svix\"";
        found.add(Refusal::BadHeader, &written.place, message, fix);
    }
    is_word.then(|| text.clone())
}

/// Headers that go with every delivery.
pub(super) fn extra(
    written: &[(String, At<String>)],
    prefix: &str,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let Some(header) = free_name(name, prefix) else {
            let message = "this is not the name of a header that may be added";
            let fix = "take a name of your own: letters, digits and -; those of the connection, \
                       of the body and of the signature are set by the gateway";
            found.add(Refusal::BadHeader, &value.place, message, fix);
            continue;
        };
        let is_secret = SECRET.iter().any(|word| header.as_str().contains(word));
        let text =
            if is_secret { resolver.secret(value, found) } else { resolver.text(value, found) };
        let Some(text) = text else { continue };
        match HeaderValue::from_str(&text) {
            Ok(mut content) if !headers.contains_key(&header) => {
                content.set_sensitive(true);
                headers.insert(header, content);
            }
            _ => {
                let message = "this header has another value already, or one that cannot be sent";
                let fix = "write each name once, with visible ASCII characters";
                found.add(Refusal::BadHeader, &value.place, message, fix);
            }
        }
    }
    (headers.len() == written.len()).then_some(headers)
}

fn free_name(text: &str, prefix: &str) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
    let is_ours = name.as_str().starts_with("webhook-")
        || name.as_str().strip_prefix(prefix).is_some_and(|ending| SIGNED.contains(&ending));
    (!is_ours && !RESERVED.contains(&name)).then_some(name)
}
