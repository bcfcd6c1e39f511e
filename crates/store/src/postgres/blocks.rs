//! Blocks of parties: added, lifted, read.

use model::block::{BlockLife, BlockState, PartyKind};
use model::{BlockId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Postgres;
use super::audit::Entries;
use super::bind::{Owned, bytea, byteas, int2, int8, text, uuid};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::keys::NewKeys;
use super::read::sealed_row;
use super::session::{Session, column};
use crate::block::{ALREADY_OVER, Added, COLUMNS};
use crate::codes::Code;
use crate::{
    Action, BlockChanged, BlockQuery, BlockRow, NewBlock, Note, StandingBlock, StoreError,
};

/// Whoever creates orders and whoever changes blocks wait for each other, each in turn: those who lock a row
/// together would let nobody change it. The number is that of no other lock.
const BLOCKS_STAY: &str = "SELECT pg_advisory_xact_lock_shared(1650680173)";
const BLOCKS_CHANGE: &str = "SELECT pg_advisory_xact_lock(1650680173)";

impl Session<'_> {
    /// Blocks a party, unless it is blocked as long already.
    pub(super) async fn add_block(&self, block: &NewBlock, note: &Note) -> Result<BlockChanged> {
        self.change_blocks().await?;
        let ends_at = block.ends_at.map(Timestamp::as_millis);
        let (party, at) = (Sixteen(block.party_key), note.at.as_millis());
        let sql = "SELECT id FROM block
             WHERE party_key = $1 AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > $2)
                AND (ends_at IS NULL OR ends_at >= $3)
             ORDER BY sequence LIMIT 1";
        let stands = self.rows(sql, &[bytea(&party), int8(&at), int8(&ends_at)]).await?;
        if let Some(row) = stands.first() {
            let other = BlockId::from(column::<Sixteen>(row, 0)?);
            let text = other.to_string();
            let because = [("already_blocked", None, Some(&*text))];
            let id = block.id.as_bytes();
            self.audit_note(Action::BlockAdded, id, true, note, &because).await?;
            return Ok(BlockChanged::AlreadyBlocked(other));
        }
        let mut new_keys = NewKeys::new();
        for key in &block.keys {
            new_keys.insert(key.id.0, (key, Some(note.request)));
        }
        let mut entries = Entries::default();
        self.keep_keys(&new_keys, &mut entries).await?;
        let key = Sixteen::from(block.sealed.key);
        self.kept_keys(&[key]).await?.see(&block.sealed)?;
        self.run(
            "INSERT INTO block (id, kind, scope, party_key, created_at, created_by, ends_at,
                sealed_key, sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                uuid(&Sixteen::from(block.id)),
                int2(&Code(block.kind)),
                text(&block.of),
                bytea(&party),
                int8(&at),
                text(&note.actor),
                int8(&ends_at),
                uuid(&key),
                bytea(&block.sealed.sealed.as_bytes()),
            ],
        )
        .await?;
        self.audit(&entries).await?;
        let added = Added::of(block);
        let changes = added.changes(block);
        self.audit_note(Action::BlockAdded, block.id.as_bytes(), false, note, &changes).await?;
        Ok(BlockChanged::Done)
    }

    /// Lifts a block.
    pub(super) async fn lift_block(&self, id: BlockId, note: &Note) -> Result<BlockChanged> {
        self.change_blocks().await?;
        let key = Sixteen::from(id);
        let sql = "SELECT ends_at, lifted_at FROM block WHERE id = $1";
        let rows = self.rows(sql, &[uuid(&key)]).await?;
        let Some(row) = rows.first() else { return Ok(BlockChanged::NotFound) };
        let (action, resource) = (Action::BlockLifted, id.as_bytes());
        if life(row, 0)?.state(note.at) != BlockState::Standing {
            self.audit_note(action, resource, true, note, &[ALREADY_OVER]).await?;
            return Ok(BlockChanged::AlreadyOver);
        }
        self.run(
            "UPDATE block SET lifted_at = $2, lifted_by = $3 WHERE id = $1",
            &[uuid(&key), int8(&note.at.as_millis()), text(&note.actor)],
        )
        .await?;
        self.audit_note(action, resource, false, note, &[]).await?;
        Ok(BlockChanged::Done)
    }

    /// The first of these parties that is blocked, as its place among them. No block is added before
    /// this transaction has ended.
    pub(super) async fn blocked(
        &self,
        parties: &[[u8; 16]],
        now: Timestamp,
    ) -> Result<Option<(usize, BlockId)>> {
        if parties.is_empty() {
            return Ok(None);
        }
        self.rows(BLOCKS_STAY, &[]).await?;
        let keys: Vec<&[u8]> = parties.iter().map(<[u8; 16]>::as_slice).collect();
        let sql = "SELECT party_key, id FROM block
             WHERE party_key = ANY ($1) AND lifted_at IS NULL
                AND (ends_at IS NULL OR ends_at > $2)
             ORDER BY sequence LIMIT 1";
        let rows = self.rows(sql, &[byteas(&keys), int8(&now.as_millis())]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (party, id) = (column::<Sixteen>(row, 0)?.0, column::<Sixteen>(row, 1)?.into());
        let place = parties.iter().position(|known| *known == party);
        Ok(place.map(|place| (place, id)))
    }

    /// Says that blocks change, and waits for whoever else is changing them: what is read afterwards
    /// stays so.
    async fn change_blocks(&self) -> Result<()> {
        self.rows(BLOCKS_CHANGE, &[]).await?;
        self.run("UPDATE block_version SET version = version + 1", &[]).await?;
        Ok(())
    }
}

