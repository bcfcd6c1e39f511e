//! Doors to the readers of queries and bodies, for the fuzz targets alone.

use super::events;
use super::read::{self, Because};
use super::receipts::VerifyReceipt;

/// The limit that a query asks for, if it is taken.
pub(crate) fn limit(text: &str) -> Option<u8> {
    read::query::<events::Asked>(Some(text)).ok().map(|asked| asked.limit())
}

/// The reason in a body, if it is taken.
pub(crate) fn reason(bytes: &[u8]) -> Option<String> {
    read::body::<Because>(bytes).ok().map(|because| because.reason)
}

/// The source and the receipt in a body, if it is taken.
pub(crate) fn receipt(bytes: &[u8]) -> Option<(String, String)> {
    read::body::<VerifyReceipt>(bytes).ok().map(|wanted| (wanted.source, wanted.receipt))
}
