//! Operators and their sessions: added, changed, signed in, read.

use model::operator::SessionLife;
use model::{OperatorId, Role, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use vault::{KeyId, Sealed};

use super::Postgres;
use super::bind::{Owned, bytea, byteas, int2, int8, int8s, text, uuid};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::codes::Code;
use crate::error::Kind;
use crate::operator::{COLUMNS, SESSION, Standing, may_go_on, may_open};
use crate::{
    Action, NewOperator, NewSession, Note, OperatorChange, OperatorChanged, OperatorRow, SealedRow,
    SessionOpened, SessionRow, StoreError,
};

impl Session<'_> {
    /// Adds an operator.
    pub(super) async fn add_operator(
        &self,
        operator: &NewOperator,
        note: &Note,
    ) -> Result<OperatorChanged> {
        self.lock_operators().await?;
        let key = Sixteen::from(operator.key().ok_or(Kind::UnknownKey)?);
        self.kept_keys(&[key]).await?.see(&operator.login)?;
        let (id, action) = (operator.id.as_bytes(), Action::OperatorAdded);
        let login_key = Sixteen(operator.login_key);
        let sql = "SELECT 1 FROM operator WHERE login_key = $1";
        if !self.rows(sql, &[bytea(&login_key)]).await?.is_empty() {
            let changed = OperatorChanged::LoginTaken;
            self.audit_note(action, id, true, note, &[changed.because()]).await?;
            return Ok(changed);
        }
        self.run(
            "INSERT INTO operator (id, login_key, role, sealed_key, login, password, totp,
                generation, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)",
            &[
                uuid(&Sixteen::from(operator.id)),
                bytea(&login_key),
                int2(&Code(operator.role)),
                uuid(&key),
                bytea(&operator.login.sealed.as_bytes()),
                bytea(&operator.password.sealed.as_bytes()),
                bytea(&operator.totp.sealed.as_bytes()),
                int8(&note.at.as_millis()),
                text(&note.actor),
            ],
        )
        .await?;
        let role = [("role", None, Some(operator.role.code()))];
        self.audit_note(action, id, false, note, &role).await?;
        self.operators_changed().await?;
        Ok(OperatorChanged::Done)
    }

    /// Changes something about an operator.
    pub(super) async fn change_operator(
        &self,
        id: OperatorId,
        change: &OperatorChange,
        spares_last: bool,
        note: &Note,
    ) -> Result<OperatorChanged> {
        self.lock_operators().await?;
        let sql = "SELECT role, disabled_at IS NOT NULL, sealed_key FROM operator WHERE id = $1";
        let rows = self.rows(sql, &[uuid(&Sixteen::from(id))]).await?;
        let Some(row) = rows.first() else { return Ok(OperatorChanged::NotFound) };
        let (role, is_disabled) = (column::<Code<Role>>(row, 0)?.0, column::<bool>(row, 1)?);
        let key: Sixteen = column(row, 2)?;
        let action = Action::OperatorChanged;
        let is_administrator = role == Role::Administrator && !is_disabled;
        let refused = if change.is_so(role, is_disabled) {
            Some(OperatorChanged::AlreadySo)
        } else if spares_last
            && is_administrator
            && change.may_lock_out()
            && !self.has_another_administrator(id).await?
        {
            Some(OperatorChanged::LastAdministrator)
        } else {
            None
        };
        if let Some(changed) = refused {
            let told = [change.told(role), changed.because()];
            self.audit_note(action, id.as_bytes(), true, note, &told).await?;
            return Ok(changed);
        }
        if change.sealed().is_some_and(|sealed| Sixteen::from(sealed.key) != key) {
            return Err(Kind::UnknownKey.into());
        }
        self.write_operator(id, change, note.at).await?;
        let ended = if change.ends_sessions() { self.end_open(id, note.at).await? } else { 0 };
        let ended = ended.to_string();
        let told = [change.told(role), ("sessions_ended", None, Some(&*ended))];
        let told = if change.ends_sessions() { &told[..] } else { &told[..1] };
        self.audit_note(action, id.as_bytes(), false, note, told).await?;
        self.operators_changed().await?;
        Ok(OperatorChanged::Done)
    }

    /// Whether anybody but them is an administrator who is enabled.
    async fn has_another_administrator(&self, id: OperatorId) -> Result<bool> {
        let sql = "SELECT 1 FROM operator WHERE id <> $1 AND role = $2 AND disabled_at IS NULL
                   LIMIT 1";
        let (id, role) = (Sixteen::from(id), Code(Role::Administrator));
        Ok(!self.rows(sql, &[uuid(&id), int2(&role)]).await?.is_empty())
    }

    async fn write_operator(
        &self,
        id: OperatorId,
        change: &OperatorChange,
        at: Timestamp,
    ) -> Result<()> {
        let id = Sixteen::from(id);
        match change {
            OperatorChange::Role(role) => {
                let sql = "UPDATE operator SET role = $2 WHERE id = $1";
                self.run(sql, &[uuid(&id), int2(&Code(*role))]).await?;
            }
            OperatorChange::Disable => {
                let sql = "UPDATE operator SET disabled_at = $2 WHERE id = $1";
                self.run(sql, &[uuid(&id), int8(&at.as_millis())]).await?;
            }
            OperatorChange::Enable => {
                let sql = "UPDATE operator SET disabled_at = NULL WHERE id = $1";
                self.run(sql, &[uuid(&id)]).await?;
            }
            OperatorChange::Password(sealed) => {
                let sql = "UPDATE operator SET password = $2, generation = generation + 1
                           WHERE id = $1";
                self.run(sql, &[uuid(&id), bytea(&sealed.sealed.as_bytes())]).await?;
            }
            OperatorChange::Totp(sealed) => {
                let sql = "UPDATE operator SET totp = $2, totp_step = NULL,
                               generation = generation + 1
                           WHERE id = $1";
                self.run(sql, &[uuid(&id), bytea(&sealed.sealed.as_bytes())]).await?;
            }
        }
        Ok(())
    }

    /// Opens a session, or lets one go on under a new token.
    pub(super) async fn open_session(
        &self,
        new: &NewSession,
        note: &Note,
    ) -> Result<SessionOpened> {
        self.lock_operators().await?;
        let id = Sixteen::from(new.operator);
        let standing = self.standing(id).await?;
        let mut opened = may_open(new, standing.as_ref());
        let life = match new.instead_of {
            None => Some(SessionLife::begun(note.at)),
            Some(old) => may_go_on(new, self.session_life(old).await?, note.at),
        };
        if opened == SessionOpened::Done && life.is_none() {
            opened = SessionOpened::Over;
        }
        let (SessionOpened::Done, Some(life)) = (opened, life) else {
            let because = [("because", None, Some(opened.code()))];
            let action = Action::SessionRefused;
            self.audit_note(action, new.operator.as_bytes(), true, note, &because).await?;
            return Ok(opened);
        };
        let sql = "UPDATE operator SET totp_step = $2 WHERE id = $1";
        self.run(sql, &[uuid(&id), int8(&new.step)]).await?;
        if let Some(old) = new.instead_of {
            let sql = "UPDATE session SET ended_at = $2 WHERE token_hash = $1";
            self.run(sql, &[bytea(&Sixteen(old)), int8(&note.at.as_millis())]).await?;
            self.operators_changed().await?;
        }
        self.run(
            "INSERT INTO session (token_hash, operator, created_at, last_seen_at, confirmed_at,
                ends_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                bytea(&Sixteen(new.token_hash)),
                uuid(&id),
                int8(&life.created_at.as_millis()),
                int8(&life.last_seen_at.as_millis()),
                int8(&life.confirmed_at.as_millis()),
                int8(&life.ends_at().as_millis()),
            ],
        )
        .await?;
        let is_new = new.instead_of.is_none();
        let action = if is_new { Action::SessionOpened } else { Action::SessionConfirmed };
        self.audit_note(action, new.operator.as_bytes(), false, note, &[]).await?;
        Ok(SessionOpened::Done)
    }

    /// Notes when sessions were used. Nobody decided it, so it is not in the audit log.
    pub(super) async fn note_session_uses(&self, uses: &[([u8; 16], Timestamp)]) -> Result<()> {
        self.lock_operators().await?;
        let hashes: Vec<&[u8]> = uses.iter().map(|(hash, _)| hash.as_slice()).collect();
        let at: Vec<i64> = uses.iter().map(|(_, at)| at.as_millis()).collect();
        self.run(
            "UPDATE session SET last_seen_at = used.at
             FROM unnest($1, $2) AS used (token_hash, at)
             WHERE session.token_hash = used.token_hash AND ended_at IS NULL
                AND last_seen_at < used.at",
            &[byteas(&hashes), int8s(&at)],
        )
        .await?;
        Ok(())
    }

    /// Ends a session; says how many it were.
    pub(super) async fn end_session(&self, token_hash: [u8; 16], note: &Note) -> Result<usize> {
        self.lock_operators().await?;
        let rows = self
            .rows(
                "UPDATE session SET ended_at = $2 WHERE token_hash = $1 AND ended_at IS NULL
                 RETURNING operator",
                &[bytea(&Sixteen(token_hash)), int8(&note.at.as_millis())],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let operator: Sixteen = column(row, 0)?;
        self.audit_note(Action::SessionEnded, &operator.0, false, note, &[]).await?;
        self.operators_changed().await?;
        Ok(1)
    }

    /// Ends every session of an operator; says how many.
    pub(super) async fn end_sessions(&self, operator: OperatorId, note: &Note) -> Result<usize> {
        self.lock_operators().await?;
        let ended = self.end_open(operator, note.at).await?;
        if ended > 0 {
            let count = ended.to_string();
            let count = [("sessions_ended", None, Some(&*count))];
            let id = operator.as_bytes();
            self.audit_note(Action::SessionEnded, id, false, note, &count).await?;
            self.operators_changed().await?;
        }
        Ok(ended)
    }

    /// Deletes sessions that were over before a time, the oldest first; says how many. The function
    /// belongs to the owner of the schema: who serves may delete none that lets somebody in.
    pub(super) async fn forget_sessions(&self, before: Timestamp) -> Result<usize> {
        // Whoever notes uses locks rows in another order.
        self.lock_operators().await?;
        self.number_of("SELECT forget_sessions($1)", &[int8(&before.as_millis())]).await
    }

    async fn end_open(&self, operator: OperatorId, at: Timestamp) -> Result<usize> {
        let sql = "UPDATE session SET ended_at = $2 WHERE operator = $1 AND ended_at IS NULL";
        let id = Sixteen::from(operator);
        let ended = self.run(sql, &[uuid(&id), int8(&at.as_millis())]).await?;
        Ok(usize::try_from(ended).unwrap_or(usize::MAX))
    }

    async fn standing(&self, operator: Sixteen) -> Result<Option<Standing>> {
        let sql =
            "SELECT disabled_at IS NOT NULL, generation, totp_step FROM operator WHERE id = $1";
        let rows = self.rows(sql, &[uuid(&operator)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Standing {
            is_disabled: column(row, 0)?,
            generation: column(row, 1)?,
            totp_step: column(row, 2)?,
        }))
    }

    async fn session_life(
        &self,
        token_hash: [u8; 16],
    ) -> Result<Option<(OperatorId, SessionLife)>> {
        let sql = format!("{SESSION} WHERE token_hash = $1");
        let rows = self.rows(&sql, &[bytea(&Sixteen(token_hash))]).await?;
        let found = rows.first().map(session).transpose()?;
        Ok(found.map(|session| (session.operator, session.life)))
    }

    /// Waits for whoever else is changing operators or sessions: what is read afterwards stays so.
    pub(super) async fn lock_operators(&self) -> Result<()> {
        self.rows("SELECT version FROM operator_version FOR UPDATE", &[]).await?;
        Ok(())
    }

    async fn operators_changed(&self) -> Result<()> {
        self.run("UPDATE operator_version SET version = version + 1", &[]).await?;
        Ok(())
    }
}

