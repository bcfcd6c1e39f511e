//! A table of the file: its values by type, each with its line and key, and the keys that nobody knows.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{At, Texts};
use crate::config::problem::{Found, Place, Refusal, nearest, shown};

/// Turns byte offsets into lines.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
}

impl Reader<'_> {
    pub(super) fn line(self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
    }
}

/// One table, which remembers the keys that were asked for: the others are unknown.
pub(super) struct Table<'t> {
    reader: Reader<'t>,
    entries: &'t DeTable<'t>,
    pub(super) place: Place,
    asked: std::cell::RefCell<Vec<&'static str>>,
}

impl<'t> Table<'t> {
    pub(super) fn new(reader: Reader<'t>, entries: &'t DeTable<'t>, place: Place) -> Self {
        Self { reader, entries, place, asked: std::cell::RefCell::default() }
    }

    /// The value of a key, with its place.
    fn entry(&self, key: &'static str) -> Option<At<&'t DeValue<'t>>> {
        self.asked.borrow_mut().push(key);
        let (name, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(self.at(name, value))
    }

    fn at(
        &self,
        name: &Spanned<std::borrow::Cow<'t, str>>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> At<&'t DeValue<'t>> {
        let line = self.reader.line(name.span().start);
        let key = self.place.key(name.get_ref()).key;
        At { value: value.get_ref(), place: Place { line, key } }
    }

    pub(super) fn text(&self, key: &'static str, found: &mut Found) -> Option<At<String>> {
        let At { value, place } = self.entry(key)?;
        text(value, place, found)
    }

    pub(super) fn boolean(&self, key: &'static str, found: &mut Found) -> Option<At<bool>> {
        let At { value, place } = self.entry(key)?;
        let Some(value) = value.as_bool() else {
            wrong(value, &place, "true or false", found);
            return None;
        };
        Some(At { value, place })
    }

    pub(super) fn integer(&self, key: &'static str, found: &mut Found) -> Option<At<i64>> {
        let At { value, place } = self.entry(key)?;
        let number = value
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        let Some(number) = number else {
            wrong(value, &place, "a whole number", found);
            return None;
        };
        Some(At { value: number, place })
    }

    pub(super) fn texts(&self, key: &'static str, found: &mut Found) -> Option<Texts> {
        let At { value, place } = self.entry(key)?;
        let Some(array) = value.as_array() else {
            wrong(value, &place, "a list of texts, such as [\"…\"]", found);
            return None;
        };
        let items = array
            .iter()
            .enumerate()
            .filter_map(|(i, item)| {
                let line = self.reader.line(item.span().start);
                text(item.get_ref(), Place { line, key: format!("{}[{i}]", place.key) }, found)
            })
            .collect();
        Some(At { value: items, place })
    }

    /// A table whose keys are the writer's own.
    pub(super) fn texts_by_name(
        &self,
        key: &'static str,
        found: &mut Found,
    ) -> Vec<(String, At<String>)> {
        let Some(table) = self.table(key, found) else { return Vec::new() };
        let named = table.entries.iter().filter_map(|(name, value)| {
            let At { value, place } = table.at(name, value);
            Some((name.get_ref().to_string(), text(value, place, found)?))
        });
        named.collect()
    }

    pub(super) fn table(&self, key: &'static str, found: &mut Found) -> Option<Table<'t>> {
        let At { value, place } = self.entry(key)?;
        let Some(entries) = value.as_table() else {
            wrong(value, &place, &format!("a table: write it as [{}]", place.key), found);
            return None;
        };
        Some(Table::new(self.reader, entries, place))
    }

    pub(super) fn tables(&self, key: &'static str, found: &mut Found) -> Vec<Table<'t>> {
        let Some(At { value, place }) = self.entry(key) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            wrong(value, &place, &format!("a list of tables: write each as [[{key}]]"), found);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (i, item) in array.iter().enumerate() {
            let line = self.reader.line(item.span().start);
            let place = Place { line, key: format!("{key}[{i}]") };
            match item.get_ref().as_table() {
                Some(entries) => tables.push(Table::new(self.reader, entries, place)),
                None => wrong(item.get_ref(), &place, &format!("a table: write [[{key}]]"), found),
            }
        }
        tables
    }

    /// Says which keys nobody asked for.
    pub(super) fn finish(&self, found: &mut Found) {
        let asked = self.asked.borrow();
        for (name, value) in self.entries {
            if asked.iter().any(|key| key == name.get_ref()) {
                continue;
            }
            let line = self.at(name, value).place.line;
            let place = Place { line, key: self.place.key(&shown(name.get_ref())).key };
            let fix = match nearest(name.get_ref(), asked.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("take it out; keys known here: {}", asked.join(", ")),
            };
            found.add(Refusal::UnknownKey, &place, "this key is unknown", fix);
        }
    }
}

fn text(value: &DeValue<'_>, place: Place, found: &mut Found) -> Option<At<String>> {
    let Some(text) = value.as_str() else {
        wrong(value, &place, "a text in quotes", found);
        return None;
    };
    Some(At { value: text.to_owned(), place })
}

fn wrong(value: &DeValue<'_>, place: &Place, wanted: &str, found: &mut Found) {
    let message = format!("this is of type {}", value.type_str());
    found.add(Refusal::WrongType, place, message, format!("write {wanted}"));
}
