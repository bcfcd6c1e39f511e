//! Heads that are let in, heads that are not, and what cannot be told yet.

use super::*;

fn refusal(head: impl AsRef<[u8]>) -> Option<Refusal> {
    match judge(head.as_ref()) {
        Head::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

/// A good request with these lines beside its host and its length.
fn with(lines: &str) -> String {
    format!("POST /in/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n{lines}\r\n")
}

fn line(line: &str) -> String {
    format!("{line}\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
}

fn framed(lines: &str) -> String {
    format!("POST /in/a HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
}

#[test]
fn good_heads_are_let_in_with_the_length_of_their_body() {
    for lines in [
        "",
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n",
        "Via: 1.1 a\r\nVia: 1.1 b\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "User-Agent: caf\u{e9}\r\n",
        "X-Empty:\r\nX-Tab:\ta\r\n",
    ] {
        let head = with(lines);
        assert_eq!(
            judge(head.as_bytes()),
            Head::Whole { bytes: head.len(), body_bytes: 3 },
            "{lines}"
        );
    }
    for head in [
        line("POST /in/a?b=c%2Fd&e[]=f HTTP/1.1"),
        line("POST http://x/in/a HTTP/1.1"),
        line("POST HTTPS://X/in/a HTTP/1.1"),
        with("Host-Name: y\r\n").replace("Host: x", "Host: hooks.example.com:8443"),
        with("").replace("Host: x", "Host: [2001:db8::1]:443"),
    ] {
        assert_eq!(refusal(&head), None, "{head}");
    }
    let get = "GET /in/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(judge(get.as_bytes()), Head::Whole { bytes: get.len(), body_bytes: 0 });
}

#[test]
fn a_head_ends_at_its_empty_line_and_not_before() {
    let head = with("");
    for end in 0..head.len() {
        assert_eq!(judge(&head.as_bytes()[..end]), Head::Partial, "{end}");
    }
    let longer = format!("{head}abc\n\n");
    assert_eq!(judge(longer.as_bytes()), Head::Whole { bytes: head.len(), body_bytes: 3 });
}

#[test]
fn head_malformed_in_its_lines() {
    for head in [
        "\r\n".to_owned(),
        "\n".to_owned(),
        "\r\nPOST".to_owned(),
        "POST /in/a HTTP/1.1\n".to_owned(),
        with("").replace("Host: x\r\n", "Host: x\n"),
        with("A: b\n"),
        with("A: b\rC: d\r\n"),
        with("A: b\r\r\n"),
        with("A: \0\r\n"),
        with("A: \u{7f}\r\n"),
        with("A: b\r\n c\r\n"),
        with("A: b\r\n\tc\r\n"),
        with("A : b\r\n"),
        with(" A: b\r\n"),
        with(": b\r\n"),
        with("A\r\n"),
        with("A(: b\r\n"),
        with("\u{e9}: b\r\n"),
    ] {
        assert_eq!(refusal(&head), Some(Refusal::HeadMalformed), "{head:?}");
    }
}

#[test]
fn head_malformed_in_its_first_line() {
    for first in [
        "POST  /in/a HTTP/1.1",
        "POST\t/in/a HTTP/1.1",
        "POST /in/a  HTTP/1.1",
        "POST /in/a HTTP/1.1 ",
        "POST /in/a http/1.1",
        "POST /in/a HTTP/11",
        "POST /in/a HTPP/1.1",
        "POST /in/a",
        "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443",
        " POST /in/a HTTP/1.1",
        "POST /in/a#b HTTP/1.1",
        "POST /in\\a HTTP/1.1",
        "POST /in/a% HTTP/1.1",
        "POST /in/a%2 HTTP/1.1",
        "POST /in/a%zz HTTP/1.1",
        "POST /in/\u{e9} HTTP/1.1",
        "POST in/a HTTP/1.1",
        "POST ftp://x/in/a HTTP/1.1",
        "POST * HTTP/1.1",
    ] {
        assert_eq!(refusal(line(first)), Some(Refusal::HeadMalformed), "{first}");
    }
    // A TLS hello, as one that speaks TLS to a plain port sends it: no end of a line ever comes.
    assert_eq!(
        refusal(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        Some(Refusal::HeadMalformed)
    );
}

#[test]
fn http_version_is_one_dot_one() {
    for version in ["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
        let first = format!("POST /in/a {version}");
        assert_eq!(refusal(line(&first)), Some(Refusal::HttpVersion), "{version}");
    }
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(refusal(preface), Some(Refusal::HttpVersion));
}

#[test]
fn method_not_allowed_for_what_no_route_knows() {
    for method in ["TRACE", "CONNECT", "post", "REFUSED", "PROPFIND", "ABCDEFGHIJKLMNOPQ"] {
        let first = format!("{method} /in/a HTTP/1.1");
        assert_eq!(refusal(line(&first)), Some(Refusal::MethodNotAllowed), "{method}");
    }
    assert_eq!(
        refusal("A".repeat(17)),
        Some(Refusal::MethodNotAllowed),
        "before its line has ended"
    );
}

#[test]
fn host_invalid_unless_there_is_exactly_one() {
    for host in [
        "",
        "Host:\r\n",
        "Host: x\r\nHost: x\r\n",
        "Host: x\r\nhost: y\r\n",
        "Host: x y\r\n",
        "Host: x,y\r\n",
        "Host: a@x\r\n",
        "Host: x/\r\n",
        "Host: x:\r\n",
        "Host: x:80a\r\n",
        "Host: x:80:80\r\n",
        "Host: [::1\r\n",
        "Host: [x]\r\n",
        "Host: []\r\n",
        "Host: :80\r\n",
        "Host: x#\r\n",
        "Host: x:123456\r\n",
        "Host: \u{e9}\r\n",
    ] {
        let head = format!("POST /in/a HTTP/1.1\r\nContent-Length: 3\r\n{host}\r\n");
        assert_eq!(refusal(&head), Some(Refusal::HostInvalid), "{host:?}");
    }
    for other in ["http://y/in/a", "http://x:80/in/a", "http:///in/a", "http://a@x/in/a"] {
        let head = line(&format!("POST {other} HTTP/1.1"));
        assert_eq!(refusal(head), Some(Refusal::HostInvalid), "{other}");
    }
}

#[test]
fn length_required_and_no_coding_instead() {
    for lines in [
        "",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer_Encoding: chunked\r\n",
    ] {
        assert_eq!(refusal(framed(lines)), Some(Refusal::LengthRequired), "{lines}");
    }
}

#[test]
fn length_ambiguous_in_every_way_known() {
    for lines in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\ncontent-length: 4\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer_Encoding: chunked\r\n",
        "Content_Length: 3\r\n",
        "Content-Length: 3\r\nContent_Length: 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: 03\r\n",
        "Content-Length: \r\n",
        "Content-Length: 3.0\r\n",
        "Content-Length: \"3\"\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 18446744073709551615\r\n",
    ] {
        assert_eq!(refusal(framed(lines)), Some(Refusal::LengthAmbiguous), "{lines}");
    }
}

#[test]
fn header_repeated_where_only_one_can_count() {
    for name in ["Content-Type", "Authorization", "Content-Encoding", "Expect", "X-Signature"] {
        let value = if name == "Expect" { "100-continue" } else { "a" };
        let lines = format!("{name}: {value}\r\n{}: {value}\r\n", name.to_uppercase());
        assert_eq!(refusal(with(&lines)), Some(Refusal::HeaderRepeated), "{name}");
    }
}

/// Every header that an embedded profile reads.
#[test]
fn header_repeated_for_what_any_profile_reads() {
    let mut names = 0;
    for (profile, text) in schemes::embedded() {
        for rest in text.split("header:").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let lines = format!("{name}: a\r\n{name}: b\r\n");
            assert_eq!(refusal(with(&lines)), Some(Refusal::HeaderRepeated), "{profile}: {name}");
            names += 1;
        }
    }
    assert!(names > 20, "{names}");
}

#[test]
fn expectation_other_than_continue() {
    for value in ["", "200-ok", "100-continue, x", "x"] {
        assert_eq!(
            refusal(with(&format!("Expect: {value}\r\n"))),
            Some(Refusal::Expectation),
            "{value}"
        );
    }
}

#[test]
fn body_unexpected_where_none_belongs() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let first = format!("{method} /in/a HTTP/1.1");
        assert_eq!(refusal(line(&first)), Some(Refusal::BodyUnexpected), "{method}");
    }
}

#[test]
fn target_too_long_before_and_after_its_end() {
    let long = "a".repeat(TARGET_BYTES_MAX);
    assert_eq!(refusal(line(&format!("POST /{long} HTTP/1.1"))), Some(Refusal::TargetTooLong));
    assert_eq!(refusal(format!("POST /{long}{}", "a".repeat(32))), Some(Refusal::TargetTooLong));
    let longest = line(&format!("POST /{} HTTP/1.1", &long[1..]));
    assert_eq!(refusal(longest), None);
}

#[test]
fn head_too_large_in_lines_and_in_bytes() {
    let lines = |count: usize| with(&"A: b\r\n".repeat(count - 2));
    assert_eq!(refusal(lines(HEADERS_MAX)), None);
    assert_eq!(refusal(lines(HEADERS_MAX + 1)), Some(Refusal::HeadTooLarge));
    let filled = |bytes: usize| {
        let empty = with("A: \r\n").len();
        with(&format!("A: {}\r\n", "b".repeat(bytes - empty)))
    };
    assert_eq!(refusal(filled(HEADER_BYTES_MAX)), None);
    assert_eq!(refusal(filled(HEADER_BYTES_MAX + 1)), Some(Refusal::HeadTooLarge));
    let endless = &filled(2 * HEADER_BYTES_MAX)[..HEADER_BYTES_MAX];
    assert_eq!(refusal(endless), Some(Refusal::HeadTooLarge));
}

/// Whatever comes, it is judged, and a head that is let in is let in by the server's parser too.
#[test]
fn any_bytes_are_judged() {
    let good = with("A: b\r\n");
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = byte;
            if let Head::Whole { bytes: length, .. } = judge(&bytes) {
                assert!(length <= bytes.len());
                let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
                assert!(Request::new(&mut headers).parse(&bytes).is_ok_and(|s| s.is_complete()));
            }
        }
    }
}
