//! Values under keys that say what they are: in JSON, JSON in JSON, forms, headers, XML and text.

use std::ops::Range;

use crate::{Finding, Kind, Place};

/// Bytes of a key that are read to either side of the word in it.
const KEY_BYTES_MAX: usize = 40;

/// Bytes between a key and its value.
const BETWEEN_BYTES_MAX: usize = 24;

/// The shortest value that can be a token.
const TOKEN_BYTES_MIN: usize = 8;

/// How the names of keys end, without case, dashes and underscores, and what stands under them.
const NAMES: [(&str, Kind); 34] = [
    ("cvv", Kind::SecurityCode),
    ("cvv2", Kind::SecurityCode),
    ("cvc", Kind::SecurityCode),
    ("cvc2", Kind::SecurityCode),
    ("cvn", Kind::SecurityCode),
    ("cvn2", Kind::SecurityCode),
    ("csc", Kind::SecurityCode),
    ("cav2", Kind::SecurityCode),
    ("cvvcode", Kind::SecurityCode),
    ("cvccode", Kind::SecurityCode),
    ("cvvnumber", Kind::SecurityCode),
    ("securitycode", Kind::SecurityCode),
    ("verificationvalue", Kind::SecurityCode),
    ("verificationcode", Kind::SecurityCode),
    ("pinblock", Kind::PinBlock),
    ("password", Kind::Password),
    ("passwd", Kind::Password),
    ("passphrase", Kind::Password),
    ("pwd", Kind::Password),
    ("accesstoken", Kind::Token),
    ("refreshtoken", Kind::Token),
    ("authtoken", Kind::Token),
    ("apikey", Kind::Token),
    ("apisecret", Kind::Token),
    ("apitoken", Kind::Token),
    ("accesskey", Kind::Token),
    ("secretkey", Kind::Token),
    ("secretaccesskey", Kind::Token),
    ("privatekey", Kind::Token),
    ("signingsecret", Kind::Token),
    ("signingkey", Kind::Token),
    ("webhooksecret", Kind::Token),
    ("authorization", Kind::Token),
    // Providers put it into events for the page that pays: the application may need it.
    ("clientsecret", Kind::Token),
];

const AUTHORIZATION_SCHEMES: [&[u8]; 6] =
    [b"bearer", b"basic", b"digest", b"token", b"apikey", b"negotiate"];

/// What stands under a key: where, and how it is set off.
struct Value {
    range: Range<usize>,
    /// A colon, an equals sign or a closing tag stands between.
    marked: bool,
    quoted: bool,
    in_json: bool,
}

/// The secret under the key in which this word stands, if it is such a key.
pub(super) fn find(bytes: &[u8], word: usize, place: Place) -> Option<Finding> {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let before = bytes.get(..word)?;
    let start = word - before.iter().rev().take(KEY_BYTES_MAX).take_while(part).count();
    let end = word + bytes.get(word..)?.iter().take(KEY_BYTES_MAX).take_while(part).count();
    let key = bytes.get(start..end)?;
    let last = key.iter().rev().find(|byte| byte.is_ascii_alphanumeric())?.to_ascii_lowercase();
    let (known, kind) = NAMES
        .iter()
        .find(|(known, _)| known.as_bytes().last() == Some(&last) && is_named(key, known))?;
    if *known == "clientsecret" && place == Place::Payload {
        return None;
    }
    let value = value(bytes, end, is_json(bytes))?;
    let range = match kind {
        _ if *known == "authorization" => credentials(bytes, &value, place),
        Kind::SecurityCode => security_code(bytes, &value),
        Kind::PinBlock => pin_block(bytes, &value),
        Kind::Password => password(bytes, &value),
        _ => token(bytes, &value),
    }?;
    let is_masked = bytes.get(range.clone())?.iter().all(|byte| *byte == b'*');
    (!is_masked && !range.is_empty()).then(|| Finding::whole(*kind, range))
}

/// Whether a key ends in this name; case, dashes and underscores do not count.
fn is_named(key: &[u8], name: &str) -> bool {
    let mut letters = key.iter().rev().filter(|byte| byte.is_ascii_alphanumeric());
    name.bytes().rev().all(|byte| letters.next().is_some_and(|l| l.eq_ignore_ascii_case(&byte)))
}

