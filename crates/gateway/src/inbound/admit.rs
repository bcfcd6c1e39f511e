//! Step one, *admit*: transport, source address, sizes and limits. Takes a request and makes
//! [`Received`]: the exact bytes, the headers, the true source address.

use std::hash::{DefaultHasher, Hash, Hasher};
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
    /// Why it is refused whatever its signature says. It is verified nevertheless: an unknown source
    /// and a barred address cost what a bad signature costs, and say the same.
    pub(super) refused_anyway: Option<Refusal>,
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    pub(super) body: Bytes,
}

impl Received {
    /// Every header line, repeats kept.
    pub(super) fn header_lines(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    /// The request as it is verified.
    pub(super) fn request<'r>(&'r self, lines: &'r [(&'r str, &'r [u8])]) -> schemes::Request<'r> {
        schemes::Request {
            method: "POST",
            url: self.source.settings.public_url.as_deref().unwrap_or(&self.path),
            headers: lines,
            body: &self.body,
        }
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
        let known = self.sources.get(name).cloned();
        if let Some(source) = &known {
            source.within_rate(arrival)?;
        }
        let refused = |refusal| Refused { refusal, limited: None, source: known.clone() };
        if encoded(request.headers()) {
            return Err(refused(Refusal::ContentEncoding));
        }
        let source = known.as_ref().or(self.stand_in(name));
        let (parts, incoming) = request.into_parts();
        let bytes_max = source
            .map_or(model::limits::BODY_BYTES_DEFAULT, |source| source.settings.body_bytes_max);
        let read = body::read(incoming, &parts.headers, bytes_max).await;
        let body = read.map_err(refused)?;
        let Some(source) = source.cloned() else {
            return Err(self.unverified(arrival, Refusal::UnknownSource, None));
        };
        let refused_anyway = if known.is_none() {
            Some(Refusal::UnknownSource)
        } else if source.lets_in(arrival.address) {
            None
        } else {
            Some(Refusal::AddressNotAllowed)
        };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Received { source, refused_anyway, headers: parts.headers, path, body })
    }

    /// The source that a request to an unknown one is verified as, always the same for one name, so
    /// that no time it takes is other than that of a source which is there.
    fn stand_in(&self, name: &str) -> Option<&Arc<ActiveSource>> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let which = hasher.finish() % u64::try_from(self.stand_ins.len()).unwrap_or(1).max(1);
        self.stand_ins.get(usize::try_from(which).unwrap_or(0))
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
