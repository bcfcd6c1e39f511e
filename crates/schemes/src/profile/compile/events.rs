//! The `[event]` sections: where fields stand, and that what is read is signed.

use std::collections::BTreeMap;

use toml::Spanned;

use super::super::raw::{OneOrMany, RawDedup, RawEvent, Texts};
use super::{Lint, at, condition, each, pattern, sources, wrong};
use crate::event::{Demand, Element, Events, Field, Shape};
use crate::json::Pointer;
use crate::scheme::{Alternative, Covers, Fresh, Scheme, SignedTime};
use crate::source::{Place, Source};
use crate::template::Template;

pub(in crate::profile) fn events(
    raw: &Spanned<OneOrMany<RawEvent>>,
    dedup: &RawDedup,
    status: &BTreeMap<String, String>,
    scheme: &Scheme,
) -> Lint<Events> {
    let shapes = raw
        .get_ref()
        .0
        .iter()
        .map(|event| shape(raw, event, dedup, scheme))
        .collect::<Lint<Vec<_>>>()?;
    if shapes.is_empty() {
        return wrong(raw, "a profile needs at least one [event]");
    }
    let mut batches = raw.get_ref().0.iter().filter_map(|event| event.each.as_ref());
    let batch = batches.next().map(each).transpose()?;
    let body_time = match &scheme.fresh {
        Some(Fresh { time: SignedTime::Body(pointer), window }) => {
            Some((pointer.clone(), window.unit))
        }
        _ => None,
    };
    let reads_json = body_time.is_some()
        || shapes.iter().any(|shape| {
            !shape.structure.is_empty()
                || shape.sources.iter().any(|(_, sources)| sources.iter().any(Source::reads_json))
        });
    Ok(Events {
        shapes,
        status: status.clone(),
        each: batch.or_else(|| scheme.each.clone()),
        body_time,
        reads_json,
    })
}

fn shape(
    span: &Spanned<OneOrMany<RawEvent>>,
    raw: &RawEvent,
    dedup: &RawDedup,
    scheme: &Scheme,
) -> Lint<Shape> {
    let listed = [
        (Field::Id, raw.id.as_ref()),
        (Field::Kind, Some(&raw.kind)),
        (Field::Order, raw.order.as_ref()),
        (Field::Amount, raw.amount.as_ref()),
        (Field::Currency, raw.currency.as_ref()),
        (Field::Customer, raw.customer.as_ref()),
        (Field::Payee, raw.payee.as_ref()),
        (Field::Payment, raw.payment.as_ref()),
        (Field::Part, raw.part.as_ref()),
        (Field::Refunded, raw.refunded.as_ref()),
        (Field::Chain, raw.chain.as_ref()),
        (Field::Address, raw.address.as_ref()),
        (Field::Sender, raw.sender.as_ref()),
        (Field::Card, raw.card.as_ref()),
        (Field::Status, raw.status.as_ref()),
        (Field::Live, raw.live.as_ref()),
    ];
    let mut fields = Vec::new();
    for (field, texts) in listed {
        let Some(texts) = texts else { continue };
        let sources = sources(Some(texts))?;
        check_signed(texts, field, &sources, raw, scheme)?;
        fields.push((field, sources));
    }
    if raw.amount.is_some() && raw.amount_unit.is_none() {
        return wrong(
            span,
            "amount needs amount_unit: \"minor\", \"major\", or a list for the source to choose from",
        );
    }
    let rules = rules(span, raw, dedup, &fields)?;
    Ok(Shape {
        name: raw.name.clone().unwrap_or_default(),
        when: condition(&raw.when)?,
        live_values: with_default(&raw.live_values, "true"),
        test_values: with_default(&raw.test_values, "false"),
        amount_units: raw
            .amount_unit
            .as_ref()
            .map(|units| units.get_ref().0.clone())
            .unwrap_or_default(),
        structure: structure(raw)?,
        need: raw
            .need
            .iter()
            .map(|(types, names)| {
                Ok((
                    types.clone(),
                    names.get_ref().iter().map(|name| field(names, name)).collect::<Lint<_>>()?,
                ))
            })
            .collect::<Lint<_>>()?,
        patterns: raw
            .patterns
            .iter()
            .map(|(name, text)| Ok((field(text, name)?, pattern(text)?)))
            .collect::<Lint<_>>()?,
        key: rules.key,
        fallback: rules.fallback,
        compare: rules.compare,
        sources: fields,
    })
}

