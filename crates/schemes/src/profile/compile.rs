//! From what a profile's file says to what the engine runs, with the lints that keep it honest.

mod certificates;
mod confirm;
mod events;
mod receipts;

use regex::bytes::{Regex, RegexBuilder};
use toml::Spanned;

use super::raw::{RawAlternative, RawCondition, RawFresh, RawPart, RawScheme, Text, Texts};
use crate::bounds::{CANDIDATES_MAX, VARIANTS_MAX};
use crate::json::Pointer;
use crate::key::{Algorithm, Decode, KeyRule};
use crate::scheme::{
    Alternative, Condition, Covers, Each, Encoding, Fresh, Part, Scheme, SignedTime, Variable,
};
use crate::source::{Place, Source};
use crate::template::Template;
use crate::time::{Unit, Window};

pub(super) use confirm::confirm;
pub(super) use events::events;
pub(super) use receipts::receipts;

/// Where in the file, and what is wrong.
pub(super) type Lint<T> = Result<T, (usize, String)>;

fn at<T, S>(span: &Spanned<S>, result: Result<T, String>) -> Lint<T> {
    result.map_err(|message| (span.span().start, message))
}

fn wrong<T, S>(span: &Spanned<S>, message: impl Into<String>) -> Lint<T> {
    Err((span.span().start, message.into()))
}

/// A pattern that must fit the whole value.
pub(super) fn pattern(text: &Text) -> Lint<Regex> {
    let whole = format!(r"\A(?:{})\z", text.get_ref());
    let built = RegexBuilder::new(&whole).unicode(false).size_limit(1 << 20).build();
    at(text, built.map_err(|error| format!("{:?} is no pattern: {error}", text.get_ref())))
}

fn choice<T: Copy>(text: &Text, names: &[(&str, T)], what: &str) -> Lint<T> {
    let found = names.iter().find(|(name, _)| name == text.get_ref()).map(|(_, value)| *value);
    let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    at(
        text,
        found.ok_or_else(|| format!("{:?} is no {what}: use {}", text.get_ref(), known.join(" "))),
    )
}

fn source(text: &Text, variables: &[&str]) -> Lint<Source> {
    at(text, Source::parse(text.get_ref(), variables))
}

fn sources(texts: Option<&Texts>) -> Lint<Vec<Source>> {
    let Some(texts) = texts else { return Ok(Vec::new()) };
    texts.get_ref().0.iter().map(|text| at(texts, Source::parse(text, &[]))).collect()
}

pub(super) fn pointer(text: &Text) -> Lint<Pointer> {
    at(
        text,
        Pointer::parse(text.get_ref()).ok_or_else(|| {
            format!("{:?} is no JSON pointer: write it like /data/id", text.get_ref())
        }),
    )
}

fn condition(raw: &RawCondition) -> Lint<Condition> {
    let equals = raw
        .equals
        .iter()
        .map(|(from, text)| Ok((at(text, Source::parse(from, &[]))?, text.get_ref().clone())))
        .collect::<Lint<_>>()?;
    Ok(Condition {
        present: sources(raw.present.as_ref())?,
        absent: sources(raw.absent.as_ref())?,
        equals,
    })
}

fn each(text: &Text) -> Lint<Each> {
    let (array, item) = match text.get_ref().split_once("/*") {
        Some(halves) if !halves.1.contains('*') => halves,
        _ => return wrong(text, "say where the items are with one star, like /items/*/item"),
    };
    let parse = |part: &str| {
        at(text, Pointer::parse(part).ok_or_else(|| format!("{part:?} is no JSON pointer")))
    };
    Ok(Each { array: parse(array)?, item: parse(item)? })
}

pub(super) fn scheme(raw: &RawScheme) -> Lint<Scheme> {
    let covers: Vec<_> = Covers::ALL.iter().map(|covers| (covers.code(), *covers)).collect();
    let covers = choice(&raw.covers, &covers, "coverage")?;
    if raw.alt.get_ref().0.is_empty() {
        return wrong(&raw.alt, "a scheme needs at least one [[…alt]]");
    }
    let alternatives = raw
        .alt
        .get_ref()
        .0
        .iter()
        .map(|alternative| compile_alternative(alternative, covers))
        .collect::<Lint<Vec<_>>>()?;
    let fresh = raw.fresh.as_ref().map(|raw| fresh(raw, &alternatives)).transpose()?;
    let require = raw
        .require
        .iter()
        .map(|(from, text)| Ok((at(text, Source::parse(from, &[]))?, pattern(text)?)))
        .collect::<Lint<_>>()?;
    let equal = raw
        .equal
        .iter()
        .map(|pair| {
            let [left, right] = pair.get_ref();
            Ok((at(pair, Template::parse(left, &[]))?, at(pair, Template::parse(right, &[]))?))
        })
        .collect::<Lint<_>>()?;
    for name in &raw.vector_names {
        if name.get_ref().split('/').count() != 2 {
            return wrong(name, "a vector name is provider/scheme");
        }
    }
    let mut scheme = Scheme {
        covers,
        weak: raw.weak.clone(),
        vector_names: raw.vector_names.iter().map(|name| name.get_ref().clone()).collect(),
        alternatives,
        fresh,
        each: raw.each.as_ref().map(each).transpose()?,
        require,
        equal,
    };
    check_variables(raw, &scheme)?;
    let further: Vec<Source> = scheme
        .equal
        .iter()
        .flat_map(|(left, right)| [left, right])
        .flat_map(Template::expressions)
        .map(|expression| expression.source.clone())
        .chain(scheme.require.iter().map(|(source, _)| source.clone()))
        .collect();
    scheme.keep_headers(further.iter());
    Ok(scheme)
}

