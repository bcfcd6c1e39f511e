//! The audit log as it is sealed. Entries have their place in the order of their sequence: here
//! transactions commit in that order.

use audit::tree::TileId;
use model::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sabotage::{Defect, Point};

use super::Sqlite;
use super::audit::{COLUMNS, entry};
use super::failure::{Result, pass};
use super::session::Session;
use crate::audit::Entry;
use crate::error::Kind;
use crate::log::{CheckpointRow, Deed, LogHead, LogTile, Seal, from_bytes, size, to_bytes};
use crate::{EntryRow, StoreError};

impl Session<'_> {
    /// Gives entries their place, if the log is as long as whoever seals believes.
    pub(super) fn seal(&mut self, seal: &Seal) -> Result<bool> {
        let grown = self
            .connection
            .prepare_cached("UPDATE audit_head SET size = ?2, last = ?3 WHERE size = ?1")?
            .execute(params![size(seal.from), size(seal.checkpoint.size), seal.last()])?;
        if grown == 0 && !sabotage::on(Defect::ForkSigned) {
            return Ok(false);
        }
        pass(Point::Seal)?;
        for tile in &seal.tiles {
            self.connection
                .prepare_cached(
                    "INSERT INTO audit_tile (level, number, hashes, entries) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (level, number) DO UPDATE SET
                        hashes = excluded.hashes, entries = excluded.entries",
                )?
                .execute(params![
                    tile.id.level,
                    size(tile.id.number),
                    tile.hashes,
                    to_bytes(&tile.entries)
                ])?;
        }
        self.keep_checkpoint(&seal.checkpoint)?;
        Ok(true)
    }

    /// Keeps a checkpoint, and of each minute only the last one.
    fn keep_checkpoint(&self, checkpoint: &CheckpointRow) -> Result<()> {
        let (covered, at) = (size(checkpoint.size), checkpoint.at.as_millis());
        self.connection
            .prepare_cached(
                "DELETE FROM audit_checkpoint WHERE at / 60000 = ?1 / 60000
                    AND size = (SELECT max(size) FROM audit_checkpoint)",
            )?
            .execute([at])?;
        self.connection
            .prepare_cached("INSERT INTO audit_checkpoint (size, at, note) VALUES (?1, ?2, ?3)")?
            .execute(params![covered, at, checkpoint.note])?;
        Ok(())
    }

    /// Notes until where a sink has got entries.
    pub(super) fn mark_sink(&self, name: &str, to: u64) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO audit_sink (name, size) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET size = max(size, excluded.size)",
            )?
            .execute(params![name, size(to)])?;
        Ok(())
    }

    /// Writes an entry about what leaves no other trace.
    pub(super) fn deed(&mut self, deed: &Deed) -> Result<()> {
        let changes = deed.changes();
        let resource = deed.resource.as_bytes();
        let entry = Entry::by_hand(deed.action, resource, deed.refused, &deed.note, &changes);
        entry.check()?;
        self.audit(&entry)
    }
}

impl Sqlite {
    pub(crate) async fn log_head(&self) -> std::result::Result<LogHead, StoreError> {
        self.read(|connection| {
            let read = connection.unchecked_transaction()?;
            let grown: i64 = read
                .prepare_cached("SELECT size FROM audit_head")?
                .query_row([], |row| row.get(0))?;
            let checkpoint = read
                .prepare_cached(
                    "SELECT size, at, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1",
                )?
                .query_row([], checkpoint)
                .optional()?;
            Ok(LogHead { size: u64::try_from(grown).unwrap_or(0), checkpoint })
        })
        .await
    }

    pub(crate) async fn waiting_entries(
        &self,
        most: usize,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit_entry
                 WHERE sequence > (SELECT last FROM audit_head) ORDER BY sequence LIMIT ?1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(entry(row)?);
            }
            Ok(entries)
        })
        .await
    }

    pub(crate) async fn entries_of(
        &self,
        sequences: Vec<i64>,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM audit_entry WHERE sequence = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut entries = Vec::with_capacity(sequences.len());
            for sequence in sequences {
                let mut rows = statement.query([sequence])?;
                if let Some(row) = rows.next()? {
                    entries.push(entry(row)?);
                }
            }
            Ok(entries)
        })
        .await
    }

    pub(crate) async fn sink_mark(
        &self,
        name: String,
    ) -> std::result::Result<Option<u64>, StoreError> {
        self.read(move |connection| {
            let mark = connection
                .prepare_cached("SELECT size FROM audit_sink WHERE name = ?1")?
                .query_row([name], |row| row.get::<_, i64>(0))
                .optional()?;
            Ok(mark.map(|mark| u64::try_from(mark).unwrap_or(0)))
        })
        .await
    }

    pub(crate) async fn log_tiles(
        &self,
        tiles: Vec<TileId>,
    ) -> std::result::Result<Vec<LogTile>, StoreError> {
        self.read(move |connection| {
            let found = tiles.into_iter().map(|id| tile(connection, id));
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    pub(crate) async fn checkpoints(
        &self,
        after: u64,
        most: usize,
    ) -> std::result::Result<Vec<CheckpointRow>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT size, at, note FROM audit_checkpoint WHERE size > ?1
                 ORDER BY size LIMIT ?2",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![size(after), most], checkpoint)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    Ok(CheckpointRow {
        size: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        at: Timestamp::from_millis(row.get(1)?),
        note: row.get(2)?,
    })
}

fn tile(connection: &Connection, id: TileId) -> Result<Option<LogTile>> {
    let found = connection
        .prepare_cached("SELECT hashes, entries FROM audit_tile WHERE level = ?1 AND number = ?2")?
        .query_row(params![id.level, size(id.number)], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    let Some((hashes, entries)) = found else { return Ok(None) };
    let entries = from_bytes(&entries).ok_or_else(|| StoreError::new(Kind::Corrupt))?;
    Ok(Some(LogTile { id, hashes, entries }))
}
