//! Reads queries and bodies strictly: what is unknown, repeated or of another type is refused, and the
//! place of it is named. What stood there is not repeated in the answer.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use model::limits::{API_BODY_BYTES_MAX, PAGE_MAX, REASON_CHARS_MAX};
use serde::de::value::{Error as QueryError, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::error::Category;
use utoipa::ToSchema;

use super::refusal::{ApiRefusal, Problem};

/// Characters of a place that is named, at most: it is the sender's own text.
const PLACE_CHARS_MAX: usize = 80;

/// The parameters of a query.
pub(super) fn query<T: DeserializeOwned>(raw: Option<&str>) -> Result<T, Problem> {
    let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = pairs.collect();
    if let Some(name) = repeated(&pairs) {
        return Err(Problem::at(ApiRefusal::QueryInvalid, short(name)));
    }
    let map = MapDeserializer::<_, QueryError>::new(pairs.into_iter());
    serde_path_to_error::deserialize(map)
        .map_err(|error| Problem::at(ApiRefusal::QueryInvalid, place(&error)))
}

fn repeated<'a>(pairs: &'a [(Cow<'_, str>, Cow<'_, str>)]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    let again = pairs.iter().find(|(name, _)| !seen.insert(name.as_ref()))?;
    Some(&again.0)
}

/// A body: one JSON value and nothing after it.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    const { assert!(REASON_CHARS_MAX < API_BODY_BYTES_MAX) };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader);
    let value = read.map_err(|error| {
        let (line, column) = (error.inner().line(), error.inner().column());
        match error.inner().classify() {
            Category::Data => Problem::at(ApiRefusal::BodyInvalid, place(&error)),
            _ => Problem::at(ApiRefusal::BodyMalformed, format!("line {line}, column {column}")),
        }
    })?;
    reader.end().map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::at(ApiRefusal::BodyMalformed, place)
    })?;
    Ok(value)
}

/// What an error is about. Of a member that is missing or repeated the path ends before it, and the
/// error names it: by a name of ours.
fn place<E: fmt::Display>(error: &serde_path_to_error::Error<E>) -> String {
    let text = error.inner().to_string();
    let starts = ["missing field `", "duplicate field `"];
    let named = starts.iter().find_map(|start| text.strip_prefix(start)?.split('`').next());
    named.map_or_else(|| short(&error.path().to_string()), str::to_owned)
}

/// As it is told: what looks like a card, a secret or an address of a person in it is masked.
fn short(text: &str) -> String {
    redact::line(text).chars().take(PLACE_CHARS_MAX).collect()
}

/// A parameter that is read from its text.
pub(super) fn from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }

    let text = deserializer.deserialize_str(Text)?;
    text.parse().map(Some).map_err(|_| D::Error::custom("not what it must be"))
}

/// How many of a list are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(pub(super) u8);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl FromStr for Limit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let count = if is_plain { text.parse().map_err(|_| ())? } else { 0 };
        if (1..=PAGE_MAX).contains(&count) { Ok(Self(count)) } else { Err(()) }
    }
}

/// The name of a source or an endpoint, in the alphabet of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        if is_name { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// Why something is to be done. It is kept in the audit log.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    /// Why. What looks like a card, a secret or an address of a person is masked before it is kept.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    pub(super) reason: String,
}

pub(super) fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    let is_plain = text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
    let is_short = text.chars().count() <= REASON_CHARS_MAX;
    let is_one = is_plain && is_short && !text.trim().is_empty();
    if is_one { Ok(text) } else { Err(D::Error::custom("1 to 500 characters, not blank")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Asked {
        #[serde(deserialize_with = "from_text")]
        limit: Option<Limit>,
        #[serde(deserialize_with = "from_text")]
        since: Option<Timestamp>,
        #[serde(deserialize_with = "from_text")]
        source: Option<Name>,
    }

    #[test]
    fn a_query_is_read_from_its_text() {
        let asked: Asked =
            query(Some("source=stripe&limit=100&since=2026-01-01T00%3A00%3A00Z")).expect("good");
        assert_eq!(asked.limit, Some(Limit(100)));
        assert_eq!(asked.source, Some(Name("stripe".to_owned())));
        assert_eq!(asked.since, Some(Timestamp::from_millis(1_767_225_600_000)));
        assert_eq!(query(None), Ok(Asked::default()));
        assert_eq!(query(Some("")), Ok(Asked::default()));
    }

    #[test]
    fn query_invalid_names_the_parameter() {
        let check = |raw: &str, place: &str| {
            let expected = Problem::at(ApiRefusal::QueryInvalid, place);
            assert_eq!(query::<Asked>(Some(raw)), Err(expected), "{raw}");
        };
        for limit in ["", "0", "101", "-1", "+5", "5.0", "05x", "999999999999", " 5"] {
            check(&format!("limit={limit}"), "limit");
        }
        check("since=yesterday", "since");
        check("source=a%00b", "source");
        check("source=%ff", "source");
        check("source=", "source");
        check("limit=5&limit=5", "limit");
        check("limit=5&colour=red", "colour");
        check("=", "");
    }

    #[test]
    fn body_invalid_names_the_member_and_repeats_no_value() {
        let check = |text: &str, place: &str| {
            let problem = body::<Because>(text.as_bytes()).expect_err(text);
            assert_eq!(problem, Problem::at(ApiRefusal::BodyInvalid, place), "{text}");
        };
        check(r#"{"reason":5}"#, "reason");
        check(r#"{"reason":null}"#, "reason");
        check(r#"{"reason":""}"#, "reason");
        check(r#"{"reason":" \n"}"#, "reason");
        check(r#"{"reason":"a\u0000"}"#, "reason");
        check(r#"{"reason":"\u001b[2J"}"#, "reason");
        check(&format!(r#"{{"reason":"{}"}}"#, "é".repeat(501)), "reason");
        check(r#"{"reason":"a","reason":"b"}"#, "reason");
        check(r#"{"reason":"a","colour":"red"}"#, "colour");
        check("{}", "reason");
        check("[]", ".");
        check("5", ".");
        let good: Because = body(br#" {"reason":"checked"} "#).expect("good");
        assert_eq!(good.reason, "checked");
        let longest = format!(r#"{{"reason":"{}"}}"#, "é".repeat(500));
        assert!(body::<Because>(longest.as_bytes()).is_ok());
    }

    #[test]
    fn body_malformed_says_where() {
        for (text, place) in [
            ("", "line 1, column 0"),
            ("{", "line 1, column 1"),
            (r#"{"reason":"a"} {}"#, "line 1, column 16"),
            ("{\n'reason':1}", "line 2, column 1"),
        ] {
            let expected = Problem::at(ApiRefusal::BodyMalformed, place);
            assert_eq!(body::<Because>(text.as_bytes()).err(), Some(expected), "{text}");
        }
        assert!(body::<Because>(b"{\"reason\":\"\xff\"}").is_err());
    }
}
