//! Asking a provider's API whether an event is so: what is asked, and what an answer says.
//!
//! Pure: somebody else sends the request and gives the bytes that came back. The hosts stand in the profile;
//! of an event only an id goes into the path, after it was held against a pattern and percent-encoded. An
//! answer counts only if it is about the id that was asked for.

use std::collections::BTreeMap;
use std::fmt;

use regex::bytes::Regex;

use crate::bounds::{AMOUNT_BYTES_MAX, FIELD_BYTES_MAX};
use crate::json::{Document, Pointer};

/// How the token is shown to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// `Bearer`, RFC 6750.
    Bearer,
    /// `Basic`, RFC 7617: the token is a name and a password with a colon between them.
    Basic,
}

impl Authorization {
    pub(crate) const NAMES: &'static [(&'static str, Self)] =
        &[("bearer", Self::Bearer), ("basic", Self::Basic)];
}

/// What a profile says of asking its provider.
#[derive(Debug)]
pub struct Connector {
    pub(crate) live: String,
    pub(crate) test: String,
    /// What stands before and after the id.
    pub(crate) path: (String, String),
    pub(crate) authorization: Authorization,
    /// Types of events that are about what is asked for.
    pub(crate) types: Vec<String>,
    /// Where an event names it.
    pub(crate) payment: Pointer,
    pub(crate) pattern: Regex,
    pub(crate) answer: AnswerPlaces,
    /// From the provider's words in an answer to ours.
    pub(crate) status: BTreeMap<String, String>,
    pub(crate) amount_unit: String,
}

/// Where an answer says what.
#[derive(Debug)]
pub(crate) struct AnswerPlaces {
    pub(crate) payment: Pointer,
    pub(crate) status: Pointer,
    pub(crate) amount: Pointer,
    pub(crate) currency: Pointer,
    /// The first that is there counts.
    pub(crate) order: Vec<Pointer>,
    pub(crate) payee: Option<Pointer>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The path, percent-encoded.
    pub path: String,
    /// The id of the payment.
    pub payment: String,
}

/// What an answer says. Nothing else is known of the payment then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The payment: the one that was asked for.
    pub payment: String,
    /// Its state, in the words of profiles.
    pub status: String,
    /// How much, as written.
    pub amount: String,
    /// What one of it is.
    pub amount_unit: String,
    /// Of which currency, as written.
    pub currency: String,
    /// The reference of the order.
    pub order: Option<String>,
    /// Who is paid.
    pub payee: Option<String>,
}

/// Why an answer says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFault {
    /// It is no JSON, or not as strict as ours.
    NotJson,
    /// Something that it must say is not there, is of another type or too long.
    Incomplete,
    /// Its state is none that the profile knows.
    UnknownStatus,
    /// It is about another payment.
    OtherPayment,
}

impl AnswerFault {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson => "answer_not_json",
            Self::Incomplete => "answer_incomplete",
            Self::UnknownStatus => "answer_unknown_status",
            Self::OtherPayment => "answer_other_payment",
        }
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Connector {
    /// Whether events of this type are about what can be asked for.
    pub fn asks_about(&self, kind: &str) -> bool {
        self.types.iter().any(|known| known == kind)
    }

    /// The scheme and host that is asked.
    pub fn base(&self, live: bool) -> &str {
        if live { &self.live } else { &self.test }
    }

    /// How the token is shown.
    pub fn authorization(&self) -> Authorization {
        self.authorization
    }

    /// What is asked about an event, by its bytes; nothing where it names no payment that looks like one.
    pub fn question(&self, event: &[u8]) -> Option<Question> {
        let document = Document::parse(event).ok()?;
        let payment = document.root()?.at(&self.payment)?.text()?.into_owned();
        let is_dots = payment.bytes().all(|byte| byte == b'.');
        let fits = payment.len() <= FIELD_BYTES_MAX && self.pattern.is_match(payment.as_bytes());
        if is_dots || !fits {
            return None;
        }
        let (before, after) = &self.path;
        Some(Question { path: format!("{before}{}{after}", encoded(&payment)), payment })
    }

    /// What an answer says of the payment that was asked for.
    pub fn read(&self, answer: &[u8], asked: &Question) -> Result<Confirmation, AnswerFault> {
        let document = Document::parse(answer).map_err(|_| AnswerFault::NotJson)?;
        let root = document.root().ok_or(AnswerFault::NotJson)?;
        let optional = |pointer: &Pointer, bytes_max: usize| match root.at(pointer) {
            None => Ok(None),
            Some(value) => {
                let text = value.scalar().filter(|text| text.len() <= bytes_max);
                text.map(|text| Some(text.into_owned())).ok_or(AnswerFault::Incomplete)
            }
        };
        let needed = |pointer: &Pointer, bytes_max: usize| {
            optional(pointer, bytes_max)?.ok_or(AnswerFault::Incomplete)
        };
        let places = &self.answer;
        let payment = needed(&places.payment, FIELD_BYTES_MAX)?;
        if payment != asked.payment {
            return Err(AnswerFault::OtherPayment);
        }
        let status = needed(&places.status, FIELD_BYTES_MAX)?;
        let status = self.status.get(&status).cloned().ok_or(AnswerFault::UnknownStatus)?;
        let mut order = None;
        for place in &places.order {
            order = order.or(optional(place, FIELD_BYTES_MAX)?);
        }
        Ok(Confirmation {
            payment,
            status,
            amount: needed(&places.amount, AMOUNT_BYTES_MAX)?,
            amount_unit: self.amount_unit.clone(),
            currency: needed(&places.currency, FIELD_BYTES_MAX)?,
            order,
            payee: places.payee.as_ref().map_or(Ok(None), |p| optional(p, FIELD_BYTES_MAX))?,
        })
    }
}

/// RFC 3986: everything but unreserved characters as percent and two digits.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
