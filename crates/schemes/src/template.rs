//! The text that is signed: literals, sources through filters, and segments that may be left out.

use std::borrow::Cow;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::form;
use crate::json::{self, Document, Sort};
use crate::reason::Rejection;
use crate::source::{Place, Scope, Source};

/// A compiled template, such as `{t}.{body}`.
#[derive(Debug, Clone)]
pub(crate) struct Template(Vec<Segment>);

#[derive(Debug, Clone)]
enum Segment {
    Literal(Box<[u8]>),
    Value(Expression),
    /// `[…]`: left out when a source in it is absent.
    Optional(Vec<Segment>),
}

/// A source and the filters that its value goes through.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub(crate) source: Source,
    filters: Vec<Filter>,
}

#[derive(Debug, Clone)]
enum Filter {
    Lower,
    Base64,
    Sha256Hex,
    Crc32,
    NoPort,
    StdPort,
    SortedConcat,
    SortedKv { separator: Box<str>, without: Vec<String> },
    JsonSource { without: Vec<String> },
    JsonSorted { sort: Sort, without: Vec<String> },
    JsonListed { without: Vec<String> },
    HeaderValues { separator: Box<str> },
}

impl Template {
    /// Reads `{source|filter}` and `[…]`; a backslash takes the meaning from what follows.
    pub(crate) fn parse(text: &str, variables: &[&str]) -> Result<Self, String> {
        let mut stack: Vec<Vec<Segment>> = vec![Vec::new()];
        let mut literal = String::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            if !matches!(char, '{' | '[' | ']' | '}') {
                let plain = if char == '\\' { chars.next() } else { Some(char) };
                literal.push(plain.ok_or("a template cannot end in a backslash")?);
                continue;
            }
            if !literal.is_empty() {
                let bytes = std::mem::take(&mut literal).into_bytes().into_boxed_slice();
                push(&mut stack, Segment::Literal(bytes));
            }
            match char {
                '{' => {
                    let (inner, rest) = chars
                        .as_str()
                        .split_once('}')
                        .ok_or_else(|| format!("{text:?} opens a {{ that nothing closes"))?;
                    push(&mut stack, Segment::Value(Expression::parse(inner, variables)?));
                    chars = rest.chars();
                }
                '[' if stack.len() == 1 => stack.push(Vec::new()),
                '[' => return Err(format!("{text:?} has a [ inside a [")),
                ']' if stack.len() == 2 => {
                    let inner = stack.pop().unwrap_or_default();
                    push(&mut stack, Segment::Optional(inner));
                }
                _ => return Err(format!("{text:?} closes a {char} that nothing opens")),
            }
        }
        if !literal.is_empty() {
            push(&mut stack, Segment::Literal(literal.into_bytes().into_boxed_slice()));
        }
        match stack.pop() {
            Some(segments) if stack.is_empty() => Ok(Self(segments)),
            _ => Err(format!("{text:?} opens a [ that nothing closes")),
        }
    }

    /// Feeds the text, piece by piece, to `sink`.
    pub(crate) fn feed(
        &self,
        scope: &Scope<'_, '_>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Rejection> {
        feed(&self.0, scope, sink)
    }

    /// The whole text.
    pub(crate) fn render(&self, scope: &Scope<'_, '_>) -> Result<Vec<u8>, Rejection> {
        let mut out = Vec::new();
        self.feed(scope, &mut |piece| out.extend_from_slice(piece))?;
        Ok(out)
    }

    /// Every expression, optional segments included.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        fn gather<'t>(segments: &'t [Segment], out: &mut Vec<&'t Expression>) {
            for segment in segments {
                match segment {
                    Segment::Literal(_) => {}
                    Segment::Value(expression) => out.push(expression),
                    Segment::Optional(inner) => gather(inner, out),
                }
            }
        }
        let mut out = Vec::new();
        gather(&self.0, &mut out);
        out
    }

    /// Whether a place is signed whatever the request holds.
    pub(crate) fn always_signs(&self, place: &Place) -> bool {
        self.0.iter().any(|segment| match segment {
            Segment::Value(expression) => expression.source.places.contains(place),
            _ => false,
        })
    }
}

