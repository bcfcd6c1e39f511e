//! Approvals: what one operator asks for and another one must approve before it is done.
//!
//! An approval **waits** until another operator who may do the same **approves** or **refuses** it.
//! Whoever asked then **uses** it, once, for the very request that they asked about. It counts for a
//! quarter of an hour from when it was asked, and only as long as both of them are enabled and may do
//! it: that is judged in the transaction that decides or uses it.

use model::limits::APPROVAL_MS;
use model::{ApprovalId, OperatorId, Permission, Timestamp};
use sabotage::Defect;

use crate::SealedRow;

/// An approval that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// Its id.
    pub id: ApprovalId,
    /// Who asks.
    pub operator: OperatorId,
    /// What both of them must be allowed to do.
    pub permission: Permission,
    /// Keyed hash of the request.
    pub fingerprint: [u8; 16],
    /// The request, for whoever is to approve it: under the asking operator's own key.
    pub request: SealedRow,
}

/// An approval that waits, or was approved and is not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// Who asked.
    pub operator: OperatorId,
    /// What both of them must be allowed to do.
    pub permission: Permission,
    /// The request.
    pub request: SealedRow,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Who approved it, and when.
    pub approved: Option<(OperatorId, Timestamp)>,
}

/// Of which of the two operators something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Of who asked.
    Asking,
    /// Of who approved, or wants to.
    Approving,
}

impl Party {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Approving => "approving",
        }
    }
}

/// Whether an approval was asked for, decided on or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalJudged {
    /// It was.
    Done,
    /// Too many of the same operator wait already.
    TooMany,
    /// There is no such approval.
    NotFound,
    /// Nobody decides on what they asked for themselves.
    Own,
    /// Somebody else asked for it.
    NotYours,
    /// Its time is over.
    Expired,
    /// It is about another request.
    OtherRequest,
    /// Nobody has decided yet.
    Waits,
    /// It was refused.
    Refused,
    /// It was approved already.
    Approved,
    /// It was used already.
    Used,
    /// One of the two is disabled, or may not do it any more.
    Void(Party),
}

impl ApprovalJudged {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::TooMany => "too_many",
            Self::NotFound => "not_found",
            Self::Own => "own",
            Self::NotYours => "not_yours",
            Self::Expired => "expired",
            Self::OtherRequest => "other_request",
            Self::Waits => "waits",
            Self::Refused => "refused",
            Self::Approved => "approved",
            Self::Used => "used",
            Self::Void(Party::Asking) => "asking_void",
            Self::Void(Party::Approving) => "approving_void",
        }
    }
}

/// What is to be decided on an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) id: ApprovalId,
    pub(crate) by: OperatorId,
    pub(crate) is_approved: bool,
}

/// Who uses an approval, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) id: ApprovalId,
    pub(crate) by: OperatorId,
    pub(crate) fingerprint: [u8; 16],
}

/// An approval as it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) operator: OperatorId,
    pub(crate) permission: Permission,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) asked_at: Timestamp,
    /// Who has decided, and whether they approved.
    pub(crate) decided: Option<(OperatorId, bool)>,
    pub(crate) is_used: bool,
}

impl Standing {
    /// Whether it may be decided on, as far as the two operators are what they must be.
    pub(crate) fn decide(&self, decision: &Decision, now: Timestamp) -> ApprovalJudged {
        let is_own = decision.by == self.operator && !sabotage::on(Defect::ApprovalOwn);
        match self.decided {
            _ if is_own => ApprovalJudged::Own,
            _ if self.is_used => ApprovalJudged::Used,
            Some((_, true)) => ApprovalJudged::Approved,
            Some((_, false)) => ApprovalJudged::Refused,
            None if !counts(self.asked_at, now) => ApprovalJudged::Expired,
            None => ApprovalJudged::Done,
        }
    }

