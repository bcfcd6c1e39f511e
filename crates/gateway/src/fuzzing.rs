//! Doors to the parsers inside, for the fuzz targets alone. No part of the product: behind a feature.

use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use ipnet::IpNet;
use model::Timestamp;

use crate::inbound::address::source_address;
use crate::listener::Peer;
use crate::listener::proxy::{self, Behind};
use crate::outbound::attempt::retry_after_ms;
use crate::{Facts, api};

/// Who sent it, by the lines of `X-Forwarded-For`; none where a line is no header value.
pub fn sender(peer: IpAddr, lines: &[&[u8]], trusted: &[IpNet]) -> Option<IpAddr> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_static("x-forwarded-for");
        headers.append(name, HeaderValue::from_bytes(line).ok()?);
    }
    let is_trusted = trusted.iter().any(|range| range.contains(&peer));
    let peer = Peer { address: peer, is_trusted, is_encrypted: false };
    Some(source_address(peer, &headers, trusted))
}

/// What `Retry-After` asks for, milliseconds.
pub fn retry_after(text: &[u8], now: Timestamp) -> Option<i64> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_bytes(text).ok()?);
    retry_after_ms(&headers, now)
}

/// Stored facts, read and written again; none where they are refused.
pub fn facts(bytes: &[u8]) -> Option<Vec<u8>> {
    Facts::from_bytes(bytes).map(|facts| facts.to_bytes())
}

/// Who is behind a proxy by its PROXY header, if it says; and how many bytes were left.
pub fn behind(mut bytes: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    let read = {
        let mut reading = pin!(proxy::read(&mut bytes));
        reading.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    match read {
        Poll::Ready(Ok(Behind::Client(address))) => Some((Some(address), bytes.len())),
        Poll::Ready(Ok(Behind::Nobody)) => Some((None, bytes.len())),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

/// The limit that a query of the API's list of events asks for, if it is taken.
pub fn api_query(text: &str) -> Option<u8> {
    api::fuzzing::limit(text)
}

/// The reason in the body of a request to the API, if it is taken.
pub fn api_reason(bytes: &[u8]) -> Option<String> {
    api::fuzzing::reason(bytes)
}

/// The source and the receipt in the body of a request to the API that asks about one, if it is taken.
pub fn api_receipt(bytes: &[u8]) -> Option<(String, String)> {
    api::fuzzing::receipt(bytes)
}

/// What the head of a request is judged to be: not whole yet, or so many bytes of head and of body;
/// else the code of the refusal.
pub fn head(bytes: &[u8]) -> Result<Option<(usize, u64)>, &'static str> {
    crate::listener::gate::judge(bytes).map_err(crate::Refusal::code)
}