/// The members that must be there.
fn structure(raw: &RawEvent) -> Lint<Vec<Demand>> {
    raw.shape
        .iter()
        .map(|(path, kind)| {
            if !Demand::KINDS.contains(&kind.get_ref().as_str()) {
                return wrong(kind, format!("a kind is one of {}", Demand::KINDS.join(" ")));
            }
            let pointer =
                Pointer::parse(path).ok_or_else(|| format!("{path:?} is no JSON pointer"));
            Ok(Demand { pointer: at(kind, pointer)?, kind: kind.get_ref().clone() })
        })
        .collect()
}

/// What makes two arrivals the same event, and what they must agree on.
struct Rules {
    key: Vec<Element>,
    fallback: Vec<Element>,
    compare: Vec<Element>,
}

fn rules(
    span: &Spanned<OneOrMany<RawEvent>>,
    raw: &RawEvent,
    dedup: &RawDedup,
    fields: &[(Field, Vec<Source>)],
) -> Lint<Rules> {
    let own = raw.dedup.as_ref();
    let pick = |part: fn(&RawDedup) -> Option<&Texts>| own.and_then(part).or_else(|| part(dedup));
    let or = |found: Vec<Element>, default: &[Field]| {
        if found.is_empty() {
            default.iter().map(|field| Element::Field(*field)).collect()
        } else {
            found
        }
    };
    let key = or(elements(pick(|dedup| dedup.key.as_ref()))?, &[Field::Id]);
    let knows = |field: Field| fields.iter().any(|(other, _)| *other == field);
    for element in &key {
        if let Element::Field(field) = element
            && !knows(*field)
        {
            return wrong(
                span,
                "the dedup key names a field that the event does not have: give [dedup] key",
            );
        }
    }
    let compare = elements(pick(|dedup| dedup.compare.as_ref()))?;
    let significant = [
        Field::Kind,
        Field::Order,
        Field::Amount,
        Field::Currency,
        Field::Status,
        Field::Payee,
        Field::Live,
    ];
    Ok(Rules {
        key,
        fallback: elements(pick(|dedup| dedup.fallback.as_ref()))?,
        compare: or(compare, &significant),
    })
}

fn with_default(values: &[String], default: &str) -> Vec<String> {
    if values.is_empty() { vec![default.to_owned()] } else { values.to_vec() }
}

fn field<S>(span: &Spanned<S>, name: &str) -> Lint<Field> {
    let names: Vec<_> = Field::NAMES.iter().map(|(name, _)| *name).collect();
    at(
        span,
        Field::parse(name)
            .ok_or_else(|| format!("{name:?} is no field of an event: use {}", names.join(" "))),
    )
}

fn elements(texts: Option<&Texts>) -> Lint<Vec<Element>> {
    let Some(texts) = texts else { return Ok(Vec::new()) };
    let element = |text: &String| {
        if text == "sha256(body)" {
            return Ok(Element::Bytes);
        }
        match Field::parse(text) {
            Some(field) => Ok(Element::Field(field)),
            None => Ok(Element::Source(at(texts, Source::parse(text, &[]))?)),
        }
    };
    texts.get_ref().0.iter().map(element).collect()
}

/// What an event is read from must be signed, or be named as unsigned.
fn check_signed(
    span: &Texts,
    field: Field,
    sources: &[Source],
    raw: &RawEvent,
    scheme: &Scheme,
) -> Lint<()> {
    let name = Field::NAMES.iter().find(|(_, other)| *other == field).map_or("", |(name, _)| name);
    let signed = |place: &Place| {
        scheme.alternatives.iter().all(|alternative| {
            alternative.messages.iter().all(|message| signs(alternative, message, place))
        })
    };
    let all_signed = sources.iter().flat_map(|source| &source.places).all(signed);
    let named = raw.unsigned.iter().any(|other| other == name);
    match scheme.covers {
        Covers::None => Ok(()),
        Covers::Full if !all_signed => wrong(
            span,
            format!("{name} is read from what is not signed: covers cannot be \"full\""),
        ),
        _ if !all_signed && !named => wrong(
            span,
            format!("{name} is read from what is not signed: add it to unsigned, or take it out"),
        ),
        _ if all_signed && named => {
            wrong(span, format!("{name} is signed: take it out of unsigned"))
        }
        _ => Ok(()),
    }
}

fn signs(alternative: &Alternative, message: &Template, place: &Place) -> bool {
    message.expressions().iter().any(|expression| {
        let direct = expression.source.places.contains(place);
        let by_variable = expression.source.places.iter().any(|other| match other {
            Place::Variable(position) => alternative
                .variables
                .get(*position)
                .is_some_and(|variable| variable.part.source.places.contains(place)),
            _ => false,
        });
        let in_body = matches!(place, Place::Json(_) | Place::Root(_) | Place::Form(_))
            && expression.binds_body();
        direct || by_variable || in_body
    })
}