    /// Whether it may be used, as far as the two operators are what they must be; and who approved.
    pub(crate) fn allow(&self, wanted: &Use, now: Timestamp) -> Result<OperatorId, ApprovalJudged> {
        if wanted.by != self.operator {
            return Err(ApprovalJudged::NotYours);
        }
        if self.is_used && !sabotage::on(Defect::ApprovalTwice) {
            return Err(ApprovalJudged::Used);
        }
        let is_other = wanted.fingerprint != self.fingerprint;
        if is_other && !sabotage::on(Defect::ApprovalOfAnything) {
            return Err(ApprovalJudged::OtherRequest);
        }
        match self.decided {
            Some((_, false)) => Err(ApprovalJudged::Refused),
            _ if !counts(self.asked_at, now) => Err(ApprovalJudged::Expired),
            Some((approver, true)) => Ok(approver),
            None => Err(ApprovalJudged::Waits),
        }
    }
}

/// Whether what was asked for then counts now. A clock that was set back gives it no more than its
/// time once more.
pub(crate) fn counts(asked_at: Timestamp, now: Timestamp) -> bool {
    let apart = asked_at.as_millis().abs_diff(now.as_millis());
    apart < APPROVAL_MS.unsigned_abs()
}

/// What is forgotten each time that one is asked for, at most.
pub(crate) const FORGOTTEN_AT_ONCE_MAX: i64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000 + minutes * MINUTE_MS)
    }

    fn person(n: u8) -> OperatorId {
        OperatorId::from_bytes([n; 16])
    }

    fn asked() -> Standing {
        Standing {
            operator: person(1),
            permission: Permission::KeysChange,
            fingerprint: [7; 16],
            asked_at: at(0),
            decided: None,
            is_used: false,
        }
    }

    fn decision(by: u8) -> Decision {
        Decision { id: ApprovalId::from_bytes([1; 16]), by: person(by), is_approved: true }
    }

    fn wanted() -> Use {
        Use { id: ApprovalId::from_bytes([1; 16]), by: person(1), fingerprint: [7; 16] }
    }

    #[test]
    fn another_one_decides_once_and_in_time() {
        let decide = |standing: Standing, by, minutes| standing.decide(&decision(by), at(minutes));
        assert_eq!(decide(asked(), 2, 0), ApprovalJudged::Done);
        assert_eq!(decide(asked(), 2, 14), ApprovalJudged::Done);
        assert_eq!(decide(asked(), 2, 15), ApprovalJudged::Expired);
        assert_eq!(decide(asked(), 2, -15), ApprovalJudged::Expired);
        assert_eq!(decide(asked(), 1, 0), ApprovalJudged::Own);
        let decided = |is| Standing { decided: Some((person(3), is)), ..asked() };
        assert_eq!(decide(decided(true), 2, 1), ApprovalJudged::Approved);
        assert_eq!(decide(decided(false), 2, 1), ApprovalJudged::Refused);
        let used = Standing { is_used: true, ..decided(true) };
        assert_eq!(decide(used, 2, 1), ApprovalJudged::Used);
    }

    #[test]
    fn it_is_used_by_who_asked_for_what_they_asked() {
        let approved = Standing { decided: Some((person(2), true)), ..asked() };
        let allow = |standing: Standing, wanted: Use, minutes| standing.allow(&wanted, at(minutes));
        assert_eq!(allow(approved, wanted(), 14), Ok(person(2)));
        assert_eq!(allow(approved, wanted(), 15), Err(ApprovalJudged::Expired));
        assert_eq!(allow(asked(), wanted(), 1), Err(ApprovalJudged::Waits));
        assert_eq!(allow(asked(), wanted(), 15), Err(ApprovalJudged::Expired));
        let refused = Standing { decided: Some((person(2), false)), ..asked() };
        assert_eq!(allow(refused, wanted(), 1), Err(ApprovalJudged::Refused));
        let other = Use { fingerprint: [8; 16], ..wanted() };
        assert_eq!(allow(approved, other, 1), Err(ApprovalJudged::OtherRequest));
        let by = |n| Use { by: person(n), ..wanted() };
        assert_eq!(allow(approved, by(2), 1), Err(ApprovalJudged::NotYours));
        assert_eq!(allow(approved, by(3), 1), Err(ApprovalJudged::NotYours));
        let used = Standing { is_used: true, ..approved };
        assert_eq!(allow(used, wanted(), 1), Err(ApprovalJudged::Used));
    }
}
