//! Hostile requests as data: what is changed of a good request, and what the answer must be.
//!
//! A text may hold `{n}` (the length of the body), `{host}` (the good name) and `{fill 9}` (so many
//! letters). Lines end in `\r\n` where they are said to and nowhere else.

/// Which part of a good request a case changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The request line, without its end.
    First,
    /// The path in the request line.
    Path,
    /// The line with `Host`.
    Host,
    /// The line with `Content-Length`.
    Length,
    /// Lines beside the good ones.
    Added,
    /// In front of everything.
    Before,
}

/// What the body is in the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The good body.
    Plain,
    /// The good body in one chunk.
    Chunked,
    /// No chunk, and then a signed request of its own: a smuggled one, if the length is not believed.
    EmptyChunkThenRequest,
    /// A signed request of its own, and nothing else.
    Request,
    /// Half of the good body, and then nothing.
    Half,
}

/// One hostile request.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The group in `docs/http.md`.
    pub group: &'static str,
    /// The answer's status.
    pub status: u16,
    /// What is changed.
    pub part: Part,
    /// To what.
    pub text: &'static str,
    /// See [`Body`].
    pub body: Body,
}

use Body::{Chunked, EmptyChunkThenRequest, Half, Plain, Request};
use Part::{Added, Before, First, Host, Length, Path};

