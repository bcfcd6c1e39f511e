//! Receipts: what a provider signs of a payment beside its webhooks, with a secret of its own.
//!
//! A provider may sign them in several *forms*; each is a scheme. A receipt verifies if it does so
//! in one of them, and every form vouches for the whole receipt: the one whose signature covers
//! the outermost members only is refused where anything stands deeper, unless that is asked for.

use std::fmt;

use crate::bounds::{AMOUNT_BYTES_MAX, FIELD_BYTES_MAX};
use crate::engine::{Nested, Terms};
use crate::event::{Fields, check_amount};
use crate::json::{Document, Kind, Pointer, is_same_decimal};
use crate::profile::Profile;
use crate::reason::{Rejection, Unreadable};
use crate::request::Request;
use crate::scheme::{Condition, Covers, Keys, Scheme};
use crate::secret::{Secret, SecretError};
use crate::source::Scope;
use crate::time::Freshness;
use crate::verify::{Verified, verify_by};

/// What a receipt can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptField {
    /// What was paid for, such as a command of a bot.
    Command,
    /// How much, as a plain decimal.
    Amount,
    /// Of what.
    Currency,
    /// On which chain.
    Chain,
    /// By whom.
    User,
    /// The idempotency key of the request that it answers.
    IdempotencyKey,
    /// The transaction that paid.
    Transaction,
    /// When it was written.
    IssuedAt,
}

impl ReceiptField {
    /// Every field, in order.
    pub const ALL: &'static [Self] = &[
        Self::Command,
        Self::Amount,
        Self::Currency,
        Self::Chain,
        Self::User,
        Self::IdempotencyKey,
        Self::Transaction,
        Self::IssuedAt,
    ];

    /// The name that profiles and `--json` use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Chain => "chain",
            Self::User => "user",
            Self::IdempotencyKey => "idempotency_key",
            Self::Transaction => "transaction",
            Self::IssuedAt => "issued_at",
        }
    }
}

/// A form in which the provider signs receipts.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) scheme: Scheme,
    /// Where a receipt stands in a webhook's body.
    pub(crate) at: Option<Pointer>,
    /// When a webhook must hold a receipt; never if there is none.
    pub(crate) needed: Option<Condition>,
    pub(crate) fields: Vec<(ReceiptField, Pointer)>,
}

/// The secrets of a profile's receipts, prepared for every form. Cannot be printed.
#[derive(Clone)]
pub struct ReceiptKeys(Vec<Keys>);

/// A receipt whose signature holds. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    form: String,
    covers: Covers,
    key: usize,
    nested: bool,
    said: Vec<(ReceiptField, Option<String>)>,
}

/// Why there is no receipt to believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptFault {
    /// The webhook has none, and should.
    Missing,
    /// It verifies in none of the forms: each with its reason.
    Unverified(Vec<(String, Rejection)>),
    /// It is signed, and what it says cannot be read.
    Unreadable(Unreadable),
}

impl ReceiptFault {
    /// The stable code of the reason; of several forms, that of the last and weakest.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "receipt_missing",
            Self::Unverified(forms) => {
                forms.last().map_or(Rejection::MissingField.code(), |(_, reason)| reason.code())
            }
            Self::Unreadable(unreadable) => unreadable.code(),
        }
    }
}

/// A field in which a receipt is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub field: ReceiptField,
    /// What was expected.
    pub expected: String,
    /// What the receipt says, if it says anything.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.as_deref().unwrap_or("nothing");
        write!(f, "{} is {found}, not {}", self.field.code(), self.expected)
    }
}

impl Receipt {
    /// The form that it was signed in.
    pub fn form(&self) -> &str {
        &self.form
    }

    /// What its signature vouches for.
    pub fn covers(&self) -> Covers {
        self.covers
    }

    /// Which of the secrets signed it, counted from 0.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Whether values stand in it that its signature does not cover.
    pub fn has_uncovered(&self) -> bool {
        self.nested
    }

    /// What it says, if it says it.
    pub fn says(&self, field: ReceiptField) -> Option<&str> {
        self.said.iter().find(|(other, _)| *other == field)?.1.as_deref()
    }

    /// Whether receipts of its form say it, wherever they are whole.
    pub fn has(&self, field: ReceiptField) -> bool {
        self.said.iter().any(|(other, _)| *other == field)
    }

    /// Every field in which the receipt is not as expected; none if it answers the request.
    /// Amounts are the same if they are the same decimal, everything else if it is the same text.
    pub fn differences(&self, expected: &[(ReceiptField, &str)]) -> Vec<Difference> {
        let differs = |field, expected: &str| match (self.says(field), field) {
            (Some(found), ReceiptField::Amount) => !is_same_decimal(found, expected),
            (found, _) => found != Some(expected),
        };
        expected
            .iter()
            .filter(|(field, expected)| differs(*field, expected))
            .map(|(field, expected)| Difference {
                field: *field,
                expected: (*expected).to_owned(),
                found: self.says(*field).map(str::to_owned),
            })
            .collect()
    }

