//! Judges one request by one scheme: choose, extract, render, compare, and only then the time.

mod certified;

use std::borrow::Cow;

use aws_lc_rs::{constant_time, hmac};
use sabotage::Defect;

use crate::bounds::{ITEMS_MAX, PART_BYTES_MAX};
use crate::certificate::Certified;
use crate::json::{Document, Kind, Value};
use crate::key::{Material, sha256};
use crate::reason::Rejection;
use crate::request::Request;
use crate::scheme::{Alternative, Covers, Each, Fresh, Keys, Scheme, SignedTime, Variable};
use crate::source::Scope;
use crate::time::Freshness;

use certified::Certificate;
pub(crate) use certified::certificate_url;

/// What the engine found out about a request whose signature holds.
#[derive(Clone)]
pub(crate) struct Proof<'r> {
    /// Position of the alternative that decided.
    pub(crate) alternative: usize,
    /// Position of the secret that signed.
    pub(crate) key: usize,
    pub(crate) signed_at_ms: Option<i64>,
    /// The parsed body, where the scheme had to read it.
    pub(crate) document: Option<Document<'r>>,
}

/// What is done with values inside of values where the signature covers the outermost ones only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    /// They are refused: a change in them could go unnoticed.
    Refused,
    /// They are let in. Nothing that stands in one may be believed.
    DangerAllowed,
}

type Values<'r> = Vec<Option<Cow<'r, [u8]>>>;

/// By what a request is judged, beside its scheme and keys.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'t> {
    pub(crate) now_ms: i64,
    pub(crate) freshness: Freshness,
    pub(crate) nested: Nested,
    /// Where the scheme takes a certificate: what was found where the request says that it is.
    pub(crate) certified: Option<Certified<'t>>,
}

impl Terms<'_> {
    /// A time, and the strictest of everything else.
    pub(crate) fn strict(now_ms: i64, freshness: Freshness) -> Self {
        Self { now_ms, freshness, nested: Nested::Refused, certified: None }
    }
}

pub(crate) fn verify<'r>(
    scheme: &Scheme,
    keys: &Keys,
    request: &Request<'r>,
    terms: &Terms<'_>,
) -> Result<Proof<'r>, Rejection> {
    let (position, alternative) = choose(scheme, keys, request)?;
    let mut document = None;
    let is_top_level_only = scheme.covers == Covers::TopLevelOnly;
    if alternative.reads_json || scheme.each.is_some() || is_top_level_only {
        document = Some(Document::parse(request.body).map_err(|_| Rejection::MalformedBody)?);
    }
    let refuses_nested = is_top_level_only && terms.nested == Nested::Refused;
    if refuses_nested && document.as_ref().is_some_and(nests) {
        return Err(Rejection::NestedValue);
    }
    let case = Case::new(scheme, (position, alternative), keys, request, terms);

    let mut matched = None;
    match (&scheme.each, &document) {
        (Some(each), Some(document)) => {
            for item in items(each, document).ok_or(Rejection::MalformedBody)? {
                let (key, values) = case.verify(Some(document), Some(item?))?;
                matched.get_or_insert((key, values));
            }
        }
        (_, document) => matched = Some(case.verify(document.as_ref(), None)?),
    }
    // A batch without items proves nothing.
    let (key, values) = matched.ok_or(Rejection::MissingField)?;

    let signed_at_ms = match &scheme.fresh {
        Some(fresh) => case.check_time(fresh, &values, &mut document)?,
        None => None,
    };
    Ok(Proof { alternative: position, key, signed_at_ms, document })
}

/// Whether a member of the body is an object or an array.
fn nests(document: &Document<'_>) -> bool {
    let holds = |value: Value<'_, '_>| matches!(value.kind(), Kind::Object | Kind::Array);
    document.root().is_some_and(|root| root.members().any(|(_, member)| holds(member)))
}

/// The first alternative that the keys are for and whose condition holds; no falling back.
fn choose<'s>(
    scheme: &'s Scheme,
    keys: &Keys,
    request: &Request<'_>,
) -> Result<(usize, &'s Alternative), Rejection> {
    let scope = Scope { request, settings: &[], document: None, item: None, variables: &[] };
    scheme
        .alternatives
        .iter()
        .enumerate()
        .find(|(position, alternative)| {
            !keys.of(*position).is_empty() && alternative.when.holds(&scope)
        })
        .ok_or(Rejection::MissingHeader)
}