const fn all<const N: usize>(
    group: &'static str,
    status: u16,
    part: Part,
    body: Body,
    texts: [&'static str; N],
) -> [Case; N] {
    let mut cases = [Case { group, status, part, text: "", body }; N];
    let mut at = 0;
    while at < N {
        #[expect(clippy::indexing_slicing, reason = "at compile time, under the length of both")]
        {
            cases[at].text = texts[at];
        }
        at += 1;
    }
    cases
}

const LINES: &[Case] = &all(
    "lines",
    400,
    Added,
    Plain,
    [
        "a: b\n",
        "a: b\rc: d\r\n",
        "a: b\r\r\n",
        "a: b\n\r\n",
        "a: \0\r\n",
        "a: b\x01c\r\n",
        "a: b\x7f\r\n",
        "a: b\r\n c\r\n",
        "a: b\r\n\tc\r\n",
        "a : b\r\n",
        "a\t: b\r\n",
        " a: b\r\n",
        ": b\r\n",
        "a\r\n",
        "a(b): c\r\n",
        "a\"b: c\r\n",
        "caf\u{e9}: b\r\n",
        "a\0b: c\r\n",
        "transfer-encoding : chunked\r\n",
        "content-length : 0\r\n",
        "x: y\ntransfer-encoding: chunked\r\n",
        "x: y\rtransfer-encoding: chunked\r\n",
    ],
);

const BEFORE: &[Case] = &all(
    "lines",
    400,
    Before,
    Plain,
    ["\r\n", "\n", "\r\n\r\n", " ", "\t", "\0", "\u{feff}", "\x16\x03\x01\x02\r\n"],
);

const REQUEST_LINE: &[Case] = &all(
    "request-line",
    400,
    First,
    Plain,
    [
        "POST  /in/stripe HTTP/1.1",
        "POST /in/stripe  HTTP/1.1",
        "POST\t/in/stripe HTTP/1.1",
        "POST /in/stripe HTTP/1.1 ",
        "POST /in/stripe",
        "POST HTTP/1.1",
        "POST in/stripe HTTP/1.1",
        "POST * HTTP/1.1",
        "POST /in/stripe http/1.1",
        "POST /in/stripe HTTP/11",
        "POST /in/stripe HTTP/1.1\rx",
        "POST /in/ stripe HTTP/1.1",
    ],
);

const TARGET: &[Case] = &all(
    "request-line",
    400,
    Path,
    Plain,
    [
        "/in/stripe#x",
        "/in\\stripe",
        "/in/stripe%",
        "/in/stripe%2",
        "/in/stripe%zz",
        "/in/str\"ipe",
        "/in/caf\u{e9}",
        "/in/stripe\0",
        "/in/{stripe}",
        "/in/stripe^",
    ],
);

const VERSION: &[Case] = &all(
    "version",
    505,
    First,
    Plain,
    [
        "POST /in/stripe HTTP/1.0",
        "POST /in/stripe HTTP/0.9",
        "POST /in/stripe HTTP/1.2",
        "POST /in/stripe HTTP/2.0",
        "POST /in/stripe HTTP/3.0",
    ],
);

const PREFACE: &[Case] = &all("version", 505, Before, Plain, ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);

const METHOD: &[Case] = &all(
    "method",
    405,
    First,
    Plain,
    [
        "TRACE /in/stripe HTTP/1.1",
        "CONNECT {host}:443 HTTP/1.1",
        "PUT /in/stripe HTTP/1.1",
        "PATCH /in/stripe HTTP/1.1",
        "post /in/stripe HTTP/1.1",
        "PROPFIND /in/stripe HTTP/1.1",
        "REFUSED /in/stripe HTTP/1.1",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ /in/stripe HTTP/1.1",
        "{fill 5000} /in/stripe HTTP/1.1",
    ],
);

const HOST: &[Case] = &all(
    "host",
    400,
    Host,
    Plain,
    [
        "",
        "host:\r\n",
        "host: \r\n",
        "host: {host}\r\nhost: {host}\r\n",
        "host: {host}\r\nHost: evil.example\r\n",
        "host: evil.example\r\nhost: {host}\r\n",
        "host: {host}, evil.example\r\n",
        "host: {host} evil.example\r\n",
        "host: evil@{host}\r\n",
        "host: {host}/\r\n",
        "host: {host}:\r\n",
        "host: {host}:80a\r\n",
        "host: {host}:80:80\r\n",
        "host: [::1\r\n",
        "host: [{host}]\r\n",
        "host: {host}#\r\n",
        "host: {host}:123456\r\n",
    ],
);

const HOST_NAME: &[Case] = &all(
    "host-name",
    400,
    Host,
    Plain,
    [
        "host: evil.example\r\n",
        "host: {host}.evil.example\r\n",
        "host: x{host}\r\n",
        "host: {host}.\r\n",
        "host: [::1]\r\n",
    ],
);

const ABSOLUTE: &[Case] = &all(
    "absolute-form",
    400,
    Path,
    Plain,
    [
        "http://evil.example/in/stripe",
        "http://{host}:81/in/stripe",
        "http:///in/stripe",
        "http://evil@{host}/in/stripe",
        "ftp://{host}/in/stripe",
        "http:/in/stripe",
    ],
);

const PATH: &[Case] = &all(
    "path",
    404,
    Path,
    Plain,
    [
        "/",
        "/in",
        "/in/",
        "//in/stripe",
        "/in//stripe",
        "/in/stripe/",
        "/in/./stripe",
        "/in/../in/stripe",
        "/in/x/../stripe",
        "/in/stripe/.",
        "/in%2fstripe",
        "/in/%2e%2e/stripe",
        "/in/stripe%00",
        "/in/stripe%5c",
        "/in/strip%65",
        "/in/%73tripe",
        "/in/Stripe",
        "/in/stripe;x=y",
        "/in/stripe%20",
        "/healthz",
        "/metrics",
        "/in/stripe/x",
    ],
);

const CODING: &[Case] = &all(
    "transfer-encoding",
    411,
    Length,
    Chunked,
    [
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding:\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer_encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntrailer: stripe-signature\r\n",
    ],
);

const NO_LENGTH: &[Case] = &all("no-length", 411, Length, Request, [""]);

const LENGTH: &[Case] = &all(
    "length",
    400,
    Length,
    Plain,
    [
        "content-length: {n}\r\ncontent-length: {n}\r\n",
        "content-length: {n}\r\nContent-Length: 0\r\n",
        "content-length: 0\r\ncontent-length: {n}\r\n",
        "content-length: {n}, {n}\r\n",
        "content-length: +{n}\r\n",
        "content-length: -{n}\r\n",
        "content-length: 0x400\r\n",
        "content-length: 0{n}\r\n",
        "content-length: {n} \0\r\n",
        "content-length:\r\n",
        "content-length: {n}.0\r\n",
        "content-length: 1 0\r\n",
        "content-length: {n};x\r\n",
        "content-length: 18446744073709551616\r\n",
        "content-length: 18446744073709551615\r\n",
        "content_length: {n}\r\n",
        "content-length: {n}\r\ncontent_length: 0\r\n",
        "content-length: \"{n}\"\r\n",
    ],
);

const LENGTH_AND_CODING: &[Case] = &all(
    "length-and-coding",
    400,
    Length,
    EmptyChunkThenRequest,
    [
        "content-length: {n}\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: {n}\r\n",
        "content-length: {n}\r\ntransfer-encoding: identity\r\n",
        "content-length: {n}\r\nTransfer-Encoding:\tchunked\r\n",
        "content-length: {n}\r\ntransfer-encoding: x, chunked\r\n",
        "content-length: {n}\r\ntransfer_encoding: chunked\r\n",
        "content-length: {n}\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n",
        "transfer-encoding: chunked\r\ncontent-length: {n}\r\nte: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: cow\r\ncontent-length: 5\r\n",
    ],
);

const UNEXPECTED_BODY: &[Case] = &all(
    "body",
    400,
    First,
    Request,
    [
        "GET /in/stripe HTTP/1.1",
        "HEAD /in/stripe HTTP/1.1",
        "DELETE /in/stripe HTTP/1.1",
        "OPTIONS /in/stripe HTTP/1.1",
    ],
);

const BODY_SIZE: &[Case] = &all(
    "body-size",
    413,
    Length,
    Request,
    [
        "content-length: 1048577\r\n",
        "content-length: 1073741824\r\n",
        "content-length: 9223372036854775807\r\n",
        "expect: 100-continue\r\ncontent-length: 1048577\r\n",
    ],
);

const BODY_END: &[Case] = &all("body-end", 400, Added, Half, [""]);

const ENCODING: &[Case] = &all(
    "encoding",
    415,
    Added,
    Plain,
    [
        "content-encoding: gzip\r\n",
        "content-encoding: br\r\n",
        "content-encoding: zstd\r\n",
        "content-encoding: deflate\r\n",
        "content-encoding: identity, gzip\r\n",
        "content-encoding:\r\n",
    ],
);

const REPEATED: &[Case] = &all(
    "repeated",
    400,
    Added,
    Plain,
    [
        "stripe-signature: t=1,v1=00\r\n",
        "Stripe-Signature: \r\n",
        "content-type: text/plain\r\n",
        "authorization: a\r\nauthorization: a\r\n",
        "webhook-id: a\r\nwebhook-id: b\r\n",
        "webhook-timestamp: 1\r\nwebhook-timestamp: 2\r\n",
        "svix-signature: a\r\nsvix-signature: b\r\n",
        "expect: 100-continue\r\nexpect: 100-continue\r\n",
        "content-encoding: identity\r\ncontent-encoding: identity\r\n",
        "date: a\r\ndate: b\r\n",
    ],
);

const EXPECT: &[Case] = &all(
    "expect",
    417,
    Added,
    Plain,
    ["expect: 200-ok\r\n", "expect:\r\n", "expect: 100-continue, x\r\n", "expect: 100\r\n"],
);

const SIZE: &[Case] = &all(
    "size",
    431,
    Added,
    Plain,
    [
        "a: {fill 16384}\r\n",
        "{fill 16384}: b\r\n",
        "a: {fill 500000}\r\n",
        "{lines 61}",
        "{lines 500}",
    ],
);

const TARGET_SIZE: &[Case] = &all(
    "target-size",
    414,
    Path,
    Plain,
    ["/in/{fill 8192}", "/in/stripe?{fill 8192}", "/{fill 70000}"],
);

/// Every hostile request, by group.
pub fn hostile() -> impl Iterator<Item = &'static Case> {
    [
        LINES,
        BEFORE,
        REQUEST_LINE,
        TARGET,
        VERSION,
        PREFACE,
        METHOD,
        HOST,
        HOST_NAME,
        ABSOLUTE,
        PATH,
        CODING,
        NO_LENGTH,
        LENGTH,
        LENGTH_AND_CODING,
        UNEXPECTED_BODY,
        BODY_SIZE,
        BODY_END,
        ENCODING,
        REPEATED,
        EXPECT,
        SIZE,
        TARGET_SIZE,
    ]
    .into_iter()
    .flatten()
}

/// Unusual requests that must be taken: each is one good event.
pub fn good() -> impl Iterator<Item = &'static Case> {
    const LINES: &[Case] = &all(
        "good",
        200,
        Added,
        Plain,
        [
            "",
            "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n",
            "expect: 100-continue\r\n",
            "via: 1.1 a\r\nvia: 1.1 b\r\n",
            "content-encoding: identity\r\n",
            "x-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n",
            "te: trailers\r\n",
            "trailer: stripe-signature\r\n",
            "user-agent: caf\u{e9}\r\n",
            "a: {fill 15000}\r\n",
            "{lines 60}",
        ],
    );
    const PATHS: &[Case] = &all(
        "good",
        200,
        Path,
        Plain,
        ["/in/stripe?a=%2Fb&c[]=d//e/../f", "http://{host}/in/stripe", "HTTPS://{host}/in/stripe"],
    );
    const HOSTS: &[Case] =
        &all("good", 200, Host, Plain, ["Host: {host}:8443\r\n", "HOST:{host}\r\n"]);
    [LINES, PATHS, HOSTS].into_iter().flatten()
}