impl Postgres {
    pub(crate) async fn operators(&self) -> std::result::Result<Vec<OperatorRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM operator ORDER BY sequence");
        all(&self.list(&sql, Vec::new()).await?)
    }

    pub(crate) async fn operators_page(
        &self,
        after: i64,
        limit: usize,
    ) -> std::result::Result<Vec<(i64, OperatorRow)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, sequence FROM operator WHERE sequence > $1 ORDER BY sequence LIMIT $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters = vec![Owned::new(after, Type::INT8), Owned::new(limit, Type::INT8)];
        let rows = self.list(&sql, parameters).await?;
        let numbered = |row: &Row| Ok((column(row, 11)?, operator(row)?));
        let page: Result<Vec<_>> = rows.iter().map(numbered).collect();
        page.map_err(|failure| failure.error)
    }

    pub(crate) async fn operator(
        &self,
        id: OperatorId,
    ) -> std::result::Result<Option<OperatorRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM operator WHERE id = $1");
        let parameters = vec![Owned::new(Sixteen::from(id), Type::UUID)];
        Ok(all(&self.look(&sql, parameters).await?)?.pop())
    }

    pub(crate) async fn operator_by_login(
        &self,
        login_key: [u8; 16],
    ) -> std::result::Result<Option<OperatorRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM operator WHERE login_key = $1");
        let parameters = vec![Owned::new(Sixteen(login_key), Type::BYTEA)];
        Ok(all(&self.look(&sql, parameters).await?)?.pop())
    }

    pub(crate) async fn session(
        &self,
        token_hash: [u8; 16],
    ) -> std::result::Result<Option<SessionRow>, StoreError> {
        let sql = format!("{SESSION} WHERE token_hash = $1");
        let rows = self.look(&sql, vec![Owned::new(Sixteen(token_hash), Type::BYTEA)]).await?;
        rows.first().map(session).transpose().map_err(|failure| failure.error)
    }

    pub(crate) async fn operators_version(&self) -> std::result::Result<i64, StoreError> {
        let rows = self.look("SELECT version FROM operator_version", Vec::new()).await?;
        let version: Result<i64> =
            rows.first().map_or_else(|| Err(Failure::corrupt("no version")), |row| column(row, 0));
        version.map_err(|failure| failure.error)
    }
}