/// Whether it begins as JSON does: an object or an array, after a little space at most. A line such as
/// `[info] password="…"` does not.
fn is_json(bytes: &[u8]) -> bool {
    let near = bytes.iter().take(BETWEEN_BYTES_MAX);
    let mut first = near.filter(|byte| !byte.is_ascii_whitespace());
    matches!(
        (first.next(), first.next()),
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'"' | b'{' | b'[' | b']'))
    )
}

/// Steps from the end of a key to its value. The value's end is for its kind to find.
fn value(bytes: &[u8], key_end: usize, in_json: bool) -> Option<Value> {
    let mut at = key_end;
    let mut marked = false;
    // The length of the quote that ended the key.
    let mut closed = None;
    loop {
        if at > key_end + BETWEEN_BYTES_MAX {
            return None;
        }
        let step = match bytes.get(at..)? {
            [b'"' | b'\'', ..] | [b'\\', b'"', ..] => {
                let length = if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
                let start = at + length;
                if marked {
                    let is_json_quote = in_json && bytes.get(start - 1) == Some(&b'"');
                    let opens = !is_json_quote || opens(length, closed, bytes.get(start..)?);
                    let range = start..bytes.len();
                    return opens.then_some(Value { range, marked, quoted: true, in_json });
                }
                closed = Some(length);
                length
            }
            [b' ' | b'\t' | b'\\', ..] => 1,
            [b':' | b'=' | b'>', ..] => {
                marked = true;
                1
            }
            [b']', ..] if !marked => 1,
            // `]`, `"`, a space; `:` and `=`: URL-encoded.
            [b'%', b'5', b'D' | b'd', ..] | [b'%', b'2', b'2' | b'0', ..] => 3,
            [b'%', b'3', b'A' | b'a' | b'D' | b'd', ..] => {
                marked = true;
                3
            }
            // A terminal's colour.
            [0x1b, b'[', rest @ ..] => 3 + rest.iter().take(12).position(|byte| *byte == b'm')?,
            _ => {
                let range = at..bytes.len();
                return Some(Value { range, marked, quoted: false, in_json });
            }
        };
        at += step;
    }
}

/// Whether a quote of JSON opens a value, or closes the text in which the key stands: that of
/// `{"a":"password="}` does. What opens a value is written as what ended the key; a quote in a text has a
/// backslash before it.
fn opens(length: usize, closed: Option<usize>, after: &[u8]) -> bool {
    match (length, closed) {
        (1, closed) => closed == Some(1),
        (_, Some(_)) => true,
        (_, None) => {
            let next = after.iter().find(|byte| !byte.is_ascii_whitespace());
            !matches!(next, None | Some(b',' | b':' | b'}' | b']' | b'"'))
        }
    }
}

/// Whether a byte ends a value that is not quoted.
fn ends(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || byte.is_ascii_control()
        || matches!(byte, b',' | b';' | b'&' | b'"' | b'\'' | b'\\' | b'}' | b']' | b')' | b'<')
}

/// The value as a word: no spaces, no quotes.
fn word(bytes: &[u8], value: &Value, bytes_max: usize) -> Option<Range<usize>> {
    let rest = bytes.get(value.range.clone())?;
    let length = rest.iter().take(bytes_max + 1).take_while(|byte| !ends(**byte)).count();
    let text = rest.get(..length)?;
    let stop = text.iter().rev().take_while(|byte| matches!(byte, b'.' | b'!' | b'?')).count();
    let start = value.range.start;
    (length <= bytes_max).then(|| start..start + length - stop)
}

fn security_code(bytes: &[u8], value: &Value) -> Option<Range<usize>> {
    let range = word(bytes, value, 6)?;
    let code = bytes.get(range.clone())?;
    ((3..=4).contains(&code.len()) && code.iter().all(u8::is_ascii_digit)).then_some(range)
}

fn pin_block(bytes: &[u8], value: &Value) -> Option<Range<usize>> {
    let range = word(bytes, value, 34)?;
    let block = bytes.get(range.clone())?;
    (matches!(block.len(), 16 | 32) && block.iter().all(u8::is_ascii_hexdigit)).then_some(range)
}