impl Postgres {
    pub(crate) async fn block(
        &self,
        id: BlockId,
    ) -> std::result::Result<Option<BlockRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM block WHERE id = $1");
        let parameters = vec![Owned::new(Sixteen::from(id), Type::UUID)];
        Ok(all(&self.look(&sql, parameters).await?)?.pop())
    }

    pub(crate) async fn blocks(
        &self,
        query: BlockQuery,
    ) -> std::result::Result<Vec<BlockRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM block WHERE sequence < $1 AND ($2::bigint IS NULL
                OR (lifted_at IS NULL AND (ends_at IS NULL OR ends_at > $2)))
             ORDER BY sequence DESC LIMIT $3"
        );
        let parameters = vec![
            Owned::new(query.before.unwrap_or(i64::MAX), Type::INT8),
            Owned::new(query.standing_at.map(Timestamp::as_millis), Type::INT8),
            Owned::new(i64::try_from(query.limit).unwrap_or(i64::MAX), Type::INT8),
        ];
        all(&self.list(&sql, parameters).await?)
    }

    pub(crate) async fn standing_blocks(
        &self,
        now: Timestamp,
    ) -> std::result::Result<Vec<StandingBlock>, StoreError> {
        let sql = "SELECT id, party_key, ends_at FROM block
             WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > $1) ORDER BY sequence";
        let rows = self.list(sql, vec![Owned::new(now.as_millis(), Type::INT8)]).await?;
        let read = |row: &Row| -> Result<StandingBlock> {
            Ok(StandingBlock {
                id: column::<Sixteen>(row, 0)?.into(),
                party_key: column::<Sixteen>(row, 1)?.0,
                ends_at: column::<Option<i64>>(row, 2)?.map(Timestamp::from_millis),
            })
        };
        rows.iter().map(|row| read(row).map_err(|failure| failure.error)).collect()
    }

    pub(crate) async fn blocks_version(&self) -> std::result::Result<i64, StoreError> {
        let rows = self.look("SELECT version FROM block_version", Vec::new()).await?;
        let version: Result<i64> =
            rows.first().map_or_else(|| Err(Failure::corrupt("no version")), |row| column(row, 0));
        version.map_err(|failure| failure.error)
    }
}

fn all(rows: &[Row]) -> std::result::Result<Vec<BlockRow>, StoreError> {
    rows.iter().map(|row| block(row).map_err(|failure| failure.error)).collect()
}

fn block(row: &Row) -> Result<BlockRow> {
    Ok(BlockRow {
        sequence: column(row, 0)?,
        id: column::<Sixteen>(row, 1)?.into(),
        kind: column::<Code<PartyKind>>(row, 2)?.0,
        of: column(row, 3)?,
        party_key: column::<Sixteen>(row, 4)?.0,
        created_at: Timestamp::from_millis(column(row, 5)?),
        created_by: column(row, 6)?,
        life: life(row, 7)?,
        lifted_by: column(row, 9)?,
        sealed: sealed_row(row, 10)?,
    })
}

/// Two columns from a place on.
fn life(row: &Row, place: usize) -> Result<BlockLife> {
    let time = |place| -> Result<Option<Timestamp>> {
        Ok(column::<Option<i64>>(row, place)?.map(Timestamp::from_millis))
    };
    Ok(BlockLife { ends_at: time(place)?, lifted_at: time(place + 1)? })
}