fn push(stack: &mut [Vec<Segment>], segment: Segment) {
    if let Some(top) = stack.last_mut() {
        top.push(segment);
    }
}

fn feed(
    segments: &[Segment],
    scope: &Scope<'_, '_>,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Rejection> {
    for segment in segments {
        match segment {
            Segment::Literal(bytes) => sink(bytes),
            Segment::Value(expression) => sink(&expression.value(scope)?.unwrap_or_default()),
            Segment::Optional(inner) => {
                let mut all_present = true;
                for segment in inner {
                    if let Segment::Value(expression) = segment {
                        all_present &= expression.is_present(scope)?;
                    }
                }
                if all_present {
                    feed(inner, scope, sink)?;
                }
            }
        }
    }
    Ok(())
}

impl Expression {
    fn parse(text: &str, variables: &[&str]) -> Result<Self, String> {
        let mut places = Vec::new();
        let mut filters = Vec::new();
        for piece in split_pipes(text) {
            match Filter::parse(piece)? {
                Some(filter) => filters.push(filter),
                None if filters.is_empty() => places.push(piece),
                None => return Err(format!("{text:?} has the source {piece:?} after a filter")),
            }
        }
        Ok(Self { source: Source::parse(&places.join("|"), variables)?, filters })
    }

    fn is_present(&self, scope: &Scope<'_, '_>) -> Result<bool, Rejection> {
        Ok(self.source.first(scope)?.is_some())
    }

    fn value<'r>(&self, scope: &Scope<'_, 'r>) -> Result<Option<Cow<'r, [u8]>>, Rejection> {
        let Some(mut value) = self.source.find(scope)? else { return Ok(None) };
        for filter in &self.filters {
            value = Cow::Owned(filter.apply(&value, scope)?);
        }
        Ok(Some(value))
    }

    /// Whether every byte of the body changes what this signs.
    pub(crate) fn binds_body(&self) -> bool {
        self.source.places == [Place::Body]
            && !self
                .filters
                .iter()
                .any(|filter| matches!(filter, Filter::Crc32 | Filter::JsonListed { .. }))
    }

    /// Whether what stands deeper than the top of the body may be left out of what this signs.
    pub(crate) fn lists_names(&self) -> bool {
        self.filters.iter().any(|filter| matches!(filter, Filter::JsonListed { .. }))
    }

    /// Whether the request says which headers this signs.
    pub(crate) fn names_headers(&self) -> bool {
        self.filters.iter().any(|filter| matches!(filter, Filter::HeaderValues { .. }))
    }

    pub(crate) fn reads_json(&self) -> bool {
        self.source.reads_json()
    }
}

/// Splits at `|`, but not inside parentheses.
fn split_pipes(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(move |char| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == '|' && depth == 0
    })
    .collect()
}

