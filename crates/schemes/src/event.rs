//! Where an event keeps what it says, and the reading of it.

mod field;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use regex::bytes::Regex;
use sabotage::Defect;

use crate::bounds::{AMOUNT_BYTES_MAX, FIELD_BYTES_MAX, ITEMS_MAX};
use crate::json::{Document, Kind, Pointer, Value};
use crate::key::sha256;
use crate::reason::{Rejection, Unreadable};
use crate::request::Request;
use crate::scheme::{Condition, Each};
use crate::source::{Place, Scope, Source};
use crate::time::Unit;

pub(crate) use field::Field;

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The provider's id of the event, where it has one.
    pub id: Option<String>,
    /// The type, as the provider writes it.
    pub kind: String,
    /// The reference by which the order is known.
    pub order: Option<String>,
    /// The amount, exactly as written.
    pub amount: Option<String>,
    /// Unit of the amount: `minor`, `major`, or what the source chose.
    pub amount_unit: Option<String>,
    /// The currency or asset, as written.
    pub currency: Option<String>,
    /// Who pays.
    pub customer: Option<String>,
    /// Who is paid.
    pub payee: Option<String>,
    /// The provider's id of the payment, the same over all its events.
    pub payment: Option<String>,
    /// Which part of it the event is about, such as one of its disputes.
    pub part: Option<String>,
    /// How much of it was paid back so far, exactly as written, in the unit of the amount.
    pub refunded: Option<String>,
    /// The chain that it is paid on, as written.
    pub chain: Option<String>,
    /// The address on it that is paid.
    pub address: Option<String>,
    /// The address on it that pays.
    pub sender: Option<String>,
    /// The provider's fingerprint of the card that pays: the same over all payments with it, and no
    /// card number.
    pub card: Option<String>,
    /// The status in our words where the profile translates it, else in the provider's.
    pub status: Option<String>,
    /// Real money or not, where the event says so.
    pub live: Option<bool>,
    /// What makes two arrivals the same event: length-prefixed parts, injective.
    pub dedup_key: Vec<u8>,
    /// What two arrivals of one event must agree on: length-prefixed parts, injective.
    pub projection: Vec<u8>,
    /// Where the event stands in the body.
    pub range: Range<usize>,
}

/// The shapes of a profile's events.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) shapes: Vec<Shape>,
    /// From the provider's status words to ours.
    pub(crate) status: BTreeMap<String, String>,
    pub(crate) each: Option<Each>,
    /// A signed time in the body must be there and must be one.
    pub(crate) body_time: Option<(Pointer, Unit)>,
    pub(crate) reads_json: bool,
}

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) when: Condition,
    /// Every source of a field that is present must agree with the others.
    pub(crate) sources: Vec<(Field, Vec<Source>)>,
    pub(crate) live_values: Vec<String>,
    pub(crate) test_values: Vec<String>,
    /// None: the amount has no unit. One: it is fixed. Several: the source chooses.
    pub(crate) amount_units: Vec<String>,
    pub(crate) structure: Vec<Demand>,
    /// Fields that events of these types must have.
    pub(crate) need: Vec<(String, Vec<Field>)>,
    pub(crate) patterns: Vec<(Field, Regex)>,
    pub(crate) key: Vec<Element>,
    pub(crate) fallback: Vec<Element>,
    pub(crate) compare: Vec<Element>,
}

/// A member that must be there, and of this type.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) pointer: Pointer,
    pub(crate) kind: String,
}

impl Demand {
    pub(crate) const KINDS: &'static [&'static str] =
        &["object", "array", "text", "number", "bool", "any"];

    fn check(&self, value: Value<'_, '_>) -> Result<(), Unreadable> {
        let value = value.at(&self.pointer).ok_or(Unreadable::MissingField)?;
        let fits = match value.kind() {
            Kind::Object => self.kind == "object",
            Kind::Array => self.kind == "array",
            Kind::Text | Kind::EscapedText => self.kind == "text",
            Kind::Number => self.kind == "number",
            Kind::True | Kind::False => self.kind == "bool",
            Kind::Null => false,
        };
        if fits || self.kind == "any" { Ok(()) } else { Err(Unreadable::WrongType) }
    }
}

