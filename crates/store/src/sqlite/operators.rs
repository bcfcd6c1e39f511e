//! Operators and their sessions: added, changed, signed in, read.

use model::operator::SessionLife;
use model::{OperatorId, Role, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::error::Kind;
use crate::operator::{COLUMNS, SESSION, Standing, may_go_on, may_open};
use crate::{
    Action, NewOperator, NewSession, Note, OperatorChange, OperatorChanged, OperatorRow, SealedRow,
    SessionOpened, SessionRow, StoreError,
};

/// Sessions deleted in one transaction.
const SESSIONS_AT_ONCE_MAX: i64 = 128;

impl Session<'_> {
    /// Adds an operator.
    pub(super) fn add_operator(
        &mut self,
        operator: &NewOperator,
        note: &Note,
    ) -> Result<OperatorChanged> {
        let key = operator.key().ok_or(Kind::UnknownKey)?;
        self.see_key(&operator.login)?;
        let (id, action) = (operator.id.as_bytes(), Action::OperatorAdded);
        let sql = "SELECT 1 FROM operator WHERE login_key = ?1";
        if self.connection.prepare_cached(sql)?.exists([operator.login_key])? {
            let changed = OperatorChanged::LoginTaken;
            self.audit_note(action, id, true, note, &[changed.because()])?;
            return Ok(changed);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO operator (id, login_key, role, sealed_key, login, password, totp,
                    generation, created_at, created_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)",
            )?
            .execute(params![
                id,
                operator.login_key,
                Code(operator.role),
                key.0,
                operator.login.sealed.as_bytes(),
                operator.password.sealed.as_bytes(),
                operator.totp.sealed.as_bytes(),
                note.at.as_millis(),
                note.actor,
            ])?;
        let role = [("role", None, Some(operator.role.code()))];
        self.audit_note(action, id, false, note, &role)?;
        self.operators_changed()?;
        Ok(OperatorChanged::Done)
    }

    /// Changes something about an operator.
    pub(super) fn change_operator(
        &mut self,
        id: OperatorId,
        change: &OperatorChange,
        spares_last: bool,
        note: &Note,
    ) -> Result<OperatorChanged> {
        let sql = "SELECT role, disabled_at IS NOT NULL, sealed_key FROM operator WHERE id = ?1";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row([id.as_bytes()], |row| {
                Ok((row.get::<_, Code<Role>>(0)?.0, row.get::<_, bool>(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((role, is_disabled, key)): Option<(Role, bool, [u8; 16])> = found else {
            return Ok(OperatorChanged::NotFound);
        };
        let action = Action::OperatorChanged;
        let is_administrator = role == Role::Administrator && !is_disabled;
        let refused = if change.is_so(role, is_disabled) {
            Some(OperatorChanged::AlreadySo)
        } else if spares_last
            && is_administrator
            && change.may_lock_out()
            && !self.has_another_administrator(id)?
        {
            Some(OperatorChanged::LastAdministrator)
        } else {
            None
        };
        if let Some(changed) = refused {
            let told = [change.told(role), changed.because()];
            self.audit_note(action, id.as_bytes(), true, note, &told)?;
            return Ok(changed);
        }
        if change.sealed().is_some_and(|sealed| sealed.key.0 != key) {
            return Err(Kind::UnknownKey.into());
        }
        self.write_operator(id, change, note.at)?;
        let ended = if change.ends_sessions() { self.end_open(id, note.at)? } else { 0 };
        let ended = ended.to_string();
        let told = [change.told(role), ("sessions_ended", None, Some(&*ended))];
        let told = if change.ends_sessions() { &told[..] } else { &told[..1] };
        self.audit_note(action, id.as_bytes(), false, note, told)?;
        self.operators_changed()?;
        Ok(OperatorChanged::Done)
    }

    /// Whether anybody but them is an administrator who is enabled.
    fn has_another_administrator(&self, id: OperatorId) -> Result<bool> {
        let sql = "SELECT 1 FROM operator WHERE id <> ?1 AND role = ?2 AND disabled_at IS NULL";
        let parameters = params![id.as_bytes(), Code(Role::Administrator)];
        Ok(self.connection.prepare_cached(sql)?.exists(parameters)?)
    }

    fn write_operator(&self, id: OperatorId, change: &OperatorChange, at: Timestamp) -> Result<()> {
        let id = id.as_bytes();
        let run = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<()> {
            self.connection.prepare_cached(sql)?.execute(parameters)?;
            Ok(())
        };
        match change {
            OperatorChange::Role(role) => {
                run("UPDATE operator SET role = ?2 WHERE id = ?1", params![id, Code(*role)])
            }
            OperatorChange::Disable => {
                let sql = "UPDATE operator SET disabled_at = ?2 WHERE id = ?1";
                run(sql, params![id, at.as_millis()])
            }
            OperatorChange::Enable => {
                run("UPDATE operator SET disabled_at = NULL WHERE id = ?1", params![id])
            }
            OperatorChange::Password(sealed) => run(
                "UPDATE operator SET password = ?2, generation = generation + 1 WHERE id = ?1",
                params![id, sealed.sealed.as_bytes()],
            ),
            OperatorChange::Totp(sealed) => run(
                "UPDATE operator SET totp = ?2, totp_step = NULL, generation = generation + 1
                 WHERE id = ?1",
                params![id, sealed.sealed.as_bytes()],
            ),
        }
    }

    /// Opens a session, or lets one go on under a new token.
    pub(super) fn open_session(&mut self, new: &NewSession, note: &Note) -> Result<SessionOpened> {
        let id = new.operator.as_bytes();
        let standing = self.standing(new.operator)?;
        let mut opened = may_open(new, standing.as_ref());
        let life = match new.instead_of {
            None => Some(SessionLife::begun(note.at)),
            Some(old) => may_go_on(new, self.session_life(old)?, note.at),
        };
        if opened == SessionOpened::Done && life.is_none() {
            opened = SessionOpened::Over;
        }
        let (SessionOpened::Done, Some(life)) = (opened, life) else {
            let because = [("because", None, Some(opened.code()))];
            self.audit_note(Action::SessionRefused, id, true, note, &because)?;
            return Ok(opened);
        };
        self.connection
            .prepare_cached("UPDATE operator SET totp_step = ?2 WHERE id = ?1")?
            .execute(params![id, new.step])?;
        if let Some(old) = new.instead_of {
            self.connection
                .prepare_cached("UPDATE session SET ended_at = ?2 WHERE token_hash = ?1")?
                .execute(params![old, note.at.as_millis()])?;
            self.operators_changed()?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO session (token_hash, operator, created_at, last_seen_at, confirmed_at,
                    ends_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                new.token_hash,
                id,
                life.created_at.as_millis(),
                life.last_seen_at.as_millis(),
                life.confirmed_at.as_millis(),
                life.ends_at().as_millis(),
            ])?;
        let is_new = new.instead_of.is_none();
        let action = if is_new { Action::SessionOpened } else { Action::SessionConfirmed };
        self.audit_note(action, id, false, note, &[])?;
        Ok(SessionOpened::Done)
    }

    /// Notes when sessions were used. Nobody decided it, so it is not in the audit log.
    pub(super) fn note_session_uses(&self, uses: &[([u8; 16], Timestamp)]) -> Result<()> {
        for (token_hash, at) in uses {
            self.connection
                .prepare_cached(
                    "UPDATE session SET last_seen_at = ?2
                     WHERE token_hash = ?1 AND ended_at IS NULL AND last_seen_at < ?2",
                )?
                .execute(params![token_hash, at.as_millis()])?;
        }
        Ok(())
    }

    /// Ends a session; says how many it were.
    pub(super) fn end_session(&mut self, token_hash: [u8; 16], note: &Note) -> Result<usize> {
        let operator: Option<[u8; 16]> = self
            .connection
            .prepare_cached(
                "UPDATE session SET ended_at = ?2 WHERE token_hash = ?1 AND ended_at IS NULL
                 RETURNING operator",
            )?
            .query_row(params![token_hash, note.at.as_millis()], |row| row.get(0))
            .optional()?;
        let Some(operator) = operator else { return Ok(0) };
        self.audit_note(Action::SessionEnded, &operator, false, note, &[])?;
        self.operators_changed()?;
        Ok(1)
    }

    /// Ends every session of an operator; says how many.
    pub(super) fn end_sessions(&mut self, operator: OperatorId, note: &Note) -> Result<usize> {
        let ended = self.end_open(operator, note.at)?;
        if ended > 0 {
            let count = ended.to_string();
            let count = [("sessions_ended", None, Some(&*count))];
            let id = operator.as_bytes();
            self.audit_note(Action::SessionEnded, id, false, note, &count)?;
            self.operators_changed()?;
        }
        Ok(ended)
    }

    /// Deletes sessions that were over before a time, the oldest first; says how many.
    pub(super) fn forget_sessions(&self, before: Timestamp) -> Result<usize> {
        Ok(self
            .connection
            .prepare_cached(
                "DELETE FROM session WHERE row IN (SELECT row FROM session
                    WHERE min(ends_at, coalesce(ended_at, ends_at)) < ?1
                    ORDER BY min(ends_at, coalesce(ended_at, ends_at)) LIMIT ?2)",
            )?
            .execute([before.as_millis(), SESSIONS_AT_ONCE_MAX])?)
    }

    fn end_open(&self, operator: OperatorId, at: Timestamp) -> Result<usize> {
        Ok(self
            .connection
            .prepare_cached(
                "UPDATE session SET ended_at = ?2 WHERE operator = ?1 AND ended_at IS NULL",
            )?
            .execute(params![operator.as_bytes(), at.as_millis()])?)
    }

    fn standing(&self, operator: OperatorId) -> Result<Option<Standing>> {
        let sql =
            "SELECT disabled_at IS NOT NULL, generation, totp_step FROM operator WHERE id = ?1";
        let found = self.connection.prepare_cached(sql)?.query_row([operator.as_bytes()], |row| {
            Ok(Standing {
                is_disabled: row.get(0)?,
                generation: row.get(1)?,
                totp_step: row.get(2)?,
            })
        });
        Ok(found.optional()?)
    }

    fn session_life(&self, token_hash: [u8; 16]) -> Result<Option<(OperatorId, SessionLife)>> {
        let found = find_session(self.connection, token_hash)?;
        Ok(found.map(|session| (session.operator, session.life)))
    }

    fn operators_changed(&self) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE operator_version SET version = version + 1")?
            .execute([])?;
        Ok(())
    }
}

impl Sqlite {
    pub(crate) async fn operators(&self) -> std::result::Result<Vec<OperatorRow>, StoreError> {
        self.read(|connection| rows(connection, "ORDER BY sequence", params![])).await
    }

    pub(crate) async fn operators_page(
        &self,
        after: i64,
        limit: usize,
    ) -> std::result::Result<Vec<(i64, OperatorRow)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, sequence FROM operator
                 WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
            ))?;
            let mut found = statement.query([after, limit])?;
            let mut page = Vec::new();
            while let Some(row) = found.next()? {
                page.push((row.get(11)?, operator(row)?));
            }
            Ok(page)
        })
        .await
    }

    pub(crate) async fn operator(
        &self,
        id: OperatorId,
    ) -> std::result::Result<Option<OperatorRow>, StoreError> {
        self.read(move |connection| {
            Ok(rows(connection, "WHERE id = ?1", params![id.as_bytes()])?.pop())
        })
        .await
    }

    pub(crate) async fn operator_by_login(
        &self,
        login_key: [u8; 16],
    ) -> std::result::Result<Option<OperatorRow>, StoreError> {
        self.read(move |connection| {
            Ok(rows(connection, "WHERE login_key = ?1", params![login_key])?.pop())
        })
        .await
    }

    pub(crate) async fn session(
        &self,
        token_hash: [u8; 16],
    ) -> std::result::Result<Option<SessionRow>, StoreError> {
        self.read(move |connection| find_session(connection, token_hash)).await
    }

    pub(crate) async fn operators_version(&self) -> std::result::Result<i64, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT version FROM operator_version")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

