//! The contents of a magnetic stripe (ISO/IEC 7813), tracks 1 and 2.

use std::ops::Range;

use crate::{Finding, Kind, cards, context};

/// Bytes of the name on track 1, and of what follows the expiry.
const NAME_BYTES_MAX: usize = 40;
const REST_BYTES_MAX: usize = 80;

/// Expiry and service code: what follows the number at least.
const AFTER_DIGITS_MIN: usize = 7;

/// A track whose card number stands in this range of bytes.
pub(crate) fn find(bytes: &[u8], number: Range<usize>) -> Option<Finding> {
    let near = bytes.get(number.clone())?;
    let digits = digits_before(near, near.len());
    let start = number.end - digits;
    let range = match bytes.get(number.end) {
        Some(b'^') => first(bytes, start..number.end)?,
        Some(b'=') => second(bytes, start..number.end)?,
        _ => hexadecimal(bytes, number)?,
    };
    Some(Finding::whole(Kind::Track, range))
}

fn digits_before(bytes: &[u8], end: usize) -> usize {
    let before = bytes.get(..end).unwrap_or_default();
    before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count()
}

fn digits_after(bytes: &[u8], from: usize) -> usize {
    let after = bytes.get(from..).unwrap_or_default();
    after.iter().take(REST_BYTES_MAX).take_while(|byte| byte.is_ascii_digit()).count()
}

/// `%B4242424242424242^NAME/FIRST^2512101…?`
fn first(bytes: &[u8], number: Range<usize>) -> Option<Range<usize>> {
    let before = bytes.get(..number.start)?;
    if !(12..=19).contains(&number.len()) || !before.ends_with(b"B") && !before.ends_with(b"b") {
        return None;
    }
    let start = number.start - if before.ends_with(b"%B") { 2 } else { 1 };
    let name = bytes.get(number.end + 1..)?;
    let length = name
        .iter()
        .take(NAME_BYTES_MAX)
        .take_while(|byte| !matches!(byte, b'^' | b'"' | b'?' | b'\\') && !byte.is_ascii_control())
        .count();
    let after = number.end + 1 + length;
    if bytes.get(after) != Some(&b'^') || digits_after(bytes, after + 1) < 4 {
        return None;
    }
    Some(start..rest_end(bytes, after + 1, |byte| byte.is_ascii_alphanumeric() || byte == b' '))
}

/// `;4242424242424242=2512101…?`; without its first sign the number must be a card's.
fn second(bytes: &[u8], number: Range<usize>) -> Option<Range<usize>> {
    let has_sentinel = bytes.get(..number.start)?.ends_with(b";");
    let likely = (12..=19).contains(&number.len())
        && digits_after(bytes, number.end + 1) >= AFTER_DIGITS_MIN
        && (has_sentinel || cards::is_number(bytes.get(number.clone())?));
    let start = number.start - usize::from(has_sentinel);
    likely.then(|| start..rest_end(bytes, number.end + 1, |byte| byte.is_ascii_digit()))
}

/// Track 2 as chips and terminals give it: `4242424242424242D2512101…F`.
fn hexadecimal(bytes: &[u8], near: Range<usize>) -> Option<Range<usize>> {
    let separator = (near.start..near.end).find(|at| {
        let is_separator = matches!(bytes.get(*at), Some(b'D' | b'd'));
        is_separator && (12..=19).contains(&run_before(bytes, near.start, *at)) && {
            let start = at - run_before(bytes, near.start, *at);
            digits_after(bytes, at + 1) >= AFTER_DIGITS_MIN
                && !context::continues_word(bytes, start)
                && bytes.get(start..*at).is_some_and(cards::is_number)
        }
    })?;
    let start = separator - run_before(bytes, near.start, separator);
    let end = rest_end(bytes, separator + 1, |byte| matches!(byte, b'0'..=b'9' | b'F' | b'f'));
    (!context::continued(bytes, end)).then_some(start..end)
}

/// Digits right before a place, no more than one too many for a card.
fn run_before(bytes: &[u8], from: usize, at: usize) -> usize {
    let before = bytes.get(from..at).unwrap_or_default();
    before.iter().rev().take(20).take_while(|byte| byte.is_ascii_digit()).count()
}

/// The end of what follows, with its last sign.
fn rest_end(bytes: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let length = rest.iter().take(REST_BYTES_MAX).take_while(|byte| is_part(**byte)).count();
    let end = from + length;
    end + usize::from(bytes.get(end) == Some(&b'?'))
}

#[cfg(test)]
mod tests {
    use crate::{Kind, Place, find};

    fn masked(text: &str) -> Vec<&str> {
        let findings = find(text.as_bytes(), Place::Payload);
        let tracks = findings.into_iter().filter(|finding| finding.kind == Kind::Track);
        tracks.filter_map(|track| text.get(track.range)).collect()
    }

    #[test]
    fn tracks_are_found_whole() {
        for track in [
            "%B4111111111111111^DOE/JANE MRS^25121010000012300000?",
            "B4111111111111111^DOE/JANE^2512101?",
            ";4111111111111111=25121010000012300000?",
            ";4000000000000000=2512101?",
            "4111111111111111=25121010000",
            "4111111111111111D25121010000F",
        ] {
            assert_eq!(masked(&format!("{{\"track\":\"{track}\"}}")), [track]);
        }
    }

    #[test]
    fn what_only_looks_like_a_track_is_none() {
        for text in [
            "a=4111111111111112=2512101",
            "4111111111111111=25",
            "B4111111111111111^2^3",
            "aa4111111111111111d2512101bb",
            "e4111111111111111d25121010000f0",
        ] {
            assert!(masked(text).is_empty(), "{text}");
        }
    }
}
