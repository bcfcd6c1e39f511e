//! What `providers show --json` prints of a profile.

use serde_json::{Map, Value, json};

use super::Answer;
use super::raw::{OneOrMany, RawDedup, RawEvent, RawProfile, Texts};
use crate::scheme::{Fresh, Scheme, SignedTime};

pub(super) fn facts(
    name: &str,
    raw: &RawProfile,
    scheme: &Scheme,
    outgoing: Option<&Scheme>,
    acknowledgement: &Answer,
    refusal_status: u16,
) -> Value {
    let events: Vec<Value> = raw.event.get_ref().0.iter().map(event).collect();
    let receipts: Vec<_> = raw.receipt.keys().collect();
    json!({
        "name": name,
        "title": raw.title,
        "docs": raw.docs,
        "reviewed": raw.reviewed.get_ref(),
        "notes": raw.notes,
        "covers": scheme.covers.code(),
        "weak": scheme.weak,
        "alternatives": alternatives(scheme, &raw.scheme.alt.get_ref().0),
        "window": window(scheme.fresh.as_ref()),
        "batch": scheme.each.is_some() || raw.event.get_ref().0.iter().any(|event| event.each.is_some()),
        "events": events,
        "dedup": dedup(&raw.dedup),
        "status": raw.status,
        "acknowledge": {
            "status": acknowledgement.status,
            "content_type": acknowledgement.content_type,
            "body": acknowledgement.body,
            "within_ms": raw.ack.as_ref().and_then(|ack| ack.within_ms),
        },
        "refuse": { "status": refusal_status },
        "secret": raw.secret.as_ref().map(|secret| json!({
            "expected": secret.expected,
            "from": secret.from,
        })),
        "reference": raw.reference.as_ref().map(|reference| json!({
            "shape": reference.shape.get_ref(),
            "expected": reference.expected,
        })),
        "personal": raw.personal.paths.iter().map(|path| path.get_ref()).collect::<Vec<_>>(),
        "auth": raw.auth.as_ref().map(|auth| json!({
            "kind": auth.kind,
            "header": auth.header,
            "note": auth.note,
        })),
        "origin": raw.origin.as_ref().map(|origin| json!({
            "live": origin.live,
            "test": origin.test,
            "url": origin.url,
            "note": origin.note,
        })),
        "receipts": receipts,
        "outgoing": outgoing.zip(raw.outgoing.as_ref()).map(|(scheme, raw)| json!({
            "alternatives": alternatives(scheme, &raw.alt.get_ref().0),
            "window": window(scheme.fresh.as_ref()),
        })),
        "confirm": raw.confirm.as_ref().map(|confirm| json!({
            "live": confirm.live.get_ref(),
            "test": confirm.test.get_ref(),
            "path": confirm.path.get_ref(),
            "auth": confirm.auth.get_ref(),
            "types": confirm.types.get_ref().0,
        })),
        "vectors": raw.vector.len(),
    })
}

fn alternatives(scheme: &Scheme, raw: &[super::raw::RawAlternative]) -> Vec<Value> {
    scheme
        .alternatives
        .iter()
        .zip(raw)
        .map(|(alternative, raw)| {
            json!({
                "name": &*alternative.name,
                "algorithm": alternative.algorithm.name(),
                "headers": &*alternative.headers,
                "signature": raw.sig.from.get_ref(),
                "message": raw.message.iter().map(|text| text.get_ref()).collect::<Vec<_>>(),
                "key": alternative.key.expected(),
            })
        })
        .collect()
}

fn window(fresh: Option<&Fresh>) -> Value {
    fresh.map_or(Value::Null, |fresh| {
        let time = match &fresh.time {
            SignedTime::Variable(_) => "header",
            SignedTime::Body(_) => "body",
        };
        json!({ "past_s": fresh.window.past_s, "future_s": fresh.window.future_s, "time": time })
    })
}

fn event(raw: &RawEvent) -> Value {
    let fields = [
        ("id", raw.id.as_ref()),
        ("type", Some(&raw.kind)),
        ("order", raw.order.as_ref()),
        ("amount", raw.amount.as_ref()),
        ("amount_unit", raw.amount_unit.as_ref()),
        ("currency", raw.currency.as_ref()),
        ("customer", raw.customer.as_ref()),
        ("payee", raw.payee.as_ref()),
        ("payment", raw.payment.as_ref()),
        ("part", raw.part.as_ref()),
        ("refunded", raw.refunded.as_ref()),
        ("chain", raw.chain.as_ref()),
        ("address", raw.address.as_ref()),
        ("sender", raw.sender.as_ref()),
        ("card", raw.card.as_ref()),
        ("status", raw.status.as_ref()),
        ("live", raw.live.as_ref()),
    ];
    let mut out: Map<String, Value> = fields
        .into_iter()
        .filter_map(|(name, texts)| Some((name.to_owned(), list(texts)?)))
        .collect();
    out.insert("name".to_owned(), json!(raw.name));
    out.insert("unsigned".to_owned(), json!(raw.unsigned));
    if let Some(own) = &raw.dedup {
        out.insert("dedup".to_owned(), dedup(own));
    }
    Value::Object(out)
}

fn dedup(raw: &RawDedup) -> Value {
    json!({
        "key": list(raw.key.as_ref()),
        "fallback": list(raw.fallback.as_ref()),
        "compare": list(raw.compare.as_ref()),
    })
}

fn list(texts: Option<&Texts>) -> Option<Value> {
    let OneOrMany(texts) = texts?.get_ref();
    Some(json!(texts))
}
