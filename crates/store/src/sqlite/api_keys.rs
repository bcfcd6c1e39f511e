//! API keys: created, rolled, revoked, read; and how they were used.

use model::api_key::{Cause, Life};
use model::{ApiKeyId, Environment, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::api_key::{COLUMNS, GrantColumns, created, may_roll, revoked};
use crate::{
    Action, ApiKeyChanged, ApiKeyRow, ApiKeyUse, NewApiKey, Note, SealedRow, StoreError, Successor,
};

impl Session<'_> {
    /// Creates a key.
    pub(super) fn create_api_key(&mut self, key: &NewApiKey, note: &Note) -> Result<()> {
        let grant = GrantColumns::of(&key.grant);
        self.connection
            .prepare_cached(
                "INSERT INTO api_key (id, environment, name, secret_hash, permissions, sources,
                    providers, customer, networks, created_at, created_by, expires_at, uses,
                    refusals)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, 0)",
            )?
            .execute(params![
                key.id.as_bytes(),
                Code(key.environment),
                key.name,
                key.secret_hash,
                grant.permissions,
                grant.sources,
                grant.providers,
                grant.customer,
                grant.networks,
                note.at.as_millis(),
                note.actor,
                key.expires_at.as_millis(),
            ])?;
        let id = key.id.as_bytes();
        let expires_at = key.expires_at.to_string();
        let changes = created(&grant, &expires_at);
        self.audit_note(Action::ApiKeyCreated, id, false, note, &changes)?;
        self.api_keys_changed()
    }

    /// Gives a key a successor. It works until its grace is over; the one before it no longer.
    pub(super) fn roll_api_key(
        &mut self,
        old: ApiKeyId,
        new: &Successor,
        note: &Note,
    ) -> Result<ApiKeyChanged> {
        let Some((grace_until, revoked_at, rolled_from)) = self.api_key_ends(old)? else {
            return Ok(ApiKeyChanged::NotFound);
        };
        let may = may_roll(grace_until, revoked_at);
        if may != ApiKeyChanged::Done {
            let because = [may.because()];
            self.audit_note(Action::ApiKeyRolled, old.as_bytes(), true, note, &because)?;
            return Ok(may);
        }
        if let Some(before) = rolled_from {
            self.end_grace(before, note)?;
        }
        self.connection
            .prepare_cached("UPDATE api_key SET grace_until = ?2 WHERE id = ?1")?
            .execute(params![old.as_bytes(), new.grace_until.as_millis()])?;
        self.connection
            .prepare_cached(
                "INSERT INTO api_key (id, environment, name, secret_hash, permissions, sources,
                    providers, customer, networks, created_at, created_by, expires_at, rolled_from,
                    uses, refusals)
                 SELECT ?2, environment, name, ?3, permissions, sources, providers, customer,
                    networks, ?4, ?5, ?6, id, 0, 0 FROM api_key WHERE id = ?1",
            )?
            .execute(params![
                old.as_bytes(),
                new.id.as_bytes(),
                new.secret_hash,
                note.at.as_millis(),
                note.actor,
                new.expires_at.as_millis(),
            ])?;
        let (id, until) = (new.id.to_string(), new.grace_until.to_string());
        let changes = [("successor", None, Some(&*id)), ("grace_until", None, Some(&*until))];
        self.audit_note(Action::ApiKeyRolled, old.as_bytes(), false, note, &changes)?;
        self.api_keys_changed()?;
        Ok(ApiKeyChanged::Done)
    }

    /// Ends a key, and the one before it that is in grace.
    pub(super) fn revoke_api_key(
        &mut self,
        id: ApiKeyId,
        cause: Cause,
        note: &Note,
    ) -> Result<ApiKeyChanged> {
        let Some((_, revoked_at, rolled_from)) = self.api_key_ends(id)? else {
            return Ok(ApiKeyChanged::NotFound);
        };
        if revoked_at.is_some() {
            let changed = ApiKeyChanged::AlreadyRevoked;
            let because = [changed.because()];
            self.audit_note(Action::ApiKeyRevoked, id.as_bytes(), true, note, &because)?;
            return Ok(changed);
        }
        if let Some(before) = rolled_from {
            self.end_grace(before, note)?;
        }
        self.end_api_key(id, cause, note)?;
        self.api_keys_changed()?;
        Ok(ApiKeyChanged::Done)
    }

    /// Ends every key that is not revoked yet; says how many.
    pub(super) fn revoke_api_keys(&mut self, cause: Cause, note: &Note) -> Result<usize> {
        let ids: Vec<[u8; 16]> = self
            .connection
            .prepare_cached("SELECT id FROM api_key WHERE revoked_at IS NULL ORDER BY sequence")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in &ids {
            self.end_api_key(ApiKeyId::from_bytes(*id), cause, note)?;
        }
        self.api_keys_changed()?;
        Ok(ids.len())
    }

    /// Notes how keys were used, with entries that count it.
    pub(super) fn note_api_key_uses(&mut self, uses: &[ApiKeyUse]) -> Result<()> {
        for used in uses {
            for entry in used.entries() {
                self.audit(&entry)?;
            }
            let last = used.last.as_ref();
            if let Some((_, address)) = last {
                self.see_key(address)?;
            }
            self.connection
                .prepare_cached(
                    "UPDATE api_key SET uses = uses + ?2, refusals = refusals + ?3 WHERE id = ?1",
                )?
                .execute(params![used.id.as_bytes(), used.uses, used.refusals])?;
            let Some((at, address)) = last else { continue };
            self.connection
                .prepare_cached(
                    "UPDATE api_key SET last_used_at = ?2, last_address_key = ?3, last_address = ?4
                     WHERE id = ?1 AND coalesce(last_used_at, ?2) <= ?2",
                )?
                .execute(params![
                    used.id.as_bytes(),
                    at.as_millis(),
                    address.key.0,
                    address.sealed.as_bytes(),
                ])?;
        }
        Ok(())
    }

    fn end_api_key(&mut self, id: ApiKeyId, cause: Cause, note: &Note) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE api_key SET revoked_at = ?2, revoked_cause = ?3 WHERE id = ?1")?
            .execute(params![id.as_bytes(), note.at.as_millis(), Code(cause)])?;
        self.audit_note(Action::ApiKeyRevoked, id.as_bytes(), false, note, &revoked(cause))
    }

    /// Cuts the grace of a key short, if it is in grace.
    fn end_grace(&mut self, id: ApiKeyId, note: &Note) -> Result<()> {
        let ended = self
            .connection
            .prepare_cached(
                "UPDATE api_key SET grace_until = ?2
                 WHERE id = ?1 AND grace_until > ?2 AND revoked_at IS NULL",
            )?
            .execute(params![id.as_bytes(), note.at.as_millis()])?;
        if ended == 1 {
            let until = note.at.to_string();
            let changes = [("grace_until", None, Some(&*until))];
            self.audit_note(Action::ApiKeyRolled, id.as_bytes(), false, note, &changes)?;
        }
        Ok(())
    }

    /// Until when its grace is, when it was revoked, and the key before it.
    #[expect(clippy::type_complexity, reason = "three columns of one row")]
    fn api_key_ends(
        &self,
        id: ApiKeyId,
    ) -> Result<Option<(Option<i64>, Option<i64>, Option<ApiKeyId>)>> {
        let sql = "SELECT grace_until, revoked_at, rolled_from FROM api_key WHERE id = ?1";
        let found = self.connection.prepare_cached(sql)?.query_row([id.as_bytes()], |row| {
            let rolled_from: Option<[u8; 16]> = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, rolled_from.map(ApiKeyId::from_bytes)))
        });
        Ok(found.optional()?)
    }

    fn api_keys_changed(&self) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE api_key_version SET version = version + 1")?
            .execute([])?;
        Ok(())
    }
}

