//! The document that is delivered in format `event`: what was checked, beside the original bytes
//! as they are kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Environment;
use serde::Serialize;
use serde_json::value::RawValue;
use store::EventRow;

use crate::Facts;

/// The signed document. Its shape is a contract with applications: members are added, never
/// changed or removed.
#[derive(Serialize)]
struct Document<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    source: &'a str,
    provider: &'a str,
    environment: &'static str,
    received_at: String,
    covers: &'static str,
    decision: &'static str,
    order: Option<&'a str>,
    order_version: Option<i64>,
    sequence: i64,
    /// What must not be kept was masked: `data` and `body_base64` are truncated.
    redacted: bool,
    /// What the provider's API said when it was asked, if it was: `data` is not vouched for beyond that.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<Confirmed<'a>>,
    data: Option<&'a RawValue>,
    body_base64: String,
}

/// A payment, as the provider's API says it is.
#[derive(Serialize)]
struct Confirmed<'a> {
    at: &'a str,
    payment: Option<&'a str>,
    status: Option<&'a str>,
    amount: Option<&'a str>,
    amount_unit: Option<&'a str>,
    currency: Option<&'a str>,
}

impl<'a> Confirmed<'a> {
    fn of(facts: &'a Facts) -> Option<Self> {
        Some(Self {
            at: facts.confirmed_at.as_deref()?,
            payment: facts.payment.as_deref(),
            status: facts.status.as_deref(),
            amount: facts.amount.as_deref(),
            amount_unit: facts.amount_unit.as_deref(),
            currency: facts.currency.as_deref(),
        })
    }
}

/// The document of one event. `original` is the whole body of its arrival.
pub(super) fn event(
    event: &EventRow,
    facts: &Facts,
    original: &[u8],
    environment: Environment,
) -> Vec<u8> {
    let bound = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let range = bound(event.range.start)..bound(event.range.end);
    let own = original.get(range).unwrap_or(original);
    let document = Document {
        id: event.id.to_string(),
        kind: event.kind.as_deref(),
        source: &event.source,
        provider: &event.provider,
        environment: environment.code(),
        received_at: event.received_at.to_string(),
        covers: event.covers.code(),
        decision: "permit",
        order: facts.order.as_deref(),
        order_version: facts.order_version,
        sequence: event.sequence,
        redacted: event.original.is_some(),
        confirmed: Confirmed::of(facts),
        data: serde_json::from_slice::<&RawValue>(own).ok(),
        body_base64: STANDARD.encode(original),
    };
    serde_json::to_vec(&document).expect("texts, numbers and checked JSON always serialise")
}