fn password(bytes: &[u8], value: &Value) -> Option<Range<usize>> {
    if !value.marked {
        return None;
    }
    if value.quoted {
        return quoted(bytes, value);
    }
    let range = word(bytes, value, usize::MAX - 1)?;
    let text = bytes.get(range.clone())?;
    let says_nothing: [&[u8]; 5] = [b"true", b"false", b"null", b"none", b"0"];
    let is_nested = matches!(text.first(), Some(b'{' | b'['));
    (!is_nested && !says_nothing.contains(&text)).then_some(range)
}

fn token(bytes: &[u8], value: &Value) -> Option<Range<usize>> {
    let range = word(bytes, value, usize::MAX - 1)?;
    let text = bytes.get(range.clone())?;
    // A sentence is no token, and neither is the name of a place where one stands.
    let is_sentence = value.quoted && bytes.get(range.end) == Some(&b' ');
    let is_token = value.marked && text.len() >= TOKEN_BYTES_MIN && !is_sentence;
    (is_token && !matches!(text.first(), Some(b'{' | b'[' | b'$'))).then_some(range)
}

/// The credentials after a scheme (RFC 9110, 11.6.2); in a log line also without one.
fn credentials(bytes: &[u8], value: &Value, place: Place) -> Option<Range<usize>> {
    let scheme = word(bytes, value, usize::MAX - 1)?;
    let text = bytes.get(scheme.clone())?.to_ascii_lowercase();
    if !AUTHORIZATION_SCHEMES.contains(&text.as_slice()) {
        let lone = (place == Place::Line).then(|| token(bytes, value)).flatten()?;
        return bytes.get(lone.clone())?.iter().any(u8::is_ascii_digit).then_some(lone);
    }
    let after = bytes.get(scheme.end..)?;
    let spaces = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let start = scheme.end + spaces;
    let range = word(bytes, &Value { range: start..bytes.len(), ..*value }, usize::MAX - 1)?;
    (spaces > 0 && range.len() >= TOKEN_BYTES_MIN).then_some(range)
}

/// What stands between two quotes. Backslashes before the closing one belong to it. In JSON it ends with
/// the text at the latest.
fn quoted(bytes: &[u8], value: &Value) -> Option<Range<usize>> {
    let start = value.range.start;
    let opening = *bytes.get(start.checked_sub(1)?)?;
    let is_nested = bytes.get(start.checked_sub(2)?) == Some(&b'\\');
    let mut at = start;
    loop {
        match bytes.get(at) {
            None => break,
            Some(byte) if *byte == opening || (value.in_json && *byte == b'"') => break,
            Some(b'\\') if !is_nested => at += 2,
            Some(_) => at += 1,
        }
    }
    let end = at.min(bytes.len());
    let slashes = bytes.get(start..end)?.iter().rev().take_while(|byte| **byte == b'\\').count();
    Some(start..end - slashes)
}

#[cfg(test)]
mod tests {
    use crate::{Place, find};

    fn found(text: &str, place: Place) -> Vec<(&'static str, &str)> {
        let findings = find(text.as_bytes(), place).into_iter();
        findings.map(|f| (f.kind.code(), text.get(f.range).expect("whole characters"))).collect()
    }

    #[test]
    fn security_codes_stand_under_their_keys() {
        for text in [
            r#"{"cvc":"123"}"#,
            r#"{"card":{"security_code": 123 }}"#,
            r#"{"raw":"{\"cardCvv2\":\"123\"}"}"#,
            "card%5Bcvc%5D=123&x=1",
            "card[cvv]=123",
            "<Cvv>123</Cvv>",
            "CVV: 123.",
            "cvv 123",
            "CVN=123",
        ] {
            assert_eq!(found(text, Place::Payload), [("security_code", "123")], "{text}");
        }
        for text in [
            r#"{"cvc_check":"pass"}"#,
            r#"{"cvc":null}"#,
            r#"{"cvc":"12345"}"#,
            r#"{"cvc":{"result":"123"}}"#,
            r#"{"description":"123"}"#,
        ] {
            assert!(found(text, Place::Payload).is_empty(), "{text}");
        }
    }

