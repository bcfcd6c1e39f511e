//! May it pass? Pure decisions about verified events.
//!
//! A [`Permit`] can be made here only, and a delivery cannot be planned without one. What the signature
//! covers in full may pass, anything less is only a hint until somebody confirms it. What names an order
//! passes only where it matches what that order expects ([`match_order`]).

mod matching;
mod reason;

use model::block::Blocked;
use model::{Covers, EventStatus};
use sabotage::Defect;

pub use matching::{Claim, Matched, Wanted, match_order, match_released};
pub use reason::{DenyReason, HoldReason};

/// Leave to deliver one event. Only this crate makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(());

/// What was decided about an authentic event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It may be delivered.
    Permit(Permit),
    /// It waits for a fact or a person.
    Hold(HoldReason),
    /// It will not be delivered.
    Deny(DenyReason),
}

/// The rules of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Deliver events whose signature covers less than the body without confirming them.
    pub accept_unconfirmed: bool,
}

/// What is known of the event when it is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What the signature covers.
    pub covers: Covers,
    /// The scheme's form is known to be weak (its time is not signed, for one).
    pub weak: bool,
    /// What may be kept of it is less than what came, and its endpoints take only what came.
    pub original_only: bool,
}

/// Decides about one authentic event.
pub fn decide(rules: Rules, evidence: Evidence) -> Decided {
    let strong = evidence.covers == Covers::Full && !evidence.weak;
    let may_pass = strong || rules.accept_unconfirmed || sabotage::on(Defect::HeldPasses);
    if !may_pass {
        Decided::Hold(HoldReason::NeedsConfirmation)
    } else if evidence.original_only {
        Decided::Hold(HoldReason::RedactedOriginalOnly)
    } else {
        Decided::Permit(Permit(()))
    }
}

/// What a block of one of its parties makes of an event that was decided on otherwise: it waits for a
/// person, who is to know of the block, whatever else it waits for. Nothing, where there is no block, or
/// where the event is never delivered anyway.
pub fn decide_blocked(was: EventStatus, blocked: Option<&Blocked>) -> Option<Decided> {
    match was {
        _ if sabotage::on(Defect::BlockedPasses) => None,
        EventStatus::Accepted | EventStatus::Held => {
            blocked.map(|_| Decided::Hold(HoldReason::PartyBlocked))
        }
        EventStatus::Denied | EventStatus::Quarantined => None,
    }
}

/// An event whose provider was asked and says what it says, and that names no order.
pub fn confirmed() -> Decided {
    Decided::Permit(Permit(()))
}

/// A person's leave to deliver a held event. The caller records who and why.
pub fn release_by_person() -> Permit {
    Permit(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(covers: Covers, weak: bool, accept_unconfirmed: bool) -> bool {
        matches!(
            decide(Rules { accept_unconfirmed }, Evidence { covers, weak, original_only: false }),
            Decided::Permit(_)
        )
    }

    #[test]
    fn only_full_and_strong_passes_by_itself() {
        for covers in Covers::ALL {
            assert_eq!(passes(*covers, false, false), *covers == Covers::Full, "{covers}");
            assert!(!passes(*covers, true, false), "weak {covers}");
        }
    }

    #[test]
    fn a_source_may_accept_what_is_unconfirmed() {
        for covers in Covers::ALL {
            assert!(passes(*covers, true, true), "{covers}");
        }
    }

    #[test]
    fn a_block_holds_what_might_be_delivered() {
        let blocked = Blocked {
            block: model::BlockId::from_bytes([7; 16]),
            kind: model::block::PartyKind::Card,
        };
        let held = Some(Decided::Hold(HoldReason::PartyBlocked));
        for (was, expected) in [
            (EventStatus::Accepted, held),
            (EventStatus::Held, held),
            (EventStatus::Denied, None),
            (EventStatus::Quarantined, None),
        ] {
            assert_eq!(decide_blocked(was, Some(&blocked)), expected, "{was}");
            assert_eq!(decide_blocked(was, None), None, "{was}");
        }
    }

    #[test]
    fn nobody_gets_original_bytes_that_are_not_kept() {
        for (covers, reason) in [
            (Covers::Full, HoldReason::RedactedOriginalOnly),
            (Covers::Fields, HoldReason::NeedsConfirmation),
        ] {
            let evidence = Evidence { covers, weak: false, original_only: true };
            assert_eq!(decide(Rules::default(), evidence), Decided::Hold(reason));
        }
    }
}
