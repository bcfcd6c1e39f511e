//! What stands around an at sign: a password in a URL, or an e-mail address.

use std::ops::Range;

use crate::{Finding, Kind, Place};

/// Bytes before the at sign of a URL, and to either side of that of an e-mail address.
const USER_BYTES_MAX: usize = 256;
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// What the at sign at this place gives away.
pub(super) fn find(bytes: &[u8], sign: Range<usize>, place: Place) -> Option<Finding> {
    let password = password(bytes, sign.start).map(|range| (Kind::Password, range));
    let (kind, range) = match (password, place) {
        (Some(found), _) => found,
        (None, Place::Line) => (Kind::Email, email(bytes, sign)?),
        (None, Place::Payload) => return None,
    };
    Some(Finding::whole(kind, range))
}

/// `scheme://user:password@` (RFC 3986, 3.2.1), with slashes escaped or not.
fn password(bytes: &[u8], sign: usize) -> Option<Range<usize>> {
    let before = bytes.get(..sign)?;
    let is_part = |byte: &&u8| !byte.is_ascii_whitespace() && !b"/@\"'<>\\".contains(byte);
    let length = before.iter().rev().take(USER_BYTES_MAX).take_while(is_part).count();
    let start = sign - length;
    let lead = before.get(..start)?;
    if !lead.ends_with(b"://") && !lead.ends_with(b":\\/\\/") {
        return None;
    }
    let user = before.get(start..)?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let secret = user.get(colon + 1..)?;
    let is_masked = secret.iter().all(|byte| *byte == b'*');
    (!is_masked).then(|| start + colon + 1..sign)
}

/// An e-mail address as people have them (RFC 5321, 4.1.2, without quoted names).
fn email(bytes: &[u8], sign: Range<usize>) -> Option<Range<usize>> {
    let is_local = |byte: &&u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"!#$&'*+-._~".contains(byte)
    };
    let before = bytes.get(..sign.start)?;
    let length = before.iter().rev().take(LOCAL_BYTES_MAX).take_while(is_local).count();
    // Not into the middle of a character.
    let local = before.get(sign.start - length..)?;
    let cut = local.iter().take_while(|byte| (0x80..0xC0).contains(*byte)).count();
    let is_domain = |byte: &&u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'.' | b'-')
    };
    let after = bytes.get(sign.end..)?;
    let domain = after.iter().take(DOMAIN_BYTES_MAX).take_while(is_domain).count();
    let domain = std::str::from_utf8(after.get(..domain)?).ok()?.trim_end_matches(['.', '-']);
    let (_, last) = domain.rsplit_once('.')?;
    let is_email = length > cut && last.chars().filter(|letter| letter.is_alphabetic()).count() > 1;
    is_email.then(|| sign.start - length + cut..sign.end + domain.len())
}

#[cfg(test)]
mod tests {
    use crate::{Place, find};

    fn found(text: &str, place: Place) -> Vec<(&'static str, &str)> {
        let findings = find(text.as_bytes(), place).into_iter();
        findings.map(|f| (f.kind.code(), text.get(f.range).expect("whole characters"))).collect()
    }

    #[test]
    fn passwords_in_urls_are_found() {
        for text in ["https://ada:hunter2@example.com/x", r#"{"u":"https:\/\/ada:hunter2@h\/"}"#] {
            assert_eq!(found(text, Place::Payload), [("password", "hunter2")], "{text}");
        }
        for text in ["https://ada@example.com", "https://h/p:x@y", "https://a:*******@h"] {
            assert!(found(text, Place::Payload).is_empty(), "{text}");
        }
    }

    #[test]
    fn addresses_are_found_in_lines_only() {
        for address in ["ada@example.com", "josé.o'neil+x@mail.example.co", "a%40example.com"] {
            let text = format!("of {address}. Then");
            assert_eq!(found(&text, Place::Line), [("email", address)], "{text}");
            assert!(found(&text, Place::Payload).is_empty());
        }
        for text in ["at 3@4", "a@b", "@example.com", "user@1.2.3.4"] {
            assert!(found(text, Place::Line).is_empty(), "{text}");
        }
    }
}
