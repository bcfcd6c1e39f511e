//! The strict JSON reader: one pass, bounded, numbers kept as text, every value with its bytes.
//!
//! RFC 8259 leaves much to the reader. This one refuses what two readers could understand
//! differently: duplicate names (after escapes are resolved), NUL, halves of surrogate pairs, byte
//! order marks, anything after the value, numbers that no double holds, deep nesting.

mod canonical;
mod number;
mod scan;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use canonical::{Sort, write_compact, write_listed, write_sorted, write_text};
pub(crate) use number::is_same_decimal;

use crate::reason::Unreadable;

/// Checks that a body is JSON as the engine reads it.
pub fn check(body: &[u8]) -> Result<(), Unreadable> {
    Document::parse(body).map(|_| ())
}

/// A parsed body: its text, and its values in the order in which they stand.
#[derive(Debug, Clone)]
pub(crate) struct Document<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

/// A value or a name. In an object, names and values alternate.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    /// Where the node after this one and all inside it is.
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    /// A text whose bytes are its value.
    Text,
    /// A text with escapes.
    EscapedText,
    Number,
    True,
    False,
    Null,
}

/// A value in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'d, 'a> {
    document: &'d Document<'a>,
    index: u32,
    node: Node,
}

impl Node {
    /// Whether this is a text that says `name`. The length is looked at first, since most names of
    /// an object are told apart by it.
    fn is_name(&self, text: &str, name: &str) -> bool {
        let inner = self.start as usize + 1..self.end as usize - 1;
        match self.kind {
            Kind::Text => {
                inner.len() == name.len() && text.as_bytes().get(inner) == Some(name.as_bytes())
            }
            _ => text.get(inner).is_some_and(|inner| scan::unescape(inner) == name),
        }
    }
}

impl<'a> Document<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
        // No JSON has a NUL in it, so only what is refused is searched for one.
        let nodes = scan::scan(text).map_err(|unreadable| {
            if body.contains(&0) { Unreadable::NulByte } else { unreadable }
        })?;
        Ok(Self { text, nodes })
    }

    pub(crate) fn root(&self) -> Option<Value<'_, 'a>> {
        self.value(0)
    }

    fn value(&self, index: u32) -> Option<Value<'_, 'a>> {
        let node = *self.nodes.get(usize::try_from(index).ok()?)?;
        Some(Value { document: self, index, node })
    }
}

impl<'d, 'a> Value<'d, 'a> {
    pub(crate) fn kind(&self) -> Kind {
        self.node.kind
    }

    /// The bytes of the value in the body.
    pub(crate) fn range(&self) -> Range<usize> {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        place(self.node.start)..place(self.node.end)
    }

    /// The value as it stands in the body.
    pub(crate) fn source(&self) -> &'a str {
        self.document.text.get(self.range()).unwrap_or_default()
    }

    /// What a text says, escapes resolved.
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        let inner = || self.source().strip_prefix('"')?.strip_suffix('"');
        match self.node.kind {
            Kind::Text => inner().map(Cow::Borrowed),
            Kind::EscapedText => inner().map(|inner| Cow::Owned(scan::unescape(inner))),
            _ => None,
        }
    }

    /// A text's meaning or a number's digits; nothing else can be part of a message or a field.
    pub(crate) fn scalar(&self) -> Option<Cow<'a, str>> {
        match self.node.kind {
            Kind::Number | Kind::True | Kind::False => Some(Cow::Borrowed(self.source())),
            _ => self.text(),
        }
    }

    /// The names and values of an object, in source order; nothing for any other value.
    pub(crate) fn members(
        &self,
    ) -> impl Iterator<Item = (Value<'d, 'a>, Value<'d, 'a>)> + use<'d, 'a> {
        let mut children = self.children(Kind::Object);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The values of an array; nothing for any other value.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Value<'d, 'a>> + use<'d, 'a> {
        self.children(Kind::Array)
    }

    fn children(&self, kind: Kind) -> impl Iterator<Item = Value<'d, 'a>> + use<'d, 'a> {
        let document = self.document;
        let end = if self.node.kind == kind { self.node.next } else { 0 };
        let mut index = self.index.saturating_add(1);
        std::iter::from_fn(move || {
            let child = (index < end).then(|| document.value(index))??;
            index = child.node.next;
            Some(child)
        })
    }

    /// The value of a member.
    pub(crate) fn member(&self, name: &str) -> Option<Value<'d, 'a>> {
        let end = if self.node.kind == Kind::Object { self.node.next } else { 0 };
        let mut index = self.index + 1;
        // The nodes themselves are walked, since most members are passed by.
        while index < end {
            let [key, value] = self.document.nodes.get(index as usize..)?.first_chunk()?;
            if key.is_name(self.document.text, name) {
                return self.document.value(index + 1);
            }
            index = value.next;
        }
        None
    }

    /// The value that a pointer leads to from here; `null` counts as absent.
    pub(crate) fn at(&self, pointer: &Pointer) -> Option<Value<'d, 'a>> {
        let mut value = *self;
        for token in &pointer.0 {
            value = match value.node.kind {
                Kind::Object => value.member(token)?,
                Kind::Array => value.elements().nth(token.parse().ok()?)?,
                _ => return None,
            };
        }
        (value.node.kind != Kind::Null).then_some(value)
    }
}