fn compile_alternative(raw: &RawAlternative, covers: Covers) -> Lint<Alternative> {
    let algorithm = choice(&raw.algo, Algorithm::NAMES, "algorithm")?;
    let names: Vec<&str> = raw.vars.keys().map(String::as_str).collect();
    let variables =
        raw.vars.iter().map(|(name, raw)| variable(name, raw)).collect::<Lint<Vec<_>>>()?;
    let messages = raw
        .message
        .iter()
        .map(|text| at(text, Template::parse(text.get_ref(), &names)))
        .collect::<Lint<Vec<_>>>()?;
    check_messages(raw, algorithm, covers, &messages)?;
    let key = key(raw, algorithm, &messages)?;

    let candidates_max = match &raw.sig.max {
        Some(max) if !(1..=CANDIDATES_MAX).contains(max.get_ref()) => {
            return wrong(max, format!("max is 1 to {CANDIDATES_MAX}"));
        }
        Some(max) => *max.get_ref(),
        None => CANDIDATES_MAX,
    };
    let signature = Part {
        source: source(&raw.sig.from, &[])?,
        list: raw.sig.list.clone(),
        split: raw.sig.split.clone(),
        take: raw.sig.take.clone(),
        strip: raw.sig.strip.clone(),
    };
    check_part(&raw.sig.from, &signature)?;
    let expressions = || messages.iter().flat_map(Template::expressions);
    let named = key.certificate.as_ref().map(|rule| &rule.url);
    let read = || {
        let parts = variables.iter().map(|variable| &variable.part.source);
        parts.chain([&signature.source]).chain(named)
    };
    let reads_json = read().any(Source::reads_json) || expressions().any(|e| e.reads_json());
    let signs_named_headers = expressions().any(|expression| expression.names_headers());
    let when = condition(&raw.when)?;
    let mut headers: Vec<Box<str>> = read()
        .chain(expressions().map(|expression| &expression.source))
        .chain(when.sources())
        .flat_map(|source| &source.places)
        .filter_map(|place| place.header().map(Box::from))
        .collect();
    headers.sort();
    headers.dedup();
    Ok(Alternative {
        name: raw.name.clone().unwrap_or_else(|| raw.algo.get_ref().clone()).into(),
        when,
        algorithm,
        key,
        encoding: choice(&raw.sig.enc, Encoding::NAMES, "encoding")?,
        signature,
        candidates_max,
        variables,
        messages,
        headers: headers.into(),
        signs_named_headers,
        reads_json,
    })
}

/// How the configured secrets become keys, or what names the key.
fn key(raw: &RawAlternative, algorithm: Algorithm, messages: &[Template]) -> Lint<KeyRule> {
    let decode = |text: &Text| {
        let decode = Decode::parse(text.get_ref()).ok_or_else(|| {
            format!(
                "{:?} is no way to decode a key: use utf8 hex base64 prefix_base64:PREFIX sha1 \
                 sha256 hmac:TEXT spki_pem spki_b64",
                text.get_ref()
            )
        });
        at(text, decode)
    };
    let certificate = certificates::rule(raw, algorithm, messages)?;
    Ok(KeyRule {
        decode: match (&raw.key.decode, &certificate) {
            (Some(text), None) => decode(text)?,
            (None, Some(_)) => Decode::Utf8,
            _ => return wrong(&raw.algo, "key needs either decode, or from = \"certificate\""),
        },
        signing: raw.key.signing.as_ref().map(decode).transpose()?,
        bytes: raw.key.bytes_min.unwrap_or(1)..=raw.key.bytes_max.unwrap_or(usize::MAX),
        certificate,
    })
}

