//! Wrapped data keys.

use model::{RequestId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vault::{KeyId, WrappedKey};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::audit::Entry;
use crate::error::Kind;
use crate::{Action, KeyKind, NewKey, SealedRow, StoreError, StoredKey};

const COLUMNS: &str = "id, kind, owner, wrapped, created_at";

impl Session<'_> {
    /// Keeps a key unless it is kept already.
    pub(super) fn keep_key(&mut self, key: &NewKey, request: Option<RequestId>) -> Result<()> {
        if self.keys.contains(&key.id) {
            return Ok(());
        }
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO data_key (id, kind, owner, wrapped, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                key.id.0,
                Code(key.kind),
                key.owner,
                key.wrapped.as_bytes(),
                key.created_at.as_millis(),
            ])?;
        if inserted == 1 {
            self.audit(&Entry {
                at: key.created_at,
                action: Action::KeyAdded,
                actor: None,
                resource: &key.id.0,
                refused: false,
                request,
                changes: None,
                personal: None,
            })?;
        }
        self.keys.insert(key.id);
        Ok(())
    }

    /// Refuses what is sealed under a key that is not kept: nobody could ever open it.
    pub(super) fn see_key(&mut self, row: &SealedRow) -> Result<()> {
        if self.keys.contains(&row.key) {
            return Ok(());
        }
        let kept = self
            .connection
            .prepare_cached("SELECT 1 FROM data_key WHERE id = ?1")?
            .exists([row.key.0])?;
        if !kept {
            return Err(Kind::UnknownKey.into());
        }
        self.keys.insert(row.key);
        Ok(())
    }

    /// Adds a key unless its owner has one; gives the one that stands.
    pub(super) fn add_key(&mut self, key: &NewKey) -> Result<NewKey> {
        if let Some(standing) = of_owner(self.connection, key.kind, key.owner)? {
            return Ok(standing);
        }
        self.keep_key(key, None)?;
        of_owner(self.connection, key.kind, key.owner)?.ok_or(Kind::Constraint.into())
    }
}

impl Sqlite {
    pub(crate) async fn key(
        &self,
        id: KeyId,
    ) -> std::result::Result<Option<StoredKey>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM data_key WHERE id = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([id.0], key).optional()?)
        })
        .await
    }

    pub(crate) async fn key_of(
        &self,
        kind: KeyKind,
        owner: [u8; 16],
    ) -> std::result::Result<Option<StoredKey>, StoreError> {
        self.read(move |connection| of_owner(connection, kind, owner)).await
    }
}

fn of_owner(connection: &Connection, kind: KeyKind, owner: [u8; 16]) -> Result<Option<NewKey>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM data_key WHERE kind = ?1 AND owner = ?2
         ORDER BY sequence DESC LIMIT 1"
    );
    Ok(connection.prepare_cached(&sql)?.query_row(params![Code(kind), owner], key).optional()?)
}

fn key(row: &Row<'_>) -> rusqlite::Result<NewKey> {
    Ok(NewKey {
        id: KeyId(row.get(0)?),
        kind: row.get::<_, Code<KeyKind>>(1)?.0,
        owner: row.get(2)?,
        wrapped: WrappedKey::from_bytes(row.get(3)?),
        created_at: Timestamp::from_millis(row.get(4)?),
    })
}