/// A JSON Pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer(Vec<Box<str>>);

impl Pointer {
    /// `/a/b`; the empty text is the whole.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let tokens =
            text.strip_prefix('/')?.split('/').map(unescape_token).collect::<Option<_>>()?;
        Some(Self(tokens))
    }

    /// Whether this is the whole.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The pointer to what holds this, and the last name.
    pub(crate) fn split_last(&self) -> Option<(Self, &str)> {
        let (last, parents) = self.0.split_last()?;
        Some((Self(parents.to_vec()), last))
    }
}

fn unescape_token(token: &str) -> Option<Box<str>> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        out.push(match char {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_error(body: &[u8], expected: Unreadable) {
        assert_eq!(check(body), Err(expected), "{}", String::from_utf8_lossy(body));
    }

    #[test]
    fn json_is_read_as_rfc_8259_writes_it() {
        for good in [
            "null",
            "true",
            " false ",
            "0",
            "-0",
            "1.50",
            "1e5",
            "-1.5E-3",
            "\"\"",
            "[]",
            "{}",
            r#"{"a":[1,{"b":null}],"c":"\u00e9\ud83d\ude00\n"}"#,
            "\t[ 1 , 2 ]\r\n",
        ] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "[1] 2",
            "{} {}",
            "\u{feff}{}",
            "// x\n{}",
            "[1 2]",
            "{\"a\" 1}",
            "{\"a\":}",
            "{1:2}",
            "0x10",
            "1_000",
        ] {
            check_error(bad.as_bytes(), Unreadable::NotJson);
        }
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        check_error(br#"{"a":1,"a":2}"#, Unreadable::DuplicateKey);
        check_error(br#"{"a":1,"\u0061":2}"#, Unreadable::DuplicateKey);
        check_error(br#"{"x":{"\/":1,"/":2}}"#, Unreadable::DuplicateKey);
        check_error(b"\"\xff\"", Unreadable::NotUtf8);
        check_error(br#""\ud800""#, Unreadable::NotUtf8);
        check_error(br#""\udc00\ud800""#, Unreadable::NotUtf8);
        check_error(br#""\ud800\u0041""#, Unreadable::NotUtf8);
        check_error(b"{\"a\":\"\0\"}", Unreadable::NulByte);
        check_error(br#"{"a\u0000":1}"#, Unreadable::NulByte);
        for number in
            ["NaN", "Infinity", "-Infinity", "[NaN]", "1e400", "-1e400", "{\"a\":1e999999999}"]
        {
            check_error(number.as_bytes(), Unreadable::BadNumber);
        }
        check_error("9".repeat(400).as_bytes(), Unreadable::BadNumber);
    }

    #[test]
    fn many_names_are_compared_too() {
        let object = |last: &str| {
            let names: Vec<String> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
            format!("{{{},{last}}}", names.join(","))
        };
        assert_eq!(check(object("\"k500\":0").as_bytes()), Ok(()));
        check_error(object("\"k250\":0").as_bytes(), Unreadable::DuplicateKey);
        check_error(object("\"\\u006b250\":0").as_bytes(), Unreadable::DuplicateKey);
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(64).as_bytes()), Ok(()));
        check_error(nested(65).as_bytes(), Unreadable::TooDeep);
        check_error("[".repeat(100_000).as_bytes(), Unreadable::TooDeep);
        let many = format!("[{}0]", "0,".repeat(crate::bounds::JSON_NODES_MAX));
        check_error(many.as_bytes(), Unreadable::TooManyItems);
    }

    #[test]
    fn values_are_found_by_pointer_with_their_bytes() {
        let body = r#"{"a/b":{"~":[10,{"x":"\u0041b"}]},"n":null}"#;
        let document = Document::parse(body.as_bytes()).unwrap();
        let root = document.root().unwrap();
        let at = |pointer: &str| root.at(&Pointer::parse(pointer).unwrap());
        assert_eq!(at("/a~1b/~0/1/x").unwrap().text().unwrap(), "Ab");
        assert_eq!(at("/a~1b/~0/1/x").unwrap().source(), r#""\u0041b""#);
        assert_eq!(at("/a~1b/~0/0").unwrap().range(), 13..15);
        assert_eq!(at("").unwrap().source(), body);
        for absent in ["/n", "/x", "/a~1b/~0/2", "/a~1b/~0/x", "/a~1b/~0/0/y"] {
            assert!(at(absent).is_none(), "{absent}");
        }
        assert_eq!(Pointer::parse("a"), None);
        assert_eq!(Pointer::parse("/~2"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&body);
        }

        #[test]
        fn no_text_of_json_pieces_makes_it_panic(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d83d", "0", "1e", "-", ".",
                    "true", "null", "\"a\"", " ", "é", "NaN",
                ]),
                0..40,
            )
        ) {
            let text = pieces.concat();
            let ours = check(text.as_bytes());
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            if ours.is_ok() {
                prop_assert!(theirs.is_ok(), "we took what serde_json refuses: {text}");
            }
        }
    }
}