impl Filter {
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let (name, arguments) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((name, arguments)) => (name, arguments),
            None => (text, ""),
        };
        let list = || {
            arguments
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let split = || {
            let (first, rest) = arguments.split_once(',').unwrap_or((arguments, ""));
            let rest = rest.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            (first, rest)
        };
        Ok(Some(match name {
            "lower" => Self::Lower,
            "b64" => Self::Base64,
            "sha256hex" => Self::Sha256Hex,
            "crc32" => Self::Crc32,
            "no_port" => Self::NoPort,
            "std_port" => Self::StdPort,
            "sorted_concat" => Self::SortedConcat,
            "sorted_kv" => {
                let (separator, without) = split();
                Self::SortedKv { separator: separator.into(), without }
            }
            "json_source" => Self::JsonSource { without: list() },
            "json_listed" => Self::JsonListed { without: list() },
            "json_sorted" => {
                let (sort, without) = split();
                let sort = match sort {
                    "top" => Sort::Top,
                    "deep" => Sort::Deep,
                    _ => {
                        return Err(format!(
                            "{text:?}: say json_sorted(top,…) or json_sorted(deep,…)"
                        ));
                    }
                };
                Self::JsonSorted { sort, without }
            }
            "header_values" => Self::HeaderValues { separator: arguments.into() },
            _ if text.contains('(') => {
                return Err(format!(
                    "{text:?} is no filter: use lower b64 sha256hex crc32 no_port std_port \
                     sorted_concat sorted_kv(sep,without…) json_source(without…) json_listed(without…) \
                     json_sorted(top|deep,without…) header_values(sep)"
                ));
            }
            _ => return Ok(None),
        }))
    }

    fn apply(&self, value: &[u8], scope: &Scope<'_, '_>) -> Result<Vec<u8>, Rejection> {
        let text = || std::str::from_utf8(value).map_err(|_| Rejection::FieldMismatch);
        Ok(match self {
            Self::Lower => value.to_ascii_lowercase(),
            Self::Base64 => STANDARD.encode(value).into_bytes(),
            Self::Sha256Hex => hex::encode(digest::digest(&digest::SHA256, value)).into_bytes(),
            Self::Crc32 => crc32(value).to_string().into_bytes(),
            Self::NoPort => form::without_port(text()?).into_bytes(),
            Self::StdPort => form::with_port(text()?).into_bytes(),
            Self::SortedConcat => sorted_pairs(value, &[])?
                .into_iter()
                .flat_map(|(name, value)| [name, value])
                .flat_map(Cow::into_owned)
                .collect(),
            Self::SortedKv { separator, without } => {
                let pairs = sorted_pairs(value, without)?;
                let pairs: Vec<_> = pairs
                    .into_iter()
                    .map(|(name, value)| [name.as_ref(), value.as_ref()].join(&b'='))
                    .collect();
                pairs.join(separator.as_bytes())
            }
            Self::JsonSource { without } => with_json(value, |root, out| {
                json::write_compact(root, without, out);
                Some(())
            })?,
            Self::JsonSorted { sort, without } => with_json(value, |root, out| {
                json::write_sorted(root, *sort, without, out);
                Some(())
            })?,
            Self::JsonListed { without } => {
                with_json(value, |root, out| json::write_listed(root, without, out))?
            }
            Self::HeaderValues { separator } => {
                let values: Vec<_> = text()?
                    .split(' ')
                    .map(|name| scope.request.header(name)?.ok_or(Rejection::MissingHeader))
                    .collect::<Result<_, _>>()?;
                values.join(separator.as_bytes())
            }
        })
    }
}

fn with_json(
    value: &[u8],
    write: impl Fn(json::Value<'_, '_>, &mut Vec<u8>) -> Option<()>,
) -> Result<Vec<u8>, Rejection> {
    let document = Document::parse(value).map_err(|_| Rejection::MalformedBody)?;
    let root = document.root().ok_or(Rejection::MalformedBody)?;
    let mut out = Vec::with_capacity(value.len());
    write(root, &mut out).ok_or(Rejection::MalformedBody)?;
    Ok(out)
}

fn sorted_pairs<'a>(text: &'a [u8], without: &[String]) -> Result<Vec<form::Pair<'a>>, Rejection> {
    let mut pairs = form::pairs(text).ok_or(Rejection::MalformedBody)?;
    pairs.retain(|(name, _)| !without.iter().any(|other| other.as_bytes() == name.as_ref()));
    pairs.sort();
    Ok(pairs)
}

