//! Reads what the profile says an event says, from verified bytes only.

use std::ops::Range;

use crate::profile::Profile;
use crate::reason::Unreadable;
use crate::verify::Verified;

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The provider's id of the event, where it has one.
    pub id: Option<String>,
    /// The type, as the provider writes it.
    pub kind: String,
    /// The application's own reference, where the event carries one.
    pub order: Option<String>,
    /// The amount, exactly as written.
    pub amount: Option<String>,
    /// Unit of the amount: `minor`, `major`, or what the source chose.
    pub amount_unit: Option<String>,
    /// The currency or asset, as written.
    pub currency: Option<String>,
    /// Who pays.
    pub customer: Option<String>,
    /// Who is paid.
    pub payee: Option<String>,
    /// The status in our words where the profile translates it, else in the provider's.
    pub status: Option<String>,
    /// Real money or not, where the event says so.
    pub live: Option<bool>,
    /// What makes two arrivals the same event: length-prefixed parts.
    pub dedup_key: Vec<u8>,
    /// What two arrivals of one event must agree on: length-prefixed parts.
    pub projection: Vec<u8>,
    /// Where the event stands in the body.
    pub range: Range<usize>,
}

/// Reads the events of a verified webhook. `amount_unit` is the source's setting.
pub fn read(
    _profile: &Profile,
    _verified: &Verified<'_>,
    _amount_unit: Option<&str>,
) -> Result<Vec<Fields>, Unreadable> {
    Err(Unreadable::UnknownShape)
}
