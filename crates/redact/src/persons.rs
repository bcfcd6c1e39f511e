//! What leads to a person or to an account of theirs: telephone numbers, IBANs, and what stands under
//! keys that name an account. Looked for in log lines only, for the application needs those of its
//! customers.

use std::ops::Range;

use crate::{Finding, Kind};

/// Digits of a telephone number after its plus sign (E.164: 15 at most).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Characters of an IBAN (ISO 13616: Norway's has 15, 34 are the most).
const IBAN_LENGTH: std::ops::RangeInclusive<usize> = 15..=34;

/// How the names of keys end, without case, dashes and underscores, whose values name an account.
const ACCOUNTS: [&str; 8] = [
    "accountnumber",
    "accountno",
    "acctno",
    "acctnumber",
    "bankaccount",
    "routingnumber",
    "sortcode",
    "iban",
];

/// Bytes of such a key, between it and its value, and of the value.
const KEY_BYTES_MAX: usize = 40;
const BETWEEN_BYTES_MAX: usize = 8;
const VALUE_BYTES: std::ops::RangeInclusive<usize> = 4..=40;

/// Everything of the kind, in order. Takes linear time: each look is bounded.
pub(super) fn find(line: &[u8]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut before = b' ';
    for (place, byte) in line.iter().enumerate() {
        let starts = !before.is_ascii_alphanumeric();
        before = *byte;
        let covered = findings.last().is_some_and(|last| place < last.range.end);
        if !starts || covered {
            continue;
        }
        let rest = line.get(place..).unwrap_or_default();
        let found = match byte {
            b'+' => phone(rest).map(|length| (Kind::Phone, 0..length)),
            _ if byte.is_ascii_alphabetic() => iban(rest)
                .map(|length| (Kind::Account, 0..length))
                .or_else(|| account(rest).map(|range| (Kind::Account, range))),
            _ => None,
        };
        let whole = |(kind, range): (Kind, Range<usize>)| {
            Finding::whole(kind, place + range.start..place + range.end)
        };
        findings.extend(found.map(whole));
    }
    findings
}

/// The length of a telephone number that begins with its plus sign.
fn phone(bytes: &[u8]) -> Option<usize> {
    let mut digits = 0;
    let mut end = 0;
    for (place, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = place + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' if place - end < 3 => {}
            _ => break,
        }
        if digits > *PHONE_DIGITS.end() {
            return None;
        }
    }
    PHONE_DIGITS.contains(&digits).then_some(end)
}

/// The length of an IBAN, in one piece or in groups of four.
fn iban(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = bytes else { return None };
    let begins = a.is_ascii_uppercase() && b.is_ascii_uppercase();
    if !begins || !c.is_ascii_digit() || !d.is_ascii_digit() {
        return None;
    }
    let mut characters = Vec::new();
    let mut end = 0;
    for (place, byte) in bytes.iter().enumerate() {
        let is_gap = *byte == b' ' && characters.len() % 4 == 0 && place == end;
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            characters.push(*byte);
            end = place + 1;
        } else if !is_gap {
            break;
        }
        if characters.len() > *IBAN_LENGTH.end() {
            return None;
        }
    }
    (IBAN_LENGTH.contains(&characters.len()) && checks(&characters)).then_some(end)
}

/// ISO 7064, MOD 97-10: the check digits fit.
fn checks(iban: &[u8]) -> bool {
    let (head, tail) = iban.split_at(4.min(iban.len()));
    let rest = tail.iter().chain(head).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}

/// Where the value stands under a key that names an account.
fn account(bytes: &[u8]) -> Option<Range<usize>> {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let length = bytes.iter().take(KEY_BYTES_MAX).take_while(part).count();
    let letters = bytes.get(..length)?.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let key: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    ACCOUNTS.iter().find(|known| key.ends_with(known.as_bytes()))?;
    let after = bytes.get(length..)?;
    let between = |byte: &&u8| b"\"' :=\\>".contains(byte);
    let gap = after.iter().take(BETWEEN_BYTES_MAX).take_while(between).count();
    let is_set_off = after.get(..gap)?.iter().any(|byte| matches!(byte, b':' | b'=' | b'>'));
    let value = after.get(gap..)?;
    let is_value = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let long = value.iter().take(*VALUE_BYTES.end()).take_while(is_value).count();
    let digits = value.get(..long)?.iter().filter(|byte| byte.is_ascii_digit()).count();
    let start = length + gap;
    (is_set_off && digits >= *VALUE_BYTES.start()).then_some(start..start + long)
}

#[cfg(test)]
mod tests {
    use crate::{Place, find, line, payload};

    #[track_caller]
    fn masked(text: &str, expected: &str) {
        assert_eq!(line(text), expected);
        assert!(payload(text.as_bytes()).is_none(), "payloads keep it: {text}");
        assert_eq!(line(expected), expected, "what is masked stays so");
    }

    #[test]
    fn telephone_numbers_are_masked_in_lines() {
        masked("call +66812345678 now", "call ************ now");
        masked("call +1 (415) 555-0132.", "call *****************.");
        masked(r#"{"phone":"+4915112345678"}"#, r#"{"phone":"**************"}"#);
    }

    #[test]
    fn accounts_are_masked_in_lines() {
        masked("to DE89370400440532013000.", "to **********************.");
        masked("to GB82 WEST 1234 5698 7654 32", "to ***************************");
        masked("account_number=12345678 ok", "account_number=******** ok");
        masked(r#"{"bankAccount": "0011-2233"}"#, r#"{"bankAccount": "*********"}"#);
        masked("sort-code: 12-34-56", "sort-code: ********");
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "2026-01-01T00:00:00+00:00",
            "1+12345678",
            "+1 more",
            "+123456789012345678",
            "DE88370400440532013000",
            "AB12",
            "account_number is wrong",
            "account_number=none",
            "the account 12345678",
            "evt_01kdvdna00ew3re1r70w3ge1r7",
        ] {
            assert_eq!(find(text.as_bytes(), Place::Line), [], "{text}");
        }
    }
}