/// A part of a dedup key or of a projection.
#[derive(Debug)]
pub(crate) enum Element {
    Field(Field),
    Source(Source),
    /// SHA-256 of the event's bytes.
    Bytes,
}

impl Events {
    /// Every source that reading looks at.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.shapes.iter().flat_map(|shape| {
            let elements = shape.key.iter().chain(&shape.fallback).chain(&shape.compare);
            let elements = elements.filter_map(|element| match element {
                Element::Source(source) => Some(source),
                Element::Field(_) | Element::Bytes => None,
            });
            let fields = shape.sources.iter().flat_map(|(_, sources)| sources);
            fields.chain(elements).chain(shape.when.sources())
        })
    }

    /// Reads the events of a verified request.
    pub(crate) fn read<'r>(
        &self,
        request: &Request<'r>,
        document: Option<&Document<'r>>,
        amount_unit: Option<&str>,
    ) -> Result<Vec<Fields>, Unreadable> {
        let parsed = match document {
            None if self.reads_json => Some(Document::parse(request.body)?),
            _ => None,
        };
        let document = document.or(parsed.as_ref());
        let scope = Scope { request, settings: &[], document, item: None, variables: &[] };
        let root = document.and_then(Document::root);
        if let (Some((pointer, unit)), Some(root)) = (&self.body_time, root) {
            let time = root.at(pointer).ok_or(Unreadable::MissingField)?;
            let text = time.scalar().ok_or(Unreadable::WrongType)?;
            unit.read(text.as_bytes()).map_err(|_| Unreadable::BadField)?;
        }
        let Some((each, root)) = self.each.as_ref().zip(root) else {
            if root.is_some_and(|root| root.kind() != Kind::Object) {
                return Err(Unreadable::UnknownShape);
            }
            return Ok(vec![self.read_one(&scope, amount_unit)?]);
        };
        let array = root.at(&each.array).ok_or(Unreadable::MissingField)?;
        if array.kind() != Kind::Array {
            return Err(Unreadable::WrongType);
        }
        let mut events = Vec::new();
        for element in array.elements() {
            if events.len() >= ITEMS_MAX {
                return Err(Unreadable::TooManyItems);
            }
            let item = element.at(&each.item).ok_or(Unreadable::MissingField)?;
            if item.kind() != Kind::Object {
                return Err(Unreadable::WrongType);
            }
            events.push(self.read_one(&Scope { item: Some(item), ..scope }, amount_unit)?);
        }
        if events.is_empty() { Err(Unreadable::MissingField) } else { Ok(events) }
    }

    fn read_one(
        &self,
        scope: &Scope<'_, '_>,
        amount_unit: Option<&str>,
    ) -> Result<Fields, Unreadable> {
        let shape = self
            .shapes
            .iter()
            .find(|shape| shape.when.holds(scope))
            .ok_or(Unreadable::UnknownShape)?;
        shape.read(scope, amount_unit, &self.status)
    }
}

