//! Receipts: judged for the request that they answer.

use sabotage::Defect;
use schemes::{Difference, Receipt, ReceiptFault, ReceiptField};
use serde::{Deserialize, Serialize};
use store::ReceiptTaken;
use utoipa::ToSchema;

use super::Reply;
use super::ask::Ask;
use super::refusal::{ApiRefusal, Problem};
use crate::receipts::{ReceiptRefusal, new_receipt};

/// A receipt that is to be judged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyReceipt {
    /// The source whose provider signed it: one that has `receipt_secrets`.
    #[schema(pattern = "^[a-z0-9_-]{1,64}$")]
    pub(super) source: String,
    /// The receipt, a JSON text exactly as it came: what is parsed and written again, numbers above all,
    /// may not verify any more.
    pub(super) receipt: String,
    /// What it must answer. Without it the receipt is only good for itself.
    #[serde(default)]
    request: Option<ReceiptRequest>,
}

/// What was asked for: at least one of these. What is not given is not compared.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct ReceiptRequest {
    /// The command.
    command: Option<String>,
    /// The amount that was agreed to, a plain decimal in the unit that the provider writes.
    amount: Option<String>,
    /// The currency.
    currency: Option<String>,
    /// The chain.
    chain: Option<String>,
    /// The user who pays.
    user: Option<String>,
    /// The idempotency key of the request.
    idempotency_key: Option<String>,
}

impl ReceiptRequest {
    fn expected(&self) -> Vec<(ReceiptField, &str)> {
        let given = [
            (ReceiptField::Command, &self.command),
            (ReceiptField::Amount, &self.amount),
            (ReceiptField::Currency, &self.currency),
            (ReceiptField::Chain, &self.chain),
            (ReceiptField::User, &self.user),
            (ReceiptField::IdempotencyKey, &self.idempotency_key),
        ];
        given.into_iter().filter_map(|(field, text)| Some((field, text.as_deref()?))).collect()
    }
}

/// Whether a receipt is good, and why not.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct ReceiptVerdict {
    /// It is signed, says what was asked for, is fresh, and answers no other request.
    verified: bool,
    /// Why it is not good.
    reason: Option<&'static str>,
    /// What its signature vouches for: `full`, or `top_level_only` for a form that signs no value inside
    /// of a value, which therefore may not be there.
    covers: Option<&'static str>,
    /// The form that it is signed in.
    form: Option<String>,
    /// What it says, if it is signed.
    receipt: Option<ReceiptSays>,
    /// Every member in which it is not as the request.
    differences: Vec<ReceiptDiffers>,
    /// Why it verifies in none of the forms, if it does not.
    forms: Vec<ReceiptForm>,
}

/// What a signed receipt says.
#[derive(Serialize, ToSchema)]
struct ReceiptSays {
    command: Option<String>,
    /// As it is written.
    amount: Option<String>,
    currency: Option<String>,
    chain: Option<String>,
    user: Option<String>,
    idempotency_key: Option<String>,
    /// The transaction that paid.
    transaction: Option<String>,
    /// When it was written.
    issued_at: Option<String>,
}

impl ReceiptSays {
    fn of(receipt: &Receipt) -> Self {
        let says = |field| receipt.says(field).map(str::to_owned);
        Self {
            command: says(ReceiptField::Command),
            amount: says(ReceiptField::Amount),
            currency: says(ReceiptField::Currency),
            chain: says(ReceiptField::Chain),
            user: says(ReceiptField::User),
            idempotency_key: says(ReceiptField::IdempotencyKey),
            transaction: says(ReceiptField::Transaction),
            issued_at: says(ReceiptField::IssuedAt),
        }
    }
}

/// A member in which a receipt is not as the request.
#[derive(Serialize, ToSchema)]
struct ReceiptDiffers {
    /// Which.
    field: &'static str,
    /// What was asked for.
    expected: String,
    /// What the receipt says, if it says anything.
    found: Option<String>,
}

impl ReceiptDiffers {
    fn of(difference: Difference) -> Self {
        let Difference { field, expected, found } = difference;
        Self { field: field.code(), expected, found }
    }
}

/// A form in which a receipt does not verify.
#[derive(Serialize, ToSchema)]
struct ReceiptForm {
    /// Which.
    form: String,
    /// Why not.
    reason: &'static str,
}

impl ReceiptVerdict {
    /// Of a receipt that is not signed, or cannot be read.
    fn unsigned(fault: ReceiptFault) -> Self {
        let reason = Some(fault.code());
        let tried = match fault {
            ReceiptFault::Unverified(forms) => forms,
            ReceiptFault::Missing | ReceiptFault::Unreadable(_) => Vec::new(),
        };
        let forms = tried.into_iter().map(|(form, why)| ReceiptForm { form, reason: why.code() });
        Self { reason, forms: forms.collect(), ..Self::default() }
    }

    fn signed(receipt: &Receipt, differences: Vec<Difference>, no: Option<ReceiptRefusal>) -> Self {
        Self {
            verified: no.is_none(),
            reason: no.map(ReceiptRefusal::code),
            covers: Some(receipt.covers().code()),
            form: Some(receipt.form().to_owned()),
            receipt: Some(ReceiptSays::of(receipt)),
            differences: differences.into_iter().map(ReceiptDiffers::of).collect(),
            forms: Vec::new(),
        }
    }
}

/// Judges a receipt. A good one is taken: its transaction answers no other request from then on.
#[utoipa::path(
    post, path = "/v1/receipts/verify", operation_id = "verify_receipt", tag = "receipts",
    request_body = VerifyReceipt,
    responses((status = 200, description = "Whether it is good.", body = ReceiptVerdict))
)]
pub(super) async fn verify(ask: Ask) -> Result<Reply, Problem> {
    let wanted: VerifyReceipt = ask.body()?;
    let expected = wanted.request.as_ref().map(ReceiptRequest::expected);
    if expected.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::at(ApiRefusal::BodyInvalid, "request"));
    }
    let source = ask.source_of_receipts(&wanted.source)?;
    let judge = source.receipts.as_ref().ok_or(ApiRefusal::NoReceipts)?;
    let now = ask.came.at;
    let receipt = match judge.verify(wanted.receipt.as_bytes(), now) {
        Ok(receipt) => receipt,
        Err(fault) => {
            ask.judged_receipt(&wanted.source, Some(fault.code()), None).await?;
            return Reply::of(&ReceiptVerdict::unsigned(fault));
        }
    };
    let user = receipt.says(ReceiptField::User);
    ask.may_see_receipt(&wanted.source, &source.provider, user)?;
    let differences = receipt.differences(&expected.unwrap_or_default());
    let mut refused = judge.refuse(&receipt, &differences, now);
    let new = new_receipt(&ask.api.keys, &source.provider, &receipt, now);
    let reason = refused.map(ReceiptRefusal::code);
    if ask.judged_receipt(&wanted.source, reason, new).await? == ReceiptTaken::Reused
        && !sabotage::on(Defect::ReceiptReused)
    {
        refused = Some(ReceiptRefusal::Reused);
    }
    Reply::of(&ReceiptVerdict::signed(&receipt, differences, refused))
}