fn session(row: &Row) -> Result<SessionRow> {
    let at = |place| Ok::<_, Failure>(Timestamp::from_millis(column(row, place)?));
    Ok(SessionRow {
        operator: column::<Sixteen>(row, 0)?.into(),
        role: column::<Code<Role>>(row, 1)?.0,
        is_disabled: column(row, 2)?,
        life: SessionLife {
            created_at: at(3)?,
            last_seen_at: at(4)?,
            confirmed_at: at(5)?,
            ended_at: column::<Option<i64>>(row, 6)?.map(Timestamp::from_millis),
        },
    })
}

fn all(rows: &[Row]) -> std::result::Result<Vec<OperatorRow>, StoreError> {
    rows.iter().map(|row| operator(row).map_err(|failure| failure.error)).collect()
}

fn operator(row: &Row) -> Result<OperatorRow> {
    let key = KeyId(column::<Sixteen>(row, 2)?.0);
    let sealed = |place| -> Result<SealedRow> {
        Ok(SealedRow { key, sealed: Sealed::from_bytes(column(row, place)?) })
    };
    Ok(OperatorRow {
        id: column::<Sixteen>(row, 0)?.into(),
        role: column::<Code<Role>>(row, 1)?.0,
        login: sealed(3)?,
        password: sealed(4)?,
        totp: sealed(5)?,
        totp_step: column(row, 6)?,
        generation: column(row, 7)?,
        created_at: Timestamp::from_millis(column(row, 8)?),
        created_by: column(row, 9)?,
        disabled_at: column::<Option<i64>>(row, 10)?.map(Timestamp::from_millis),
    })
}
