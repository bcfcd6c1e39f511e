//! The `[receipt.NAME]` sections: each is a scheme, and says what stands in a receipt.

use super::super::raw::{RawProfile, RawScheme, Text};
use super::{Lint, at, condition, pointer, scheme, wrong};
use crate::json::Pointer;
use crate::receipt::{Form, ReceiptField};
use crate::scheme::Covers;

/// The forms, the strongest first.
pub(in crate::profile) fn receipts(raw: &RawProfile) -> Lint<Vec<Form>> {
    for other in [Some(&raw.scheme), raw.outgoing.as_ref()].into_iter().flatten() {
        refuse_receipts(other)?;
    }
    let mut forms =
        raw.receipt.iter().map(|(name, raw)| form(name, raw)).collect::<Lint<Vec<_>>>()?;
    forms.sort_by_key(|form| form.scheme.weak.is_some());
    Ok(forms)
}

/// What only receipts have.
fn refuse_receipts(raw: &RawScheme) -> Lint<()> {
    if raw.covers.get_ref() == Covers::TopLevelOnly.code() {
        return wrong(&raw.covers, "only [receipt.NAME] can say covers = \"top_level_only\"");
    }
    let fields = raw.fields.values().next();
    if raw.at.is_some() || raw.needed.is_some() || fields.is_some() {
        let span = raw.at.as_ref().or(fields).unwrap_or(&raw.covers);
        return wrong(span, "at, needed and fields belong into [receipt.NAME]");
    }
    Ok(())
}

fn form(name: &str, raw: &RawScheme) -> Lint<Form> {
    let scheme = scheme(raw)?;
    let fields = raw
        .fields
        .iter()
        .map(|(name, place)| field(name, place, scheme.covers))
        .collect::<Lint<_>>()?;
    Ok(Form {
        name: name.to_owned(),
        scheme,
        at: raw.at.as_ref().map(pointer).transpose()?,
        needed: raw.needed.as_ref().map(condition).transpose()?,
        fields,
    })
}

fn field(name: &str, place: &Text, covers: Covers) -> Lint<(ReceiptField, Pointer)> {
    let known = ReceiptField::ALL.iter().find(|field| field.code() == name);
    let names = || ReceiptField::ALL.iter().map(|field| field.code()).collect::<Vec<_>>();
    let field = known
        .ok_or_else(|| format!("{name:?} is no field of a receipt: use {}", names().join(" ")));
    let pointer = pointer(place)?;
    let is_outermost = pointer.split_last().is_some_and(|(parents, _)| parents.is_root());
    if covers == Covers::TopLevelOnly && !is_outermost {
        return wrong(place, "not signed: this form covers the outermost members only");
    }
    Ok((*at(place, field)?, pointer))
}