    /// Every field in which the receipt is not what its webhook says, of those that this
    /// provider's receipts have. The amounts are taken to be in the same unit.
    pub fn contradicts(&self, event: &Fields) -> Vec<Difference> {
        let of_event = [
            (ReceiptField::IdempotencyKey, &event.order),
            (ReceiptField::Amount, &event.amount),
            (ReceiptField::Currency, &event.currency),
            (ReceiptField::User, &event.customer),
        ];
        let expected: Vec<(ReceiptField, &str)> = of_event
            .into_iter()
            .filter(|(field, _)| self.has(*field))
            .filter_map(|(field, text)| Some((field, text.as_deref()?)))
            .collect();
        self.differences(&expected)
    }
}

impl Profile {
    /// Decodes the secrets of this provider's receipts, for every form; never the webhooks'.
    pub fn receipt_keys(&self, secrets: &[Secret]) -> Result<ReceiptKeys, SecretError> {
        let forms = self.forms().iter().map(|form| form.scheme.keys(secrets, None));
        forms.collect::<Result<_, _>>().map(ReceiptKeys)
    }

    /// Verifies a receipt in the form of this name, or else in every form, the strongest first.
    pub fn verify_receipt(
        &self,
        keys: &ReceiptKeys,
        form: Option<&str>,
        receipt: &[u8],
        now_ms: i64,
        nested: Nested,
    ) -> Result<Receipt, ReceiptFault> {
        let request = Request { method: "POST", url: "", headers: &[], body: receipt };
        let mut refused = Vec::new();
        let meant = |other: &Form| form.is_none_or(|name| other.name == name);
        let terms = Terms { nested, ..Terms::strict(now_ms, Freshness::Profile) };
        for (form, keys) in self.forms().iter().zip(&keys.0).filter(|(other, _)| meant(other)) {
            match verify_by(&form.scheme, keys, &request, &terms) {
                Ok(verified) => return form.read(&verified).map_err(ReceiptFault::Unreadable),
                Err(rejection) => refused.push((form.name.clone(), rejection)),
            }
        }
        Err(ReceiptFault::Unverified(refused))
    }

    /// The receipt inside a verified webhook; none where none stands there or must.
    pub fn receipt_of(
        &self,
        keys: &ReceiptKeys,
        verified: &Verified<'_>,
        now_ms: i64,
    ) -> Result<Option<Receipt>, ReceiptFault> {
        // A body that cannot be read has no receipt, and reading will say what is wrong with it.
        let Ok(document) = Document::parse(verified.body()) else { return Ok(None) };
        let Some(root) = document.root() else { return Ok(None) };
        let mut places = self.forms().iter().filter_map(|form| form.at.as_ref());
        if let Some(receipt) = places.find_map(|at| root.at(at)) {
            let bytes = receipt.source().as_bytes();
            return self.verify_receipt(keys, None, bytes, now_ms, Nested::Refused).map(Some);
        }
        let scope = Scope {
            request: verified.request(),
            settings: &[],
            document: Some(&document),
            item: None,
            variables: &[],
        };
        let mut conditions = self.forms().iter().filter_map(|form| form.needed.as_ref());
        if conditions.any(|needed| needed.holds(&scope)) {
            return Err(ReceiptFault::Missing);
        }
        Ok(None)
    }
}

impl Form {
    fn read(&self, verified: &Verified<'_>) -> Result<Receipt, Unreadable> {
        let document = Document::parse(verified.body())?;
        let root = document.root().ok_or(Unreadable::NotJson)?;
        let mut said = Vec::with_capacity(self.fields.len());
        for (field, pointer) in &self.fields {
            let text = match root.at(pointer) {
                Some(value) if value.kind() == Kind::Number || value.text().is_some() => {
                    value.scalar()
                }
                Some(_) => return Err(Unreadable::WrongType),
                None => None,
            };
            if let Some(text) = &text {
                match field {
                    ReceiptField::Amount if text.len() > AMOUNT_BYTES_MAX => {
                        return Err(Unreadable::BadNumber);
                    }
                    ReceiptField::Amount => check_amount(text)?,
                    _ if text.len() > FIELD_BYTES_MAX => return Err(Unreadable::TooLong),
                    _ => {}
                }
            }
            said.push((*field, text.map(std::borrow::Cow::into_owned)));
        }
        let is_open = |kind| matches!(kind, Kind::Object | Kind::Array);
        let nested = verified.covers() == Covers::TopLevelOnly
            && root.members().any(|(_, member)| is_open(member.kind()));
        Ok(Receipt {
            form: self.name.clone(),
            covers: verified.covers(),
            key: verified.key(),
            nested,
            said,
        })
    }
}