impl Sqlite {
    pub(crate) async fn api_keys(&self) -> std::result::Result<Vec<ApiKeyRow>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM api_key ORDER BY sequence");
            rows(connection, &sql, params![])
        })
        .await
    }

    pub(crate) async fn api_keys_page(
        &self,
        after: i64,
        limit: usize,
    ) -> std::result::Result<Vec<(i64, ApiKeyRow)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, sequence FROM api_key
                 WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
            ))?;
            let mut found = statement.query([after, limit])?;
            let mut page = Vec::new();
            while let Some(row) = found.next()? {
                page.push((row.get(21)?, key(row)?));
            }
            Ok(page)
        })
        .await
    }

    pub(crate) async fn api_key(
        &self,
        id: ApiKeyId,
    ) -> std::result::Result<Option<ApiKeyRow>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM api_key WHERE id = ?1");
            Ok(rows(connection, &sql, params![id.as_bytes()])?.pop())
        })
        .await
    }

    pub(crate) async fn api_keys_version(&self) -> std::result::Result<i64, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT version FROM api_key_version")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

fn rows(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<ApiKeyRow>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(parameters)?;
    let mut keys = Vec::new();
    while let Some(row) = found.next()? {
        keys.push(key(row)?);
    }
    Ok(keys)
}

fn key(row: &Row<'_>) -> Result<ApiKeyRow> {
    let time = |at: usize| Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_millis));
    let id = |at: usize| Ok(row.get::<_, Option<[u8; 16]>>(at)?.map(ApiKeyId::from_bytes));
    let time = |at| time(at) as rusqlite::Result<_>;
    let id = |at| id(at) as rusqlite::Result<_>;
    let grant = GrantColumns {
        permissions: row.get(4)?,
        sources: row.get(5)?,
        providers: row.get(6)?,
        customer: row.get(7)?,
        networks: row.get(8)?,
    };
    let address_key: Option<[u8; 16]> = row.get(17)?;
    let address: Option<Vec<u8>> = row.get(18)?;
    Ok(ApiKeyRow {
        id: ApiKeyId::from_bytes(row.get(0)?),
        environment: row.get::<_, Code<Environment>>(1)?.0,
        name: row.get(2)?,
        secret_hash: row.get(3)?,
        grant: grant.grant()?,
        created_at: Timestamp::from_millis(row.get(9)?),
        created_by: row.get(10)?,
        life: Life {
            expires_at: Timestamp::from_millis(row.get(11)?),
            grace_until: time(13)?,
            revoked_at: time(14)?,
        },
        rolled_from: id(12)?,
        cause: row.get::<_, Option<Code<Cause>>>(15)?.map(|cause| cause.0),
        last_used_at: time(16)?,
        last_address: address_key
            .zip(address)
            .map(|(key, sealed)| SealedRow { key: KeyId(key), sealed: Sealed::from_bytes(sealed) }),
        uses: u64::try_from(row.get::<_, i64>(19)?).unwrap_or(0),
        refusals: u64::try_from(row.get::<_, i64>(20)?).unwrap_or(0),
    })
}