fn find_session(connection: &Connection, token_hash: [u8; 16]) -> Result<Option<SessionRow>> {
    let mut statement = connection.prepare_cached(&format!("{SESSION} WHERE token_hash = ?1"))?;
    Ok(statement.query_row([token_hash], session).optional()?)
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let at = |place: usize| row.get(place).map(Timestamp::from_millis);
    Ok(SessionRow {
        operator: OperatorId::from_bytes(row.get(0)?),
        role: row.get::<_, Code<Role>>(1)?.0,
        is_disabled: row.get(2)?,
        life: SessionLife {
            created_at: at(3)?,
            last_seen_at: at(4)?,
            confirmed_at: at(5)?,
            ended_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        },
    })
}

fn rows(
    connection: &Connection,
    which: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<OperatorRow>> {
    let sql = format!("SELECT {COLUMNS} FROM operator {which}");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(parameters, operator)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn operator(row: &Row<'_>) -> rusqlite::Result<OperatorRow> {
    let key = KeyId(row.get(2)?);
    let sealed = |place: usize| -> rusqlite::Result<SealedRow> {
        Ok(SealedRow { key, sealed: Sealed::from_bytes(row.get(place)?) })
    };
    Ok(OperatorRow {
        id: OperatorId::from_bytes(row.get(0)?),
        role: row.get::<_, Code<Role>>(1)?.0,
        login: sealed(3)?,
        password: sealed(4)?,
        totp: sealed(5)?,
        totp_step: row.get(6)?,
        generation: row.get(7)?,
        created_at: Timestamp::from_millis(row.get(8)?),
        created_by: row.get(9)?,
        disabled_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_millis),
    })
}