impl Shape {
    fn read(
        &self,
        scope: &Scope<'_, '_>,
        amount_unit: Option<&str>,
        statuses: &BTreeMap<String, String>,
    ) -> Result<Fields, Unreadable> {
        if let Some(value) = scope.item.or_else(|| scope.document?.root()) {
            self.structure.iter().try_for_each(|demand| demand.check(value))?;
        }
        let kind = self.field(Field::Kind, scope)?.ok_or(Unreadable::MissingField)?;
        let mut amount = self.field(Field::Amount, scope)?;
        if let Some(amount) = &mut amount {
            check_amount(amount)?;
            if sabotage::on(Defect::AmountByFloat) {
                *amount = amount.parse::<f64>().unwrap_or_default().to_string();
            }
        }
        let refunded = self.field(Field::Refunded, scope)?;
        refunded.as_deref().map_or(Ok(()), check_amount)?;
        let live = match self.field(Field::Live, scope)? {
            Some(text) if self.live_values.contains(&text) => Some(true),
            Some(text) if self.test_values.contains(&text) => Some(false),
            Some(_) => return Err(Unreadable::BadField),
            None => None,
        };
        let status =
            self.field(Field::Status, scope)?.map(|raw| statuses.get(&raw).cloned().unwrap_or(raw));
        let unit = match self.amount_units.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            several => several.iter().find(|unit| amount_unit == Some(unit.as_str())).cloned(),
        };
        let mut fields = Fields {
            id: self.field(Field::Id, scope)?,
            order: self.field(Field::Order, scope)?,
            amount_unit: amount.is_some().then_some(unit).flatten(),
            amount,
            currency: self.field(Field::Currency, scope)?,
            customer: self.field(Field::Customer, scope)?,
            payee: self.field(Field::Payee, scope)?,
            payment: self.field(Field::Payment, scope)?,
            part: self.field(Field::Part, scope)?,
            refunded,
            chain: self.field(Field::Chain, scope)?,
            address: self.field(Field::Address, scope)?,
            sender: self.field(Field::Sender, scope)?,
            card: self.field(Field::Card, scope)?,
            status,
            live,
            kind,
            dedup_key: Vec::new(),
            projection: Vec::new(),
            range: scope.item.map_or(0..scope.request.body.len(), |item| item.range()),
        };
        self.check_needs(&fields)?;
        fields.dedup_key = self.dedup_key(&fields, scope)?;
        fields.projection = encode(&self.compare, &fields, scope)?.0;
        Ok(fields)
    }

    /// A field's text, from all its sources, which must agree.
    fn field(&self, field: Field, scope: &Scope<'_, '_>) -> Result<Option<String>, Unreadable> {
        let Some((_, sources)) = self.sources.iter().find(|(other, _)| *other == field) else {
            return Ok(None);
        };
        let mut found: Option<String> = None;
        for source in sources {
            let Some(text) = text_of(source, scope, matches!(field, Field::Live | Field::Status))?
            else {
                continue;
            };
            match &found {
                Some(other) if *other != text => return Err(Unreadable::ConflictingFields),
                _ => found = Some(text.into_owned()),
            }
        }
        let Some(text) = found else { return Ok(None) };
        for (_, pattern) in self.patterns.iter().filter(|(other, _)| *other == field) {
            if !pattern.is_match(text.as_bytes()) {
                return Err(Unreadable::BadField);
            }
        }
        Ok(Some(text))
    }

    fn check_needs(&self, fields: &Fields) -> Result<(), Unreadable> {
        let needs = self.need.iter().filter(|(types, _)| type_matches(types, &fields.kind));
        for field in needs.flat_map(|(_, needed)| needed) {
            if fields.text(*field).is_none() {
                return Err(Unreadable::MissingField);
            }
        }
        Ok(())
    }

    fn dedup_key(&self, fields: &Fields, scope: &Scope<'_, '_>) -> Result<Vec<u8>, Unreadable> {
        for elements in [&self.key, &self.fallback] {
            let (parts, complete) = encode(elements, fields, scope)?;
            if complete && !elements.is_empty() {
                let mut key = Vec::with_capacity(parts.len() + self.name.len() + 5);
                push_part(&mut key, Some(self.name.as_bytes()));
                key.extend(parts);
                return Ok(key);
            }
        }
        Err(Unreadable::MissingField)
    }
}

