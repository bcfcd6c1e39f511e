//! Reads what the profile says an event says, from verified bytes only.

use crate::event::Fields;
use crate::profile::Profile;
use crate::reason::Unreadable;
use crate::verify::Verified;

/// Reads the events of a verified webhook, one or a batch. `amount_unit` is the source's setting.
///
/// An error means that the webhook is authentic and cannot be understood without a guess.
pub fn read(
    profile: &Profile,
    verified: &Verified<'_>,
    amount_unit: Option<&str>,
) -> Result<Vec<Fields>, Unreadable> {
    profile.events().read(verified.request(), verified.document(), amount_unit)
}
