//! `receipt`: one receipt, judged as the gateway would, and compared with what was asked for.

use schemes::{Difference, Nested, Profile, ReceiptFault, ReceiptField};
use serde_json::{Value, json};

use super::{Ended, bytes, now, profiles, receipt as form_of, say, unknown_provider};
use crate::args::Arguments;
use crate::args::receipt::{Expected, Receipt, Verify};
use crate::config;
use crate::failure::{Failure, Outcome};
use crate::table::tame;

/// Verifies a receipt.
pub(super) fn run(command: &Receipt, arguments: &Arguments) -> Ended {
    let Receipt::Verify(verify) = command;
    let profiles = profiles(arguments)?;
    let profile = profiles.find(&verify.provider)?.ok_or_else(|| unknown_provider(&profiles))?;
    check_forms(verify, &profile)?;
    let from = &verify.secret;
    let secrets =
        config::secrets_of(&from.secret_env, &from.secret_file, arguments.env_file.as_deref())?;
    let keys = profile.receipt_keys(&secrets).map_err(|error| {
        let fix = "give the secret that the provider signs receipts with, not the webhooks'";
        Failure::new(error.code(), error, fix)
    })?;
    let receipt = bytes(&verify.file)?;
    let at = verify.at.map_or_else(now, |moment| moment.resolve(now()));
    let nested = if verify.allow_nested { Nested::DangerAllowed } else { Nested::Refused };
    let form = verify.form.as_deref();
    match profile.verify_receipt(&keys, form, &receipt, at.as_millis(), nested) {
        Ok(receipt) => judge(&receipt, &verify.expected, arguments.json),
        Err(fault) => {
            say_refused(&fault, arguments.json)?;
            Ok(Outcome::No)
        }
    }
}

/// The provider has receipts, and this form of them if one is named.
fn check_forms(verify: &Verify, profile: &Profile) -> Result<(), Failure> {
    match &verify.form {
        Some(form) => form_of(profile, form).map(|_| ()),
        None if profile.receipt_forms().next().is_none() => {
            let message = "this provider signs no receipts";
            let fix = "name a provider that does: countersign providers show NAME lists receipts";
            Err(Failure::new("unknown_receipt", message, fix))
        }
        None => Ok(()),
    }
}

/// A receipt that verifies is still no answer to another request.
fn judge(receipt: &schemes::Receipt, expected: &Expected, is_json: bool) -> Ended {
    let differences = receipt.differences(&fields(expected));
    if is_json {
        say(document(receipt, &differences))?;
    } else {
        say_verified(receipt, &differences)?;
    }
    Ok(if differences.is_empty() { Outcome::Done } else { Outcome::No })
}

fn fields(expected: &Expected) -> Vec<(ReceiptField, &str)> {
    let given = [
        (ReceiptField::Command, &expected.command),
        (ReceiptField::Amount, &expected.amount),
        (ReceiptField::Currency, &expected.currency),
        (ReceiptField::Chain, &expected.chain),
        (ReceiptField::User, &expected.user),
        (ReceiptField::IdempotencyKey, &expected.idempotency_key),
    ];
    given.into_iter().filter_map(|(field, text)| Some((field, text.as_deref()?))).collect()
}

fn document(receipt: &schemes::Receipt, differences: &[Difference]) -> Value {
    let said = ReceiptField::ALL.iter().map(|field| (field.code(), receipt.says(*field)));
    let said: serde_json::Map<String, Value> =
        said.map(|(name, text)| (name.to_owned(), json!(text))).collect();
    let differences: Vec<Value> = differences
        .iter()
        .map(|one| {
            json!({ "field": one.field.code(), "expected": one.expected, "found": one.found })
        })
        .collect();
    json!({
        "verdict": "valid", "reason": null, "covers": receipt.covers().code(),
        "form": receipt.form(), "secret": receipt.key(), "uncovered": receipt.has_uncovered(),
        "receipt": said, "matches": differences.is_empty(), "differences": differences,
    })
}

fn say_verified(receipt: &schemes::Receipt, differences: &[Difference]) -> Result<(), Failure> {
    let covers = receipt.covers().code();
    say(format_args!("valid: signed in the form {}, which covers {covers}", receipt.form()))?;
    say(format_args!("  secret: number {} of those given", receipt.key() + 1))?;
    if receipt.has_uncovered() {
        say("  warning: values inside of values are not signed: believe only what stands below")?;
    }
    for field in ReceiptField::ALL {
        if let Some(text) = receipt.says(*field) {
            say(format_args!("  {}: {}", field.code(), tame(text)))?;
        }
    }
    for difference in differences {
        say(format_args!("  differs: {}", tame(&difference.to_string())))?;
    }
    Ok(())
}

fn say_refused(fault: &ReceiptFault, is_json: bool) -> Result<(), Failure> {
    let forms = match fault {
        ReceiptFault::Unverified(forms) => forms.as_slice(),
        ReceiptFault::Missing | ReceiptFault::Unreadable(_) => &[],
    };
    if is_json {
        let tried: Vec<Value> = forms
            .iter()
            .map(|(form, reason)| json!({ "form": form, "reason": reason.code() }))
            .collect();
        let reason = fault.code();
        return say(json!({
            "verdict": "invalid", "reason": reason, "covers": null, "forms": tried,
        }));
    }
    say(format_args!("invalid: {}", fault.code()))?;
    for (form, reason) in forms {
        say(format_args!("  {form}: {reason}"))?;
    }
    if fault.code() == schemes::Rejection::NestedValue.code() {
        say("  a value inside of a value is not signed in this form; --allow-nested lets it pass")?;
    }
    Ok(())
}
