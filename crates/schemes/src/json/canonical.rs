//! The texts that providers sign instead of the bytes they send: compact, sorted, or listed JSON.

use std::borrow::Cow;

use super::number::as_ecmascript;
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

/// `JSON.stringify(object, sorted names)`: at every depth only the names that stand at the top,
/// sorted, and numbers as ECMAScript prints them. What stands deeper under another name is left out.
///
/// None where two readers could print it differently: names other than `a-z 0-9 _` (so that every
/// order of names is the same), and numbers that ECMAScript would round.
pub(crate) fn write_listed(
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
    let names = value.members().map(|(name, _)| name.text());
    let names: Option<Vec<_>> = names.map(|name| name.filter(|name| plain(name))).collect();
    let mut names = names?;
    names.retain(|name| !without.iter().any(|other| other == name));
    names.sort_unstable();
    write_names(value, &names, out)
}

fn write_names(value: Value<'_, '_>, names: &[Cow<'_, str>], out: &mut Vec<u8>) -> Option<()> {
    match value.kind() {
        Kind::Object => {
            let listed = |(name, member): (Value<'_, '_>, _)| {
                Some((names.binary_search(&name.text()?).ok()?, member))
            };
            let mut members: Vec<_> = value.members().filter_map(listed).collect();
            members.sort_unstable_by_key(|(position, _)| *position);
            out.push(b'{');
            for (count, (position, member)) in members.into_iter().enumerate() {
                if count > 0 {
                    out.push(b',');
                }
                write_text(names.get(position)?, out);
                out.push(b':');
                write_names(member, names, out)?;
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for (count, element) in value.elements().enumerate() {
                if count > 0 {
                    out.push(b',');
                }
                write_names(element, names, out)?;
            }
            out.push(b']');
        }
        Kind::Number => out.extend_from_slice(as_ecmascript(value.source())?.as_bytes()),
        _ => write(value, None, &[], out),
    }
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

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    fn listed(body: &str) -> Option<String> {
        let document = Document::parse(body.as_bytes()).unwrap();
        let mut out = Vec::new();
        write_listed(document.root()?, &["signature".to_owned()], &mut out)?;
        String::from_utf8(out).ok()
    }

    /// The right-hand sides are what Node prints.
    #[test]
    fn the_listed_form_keeps_only_names_that_stand_at_the_top() {
        for (body, text) in [
            (
                r#"{"b":1.0,"signature":"x","a":"\u00e9\/","10":true,"9":null}"#,
                "{\"10\":true,\"9\":null,\"a\":\"é/\",\"b\":1}",
            ),
            (r#"{"b":1,"a":{"z":1,"b":2}}"#, r#"{"a":{"b":2},"b":1}"#),
            (
                r#"{"b":1,"a":[{"z":1,"b":2.50,"a":-0},[1e21]],"signature":{"b":1}}"#,
                r#"{"a":[{"a":0,"b":2.5},[1e+21]],"b":1}"#,
            ),
            (r#"{"a":{"signature":1,"É":2}}"#, r#"{"a":{}}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(listed(body).as_deref(), Some(text), "{body}");
        }
        for refused in [
            r#"{"A":1}"#,
            r#"{"é":1}"#,
            r#"{"":1}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":[{"a":9007199254740993}]}"#,
            "[]",
            "1",
        ] {
            assert_eq!(listed(refused), None, "{refused}");
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
