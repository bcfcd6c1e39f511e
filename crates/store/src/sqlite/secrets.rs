//! Secrets of sources and endpoints.

use model::secret::{SecretKind, SecretLife};
use model::{RequestId, SecretId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::audit::{Entry, text};
use crate::secret::{
    Configured, NewSecret, Retire, SecretAdded, SecretRetired, SecretRow, owned_by,
};
use crate::{Action, Note, SealedRow, StoreError};

const COLUMNS: &str =
    "id, kind, owner, print, since, ends_at, retired_at, proven_at, sealed_key, sealed";

impl Session<'_> {
    pub(super) fn add_secret(&mut self, new: &NewSecret, note: &Note) -> Result<SecretAdded> {
        self.see_key(&new.sealed)?;
        let (kind, now) = (Code(new.kind), note.at.as_millis());
        let id = new.id.to_string();
        let resource = owned_by(new.kind, &new.owner);
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO secret (id, kind, owner, print, since, sealed_key, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                new.id.as_bytes(),
                kind,
                new.owner,
                new.print,
                now,
                new.sealed.key.0,
                new.sealed.sealed.as_bytes(),
            ])?;
        if inserted == 0 {
            let known = [("because", None, Some("known"))];
            self.audit_note(Action::SecretAdded, resource.as_bytes(), true, note, &known)?;
            return Ok(SecretAdded::Known);
        }
        let Some(overlap) = new.overlap else {
            let added = [("secret", None, Some(id.as_str()))];
            self.audit_note(Action::SecretAdded, resource.as_bytes(), false, note, &added)?;
            return Ok(SecretAdded::Done);
        };
        // One that ends already ends no later for it.
        self.connection
            .prepare_cached(
                "UPDATE secret SET ends_at = min(coalesce(ends_at, ?4), ?4)
                 WHERE kind = ?1 AND owner = ?2 AND id <> ?3 AND retired_at IS NULL
                    AND sealed IS NOT NULL",
            )?
            .execute(params![kind, new.owner, new.id.as_bytes(), now + overlap.as_millis()])?;
        let rolled = [("secret", None, Some(id.as_str())), ("overlap", None, Some(overlap.code()))];
        self.audit_note(Action::SecretRolled, resource.as_bytes(), false, note, &rolled)?;
        Ok(SecretAdded::Done)
    }

    pub(super) fn retire_secret(&mut self, retire: &Retire) -> Result<SecretRetired> {
        let (all, note) = (all(self.connection)?, &retire.note);
        let Some(one) = all.iter().find(|row| row.id == retire.id) else {
            return Ok(SecretRetired::NotFound);
        };
        let is_of = |row: &&SecretRow| row.life.kind == one.life.kind && row.owner == one.owner;
        let owned: Vec<SecretRow> = all.iter().filter(is_of).cloned().collect();
        let judged = SecretRetired::judge(one, &owned, retire.force, note.at);
        let is_done = judged == SecretRetired::Done;
        if is_done {
            self.connection
                .prepare_cached("UPDATE secret SET retired_at = ?2 WHERE id = ?1")?
                .execute(params![retire.id.as_bytes(), note.at.as_millis()])?;
        }
        let resource = owned_by(one.life.kind, &one.owner);
        let id = retire.id.to_string();
        let forced = if retire.force { "yes" } else { "no" };
        let changes = [("secret", Some(id.as_str()), None), ("forced", None, Some(forced))];
        self.audit_note(Action::SecretRetired, resource.as_bytes(), !is_done, note, &changes)?;
        Ok(judged)
    }

    /// Notes since when secrets stand in the configuration, and which do not any more.
    pub(super) fn see_configured(&mut self, seen: &Configured) -> Result<()> {
        let (kind, now) = (Code(seen.kind), seen.at.as_millis());
        let mut changes = Vec::new();
        for (id, print) in &seen.secrets {
            let there = self
                .connection
                .prepare_cached(
                    "INSERT INTO secret (id, kind, owner, print, since) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (kind, owner, print) DO UPDATE SET retired_at = NULL
                     WHERE sealed IS NULL AND retired_at IS NOT NULL RETURNING id",
                )?
                .query_row(params![id.as_bytes(), kind, seen.owner, print, now], |row| row.get(0))
                .optional()?;
            if let Some(id) = there {
                changes.push((SecretId::from_bytes(id).to_string(), true));
            }
        }
        for row in all(self.connection)? {
            let is_gone = row.life.kind == seen.kind
                && row.owner == seen.owner
                && row.sealed.is_none()
                && row.life.retired_at.is_none()
                && !seen.secrets.iter().any(|(_, print)| *print == row.print);
            if is_gone {
                self.connection
                    .prepare_cached("UPDATE secret SET retired_at = ?2 WHERE id = ?1")?
                    .execute(params![row.id.as_bytes(), now])?;
                changes.push((row.id.to_string(), false));
            }
        }
        let resource = owned_by(seen.kind, &seen.owner);
        for (id, is_there) in changes {
            let id = Some(id.as_str());
            let change = if is_there { ("secret", None, id) } else { ("secret", id, None) };
            self.audit_own(Action::SecretConfigured, &resource, seen.at, change)?;
        }
        Ok(())
    }

    /// Notes that a real message was verified with a secret.
    pub(super) fn prove_secret(&mut self, id: SecretId, at: Timestamp) -> Result<()> {
        let proven = self
            .connection
            .prepare_cached(
                "UPDATE secret SET proven_at = ?2 WHERE id = ?1 AND proven_at IS NULL
                 RETURNING kind, owner",
            )?
            .query_map(params![id.as_bytes(), at.as_millis()], |row| {
                Ok((row.get::<_, Code<SecretKind>>(0)?.0, row.get::<_, String>(1)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for (kind, owner) in proven {
            let id = id.to_string();
            let change = ("secret", None, Some(id.as_str()));
            self.audit_own(Action::SecretProven, &owned_by(kind, &owner), at, change)?;
        }
        Ok(())
    }

    fn audit_own(
        &mut self,
        action: Action,
        resource: &str,
        at: Timestamp,
        change: (&str, Option<&str>, Option<&str>),
    ) -> Result<()> {
        self.audit(&Entry {
            at,
            action,
            actor: None,
            resource: resource.as_bytes(),
            refused: false,
            request: None::<RequestId>,
            changes: Some(text(&[change])),
            personal: None,
        })
    }
}

impl Sqlite {
    pub(crate) async fn secrets(&self) -> std::result::Result<Vec<SecretRow>, StoreError> {
        self.read(all).await
    }
}

fn all(connection: &Connection) -> Result<Vec<SecretRow>> {
    let sql = format!("SELECT {COLUMNS} FROM secret ORDER BY sequence");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], secret)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn secret(row: &Row<'_>) -> rusqlite::Result<SecretRow> {
    let at = |place| row.get::<_, Option<i64>>(place).map(|at| at.map(Timestamp::from_millis));
    let sealed = row.get::<_, Option<[u8; 16]>>(8)?.zip(row.get::<_, Option<Vec<u8>>>(9)?);
    Ok(SecretRow {
        id: SecretId::from_bytes(row.get(0)?),
        owner: row.get(2)?,
        print: row.get(3)?,
        life: SecretLife {
            kind: row.get::<_, Code<SecretKind>>(1)?.0,
            since: Timestamp::from_millis(row.get(4)?),
            ends_at: at(5)?,
            retired_at: at(6)?,
            proven_at: at(7)?,
        },
        sealed: sealed
            .map(|(key, sealed)| SealedRow { key: KeyId(key), sealed: Sealed::from_bytes(sealed) }),
    })
}
