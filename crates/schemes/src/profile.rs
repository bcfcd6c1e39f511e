//! A profile: everything particular to one provider's webhooks, parsed, linted and proven.

mod compile;
mod facts;
mod proof;
mod raw;

use std::collections::BTreeMap;
use std::fmt;

use regex::bytes::Regex;

use crate::confirm::Connector;
use crate::event::Events;
use crate::receipt::Form;
use crate::scheme::{Covers, Keys, Scheme, Shape};
use crate::secret::{Secret, SecretError};
use crate::source::Place;

/// A parsed, linted and compiled profile whose own vectors passed.
#[derive(Debug)]
pub struct Profile {
    name: String,
    title: String,
    docs: Vec<String>,
    reviewed: String,
    scheme: Scheme,
    outgoing: Option<Scheme>,
    receipts: Vec<Form>,
    connector: Option<Connector>,
    events: Events,
    amount_units: Vec<String>,
    decimals: BTreeMap<String, u8>,
    secret: Option<Shape>,
    /// What the provider takes as the reference of an order.
    reference: Option<Regex>,
    acknowledgement: Answer,
    refusal_status: u16,
    facts: serde_json::Value,
}

/// What a provider is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type of the body, if there is one.
    pub content_type: Option<String>,
    /// Usually empty.
    pub body: String,
}

/// Why a profile does not load, with the line and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    name: String,
    line: Option<usize>,
    message: String,
}

impl ProfileError {
    /// The line in the profile's file, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// What is wrong and how to mend it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile {}", self.name)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ProfileError {}

impl Profile {
    /// Reads, lints and compiles a profile, and proves its vectors.
    pub fn parse(name: &str, toml: &str) -> Result<Self, ProfileError> {
        let error = |offset: Option<usize>, message: String| ProfileError {
            name: name.to_owned(),
            line: offset.map(|offset| line_of(toml, offset)),
            message,
        };
        if name.is_empty() || !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(error(
                None,
                "a profile's name is of a-z, 0-9 and hyphens: rename the file".to_owned(),
            ));
        }
        let raw: raw::RawProfile = toml::from_str(toml).map_err(|source| {
            error(source.span().map(|span| span.start), source.message().to_owned())
        })?;
        let lint = |(offset, message)| error(Some(offset), message);
        let profile = Self::compile(name, &raw).map_err(lint)?;
        proof::check(&profile, &raw).map_err(lint)?;
        Ok(profile)
    }

    fn compile(name: &str, raw: &raw::RawProfile) -> compile::Lint<Self> {
        if *raw.version.get_ref() != 1 {
            return Err((raw.version.span().start, "this engine reads version 1".to_owned()));
        }
        if raw.reviewed.get_ref().parse::<jiff::civil::Date>().is_err() {
            return Err((
                raw.reviewed.span().start,
                "reviewed is a date, like \"2026-11-22\"".to_owned(),
            ));
        }
        let mut scheme = compile::scheme(&raw.scheme)?;
        let events = compile::events(&raw.event, &raw.dedup, &raw.status, &scheme)?;
        let read: Vec<_> = events.sources().collect();
        scheme.keep_headers(read.into_iter());
        let receipts = compile::receipts(raw)?;
        let connector = raw.confirm.as_ref().map(compile::confirm).transpose()?;
        let outgoing = raw.outgoing.as_ref().map(compile::scheme).transpose()?;
        let status = |status: &toml::Spanned<u16>, range: std::ops::Range<u16>| {
            let wrong = || {
                (
                    status.span().start,
                    format!("a status here is {} to {}", range.start, range.end - 1),
                )
            };
            if range.contains(status.get_ref()) { Ok(*status.get_ref()) } else { Err(wrong()) }
        };
        let ack = raw.ack.as_ref();
        let acknowledgement = Answer {
            status: ack
                .and_then(|ack| ack.status.as_ref())
                .map_or(Ok(200), |s| status(s, 200..300))?,
            content_type: ack.and_then(|ack| ack.content_type.clone()),
            body: ack.map(|ack| ack.body.clone()).unwrap_or_default(),
        };
        let refusal_status =
            raw.refuse.as_ref().map_or(Ok(401), |r| status(&r.status, 400..500))?;
        let secret = match &raw.secret {
            Some(raw::RawSecret { shape: Some(shape), expected, .. }) => {
                Some(Shape { pattern: compile::pattern(shape)?, expected: expected.clone() })
            }
            _ => None,
        };
        let reference = raw.reference.as_ref();
        let reference = reference.map(|raw| compile::pattern(&raw.shape)).transpose()?;
        for path in &raw.personal.paths {
            compile::pointer(path)?;
        }
        let mut units = events.shapes.iter().map(|shape| &shape.amount_units);
        let amount_units = units.find(|units| units.len() > 1).cloned().unwrap_or_default();
        let facts =
            facts::facts(name, raw, &scheme, outgoing.as_ref(), &acknowledgement, refusal_status);
        Ok(Self {
            name: name.to_owned(),
            title: raw.title.clone(),
            docs: raw.docs.clone(),
            reviewed: raw.reviewed.get_ref().clone(),
            scheme,
            outgoing,
            receipts,
            connector,
            events,
            amount_units,
            decimals: raw.decimals.clone(),
            secret,
            reference,
            acknowledgement,
            refusal_status,
            facts,
        })
    }

