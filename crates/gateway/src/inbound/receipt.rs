//! The receipt inside a webhook: a second signature, made with a secret of its own.
//!
//! The webhook is authentic whatever becomes of its receipt, so it is recorded; but of a payment whose
//! receipt is not there or not signed, nothing is believed, and nobody can release it. The provider
//! sends it again once it is right: what is quarantined here does not count as the same event.

use model::{Quarantine, Timestamp};
use schemes::{Receipt, ReceiptFault, Verified};

use crate::Source;

/// The receipt, if the source looks at them and the webhook has or needs one.
pub(super) fn read(
    source: &Source,
    verified: &Verified<'_>,
    at: Timestamp,
) -> Result<Option<Receipt>, Quarantine> {
    let Some(keys) = &source.receipt_keys else { return Ok(None) };
    source.profile.receipt_of(keys, verified, at.as_millis()).map_err(|fault| match fault {
        ReceiptFault::Missing => Quarantine::ReceiptMissing,
        ReceiptFault::Unverified(_) | ReceiptFault::Unreadable(_) => Quarantine::ReceiptInvalid,
    })
}
