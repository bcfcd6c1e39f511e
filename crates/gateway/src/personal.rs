//! What an audit entry says of persons: a commitment each in the log, salts and values sealed beside.
//!
//! Whoever may open the store can show later what was committed to; when the sealed part is erased
//! the log says nothing of the person any more, and is as valid as before (`docs/audit.md`).

use audit::Commitment;
use model::RequestId;
use serde_json::{Map, Value, json};
use store::{Note, Personal};

use crate::entropy;
use crate::keys::{KeyError, KeyRing};
use crate::operations::Order;

/// The bucket under whose key of the day it is sealed. No source can have this name.
const BUCKET: &str = "audit log";

/// The note that goes with an order. What people write about a customer is masked all the same.
pub(crate) async fn note(keys: &KeyRing, order: Order) -> Result<Note, KeyError> {
    let request = order.request.unwrap_or_else(|| RequestId::new(order.at, entropy::bytes()));
    let reason = redact::line(&order.reason).into_owned();
    let mut shown = Map::new();
    let address = order.address.map(|address| address.to_string());
    let address = commit(&mut shown, "address", address);
    let agent = commit(&mut shown, "agent", order.agent);
    let note = commit(&mut shown, "note", (!reason.is_empty()).then_some(reason));
    let personal = if shown.is_empty() {
        None
    } else {
        let key = keys.bucket(BUCKET, order.at).await?;
        let bytes = Value::Object(shown).to_string();
        let sealed = key.seal("audit_entry", "sealed", request.as_bytes(), bytes.as_bytes());
        Some(Personal { address, agent, note, sealed })
    };
    Ok(Note { at: order.at, actor: order.actor, request, personal })
}

/// Commits to a value, and notes what shows it.
fn commit(
    shown: &mut Map<String, Value>,
    kind: &'static str,
    value: Option<String>,
) -> Option<Commitment> {
    let value = value?;
    let salt: [u8; 32] = entropy::bytes();
    let hex = audit::Hash(salt).to_string();
    let commitment = Commitment::of(kind, &salt, value.as_bytes());
    shown.insert(kind.to_owned(), json!({ "salt": hex, "value": value }));
    Some(commitment)
}

/// What was committed to, as far as it is still there and fits its commitment.
pub(crate) async fn show(
    keys: &KeyRing,
    request: RequestId,
    personal: &Personal,
) -> Result<Shown, KeyError> {
    let bytes =
        keys.open_row("audit_entry", "sealed", request.as_bytes(), &personal.sealed).await?;
    let shown: Value = serde_json::from_slice(&bytes).map_err(|_| KeyError::NotAuthentic)?;
    let value = |kind: &str, commitment: Option<Commitment>| -> Result<Option<String>, KeyError> {
        let Some(commitment) = commitment else { return Ok(None) };
        let text = |name: &str| shown.get(kind)?.get(name)?.as_str();
        let salt = text("salt").and_then(|salt| audit::Hash::from_hex(salt.as_bytes()));
        let (salt, value) = salt.zip(text("value")).ok_or(KeyError::NotAuthentic)?;
        let fits = Commitment::of(kind, &salt.0, value.as_bytes()) == commitment;
        if fits { Ok(Some(value.to_owned())) } else { Err(KeyError::NotAuthentic) }
    };
    Ok(Shown {
        address: value("address", personal.address)?,
        agent: value("agent", personal.agent)?,
        note: value("note", personal.note)?,
    })
}

/// What an entry says of persons, in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// From which network address.
    pub address: Option<String>,
    /// With which user agent.
    pub agent: Option<String>,
    /// What a person wrote about it.
    pub note: Option<String>,
}
