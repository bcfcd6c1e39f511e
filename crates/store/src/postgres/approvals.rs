//! Approvals by a second operator: asked for, decided on, used, read.

use model::limits::{APPROVAL_MS, APPROVALS_KEPT_MS, APPROVALS_WAITING_MAX};
use model::{ApprovalId, OperatorId, Permission, Role, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use vault::{KeyId, Sealed};

use super::Postgres;
use super::bind::{Owned, boolean, bytea, int8, text, uuid};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::approval::{Decision, FORGOTTEN_AT_ONCE_MAX, Standing, Use, counts};
use crate::codes::Code;
use crate::{Action, ApprovalJudged, ApprovalRow, NewApproval, Note, Party, SealedRow, StoreError};

impl Session<'_> {
    /// Asks for an approval.
    pub(super) async fn ask_approval(
        &self,
        new: &NewApproval,
        note: &Note,
    ) -> Result<ApprovalJudged> {
        self.lock_operators().await?;
        let now = note.at.as_millis();
        self.run(
            "DELETE FROM approval WHERE id IN (SELECT id FROM approval
                WHERE asked_at < $1 ORDER BY asked_at LIMIT $2)",
            &[int8(&(now - APPROVALS_KEPT_MS)), int8(&FORGOTTEN_AT_ONCE_MAX)],
        )
        .await?;
        let key = Sixteen::from(new.request.key);
        self.kept_keys(&[key]).await?.see(&new.request)?;
        let judged = if self.waiting(new.operator, now).await? < APPROVALS_WAITING_MAX {
            ApprovalJudged::Done
        } else {
            ApprovalJudged::TooMany
        };
        if judged == ApprovalJudged::Done {
            self.run(
                "INSERT INTO approval
                    (id, operator, permission, fingerprint, sealed_key, request, asked_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[
                    uuid(&Sixteen::from(new.id)),
                    uuid(&Sixteen::from(new.operator)),
                    text(&new.permission.code()),
                    bytea(&Sixteen(new.fingerprint)),
                    uuid(&key),
                    bytea(&new.request.sealed.as_bytes()),
                    int8(&now),
                ],
            )
            .await?;
        }
        self.tell_approval(Action::ApprovalAsked, new.id, new.permission, judged, note).await?;
        Ok(judged)
    }

    async fn waiting(&self, operator: OperatorId, now: i64) -> Result<i64> {
        let sql = "SELECT count(*) FROM approval
                   WHERE operator = $1 AND asked_at > $2 AND decided_at IS NULL";
        let (operator, after) = (Sixteen::from(operator), now - APPROVAL_MS);
        let rows = self.rows(sql, &[uuid(&operator), int8(&after)]).await?;
        rows.first().map_or(Ok(0), |row| column(row, 0))
    }

    /// Approves what another operator asked for, or refuses it.
    pub(super) async fn decide_approval(
        &self,
        decision: &Decision,
        note: &Note,
    ) -> Result<ApprovalJudged> {
        self.lock_operators().await?;
        let Some(standing) = self.approval(decision.id).await? else {
            return Ok(ApprovalJudged::NotFound);
        };
        let mut judged = standing.decide(decision, note.at);
        if judged == ApprovalJudged::Done {
            judged = self.parties(&standing, decision.by).await?;
        }
        if judged == ApprovalJudged::Done {
            self.run(
                "UPDATE approval SET approver = $2, is_approved = $3, decided_at = $4
                 WHERE id = $1",
                &[
                    uuid(&Sixteen::from(decision.id)),
                    uuid(&Sixteen::from(decision.by)),
                    boolean(&decision.is_approved),
                    int8(&note.at.as_millis()),
                ],
            )
            .await?;
        }
        let action = Action::of_decision(decision.is_approved);
        self.tell_approval(action, decision.id, standing.permission, judged, note).await?;
        Ok(judged)
    }

    /// Uses an approval, once.
    pub(super) async fn use_approval(&self, wanted: &Use, note: &Note) -> Result<ApprovalJudged> {
        self.lock_operators().await?;
        let Some(standing) = self.approval(wanted.id).await? else {
            return Ok(ApprovalJudged::NotFound);
        };
        let judged = match standing.allow(wanted, note.at) {
            Ok(approver) => self.parties(&standing, approver).await?,
            Err(judged) => judged,
        };
        if judged == ApprovalJudged::Done {
            let sql = "UPDATE approval SET used_at = $2 WHERE id = $1";
            let id = Sixteen::from(wanted.id);
            self.run(sql, &[uuid(&id), int8(&note.at.as_millis())]).await?;
        }
        let (action, permission) = (Action::ApprovalUsed, standing.permission);
        self.tell_approval(action, wanted.id, permission, judged, note).await?;
        Ok(judged)
    }

    /// Whether both operators are still trusted with it.
    async fn parties(&self, standing: &Standing, approver: OperatorId) -> Result<ApprovalJudged> {
        for (who, party) in [(standing.operator, Party::Asking), (approver, Party::Approving)] {
            let sql = "SELECT role FROM operator WHERE id = $1 AND disabled_at IS NULL";
            let rows = self.rows(sql, &[uuid(&Sixteen::from(who))]).await?;
            let role = rows.first().map(|row| column::<Code<Role>>(row, 0)).transpose()?;
            if !role.is_some_and(|role| role.0.may(standing.permission)) {
                return Ok(ApprovalJudged::Void(party));
            }
        }
        Ok(ApprovalJudged::Done)
    }

    async fn tell_approval(
        &self,
        action: Action,
        id: ApprovalId,
        permission: Permission,
        judged: ApprovalJudged,
        note: &Note,
    ) -> Result<()> {
        let is_refused = judged != ApprovalJudged::Done;
        let told =
            [("permission", None, Some(permission.code())), ("because", None, Some(judged.code()))];
        let told = if is_refused { &told[..] } else { &told[..1] };
        self.audit_note(action, id.as_bytes(), is_refused, note, told).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<Standing>> {
        let sql = "SELECT operator, permission, fingerprint, asked_at, approver, is_approved,
                used_at IS NOT NULL
            FROM approval WHERE id = $1";
        let rows = self.rows(sql, &[uuid(&Sixteen::from(id))]).await?;
        rows.first().map(standing).transpose()
    }
}

impl Postgres {
    pub(crate) async fn approvals(
        &self,
        now: Timestamp,
    ) -> std::result::Result<Vec<ApprovalRow>, StoreError> {
        let sql = "SELECT id, operator, permission, sealed_key, request, asked_at, approver,
                decided_at
            FROM approval
            WHERE asked_at > $1 AND used_at IS NULL AND is_approved IS NOT FALSE ORDER BY row";
        let after = Owned::new(now.as_millis() - APPROVAL_MS, Type::INT8);
        let rows = self.list(sql, vec![after]).await?;
        let rows: Result<Vec<ApprovalRow>> = rows.iter().map(listed).collect();
        let mut rows = rows.map_err(|failure| failure.error)?;
        rows.retain(|row| counts(row.asked_at, now));
        Ok(rows)
    }
}

fn standing(row: &Row) -> Result<Standing> {
    let approver: Option<Sixteen> = column(row, 4)?;
    Ok(Standing {
        operator: column::<Sixteen>(row, 0)?.into(),
        permission: permission(row, 1)?,
        fingerprint: column::<Sixteen>(row, 2)?.0,
        asked_at: Timestamp::from_millis(column(row, 3)?),
        decided: approver.map(OperatorId::from).zip(column(row, 5)?),
        is_used: column(row, 6)?,
    })
}

fn listed(row: &Row) -> Result<ApprovalRow> {
    let approver: Option<Sixteen> = column(row, 6)?;
    let decided_at = column::<Option<i64>>(row, 7)?.map(Timestamp::from_millis);
    let key = KeyId(column::<Sixteen>(row, 3)?.0);
    Ok(ApprovalRow {
        id: column::<Sixteen>(row, 0)?.into(),
        operator: column::<Sixteen>(row, 1)?.into(),
        permission: permission(row, 2)?,
        request: SealedRow { key, sealed: Sealed::from_bytes(column(row, 4)?) },
        asked_at: Timestamp::from_millis(column(row, 5)?),
        approved: approver.map(OperatorId::from).zip(decided_at),
    })
}

fn permission(row: &Row, place: usize) -> Result<Permission> {
    let code: String = column(row, place)?;
    code.parse().map_err(|_| Failure::corrupt("a permission that is none"))
}
