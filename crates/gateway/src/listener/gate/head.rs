//! Judges the head of a request: every rule of `docs/http.md` that needs no configuration.
//!
//! The names and values are found by `httparse`, the parser of the server itself; what it forgives
//! is looked for beside it. A head costs well under a microsecond.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Request, Status};
use memchr::memchr_iter;
use model::limits::{HEADER_BYTES_MAX, HEADERS_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use sabotage::Defect;

use crate::Refusal;

/// The methods that are passed on, for the route to answer. Of the rest none is anywhere.
const METHODS: [&str; 7] = ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What is known of a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Its end has not come.
    Partial,
    /// It is `bytes` long, its empty line included, and `body_bytes` follow.
    Whole { bytes: usize, body_bytes: u64 },
    /// It is not let in.
    Refused(Refusal),
}

/// Judges the head at the beginning of these bytes.
pub(super) fn judge(bytes: &[u8]) -> Head {
    let judged = match end(bytes) {
        Ok(None) => return Head::Partial,
        Ok(Some(end)) => body_bytes(bytes.get(..end).unwrap_or_default())
            .map(|body_bytes| Head::Whole { bytes: end, body_bytes }),
        Err(refusal) => Err(refusal),
    };
    judged.unwrap_or_else(Head::Refused)
}

/// Where the head ends. Lines end in CR LF and nothing else: RFC 9112 §2.2 lets a server take a bare
/// LF for it, and whoever stands in front may not have.
fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut line_start = 0;
    for at in memchr_iter(b'\n', bytes).take_while(|at| *at < HEADER_BYTES_MAX) {
        if !bytes.get(line_start..at).is_some_and(|line| line.ends_with(b"\r")) {
            return Err(Refusal::HeadMalformed);
        }
        if at == line_start + 1 {
            return if line_start == 0 { Err(Refusal::HeadMalformed) } else { Ok(Some(at + 1)) };
        }
        line_start = at + 1;
    }
    if line_start == 0 {
        request_line_so_far(bytes)?;
    }
    if bytes.len() >= HEADER_BYTES_MAX { Err(Refusal::HeadTooLarge) } else { Ok(None) }
}

/// Refuses what can never become a request line, without waiting for its end.
fn request_line_so_far(bytes: &[u8]) -> Result<(), Refusal> {
    let method = bytes.iter().take_while(|byte| **byte != b' ');
    if !method.clone().take(METHOD_BYTES_MAX + 1).all(u8::is_ascii_graphic) {
        return Err(Refusal::HeadMalformed);
    }
    if method.take(METHOD_BYTES_MAX + 1).count() > METHOD_BYTES_MAX {
        return Err(Refusal::MethodNotAllowed);
    }
    if bytes.len() > METHOD_BYTES_MAX + 1 + TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    Ok(())
}

/// How long the body is of a whole head that is let in.
fn body_bytes(head: &[u8]) -> Result<u64, Refusal> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut headers) {
        Ok(Status::Complete(bytes)) if bytes == head.len() => {}
        Ok(_) => return Err(Refusal::HeadMalformed),
        Err(Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(Error::Version) if is_other_version(head) => return Err(Refusal::HttpVersion),
        Err(_) => return Err(Refusal::HeadMalformed),
    }
    let method = request.method.unwrap_or_default();
    if !METHODS.contains(&method) {
        return Err(Refusal::MethodNotAllowed);
    }
    if request.version != Some(1) {
        return Err(Refusal::HttpVersion);
    }
    let fields = Fields::of(request.headers)?;
    target(request.path.unwrap_or_default(), fields.host)?;
    match fields.body_bytes()? {
        None if method == "POST" => Err(Refusal::LengthRequired),
        Some(1..) if !["POST", "PUT", "PATCH"].contains(&method) => Err(Refusal::BodyUnexpected),
        length => Ok(length.unwrap_or(0)),
    }
}

/// Whether the first line ends in a version that is not ours, rather than in something else.
fn is_other_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().and_then(|v| v.strip_prefix(b"HTTP/"));
    version.is_some_and(|v| {
        matches!(v, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
            && v != b"1.1"
    })
}

/// The fields that frame a request and say whom it is for.
struct Fields<'h> {
    host: &'h [u8],
    length: Option<&'h [u8]>,
    has_coding: bool,
}