    /// The file's stem.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider's name for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where the provider describes all this.
    pub fn docs(&self) -> &[String] {
        &self.docs
    }

    /// When somebody last compared the profile with the provider's pages.
    pub fn reviewed(&self) -> &str {
        &self.reviewed
    }

    /// How many decimals the provider gives a currency, where that is not the standard's number.
    pub fn decimals(&self, currency: &str) -> Option<u8> {
        self.decimals.get(&currency.to_ascii_uppercase()).copied()
    }

    /// What the signature vouches for.
    pub fn covers(&self) -> Covers {
        self.scheme.covers
    }

    /// A warning, for known-weak forms: to be chosen on purpose, and warned about at the start.
    pub fn weak(&self) -> Option<&str> {
        self.scheme.weak.as_deref()
    }

    /// Whether the URL is signed, so that the source must say its public one.
    pub fn url_bound(&self) -> bool {
        let messages = self.scheme.alternatives.iter().flat_map(|a| &a.messages);
        let mut places =
            messages.flat_map(|message| message.expressions()).flat_map(|e| &e.source.places);
        places.any(|place| matches!(place, Place::Url | Place::Path | Place::QueryText))
    }

    /// Whether a time is signed, so that a source may set its window.
    pub fn signs_time(&self) -> bool {
        self.scheme.fresh.is_some()
    }

    /// Units of which the source must choose one; empty where there is no choice.
    pub fn amount_units(&self) -> &[String] {
        &self.amount_units
    }

    /// What is answered when a webhook was recorded.
    pub fn acknowledgement(&self) -> &Answer {
        &self.acknowledgement
    }

    /// The status for every webhook that was refused.
    pub fn refusal_status(&self) -> u16 {
        self.refusal_status
    }

    /// Decodes the secrets and checks their shape.
    pub fn keys(&self, secrets: &[Secret]) -> Result<Keys, SecretError> {
        self.scheme.keys(secrets, self.secret.as_ref())
    }

    /// Whether the provider takes a text as the reference of an order. Any, where the profile says
    /// nothing of it.
    pub fn takes_reference(&self, text: &str) -> bool {
        self.reference.as_ref().is_none_or(|shape| shape.is_match(text.as_bytes()))
    }

    /// Whether verifying takes a public key, and costs accordingly.
    pub fn asymmetric(&self) -> bool {
        self.scheme.alternatives.iter().any(|a| a.algorithm.family() != crate::key::Family::Shared)
    }

    /// How the provider's API is asked about an event, if the profile says so.
    pub fn connector(&self) -> Option<&Connector> {
        self.connector.as_ref()
    }

    /// What `providers show --json` prints.
    pub fn facts(&self) -> serde_json::Value {
        self.facts.clone()
    }

    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) fn forms(&self) -> &[Form] {
        &self.receipts
    }

    pub(crate) fn outgoing_scheme(&self) -> Option<&Scheme> {
        self.outgoing.as_ref()
    }

    /// Every scheme of the profile: the webhooks', the receipts', the calls'.
    pub(crate) fn schemes(&self) -> impl Iterator<Item = &Scheme> {
        let receipts = self.receipts.iter().map(|receipt| &receipt.scheme);
        [&self.scheme].into_iter().chain(&self.outgoing).chain(receipts)
    }

    fn section(&self, name: &str) -> Option<&Scheme> {
        match name.split_once('.') {
            None if name == "scheme" => Some(&self.scheme),
            None if name == "outgoing" => self.outgoing.as_ref(),
            Some(("receipt", form)) => {
                self.receipts.iter().find(|receipt| receipt.name == form).map(|r| &r.scheme)
            }
            _ => None,
        }
    }
}

fn line_of(toml: &str, offset: usize) -> usize {
    toml.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}