/// The first place of a source that holds a text; an empty one says nothing.
fn text_of<'r>(
    source: &Source,
    scope: &Scope<'_, 'r>,
    takes_bool: bool,
) -> Result<Option<Cow<'r, str>>, Unreadable> {
    for place in &source.places {
        let text = if matches!(place, Place::Json(_) | Place::Root(_)) {
            let Some(value) = place.value(scope) else { continue };
            match value.kind() {
                Kind::Object | Kind::Array => return Err(Unreadable::WrongType),
                Kind::True | Kind::False if !takes_bool => return Err(Unreadable::WrongType),
                _ => value.scalar(),
            }
        } else {
            match place.find(scope).map_err(unreadable)? {
                Some(Cow::Borrowed(bytes)) => Some(Cow::Borrowed(
                    std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?,
                )),
                Some(Cow::Owned(bytes)) => {
                    Some(Cow::Owned(String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?))
                }
                None => None,
            }
        };
        match text {
            Some(text) if text.len() > FIELD_BYTES_MAX => return Err(Unreadable::TooLong),
            Some(text) if text.contains('\0') => return Err(Unreadable::NulByte),
            Some(text) if !text.is_empty() => return Ok(Some(text)),
            _ => {}
        }
    }
    Ok(None)
}

fn unreadable(rejection: Rejection) -> Unreadable {
    match rejection {
        Rejection::RepeatedHeader | Rejection::RepeatedField => Unreadable::ConflictingFields,
        Rejection::FieldMismatch => Unreadable::WrongType,
        _ => Unreadable::NotJson,
    }
}

/// A plain decimal: no exponent, no separators, no `NaN`.
pub(crate) fn check_amount(text: &str) -> Result<(), Unreadable> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or(text);
    let plain = match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(number),
    };
    if plain && text.len() <= AMOUNT_BYTES_MAX { Ok(()) } else { Err(Unreadable::BadNumber) }
}

/// `payment.*` fits every type that starts with `payment.`.
fn type_matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => kind == pattern,
    }
}

/// The parts, each with its length, and whether the ones that must be there are.
fn encode(
    elements: &[Element],
    fields: &Fields,
    scope: &Scope<'_, '_>,
) -> Result<(Vec<u8>, bool), Unreadable> {
    let mut out = Vec::with_capacity(128);
    let mut complete = true;
    for element in elements {
        match element {
            Element::Field(field) => {
                let text = fields.text(*field);
                complete &= text.is_some();
                push_part(&mut out, text.map(str::as_bytes));
            }
            Element::Source(source) => {
                let text = text_of(source, scope, true)?;
                complete &= text.is_some() || source.optional;
                push_part(&mut out, text.as_deref().map(str::as_bytes));
            }
            Element::Bytes => {
                let bytes = scope.item.map_or(scope.request.body, |item| item.source().as_bytes());
                push_part(&mut out, Some(&sha256(bytes)));
            }
        }
    }
    Ok((out, complete))
}

fn push_part(out: &mut Vec<u8>, part: Option<&[u8]>) {
    out.push(u8::from(part.is_some()));
    if let Some(part) = part {
        // Parts are short texts and hashes: their length always fits.
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_plain_decimals() {
        for good in ["0", "10", "10.50", "-3", "007", "0.000000000000000001"] {
            assert_eq!(check_amount(good), Ok(()), "{good}");
        }
        for bad in ["", "-", ".5", "5.", "1,500.00", "1e3", "NaN", "+1", " 1", "1_0", "٣", "--1"] {
            assert_eq!(check_amount(bad), Err(Unreadable::BadNumber), "{bad}");
        }
        assert_eq!(check_amount(&"9".repeat(65)), Err(Unreadable::BadNumber));
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        let encode = |parts: &[Option<&str>]| {
            let mut out = Vec::new();
            parts.iter().for_each(|part| push_part(&mut out, part.map(str::as_bytes)));
            out
        };
        assert_ne!(encode(&[Some("ab"), Some("c")]), encode(&[Some("a"), Some("bc")]));
        assert_ne!(encode(&[Some(""), None]), encode(&[None, Some("")]));
    }

    #[test]
    fn a_type_pattern_ends_in_a_star_or_is_exact() {
        assert!(type_matches("payment.*", "payment.paid"));
        assert!(!type_matches("payment.*", "payments"));
        assert!(type_matches("*", "anything"));
        assert!(!type_matches("payment", "payment.paid"));
    }
}
