//! Approvals by a second operator: asked for, decided on, used, read.

use model::limits::{APPROVAL_MS, APPROVALS_KEPT_MS, APPROVALS_WAITING_MAX};
use model::{ApprovalId, OperatorId, Permission, Role, Timestamp};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::approval::{Decision, FORGOTTEN_AT_ONCE_MAX, Standing, Use, counts};
use crate::{Action, ApprovalJudged, ApprovalRow, NewApproval, Note, Party, SealedRow, StoreError};

impl Session<'_> {
    /// Asks for an approval.
    pub(super) fn ask_approval(
        &mut self,
        new: &NewApproval,
        note: &Note,
    ) -> Result<ApprovalJudged> {
        let now = note.at.as_millis();
        self.connection
            .prepare_cached(
                "DELETE FROM approval WHERE row IN (SELECT row FROM approval
                    WHERE asked_at < ?1 ORDER BY asked_at LIMIT ?2)",
            )?
            .execute([now - APPROVALS_KEPT_MS, FORGOTTEN_AT_ONCE_MAX])?;
        self.see_key(&new.request)?;
        let waiting: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM approval
                 WHERE operator = ?1 AND asked_at > ?2 AND decided_at IS NULL",
            )?
            .query_row(params![new.operator.as_bytes(), now - APPROVAL_MS], |row| row.get(0))?;
        let judged = if waiting < APPROVALS_WAITING_MAX {
            ApprovalJudged::Done
        } else {
            ApprovalJudged::TooMany
        };
        if judged == ApprovalJudged::Done {
            self.connection
                .prepare_cached(
                    "INSERT INTO approval
                        (id, operator, permission, fingerprint, sealed_key, request, asked_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    new.id.as_bytes(),
                    new.operator.as_bytes(),
                    new.permission.code(),
                    new.fingerprint,
                    new.request.key.0,
                    new.request.sealed.as_bytes(),
                    now,
                ])?;
        }
        self.tell_approval(Action::ApprovalAsked, new.id, new.permission, judged, note)?;
        Ok(judged)
    }

    /// Approves what another operator asked for, or refuses it.
    pub(super) fn decide_approval(
        &mut self,
        decision: &Decision,
        note: &Note,
    ) -> Result<ApprovalJudged> {
        let Some(standing) = self.approval(decision.id)? else {
            return Ok(ApprovalJudged::NotFound);
        };
        let mut judged = standing.decide(decision, note.at);
        if judged == ApprovalJudged::Done {
            judged = self.parties(&standing, decision.by)?;
        }
        if judged == ApprovalJudged::Done {
            self.connection
                .prepare_cached(
                    "UPDATE approval SET approver = ?2, is_approved = ?3, decided_at = ?4
                     WHERE id = ?1",
                )?
                .execute(params![
                    decision.id.as_bytes(),
                    decision.by.as_bytes(),
                    decision.is_approved,
                    note.at.as_millis(),
                ])?;
        }
        let action = Action::of_decision(decision.is_approved);
        self.tell_approval(action, decision.id, standing.permission, judged, note)?;
        Ok(judged)
    }

    /// Uses an approval, once.
    pub(super) fn use_approval(&mut self, wanted: &Use, note: &Note) -> Result<ApprovalJudged> {
        let Some(standing) = self.approval(wanted.id)? else {
            return Ok(ApprovalJudged::NotFound);
        };
        let judged = match standing.allow(wanted, note.at) {
            Ok(approver) => self.parties(&standing, approver)?,
            Err(judged) => judged,
        };
        if judged == ApprovalJudged::Done {
            self.connection
                .prepare_cached("UPDATE approval SET used_at = ?2 WHERE id = ?1")?
                .execute(params![wanted.id.as_bytes(), note.at.as_millis()])?;
        }
        self.tell_approval(Action::ApprovalUsed, wanted.id, standing.permission, judged, note)?;
        Ok(judged)
    }

    /// Whether both operators are still trusted with it.
    fn parties(&self, standing: &Standing, approver: OperatorId) -> Result<ApprovalJudged> {
        for (who, party) in [(standing.operator, Party::Asking), (approver, Party::Approving)] {
            let sql = "SELECT role FROM operator WHERE id = ?1 AND disabled_at IS NULL";
            let role: Option<Code<Role>> = self
                .connection
                .prepare_cached(sql)?
                .query_row([who.as_bytes()], |row| row.get(0))
                .optional()?;
            if !role.is_some_and(|role| role.0.may(standing.permission)) {
                return Ok(ApprovalJudged::Void(party));
            }
        }
        Ok(ApprovalJudged::Done)
    }

    fn tell_approval(
        &mut self,
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
        self.audit_note(action, id.as_bytes(), is_refused, note, told)
    }

    fn approval(&self, id: ApprovalId) -> Result<Option<Standing>> {
        let sql = "SELECT operator, permission, fingerprint, asked_at, approver, is_approved,
                used_at IS NOT NULL
            FROM approval WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([id.as_bytes()], standing).optional()?)
    }
}

impl Sqlite {
    pub(crate) async fn approvals(
        &self,
        now: Timestamp,
    ) -> std::result::Result<Vec<ApprovalRow>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT id, operator, permission, sealed_key, request, asked_at, approver,
                    decided_at
                FROM approval
                WHERE asked_at > ?1 AND used_at IS NULL AND is_approved IS NOT 0 ORDER BY row";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map([now.as_millis() - APPROVAL_MS], listed)?;
            let mut rows: Vec<ApprovalRow> = found.collect::<rusqlite::Result<_>>()?;
            rows.retain(|row| counts(row.asked_at, now));
            Ok(rows)
        })
        .await
    }
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let approver = row.get::<_, Option<[u8; 16]>>(4)?.map(OperatorId::from_bytes);
    Ok(Standing {
        operator: OperatorId::from_bytes(row.get(0)?),
        permission: permission(row, 1)?,
        fingerprint: row.get(2)?,
        asked_at: Timestamp::from_millis(row.get(3)?),
        decided: approver.zip(row.get(5)?),
        is_used: row.get(6)?,
    })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    let approver = row.get::<_, Option<[u8; 16]>>(6)?.map(OperatorId::from_bytes);
    let decided_at = row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis);
    Ok(ApprovalRow {
        id: ApprovalId::from_bytes(row.get(0)?),
        operator: OperatorId::from_bytes(row.get(1)?),
        permission: permission(row, 2)?,
        request: SealedRow { key: KeyId(row.get(3)?), sealed: Sealed::from_bytes(row.get(4)?) },
        asked_at: Timestamp::from_millis(row.get(5)?),
        approved: approver.zip(decided_at),
    })
}

fn permission(row: &Row<'_>, place: usize) -> rusqlite::Result<Permission> {
    let code: String = row.get(place)?;
    code.parse().map_err(|unknown: model::access::Unknown| {
        rusqlite::Error::FromSqlConversionFailure(place, Type::Text, Box::new(unknown))
    })
}
