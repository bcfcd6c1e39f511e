//! Step one, *admit*: transport, source address, sizes and limits. Takes a request and makes
//! [`Received`]: the exact bytes, the headers, the true source address.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method};
use hyper::body::Incoming;
use model::{ArrivalId, RequestId, Timestamp};

use super::{ActiveSource, Inbound, Refused, body};
use crate::{Refusal, listener};

const PREFIX: &str = "/in/";

/// One request, before anything is known of it.
pub(super) struct Arrival {
    pub(super) at: Timestamp,
    pub(super) id: ArrivalId,
    pub(super) request: RequestId,
    pub(super) address: IpAddr,
}

/// An admitted request.
pub(super) struct Received {
    pub(super) source: Arc<ActiveSource>,
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    pub(super) body: Bytes,
}

impl Received {
    /// Every header line, repeats kept.
    pub(super) fn header_lines(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    /// The content type as sent, if it is text.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
    }
}

impl Inbound {
    /// Admits a request, or refuses it before its signature is looked at.
    pub(super) async fn admit(
        &self,
        arrival: &Arrival,
        request: hyper::Request<Incoming>,
    ) -> Result<Received, Refused> {
        if let Some(refusal) = listener::refused(&request) {
            return Err(refusal.into());
        }
        let name = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
        if !is_name(name) {
            return Err(Refusal::NotFound.into());
        }
        if request.method() != Method::POST {
            return Err(Refusal::MethodNotAllowed.into());
        }
        if !self.host_allowed(request.headers()) {
            return Err(Refusal::HostNotAllowed.into());
        }
        let source = self.sources.get(name).cloned();
        if let Some(source) = &source {
            source.within_rate(arrival)?;
        }
        if encoded(request.headers()) {
            return Err(source.as_ref().map_or_else(
                || Refusal::ContentEncoding.into(),
                |source| Refused::of(Refusal::ContentEncoding, source),
            ));
        }
        let (parts, incoming) = request.into_parts();
        let bytes_max = source
            .as_ref()
            .map_or(model::limits::BODY_BYTES_DEFAULT, |source| source.settings.body_bytes_max);
        let read = body::read(incoming, &parts.headers, bytes_max).await;
        let body =
            read.map_err(|refusal| Refused { refusal, limited: None, source: source.clone() })?;
        // An unknown source and a barred address cost what a bad signature costs, and say the same.
        let Some(source) = source else {
            self.decoy.judge(&body);
            return Err(self.unverified(arrival, Refusal::UnknownSource, None));
        };
        if !source.lets_in(arrival.address) {
            self.decoy.judge(&body);
            return Err(self.unverified(arrival, Refusal::AddressNotAllowed, Some(source)));
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Received { source, headers: parts.headers, path, body })
    }

    pub(super) fn host_allowed(&self, headers: &HeaderMap) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(n, _)| n);
        self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

impl ActiveSource {
    fn lets_in(&self, address: IpAddr) -> bool {
        let ranges = &self.settings.allow_addresses;
        ranges.is_empty() || ranges.iter().any(|range| range.contains(&address))
    }

    fn within_rate(self: &Arc<Self>, arrival: &Arrival) -> Result<(), Refused> {
        let Some(limit) = &self.limit else { return Ok(()) };
        limit.take(arrival.address, arrival.at.as_millis()).map_err(|limited| Refused {
            refusal: Refusal::RateLimited,
            limited: Some(limited),
            source: Some(self.clone()),
        })
    }
}

/// The alphabet of sources' names. It has no `/`, `.` or `%`, so each source has one path and no
/// second spelling of it.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(plain)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}
