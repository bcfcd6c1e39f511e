//! The texts that providers sign instead of the bytes they send: compact, sorted, or flat JSON.

use super::{Kind, Value};

/// Whose names are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The outermost object's.
    Top,
    /// Every object's.
    Deep,
}

/// Compact JSON in source order, without some of the outermost members. Numbers stay as written,
/// texts are escaped as `JSON.stringify` does.
pub(crate) fn write_compact(value: Value<'_, '_>, without: &[String], out: &mut Vec<u8>) {
    write(value, None, without, out);
}

/// Like [`write_compact`], with names sorted by UTF-16 code units.
pub(crate) fn write_sorted(
    value: Value<'_, '_>,
    sort: Sort,
    without: &[String],
    out: &mut Vec<u8>,
) {
    write(value, Some(sort), without, out);
}

/// `JSON.stringify(object, sorted names)`, for objects in which that form is unambiguous: no nested
/// value (the list of names would drop members from it), names of `a-z 0-9 _` only (so that every
/// order of names is the same), numbers as ECMAScript prints them. None for any other value.
pub(crate) fn write_flat(
    value: Value<'_, '_>,
    without: &[String],
    out: &mut Vec<u8>,
) -> Option<()> {
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if value.kind() != Kind::Object {
        return None;
    }
    for (name, member) in value.members() {
        let fits = match member.kind() {
            Kind::Object | Kind::Array => false,
            Kind::Number => is_ecmascript_number(member.source()),
            _ => true,
        };
        if !fits || !name.text().is_some_and(|name| plain(&name)) {
            return None;
        }
    }
    write_sorted(value, Sort::Top, without, out);
    Some(())
}

fn write(value: Value<'_, '_>, sort: Option<Sort>, without: &[String], out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value
                .members()
                .filter_map(|(name, member)| Some((name.text()?, member)))
                .filter(|(name, _)| !without.iter().any(|other| other == name))
                .collect();
            if sort.is_some() {
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            }
            out.push(b'{');
            for (position, (name, member)) in members.into_iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_text(&name, out);
                out.push(b':');
                write(member, sort.filter(|sort| *sort == Sort::Deep), &[], out);
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for (position, element) in value.elements().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write(element, sort.filter(|sort| *sort == Sort::Deep), &[], out);
            }
            out.push(b']');
        }
        Kind::Text | Kind::EscapedText => {
            write_text(&value.text().unwrap_or_default(), out);
        }
        _ => out.extend_from_slice(value.source().as_bytes()),
    }
}

/// A text in quotes, escaped as `JSON.stringify` does (ECMA-262, QuoteJSONString).
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Whether a number is written as ECMAScript prints its double (ECMA-262, Number::toString), so
/// that no other text means the same under the same signature.
pub(crate) fn is_ecmascript_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|number| ecmascript_number(number) == text)
}

fn ecmascript_number(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    // Both Rust and ECMAScript print the shortest digits that give the same double again.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if number < 0.0 { "-" } else { "" };
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let point = exponent + 1;
    let split = |at: i32| digits.split_at_checked(usize::try_from(at).unwrap_or_default());
    let text = if count <= point && point <= 21 {
        format!("{digits}{}", zeros(point - count))
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = split(point).unwrap_or((&digits, ""));
        format!("{whole}.{fraction}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = split(1).unwrap_or((&digits, ""));
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if exponent > 0 { "+" } else { "" };
        format!("{first}{point}{rest}e{plus}{exponent}")
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    fn flat(body: &str) -> Option<String> {
        let document = Document::parse(body.as_bytes()).unwrap();
        let mut out = Vec::new();
        write_flat(document.root()?, &["signature".to_owned()], &mut out)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn numbers_are_printed_as_ecmascript_does() {
        for text in [
            "0",
            "1",
            "-1",
            "100",
            "0.05",
            "1.1",
            "0.30000000000000004",
            "1e-7",
            "0.000001",
            "1e+21",
            "123456789012345680000",
            "5e-324",
            "1.7976931348623157e+308",
            "-2.5e-8",
            "9007199254740993.5",
        ] {
            let number: f64 = text.parse().unwrap();
            if text == "9007199254740993.5" {
                assert_eq!(ecmascript_number(number), "9007199254740994");
            } else {
                assert_eq!(ecmascript_number(number), text);
            }
        }
        for other in ["-0", "1.0", "1.10", "1e2", "1E5", "1e21", "0.0000001", "10e-8", "1e-07"] {
            assert!(!is_ecmascript_number(other), "{other}");
        }
    }

    #[test]
    fn the_flat_form_refuses_what_it_would_not_cover() {
        assert_eq!(
            flat(r#"{"b":1,"signature":"x","a":"\u00e9\/","10":true,"9":null}"#).as_deref(),
            Some("{\"10\":true,\"9\":null,\"a\":\"é/\",\"b\":1}")
        );
        for refused in [
            r#"{"a":{}}"#,
            r#"{"a":[1]}"#,
            r#"{"A":1}"#,
            r#"{"é":1}"#,
            r#"{"a":1.0}"#,
            r#"{"":1}"#,
            "[]",
        ] {
            assert_eq!(flat(refused), None, "{refused}");
        }
    }

    #[test]
    fn sorting_is_by_utf_16_and_as_deep_as_said() {
        let body = "{\"\u{ff61}\":1,\"\u{1f600}\":{\"b\":2.0,\"a\":[{\"d\":1,\"c\":2}]}}";
        let document = Document::parse(body.as_bytes()).unwrap();
        let write = |sort| {
            let mut out = Vec::new();
            write_sorted(document.root().unwrap(), sort, &[], &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            write(Sort::Top),
            "{\"\u{1f600}\":{\"b\":2.0,\"a\":[{\"d\":1,\"c\":2}]},\"\u{ff61}\":1}"
        );
        assert_eq!(
            write(Sort::Deep),
            "{\"\u{1f600}\":{\"a\":[{\"c\":2,\"d\":1}],\"b\":2.0},\"\u{ff61}\":1}"
        );
    }

    #[test]
    fn texts_are_escaped_as_json_stringify_does() {
        let mut out = Vec::new();
        write_text("\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}/é\u{2028}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{7f}/é\u{2028}\""
        );
    }
}