/// The items of a batch; none where there is no such array, an error in place of a broken item.
pub(crate) fn items<'d, 'r>(
    each: &Each,
    document: &'d Document<'r>,
) -> Option<impl Iterator<Item = Result<Value<'d, 'r>, Rejection>> + use<'d, 'r>> {
    let array = document.root()?.at(&each.array)?;
    let pointer = each.item.clone();
    let count = array.elements().take(ITEMS_MAX + 1).count();
    (count <= ITEMS_MAX).then(|| {
        array.elements().map(move |element| element.at(&pointer).ok_or(Rejection::MissingField))
    })
}

struct Case<'s, 'r> {
    scheme: &'s Scheme,
    alternative: &'s Alternative,
    keys: &'s [(usize, Material)],
    settings: &'s [(String, String)],
    request: &'s Request<'r>,
    terms: &'s Terms<'s>,
}

impl<'s, 'r> Case<'s, 'r> {
    fn new(
        scheme: &'s Scheme,
        (position, alternative): (usize, &'s Alternative),
        keys: &'s Keys,
        request: &'s Request<'r>,
        terms: &'s Terms<'s>,
    ) -> Self {
        let settings = keys.settings();
        Self { scheme, alternative, keys: keys.of(position), settings, request, terms }
    }

    /// What there is before variables are known.
    fn scope<'d>(
        &'d self,
        document: Option<&'d Document<'r>>,
        item: Option<Value<'d, 'r>>,
    ) -> Scope<'d, 'r> {
        let (request, settings) = (self.request, self.settings);
        Scope { request, settings, document, item, variables: &[] }
    }

    fn values<'d>(
        &'d self,
        document: Option<&'d Document<'r>>,
        item: Option<Value<'d, 'r>>,
    ) -> Result<Values<'r>, Rejection> {
        let bare = self.scope(document, item);
        let variables = self.alternative.variables.iter();
        variables.map(|variable| variable_value(self.scheme, variable, &bare)).collect()
    }

    fn check_patterns(&self, scope: &Scope<'_, 'r>) -> Result<(), Rejection> {
        for (source, pattern) in &self.scheme.require {
            let value = source.find(scope)?;
            if value.is_some_and(|value| !pattern.is_match(&value)) {
                return Err(Rejection::FieldMismatch);
            }
        }
        Ok(())
    }

    /// The position of the secret that signed, and the variables.
    fn verify<'d>(
        &'d self,
        document: Option<&'d Document<'r>>,
        item: Option<Value<'d, 'r>>,
    ) -> Result<(usize, Values<'r>), Rejection> {
        let values = self.values(document, item)?;
        let scope = Scope { variables: &values, ..self.scope(document, item) };
        self.check_patterns(&scope)?;
        let candidates = self.candidates(&scope)?;
        let certified = self.certified_key(&scope)?;
        let key = self.matching_key(&candidates, certified.as_ref(), &scope)?;
        for (left, right) in &self.scheme.equal {
            let (left, right) = (left.render(&scope)?, right.render(&scope)?);
            constant_time::verify_slices_are_equal(&sha256(&left), &sha256(&right))
                .map_err(|_| Rejection::FieldMismatch)?;
        }
        Ok((key, values))
    }

    /// The signatures of the request, decoded.
    fn candidates(&self, scope: &Scope<'_, 'r>) -> Result<Vec<Vec<u8>>, Rejection> {
        let part = &self.alternative.signature;
        let text = part.source.find(scope)?.ok_or(Rejection::MissingField)?;
        if text.len() > PART_BYTES_MAX {
            return Err(Rejection::MalformedSignature);
        }
        let text = std::str::from_utf8(&text).map_err(|_| Rejection::MalformedSignature)?;
        let length = self.alternative.algorithm.hmac().map(|hmac| hmac.tag_len());
        let mut candidates = Vec::new();
        let mut seen = 0;
        for piece in part.pieces(text) {
            seen += 1;
            if seen > self.alternative.candidates_max {
                return Err(Rejection::TooManySignatures);
            }
            let decoded = piece.ok().and_then(|piece| self.alternative.encoding.decode(piece));
            let fits = |bytes: &Vec<u8>| match length {
                Some(length) => bytes.len() == length || sabotage::on(Defect::MacAnyLength),
                None => !bytes.is_empty(),
            };
            candidates.extend(decoded.filter(fits));
            if sabotage::on(Defect::FirstSignatureOnly) {
                break;
            }
        }
        match (seen, candidates.is_empty()) {
            (0, _) => Err(Rejection::MissingField),
            (_, true) => Err(Rejection::MalformedSignature),
            _ => Ok(candidates),
        }
    }

    /// The position of the secret with which one of the candidates was made.
    fn matching_key(
        &self,
        candidates: &[Vec<u8>],
        certificate: Option<&Certificate<'_>>,
        scope: &Scope<'_, 'r>,
    ) -> Result<usize, Rejection> {
        for (index, material) in self.keys {
            if let Material::Equals(secret) = material {
                if candidates.iter().any(|candidate| same(secret, &sha256(candidate))) {
                    return Ok(*index);
                }
                continue;
            }
            for message in &self.alternative.messages {
                let matches = match material {
                    Material::Hmac(key) => {
                        let mut context = hmac::Context::with_key(key);
                        message.feed(scope, &mut |piece| context.update(piece))?;
                        let tag = context.sign();
                        candidates.iter().any(|candidate| same(tag.as_ref(), candidate))
                    }
                    Material::Public(key) => {
                        let message = message.render(scope)?;
                        candidates
                            .iter()
                            .any(|candidate| key.verify_sig(&message, candidate).is_ok())
                    }
                    Material::Named(text) => match certificate {
                        Some(certificate) => {
                            certificate.signed(message, text, candidates, scope)?
                        }
                        None => false,
                    },
                    Material::Equals(_) => false,
                };
                if matches {
                    return Ok(*index);
                }
            }
        }
        Err(Rejection::NoMatchingKey)
    }

    /// The signed time, if it is inside the window. A time in a signed body that cannot be read is
    /// left to reading: the body is authentic all the same.
    fn check_time(
        &self,
        fresh: &Fresh,
        values: &Values<'r>,
        document: &mut Option<Document<'r>>,
    ) -> Result<Option<i64>, Rejection> {
        let (now_ms, freshness) = (self.terms.now_ms, self.terms.freshness);
        let window = &fresh.window;
        let signed_at_ms = match &fresh.time {
            SignedTime::Variable(name) => {
                let position =
                    self.alternative.variables.iter().position(|variable| variable.name == *name);
                let value = position.and_then(|position| values.get(position)?.as_deref());
                Some(window.unit.read(value.ok_or(Rejection::MissingField)?)?)
            }
            SignedTime::Body(_) if freshness == Freshness::DangerUntested => None,
            SignedTime::Body(pointer) => {
                if document.is_none() {
                    *document = Document::parse(self.request.body).ok();
                }
                let root = document.as_ref().and_then(Document::root);
                let text = root.and_then(|root| root.at(pointer)?.scalar());
                text.and_then(|text| window.unit.read(text.as_bytes()).ok())
            }
        };
        if let Some(signed_at_ms) = signed_at_ms {
            window.check(signed_at_ms, now_ms, freshness)?;
        }
        Ok(signed_at_ms)
    }
}