    #[test]
    fn pin_blocks_stand_under_their_key() {
        let text = r#"{"pinBlock":"0412AC89ABCDEF67"}"#;
        assert_eq!(found(text, Place::Payload), [("pin_block", "0412AC89ABCDEF67")]);
        assert!(found(r#"{"pin":"560001","pin_block":"none"}"#, Place::Payload).is_empty());
    }

    #[test]
    fn passwords_are_found_with_what_they_hold() {
        for (text, secret) in [
            (r#"{"password":"a \"b\" c"}"#, r#"a \"b\" c"#),
            (r#"{"x":"{\"password\":\"a b\"}"}"#, "a b"),
            ("db_password=hunter2&x", "hunter2"),
            ("Passwd: hunter2, x", "hunter2"),
            ("\x1b[3mpassword\x1b[0m\x1b[2m=\x1b[0mhunter2 x", "hunter2"),
            (r#"{"password":12345}"#, "12345"),
        ] {
            assert_eq!(found(text, Place::Payload), [("password", secret)], "{text}");
        }
        for text in [
            r#"{"has_password":true,"password":null,"password_hint":"x"}"#,
            r#"{"password":{"length":3}}"#,
            r#"{"password":""}"#,
            "a password is asked for",
        ] {
            assert!(found(text, Place::Payload).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_quote_that_ends_a_text_opens_no_value() {
        for text in [
            r#"{"a":"password=","b":"c"}"#,
            r#"{"a":"x password: " , "b":1}"#,
            r#"["password=","password="]"#,
            r#"{"password=":"c"}"#,
            r#"{"a":"a \"password\": ","b":"c"}"#,
            r#"{"a":"{\"b\":\"password=\"}","c":"d"}"#,
            r#"{"a":"{\"b\":\"password=\",\"c\":1}"}"#,
        ] {
            assert!(found(text, Place::Payload).is_empty(), "{text}");
            assert!(found(text, Place::Line).is_empty(), "{text}");
        }
        for (text, secret) in [
            (r#"{"a":"password=\"hunter2\"","b":"c"}"#, "hunter2"),
            (r#"{"a":"password='hunter2'","b":"c"}"#, "hunter2"),
            (r#"{"a":"password='hunter2","b":"it's"}"#, "hunter2"),
            (r#"<x password="hunter2"/>"#, "hunter2"),
            (r#"<x password=",hunter2"/>"#, ",hunter2"),
            (r#"[info] password="hunter2""#, "hunter2"),
            (r#"[2026-01-01] password="hunter2""#, "hunter2"),
            (r#"{shop} password: "hunter2""#, "hunter2"),
        ] {
            assert_eq!(found(text, Place::Payload), [("password", secret)], "{text}");
            assert_eq!(found(text, Place::Line), [("password", secret)], "{text}");
        }
    }

    #[test]
    fn tokens_and_credentials_are_found() {
        for (text, secret) in [
            (r#"{"access_token":"abcdef12345"}"#, "abcdef12345"),
            ("X-Api-Key: abcdef12345", "abcdef12345"),
            (r#"{"webhook_secret":"made_up_secret"}"#, "made_up_secret"),
            ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            (r#"{"authorization":"Token 0123456789"}"#, "0123456789"),
        ] {
            assert_eq!(found(text, Place::Payload), [("token", secret)], "{text}");
        }
        for text in [
            r#"{"authorization":"AUTH_72btv547"}"#,
            r#"{"client_secret":"pi_1_secret_abcdef"}"#,
            r#"{"api_key":"${env:KEY_OF_THE_API}"}"#,
            "secret_key: 'none was given'",
        ] {
            assert!(found(text, Place::Payload).is_empty(), "{text}");
        }
        let line = found(r#"client_secret="pi_1_secret_abcdef""#, Place::Line);
        assert_eq!(line, [("token", "pi_1_secret_abcdef")]);
        assert_eq!(found("authorization=abcd1234efgh", Place::Line), [("token", "abcd1234efgh")]);
    }
}