fn variable(name: &str, raw: &RawPart) -> Lint<Variable> {
    let part = Part {
        source: source(&raw.from, &[])?,
        list: raw.list.clone(),
        split: raw.split.clone(),
        take: raw.take.clone(),
        strip: raw.strip.clone(),
    };
    check_part(&raw.from, &part)?;
    let pattern = raw.pattern.as_ref().map(pattern).transpose()?;
    Ok(Variable { name: name.to_owned(), part, pattern })
}

fn check_part(from: &Text, part: &Part) -> Lint<()> {
    if part.split.is_some() != part.take.is_some() {
        return wrong(from, "split and take belong together: split = \"=\", take = \"v1\"");
    }
    if [&part.list, &part.split].into_iter().flatten().any(String::is_empty) {
        return wrong(from, "a separator cannot be empty");
    }
    Ok(())
}

fn check_messages(
    raw: &RawAlternative,
    algorithm: Algorithm,
    covers: Covers,
    messages: &[Template],
) -> Lint<()> {
    if algorithm == Algorithm::Equals {
        if covers != Covers::None || !messages.is_empty() {
            return wrong(
                &raw.algo,
                "a secret that is sent as it is signs nothing: covers = \"none\" and no message",
            );
        }
        return Ok(());
    }
    if messages.is_empty() || messages.len() > VARIANTS_MAX {
        return wrong(
            &raw.algo,
            format!("message needs 1 to {VARIANTS_MAX} templates, like [\"{{body}}\"]"),
        );
    }
    for (template, text) in messages.iter().zip(&raw.message) {
        let binds = template.expressions().iter().any(|expression| expression.binds_body());
        let lists = template.expressions().iter().any(|expression| expression.lists_names());
        if lists != (covers == Covers::TopLevelOnly) {
            return wrong(
                text,
                "json_listed leaves out what stands deeper: it goes with covers = \
                 \"top_level_only\", and nothing else does",
            );
        }
        if covers == Covers::Full && !binds {
            return wrong(
                text,
                "the body is not signed: a message without {body} needs covers = \"fields\", \
                 \"identifiers\" or \"checksum\"",
            );
        }
    }
    Ok(())
}

fn fresh(raw: &RawFresh, alternatives: &[Alternative]) -> Lint<Fresh> {
    let unit = Unit::parse(raw.unit.get_ref());
    let unit = at(&raw.unit, unit.ok_or_else(|| "a unit is s, ms, auto or rfc3339".to_owned()))?;
    for bound in [&raw.past, &raw.future] {
        if *bound.get_ref() < 0 {
            return wrong(bound, "a window is counted in seconds, from 0");
        }
    }
    let time = match (&raw.var, &raw.from) {
        (Some(name), None) => {
            let signs = |alternative: &Alternative| {
                let position = alternative
                    .variables
                    .iter()
                    .position(|variable| variable.name == *name.get_ref());
                position.is_some_and(|position| {
                    let place = Place::Variable(position);
                    alternative.messages.iter().all(|message| message.always_signs(&place))
                })
            };
            if !alternatives.iter().all(signs) {
                return wrong(
                    name,
                    format!(
                        "timestamp not signed: {{{}}} must stand in every message, or anybody can \
                         refresh it; leave [fresh] out and say weak = \"…\" if the provider signs \
                         no time",
                        name.get_ref()
                    ),
                );
            }
            SignedTime::Variable(name.get_ref().clone())
        }
        (None, Some(from)) => {
            let path = from.get_ref().strip_prefix("json:").and_then(Pointer::parse);
            let path = at(from, path.ok_or_else(|| "a time in the body is json:/PATH".to_owned()))?;
            let bound = |message: &Template| {
                message.expressions().iter().any(|expression| expression.binds_body())
            };
            if !alternatives.iter().all(|alternative| alternative.messages.iter().all(bound)) {
                return wrong(from, "timestamp not signed: the body is not in every message");
            }
            SignedTime::Body(path)
        }
        _ => return wrong(&raw.unit, "say either var (a variable) or from (json:/PATH)"),
    };
    let window = Window { unit, past_s: *raw.past.get_ref(), future_s: *raw.future.get_ref() };
    Ok(Fresh { time, window })
}

/// A variable that nothing uses is a mistake: most likely it should have been signed.
fn check_variables(raw: &RawScheme, scheme: &Scheme) -> Lint<()> {
    for (alternative, raw) in scheme.alternatives.iter().zip(&raw.alt.get_ref().0) {
        for (position, variable) in alternative.variables.iter().enumerate() {
            let used =
                alternative.messages.iter().flat_map(Template::expressions).any(|expression| {
                    expression.source.places.contains(&Place::Variable(position))
                });
            if !used && let Some(part) = raw.vars.get(&variable.name) {
                return wrong(
                    &part.from,
                    format!(
                        "nothing signs {{{}}}: use it in message or take it out",
                        variable.name
                    ),
                );
            }
        }
    }
    Ok(())
}