/// Compares in a time that does not tell where the first difference is.
fn same(expected: &[u8], given: &[u8]) -> bool {
    if sabotage::on(Defect::MacPrefix) {
        return expected.get(..8) == given.get(..8);
    }
    if sabotage::on(Defect::MacAnyLength) {
        return expected.starts_with(given);
    }
    constant_time::verify_slices_are_equal(expected, given).is_ok()
}

fn single<'v>(variable: &Variable, value: &'v [u8]) -> Result<&'v [u8], Rejection> {
    let text = std::str::from_utf8(value).map_err(|_| Rejection::FieldMismatch)?;
    let mut pieces = variable.part.pieces(text);
    match (pieces.next(), pieces.next()) {
        (None, _) => Err(Rejection::MissingField),
        (Some(_), Some(_)) => Err(Rejection::RepeatedField),
        (Some(piece), None) => piece.map(str::as_bytes).map_err(|()| Rejection::FieldMismatch),
    }
}

/// A variable is present, once, and matches its pattern.
pub(crate) fn variable_value<'r>(
    scheme: &Scheme,
    variable: &Variable,
    scope: &Scope<'_, 'r>,
) -> Result<Option<Cow<'r, [u8]>>, Rejection> {
    let Some(found) = variable.part.source.find(scope)? else { return Ok(None) };
    let whole = variable.part.list.is_none()
        && variable.part.split.is_none()
        && variable.part.strip.is_none();
    let value = match found {
        value if whole => value,
        Cow::Borrowed(bytes) => Cow::Borrowed(single(variable, bytes)?),
        Cow::Owned(bytes) => Cow::Owned(single(variable, &bytes)?.to_vec()),
    };
    if let Some(Fresh { time: SignedTime::Variable(name), window }) = &scheme.fresh
        && *name == variable.name
    {
        window.unit.read(&value)?;
    }
    match &variable.pattern {
        Some(pattern) if !pattern.is_match(&value) => Err(Rejection::FieldMismatch),
        _ => Ok(Some(value)),
    }
}