impl<'h> Fields<'h> {
    fn of(headers: &[Header<'h>]) -> Result<Self, Refusal> {
        let (mut host, mut length, mut has_coding) = (None, None, false);
        for (at, header) in headers.iter().enumerate() {
            let earlier = headers.get(..at).unwrap_or_default();
            let repeated = earlier.iter().any(|other| is(other, header.name));
            match header.name.len() {
                4 if is(header, "host") => {
                    host = Some(header.value).filter(|_| !repeated);
                    if host.is_none() {
                        return Err(Refusal::HostInvalid);
                    }
                }
                14 if is_spelt(header, "content-length") => {
                    let told = length.replace(header.value).is_some();
                    if told || header.name.contains('_') {
                        return Err(Refusal::LengthAmbiguous);
                    }
                }
                17 if is_spelt(header, "transfer-encoding") => has_coding = true,
                6 if is(header, "expect") && !is_continue(header.value) => {
                    return Err(Refusal::Expectation);
                }
                _ if repeated && is_single(header.name) => return Err(Refusal::HeaderRepeated),
                _ => {}
            }
        }
        let host = host.filter(|host| is_host(host)).ok_or(Refusal::HostInvalid)?;
        Ok(Self { host, length, has_coding })
    }

    /// Only `Content-Length` frames a body, once and in plain digits: a provider knows what it
    /// signed, and two ways to tell a length are one too many.
    fn body_bytes(&self) -> Result<Option<u64>, Refusal> {
        match (self.length, self.has_coding) {
            (None, false) => Ok(None),
            (None, true) => Err(Refusal::LengthRequired),
            (Some(_), true) if !sabotage::on(Defect::LengthBesideCoding) => {
                Err(Refusal::LengthAmbiguous)
            }
            (Some(digits), _) => {
                let plain = digits.iter().all(u8::is_ascii_digit)
                    && (digits.len() == 1 || !digits.starts_with(b"0"));
                let text = std::str::from_utf8(digits).ok().filter(|_| plain);
                // The greatest numbers mean something else to the server.
                let bytes = text.and_then(|text| text.parse().ok()).filter(|n| *n <= u64::MAX / 2);
                bytes.map(Some).ok_or(Refusal::LengthAmbiguous)
            }
        }
    }
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// Whether it is this name for a reader that takes `_` for `-`, as those do that make variables of
/// headers.
fn is_spelt(header: &Header<'_>, name: &str) -> bool {
    let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-');
    header.name.bytes().zip(name.bytes()).all(same)
}

fn is_continue(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"100-continue")
}

/// Whether two lines of this name would leave open which of them counts. By what names look like
/// and not by what is configured: the answer must not tell which providers are.
fn is_single(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["authorization", "content-encoding", "content-type", "date", "expect"];
    const PARTS: [&str; 12] = [
        "sign",
        "hmac",
        "-sig",
        "timestamp",
        "webhook",
        "svix-",
        "-event",
        "-delivery",
        "-topic",
        "-transmission",
        "-cert-url",
        "-auth-algo",
    ];
    let holds = |part: &&str| {
        name.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()))
    };
    NAMES.iter().any(|single| name.eq_ignore_ascii_case(single)) || PARTS.iter().any(holds)
}

/// A name or address, and a port of digits if there is a colon (RFC 9110 §7.2).
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len());
            let (inner, after) = rest.split_at(end);
            if !inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) {
                return false;
            }
            (inner, after.strip_prefix(b"]"))
        }
        None => {
            let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
            let (name, port) = host.split_at(end);
            if !name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
                return false;
            }
            (name, Some(port))
        }
    };
    let is_port = |port: &[u8]| match port.strip_prefix(b":") {
        Some(digits) => matches!(digits.len(), 1..=5) && digits.iter().all(u8::is_ascii_digit),
        None => port.is_empty(),
    };
    !name.is_empty() && port.is_some_and(is_port)
}

/// Origin form, or absolute form for the host that `Host` names (RFC 9112 §3.2). Which path leads
/// somewhere is decided where paths are known.
fn target(target: &str, host: &[u8]) -> Result<(), Refusal> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if !target.bytes().all(is_target_byte) || !escapes_are_whole(target) {
        return Err(Refusal::HeadMalformed);
    }
    if target.starts_with('/') {
        return Ok(());
    }
    let (scheme, rest) = target.split_once("://").ok_or(Refusal::HeadMalformed)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Refusal::HeadMalformed);
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let same = authority.as_bytes().eq_ignore_ascii_case(host);
    if same { Ok(()) } else { Err(Refusal::HostInvalid) }
}

/// The characters of RFC 3986 without `#`: a fragment is not sent.
fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

fn escapes_are_whole(target: &str) -> bool {
    target.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        let mut digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        digit() && digit()
    })
}

#[cfg(test)]
mod tests;
