//! Blocks of parties: added, lifted, read.

use model::block::{BlockLife, BlockState, PartyKind};
use model::{BlockId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::block::{ALREADY_OVER, Added, COLUMNS};
use crate::{
    Action, BlockChanged, BlockQuery, BlockRow, NewBlock, Note, SealedRow, StandingBlock,
    StoreError,
};

impl Session<'_> {
    /// Blocks a party, unless it is blocked as long already.
    pub(super) fn add_block(&mut self, block: &NewBlock, note: &Note) -> Result<BlockChanged> {
        let ends_at = block.ends_at.map(Timestamp::as_millis);
        let sql = "SELECT id FROM block
             WHERE party_key = ?1 AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > ?2)
                AND (ends_at IS NULL OR ends_at >= ?3)
             ORDER BY sequence LIMIT 1";
        let stands: Option<[u8; 16]> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![block.party_key, note.at.as_millis(), ends_at], |row| row.get(0))
            .optional()?;
        if let Some(other) = stands.map(BlockId::from_bytes) {
            let text = other.to_string();
            let because = [("already_blocked", None, Some(&*text))];
            self.audit_note(Action::BlockAdded, block.id.as_bytes(), true, note, &because)?;
            return Ok(BlockChanged::AlreadyBlocked(other));
        }
        for key in &block.keys {
            self.keep_key(key, Some(note.request))?;
        }
        self.see_key(&block.sealed)?;
        self.connection
            .prepare_cached(
                "INSERT INTO block (id, kind, scope, party_key, created_at, created_by, ends_at,
                    sealed_key, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                block.id.as_bytes(),
                Code(block.kind),
                block.of,
                block.party_key,
                note.at.as_millis(),
                note.actor,
                ends_at,
                block.sealed.key.0,
                block.sealed.sealed.as_bytes(),
            ])?;
        let added = Added::of(block);
        let changes = added.changes(block);
        self.audit_note(Action::BlockAdded, block.id.as_bytes(), false, note, &changes)?;
        self.blocks_changed()?;
        Ok(BlockChanged::Done)
    }

    /// Lifts a block.
    pub(super) fn lift_block(&mut self, id: BlockId, note: &Note) -> Result<BlockChanged> {
        let sql = "SELECT ends_at, lifted_at FROM block WHERE id = ?1";
        let life = self
            .connection
            .prepare_cached(sql)?
            .query_row([id.as_bytes()], |row| life(row, 0))
            .optional()?;
        let Some(life) = life else { return Ok(BlockChanged::NotFound) };
        if life.state(note.at) != BlockState::Standing {
            let because = [ALREADY_OVER];
            self.audit_note(Action::BlockLifted, id.as_bytes(), true, note, &because)?;
            return Ok(BlockChanged::AlreadyOver);
        }
        self.connection
            .prepare_cached("UPDATE block SET lifted_at = ?2, lifted_by = ?3 WHERE id = ?1")?
            .execute(params![id.as_bytes(), note.at.as_millis(), note.actor])?;
        self.audit_note(Action::BlockLifted, id.as_bytes(), false, note, &[])?;
        self.blocks_changed()?;
        Ok(BlockChanged::Done)
    }

    /// The first of these parties that is blocked, as its place among them.
    pub(super) fn blocked(
        &self,
        parties: &[[u8; 16]],
        now: Timestamp,
    ) -> Result<Option<(usize, BlockId)>> {
        let sql = "SELECT id FROM block
             WHERE party_key = ?1 AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > ?2)
             ORDER BY sequence LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (place, party) in parties.iter().enumerate() {
            let found: Option<[u8; 16]> = statement
                .query_row(params![party, now.as_millis()], |row| row.get(0))
                .optional()?;
            if let Some(id) = found {
                return Ok(Some((place, BlockId::from_bytes(id))));
            }
        }
        Ok(None)
    }

    fn blocks_changed(&self) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE block_version SET version = version + 1")?
            .execute([])?;
        Ok(())
    }
}

impl Sqlite {
    pub(crate) async fn block(
        &self,
        id: BlockId,
    ) -> std::result::Result<Option<BlockRow>, StoreError> {
        let id = Value::Blob(id.as_bytes().to_vec());
        self.read(move |connection| Ok(rows(connection, "WHERE id = ?1", &[id])?.pop())).await
    }

    pub(crate) async fn blocks(
        &self,
        query: BlockQuery,
    ) -> std::result::Result<Vec<BlockRow>, StoreError> {
        let before = Value::Integer(query.before.unwrap_or(i64::MAX));
        let limit = Value::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX));
        let at = query.standing_at.map_or(Value::Null, |at| Value::Integer(at.as_millis()));
        self.read(move |connection| {
            let which = "WHERE sequence < ?1 AND (?2 IS NULL
                    OR (lifted_at IS NULL AND (ends_at IS NULL OR ends_at > ?2)))
                 ORDER BY sequence DESC LIMIT ?3";
            rows(connection, which, &[before, at, limit])
        })
        .await
    }

    pub(crate) async fn standing_blocks(
        &self,
        now: Timestamp,
    ) -> std::result::Result<Vec<StandingBlock>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT id, party_key, ends_at FROM block
                 WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > ?1) ORDER BY sequence";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map([now.as_millis()], |row| {
                Ok(StandingBlock {
                    id: BlockId::from_bytes(row.get(0)?),
                    party_key: row.get(1)?,
                    ends_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn blocks_version(&self) -> std::result::Result<i64, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT version FROM block_version")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

fn rows(connection: &Connection, which: &str, values: &[Value]) -> Result<Vec<BlockRow>> {
    let sql = format!("SELECT {COLUMNS} FROM block {which}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(block(row)?);
    }
    Ok(found)
}

fn block(row: &Row<'_>) -> Result<BlockRow> {
    Ok(BlockRow {
        sequence: row.get(0)?,
        id: BlockId::from_bytes(row.get(1)?),
        kind: row.get::<_, Code<PartyKind>>(2)?.0,
        of: row.get(3)?,
        party_key: row.get(4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
        created_by: row.get(6)?,
        life: life(row, 7)?,
        lifted_by: row.get(9)?,
        sealed: SealedRow { key: KeyId(row.get(10)?), sealed: Sealed::from_bytes(row.get(11)?) },
    })
}

/// Two columns from a place on.
fn life(row: &Row<'_>, place: usize) -> rusqlite::Result<BlockLife> {
    let time = |place: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(place)?.map(Timestamp::from_millis))
    };
    Ok(BlockLife { ends_at: time(place)?, lifted_at: time(place + 1)? })
}
