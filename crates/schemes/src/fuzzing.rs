//! Doors to the parsers inside, for the fuzz targets alone. No part of the product: behind a feature.

use crate::form;
use crate::json::{Document, Kind, Value, write_compact};
use crate::time::Unit;

/// Every leaf of a JSON body as its pointer and its meaning, in source order; none where the body
/// is refused. Texts begin with `"` and have no escapes left; numbers stay as written.
pub fn leaves(body: &[u8]) -> Option<Vec<(String, String)>> {
    let document = Document::parse(body).ok()?;
    let mut leaves = Vec::new();
    walk(document.root()?, String::new(), &mut leaves);
    Some(leaves)
}

fn walk(value: Value<'_, '_>, pointer: String, leaves: &mut Vec<(String, String)>) {
    let before = leaves.len();
    for (name, member) in value.members() {
        let name = name.text().unwrap_or_default().replace('~', "~0").replace('/', "~1");
        walk(member, format!("{pointer}/{name}"), leaves);
    }
    for (at, element) in value.elements().enumerate() {
        walk(element, format!("{pointer}/{at}"), leaves);
    }
    if leaves.len() == before {
        let meaning = match value.kind() {
            Kind::Object => "{}".to_owned(),
            Kind::Array => "[]".to_owned(),
            Kind::Text | Kind::EscapedText => format!("\"{}", value.text().unwrap_or_default()),
            _ => value.source().to_owned(),
        };
        leaves.push((pointer, meaning));
    }
}

/// A JSON body in its compact form; none where it is refused.
pub fn compact(body: &[u8]) -> Option<Vec<u8>> {
    let document = Document::parse(body).ok()?;
    let mut out = Vec::new();
    write_compact(document.root()?, &[], &mut out);
    Some(out)
}

/// The pairs of a form; none where it is refused.
pub fn form(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let pairs = form::pairs(text)?;
    Some(pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// A text in the form's encoding.
pub fn form_encode(text: &str) -> String {
    form::encode(text)
}

/// A signed time in milliseconds, written in a profile's unit (`s`, `ms`, `auto`, `rfc3339`).
pub fn signed_time(unit: &str, text: &[u8]) -> Option<i64> {
    Unit::parse(unit)?.read(text).ok()
}

/// A time as it is signed in a profile's unit.
pub fn write_time(unit: &str, now_ms: i64) -> Option<String> {
    Unit::parse(unit).map(|unit| unit.write(now_ms))
}