/// CRC-32 as in zlib (ISO-HDLC). A checksum, not a signature: anybody can keep it while changing
/// the rest.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xEDB8_8320 & mask);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    const VARIABLES: &[&str] = &["t"];

    fn check(template: &str, url: &str, body: &str, expected: Result<&str, Rejection>) {
        let headers: &[(&str, &[u8])] = &[("X-One", b"1"), ("X-Two", b"Zw")];
        let request = Request { method: "POST", url, headers, body: body.as_bytes() };
        let document = Document::parse(body.as_bytes()).ok();
        let scope = Scope {
            request: &request,
            settings: &[("id".to_owned(), "cfg".to_owned())],
            document: document.as_ref(),
            item: None,
            variables: &[Some(Cow::Borrowed(b"170"))],
        };
        let template = Template::parse(template, VARIABLES).unwrap();
        let rendered = template.render(&scope).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(rendered.as_deref(), expected.as_deref());
    }

    #[test]
    fn templates_join_literals_and_values() {
        let url = "https://h.example/p?q=%20x";
        check("{t}.{body}", url, "b", Ok("170.b"));
        check("{method}.{path}[?{qs}]", url, "", Ok("POST./p?q=%20x"));
        check("{path}[?{qs}]", "/p", "", Ok("/p"));
        check("id:{query:q};[request:{header:x-none};]", url, "", Ok("id: x;"));
        check("{header:x-none|header:x-two|lower}", url, "", Ok("zw"));
        check("\\{\\[{cfg:id}", url, "", Ok("{[cfg"));
        check(
            "{json:/a}:{json:/b?}:{json:/c}",
            url,
            r#"{"a":1.50,"b":null,"c":"\u0041"}"#,
            Ok("1.50::A"),
        );
        check("{form:b}", url, "a=1&b=2%203", Ok("2 3"));
        check("{header:x-none}", url, "", Err(Rejection::MissingHeader));
        check("{json:/a}", url, "{}", Err(Rejection::MissingField));
        check("{json:/a}", url, r#"{"a":{}}"#, Err(Rejection::FieldMismatch));
        check("{form:a}", url, "a=1&a=2", Err(Rejection::MalformedBody));
        check("{query:a}", "/p?a=1&a=2", "", Err(Rejection::RepeatedField));
    }

    #[test]
    fn filters_change_values() {
        let url = "https://h.example:8443/p";
        check(
            "{body|crc32}",
            url,
            r#"{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED","resource":{"id":"S1"}}"#,
            Ok("238170558"),
        );
        check("{body|b64}", url, "ab", Ok("YWI="));
        check(
            "{body|sha256hex}",
            url,
            "",
            Ok("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        );
        check("{url|no_port}", url, "", Ok("https://h.example/p"));
        check("{url|no_port|std_port}", url, "", Ok("https://h.example:443/p"));
        check("{body|sorted_concat}", url, "b=2&a=1+1", Ok("a1 1b2"));
        check("{body|sorted_kv(&,sign,x)}", url, "sign=s&b=2&a=1&x=", Ok("a=1&b=2"));
        check(
            "{body|json_source(s)}",
            url,
            r#"{ "b": 1.0, "s": 2, "a": {"s": 3} }"#,
            Ok(r#"{"b":1.0,"a":{"s":3}}"#),
        );
        check(
            "{body|json_sorted(top,s)}",
            url,
            r#"{"b":{"y":1,"x":2},"s":1,"a":0}"#,
            Ok(r#"{"a":0,"b":{"y":1,"x":2}}"#),
        );
        check(
            "{body|json_listed(s)}",
            url,
            r#"{"b":1.0,"s":1,"a":{"c":1,"b":2}}"#,
            Ok(r#"{"a":{"b":2},"b":1}"#),
        );
        check("{body|json_listed(s)}", url, r#"{"B":1}"#, Err(Rejection::MalformedBody));
        check("{body|json_source}", url, r#"{"a":1,"a":1}"#, Err(Rejection::MalformedBody));
        check("{body|header_values(.)}", url, "x-one x-two", Ok("1.Zw"));
        check("{body|header_values(.)}", url, "x-one x-none", Err(Rejection::MissingHeader));
    }

    #[test]
    fn broken_templates_are_explained() {
        for (template, part) in [
            ("{t", "nothing closes"),
            ("t}", "nothing opens"),
            ("[a", "nothing closes"),
            ("[a[b]]", "inside"),
            ("a]", "nothing opens"),
            ("{x}", "no source"),
            ("{body|nope}", "no source"),
            ("{body|nope(1)}", "no filter"),
            ("{body|lower|url}", "after a filter"),
            ("{body|json_sorted(up)}", "json_sorted(top"),
            ("{json:a}", "JSON pointer"),
            ("{header:}", "names nothing"),
            ("a\\", "backslash"),
        ] {
            let error = Template::parse(template, VARIABLES).unwrap_err();
            assert!(error.contains(part), "{template}: {error}");
        }
    }
}
