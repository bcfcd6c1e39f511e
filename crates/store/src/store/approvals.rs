//! Approvals by a second operator.

use model::{ApprovalId, OperatorId, Timestamp};

use super::{Store, on, unexpected};
use crate::approval::{Decision, Use};
use crate::command::{Answer, Command};
use crate::{ApprovalJudged, ApprovalRow, NewApproval, Note, StoreError};

impl Store {
    /// Asks for an approval. What is old is forgotten on the way.
    pub async fn ask_approval(
        &self,
        approval: NewApproval,
        note: Note,
    ) -> Result<ApprovalJudged, StoreError> {
        self.approval_judged(Command::AskApproval { approval, note }).await
    }

    /// Approves what another operator asked for, or refuses it. What does not count is in the audit
    /// log as well.
    pub async fn decide_approval(
        &self,
        id: ApprovalId,
        by: OperatorId,
        is_approved: bool,
        note: Note,
    ) -> Result<ApprovalJudged, StoreError> {
        let decision = Decision { id, by, is_approved };
        self.approval_judged(Command::DecideApproval { decision, note }).await
    }

    /// Uses an approval for the request with this keyed hash: once, whoever asks how often. What does
    /// not count is in the audit log as well.
    pub async fn use_approval(
        &self,
        id: ApprovalId,
        by: OperatorId,
        fingerprint: [u8; 16],
        note: Note,
    ) -> Result<ApprovalJudged, StoreError> {
        let wanted = Use { id, by, fingerprint };
        self.approval_judged(Command::UseApproval { wanted, note }).await
    }

    /// The approvals that wait, or are approved and not used, and whose time is not over: in the
    /// order in which they were asked for.
    pub async fn approvals(&self, now: Timestamp) -> Result<Vec<ApprovalRow>, StoreError> {
        on!(self, backend => backend.approvals(now).await)
    }

    async fn approval_judged(&self, command: Command) -> Result<ApprovalJudged, StoreError> {
        match self.wait(command).await? {
            Answer::ApprovalJudged(judged) => Ok(judged),
            _ => Err(unexpected()),
        }
    }
}
